"""An hour in the life of a store: a mixed load at a steady rate, figures every few seconds, and a verdict at the end.

The store is a real one with two workers and a worker of background jobs, whose jobs come round quickly: short days of
lifecycle rules, garbage collected after half a minute, scrubbing every two minutes. It is told to reload now and then.
When the load has ended everything must go back to what it was before: descriptors, processes, staged and unnamed files.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from support.soak_load import Load, prepare
from support.soak_samples import Sample, Sampler
from support.soak_verdict import Line, judge
from support.store import Store, running_store
from support.webhooks import Webhook, running_webhook

from nova_objectstore.worker_manager import COLLECT_SPACING_S
from nova_wsgi import green
from nova_wsgi.testing import wait_until

COLLECT_DELAY_S = 30
LIFECYCLE_DAY_S = 60
LOGGING_DELIVERY_S = 10
SCRUB_PERIOD_S = 120
REST_S = 30.0  # how long connections and requests may take to end after their clients
TIDY_S = COLLECT_DELAY_S + 2 * COLLECT_SPACING_S + REST_S  # for what was replaced to be collected
TURN_S = 0.2  # how soon a stop is seen
LOG_TAIL = 100_000  # characters of the store's log that are kept

# What a process opens when it needs it first, however late that is, and keeps: by the file's name, how often.
OPENED_LATE = {
    # The checkpointer's connection. And what a reload has closed: SQLite keeps the descriptors of closed connections for the
    # next ones, as long as others of the process hold locks (sqlite.org/src, os_unix.c, "pUnused").
    "metadata.sqlite": 3,
    "metadata.sqlite-wal": 1,
    "access-logs": 1,  # a file of access records, until the next record finds that it was taken
}


@dataclass(frozen=True)
class Plan:
    """What a run is to be. ``rate``: requests a second of all clients; ``reload_s``: seconds between SIGHUPs."""

    seed: int
    seconds: float
    rate: float
    clients: int = 8
    sample_s: float = 5.0
    close_look_every: int = 6  # samples
    reload_s: float = 60.0
    collect_delay_s: int = COLLECT_DELAY_S


@dataclass
class Outcome:
    """What a run came to. ``problems`` are sentences; without any it is a good one."""

    plan: Plan
    seconds: float = 0.0
    start: Mapping[str, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    events: int = 0
    reloads: int = 0
    log: str = ""  # the end of the store's own
    problems: list[str] = field(default_factory=list)


class Soak:
    """A run: :meth:`run` to its end, or until :meth:`stop`."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.outcome = Outcome(plan)
        self._directory = directory
        self._goes_on = True
        self._log_file = directory / "access.log"

    def stop(self) -> None:
        """End the load early; the verdict is of what there is so far."""
        self._goes_on = False

    def run(self, tell: Callable[[float, Outcome], object] = lambda _seconds, _outcome: None) -> Outcome:
        """Start a store, load it, judge it. ``tell`` is called several times a second with the seconds done."""
        with ExitStack() as stack:
            webhook = stack.enter_context(running_webhook())
            store = stack.enter_context(self._running_store())
            prepare(store, f"{webhook.url}/")
            sampler = Sampler(store, self._control_path)
            stack.callback(sampler.close)
            self._warm_up(store, sampler)
            descriptors = sampler.descriptors()
            self.outcome.start = sampler.look(closely=True)
            load = self._loaded(store, sampler, webhook, tell)
            self._judge(load)
            self._look_at_rest(sampler, descriptors)
            self._look_at_log(store.server.output())
        return self.outcome

    @property
    def _control_path(self) -> Path:
        return self._directory / "control"

    @contextmanager
    def _running_store(self) -> Iterator[Store]:
        arguments = {
            "collect-delay-s": self.plan.collect_delay_s,
            "lifecycle-day-s": LIFECYCLE_DAY_S,
            "logging-delivery-s": LOGGING_DELIVERY_S,
            "scrub-period-s": SCRUB_PERIOD_S,
            "notification-networks": "127.0.0.0/8",
            "access-log-file": self._log_file,
            "control-path": self._control_path,
        }
        words = [f"--{name}={value}" for name, value in arguments.items()]
        with running_store(self._directory / "state", *words) as store:
            yield store

    def _warm_up(self, store: Store, sampler: Sampler) -> None:
        """What is opened at its first use is open afterwards: that is no leak."""
        load = Load(store, seed=self.plan.seed, clients=self.plan.clients, rate=self.plan.rate)
        for _ in range(2):
            load.do_everything()
        load.close_connections()
        self.outcome.errors += load.errors
        wait_until(lambda: not connections(sampler), REST_S, what="the end of connections")

    # -- under load ----------------------------------------------------------------------------------------------------

    def _loaded(
        self, store: Store, sampler: Sampler, webhook: Webhook, tell: Callable[[float, Outcome], object]
    ) -> Load:
        plan, outcome = self.plan, self.outcome
        load = Load(store, seed=plan.seed, clients=plan.clients, rate=plan.rate)
        outcome.done, outcome.refused = load.done, load.refused
        begun_s = time.monotonic()
        sample_s, reload_s = begun_s, begun_s + plan.reload_s
        load.start()
        while self._goes_on and (now_s := time.monotonic()) < begun_s + plan.seconds:
            if now_s >= sample_s:
                self._sample(sampler, webhook, now_s - begun_s)
                sample_s = max(sample_s + plan.sample_s, now_s)
            if now_s >= reload_s:
                self._reload(store)
                reload_s = now_s + plan.reload_s
            tell(now_s - begun_s, outcome)
            green.sleep(TURN_S)
        load.stop()
        outcome.seconds = time.monotonic() - begun_s
        return load

    def _sample(self, sampler: Sampler, webhook: Webhook, at_s: float) -> None:
        closely = len(self.outcome.samples) % self.plan.close_look_every == 0
        self.outcome.samples.append(Sample(at_s, sampler.look(closely=closely)))
        with webhook.lock:  # we run for hours too
            self.outcome.events += sum(len(got.records) for got in webhook.got)
            webhook.got.clear()

    def _reload(self, store: Store) -> None:
        """Options are read again, and the log begins a new file."""
        self._log_file.replace(self._log_file.with_suffix(".old"))
        store.server.send_signal(signal.SIGUSR1)
        store.server.send_signal(signal.SIGHUP)
        self.outcome.reloads += 1

    # -- the verdict ---------------------------------------------------------------------------------------------------

    def _judge(self, load: Load) -> None:
        outcome = self.outcome
        outcome.errors += load.errors
        outcome.problems += [f"{count} times {error}" for error, count in outcome.errors.items()]
        if outcome.samples:
            outcome.lines = judge(outcome.start, outcome.samples)
            outcome.problems += [f"{line.name} grows by {line.slope_per_h:.2f} {line.unit} an hour"
                                 for line in outcome.lines if line.leaks]  # fmt: skip

    def _look_at_rest(self, sampler: Sampler, before: Mapping[str, Sequence[str]]) -> None:
        """Once the clients have gone, the store is what it was before they came."""
        pids = dict(sampler.pids)
        for what, holds, patience_s in (
            ("open connections", lambda: not connections(sampler), REST_S),
            ("staged files", lambda: not sampler.look(closely=False)["staged files"], REST_S),
            ("data files that nothing names", lambda: not sampler.unnamed_files(), self._tidy_s),
        ):
            try:
                wait_until(holds, patience_s)
            except TimeoutError:
                self.outcome.problems.append(f"{what} are left {patience_s:.0f} s after the last client")
        try:
            wait_until(lambda: not grown(before, sampler.descriptors()), REST_S)
        except TimeoutError:  # one look is not enough: jobs go on, and the scrubber may just read a file
            self.outcome.problems += grown(before, sampler.descriptors())
        self.outcome.problems += [
            f"{name} has ended" for name, pid in pids.items() if not os.path.exists(f"/proc/{pid}")
        ]
        if (now := sampler.look(closely=False)["processes"]) != self.outcome.start["processes"]:
            self.outcome.problems.append(f"{now:.0f} processes, not {self.outcome.start['processes']:.0f}")

    def _look_at_log(self, log: str) -> None:
        self.outcome.log = log[-LOG_TAIL:]
        if count := log.count("Traceback (most recent call last)"):
            self.outcome.problems.append(f"{count} tracebacks in the log")

    @property
    def _tidy_s(self) -> float:
        return TIDY_S - COLLECT_DELAY_S + self.plan.collect_delay_s


def connections(sampler: Sampler) -> int:
    """Descriptors of established connections of clients, over all processes."""
    port = sampler.store.port
    return sum(_established(pid, port) for pid in sampler.pids.values())


def _established(pid: int, port: int) -> int:
    return sum(
        1
        for connection in psutil.Process(pid).net_connections("tcp4")
        if connection.status != psutil.CONN_LISTEN and connection.laddr.port == port
    )


def grown(before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]]) -> list[str]:
    """Sentences: what processes have open that they had not."""
    told = []
    for name, files in now.items():
        more = Counter(map(_kind, files)) - Counter(map(_kind, before[name])) - Counter(OPENED_LATE)
        if more:
            told.append(f"{name} has open what it had not: {dict(more)}")
    return told


def _kind(path: str) -> str:
    """A file's name, or that of the directory of files with names of their own: a reload claims another staging area."""
    return next((kind for kind in ("access-logs", "pending") if f"/{kind}/" in path), path.rpartition("/")[2])
