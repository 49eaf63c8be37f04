"""Launcher: runs services in this process, or each in processes of its own. The one place that waits.

What a signal does, here and in a worker (where the parent decides, see :mod:`nova_wsgi.workers`):

    SIGTERM              soft: take no more work, let what goes on end within graceful_shutdown_timeout, exit 0
    SIGINT, SIGQUIT      hard: end now, exit 128 + the signal's number (SIGINT is soft with ``interrupt_is_soft``)
    a second SIGTERM     hard
    SIGHUP               read options, paste apps and certificates again; on a mistake one line, and all stays as it was
    SIGUSR1              open the log files again
    SIGUSR2              write every stack to the log
"""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import eventlet.queue
from oslo_config import cfg

from nova_wsgi import green, logs, memory, processes
from nova_wsgi.config import Config, Section
from nova_wsgi.errors import ConfigError
from nova_wsgi.heartbeat import WorkerVoice
from nova_wsgi.loopingcall import FixedInterval, LoopingCall
from nova_wsgi.monitor import Notifier
from nova_wsgi.service import Service
from nova_wsgi.signals import SignalQueue, dump_on_abort, dump_stacks
from nova_wsgi.workers import Supervisor

log = logging.getLogger(__name__)

BEAT_MAX_S = 1.0  # a heartbeat at least this often: what a stuck process is recognised by
GC_YOUNG_MAX = 10_000  # objects made since the last look at the young: a few MB at most, if all were cycles
UNDERTAKER_GRACE_S = 3.0  # after the deadline, for a hub so stuck that it cannot even see the deadline


def section() -> Section:
    """The options of stopping and of worker processes."""
    return Section(
        "Processes",
        (
            cfg.FloatOpt(
                "graceful_shutdown_timeout", default=60.0, min=0, mutable=True,
                help="Seconds that a soft stop (SIGTERM) gives to what goes on; what is left then is ended.",
            ),
            cfg.FloatOpt(
                "worker_timeout_s", default=30.0, min=0.1, mutable=True,
                help="Seconds without a heartbeat after which a worker is taken for stuck, killed and replaced.",
            ),
            cfg.FloatOpt(
                "worker_start_timeout_s", default=300.0, min=0.1, mutable=True,
                help="The same while a worker starts: migrating a database may take its time.",
            ),
            cfg.IntOpt(
                "max_requests", default=0, min=0,
                help="Requests after which a worker is replaced by a fresh one, with none lost; 0 is never.",
            ),
            cfg.IntOpt(
                "max_requests_jitter", default=0, min=0,
                help="Up to this many requests more, at random, so that workers are not replaced all at once.",
            ),
            cfg.BoolOpt(
                "core_dumps", default=False,
                help="Leave it to the system whether a process that crashes is dumped. Without it none is: a dump holds"
                " the secrets that were in memory, and the data.",
            ),
            cfg.FloatOpt(
                "memory_return_s", default=60.0, min=0,
                help="Seconds after which a process looks through its memory and returns what is free to the system; 0 is never.",
            ),
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launched:
    """A service and the number of its processes."""

    service: Service
    workers: int


class Launcher:
    """Runs services. When every one has one worker they all run in this process, with no fork; otherwise each has
    processes of its own, under this one, which only supervises.

    ``interrupt_is_soft``: the first Ctrl-C stops softly, the second one now (SIGINT then does what SIGTERM does).
    """

    def __init__(self, conf: Config, *, interrupt_is_soft: bool = False) -> None:
        self._conf = conf
        self._interrupt_is_soft = interrupt_is_soft
        self._launched: list[Launched] = []
        self._on_ready: list[Callable[[], None]] = []

    def when_ready(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, in this process, when every service takes work; never, if one of them cannot start."""
        self._on_ready.append(tell)

    def launch_service(self, service: Service, workers: int = 1) -> None:
        """Take a service in; its sockets are bound now, it starts in :meth:`wait`. Raises ConfigError."""
        if workers < 1:
            raise ConfigError(f"{service.topic}: {workers} workers cannot serve")
        try:
            service.prepare()
        except BaseException:  # an interrupt too: the sockets of the services before it are bound
            self.release()
            raise
        self._launched.append(Launched(service, workers))

    def wait(self) -> int:
        """Run until all has stopped; give the program's exit status. Raises ConfigError from a Manager's start."""
        if not self._launched:
            raise ConfigError("there is no service to run")
        if all(launched.workers == 1 for launched in self._launched):
            services = [launched.service for launched in self._launched]
            voice = SupervisedVoice(Notifier())
            return Runner(
                self._conf, services, voice, interrupt_is_soft=self._interrupt_is_soft, on_ready=self._on_ready
            ).run()
        return Supervisor(
            self._conf,
            [(launched.service, launched.workers) for launched in self._launched],
            serve=partial(_serve_as_worker, self._conf),
            interrupt_is_soft=self._interrupt_is_soft,
            on_ready=self._on_ready,
        ).run()

    def release(self) -> None:
        """Let go of the sockets of everything launched so far."""
        for launched in self._launched:
            launched.service.release()


def _relax_collector() -> None:
    """Have the garbage collector look less often.

    PERF: requests leave hardly a cycle, but their objects count: at Python's 700 of them between two looks, collecting took
    4 to 5 % of a PUT's time.
    """
    gc.set_threshold(GC_YOUNG_MAX, 20, 20)


def _return_memory() -> None:
    """Have the garbage collector look at everything, and give what is free then back to the system.

    Left to itself it would not look at the old for hours (see above); what a reload has replaced is old, and so is much of what a
    refused request leaves: cycles of an error and its frames. In a worker it takes 2 to 4 ms: most objects are frozen.
    """
    gc.collect()
    green.run_native(memory.return_free_pages)


def _serve_as_worker(conf: Config, service: Service, voice: WorkerVoice, signals: SignalQueue) -> int:
    """What a worker process does."""
    return Runner(conf, [service], voice, signals=signals).run()


# -- telling how it goes ------------------------------------------------------------------------------------------


class Voice(Protocol):
    """Who is told how the process is: the supervisor, or the parent of a worker."""

    is_worker: bool
    beat_interval_s: float

    def ready(self) -> None:
        """The services take work."""

    def reloading(self) -> None:
        """A reload begins."""

    def reloaded(self, refused: str | None) -> None:
        """A reload ended; with the reason when it was refused."""

    def stopping(self) -> None:
        """The stop begins."""

    def beat(self, in_flight: int, requests_total: int) -> None:
        """The hub runs."""

    def wait_parent_end(self) -> None:
        """Return when the parent is gone; never, where there is none."""


class SupervisedVoice:
    """Speaks to systemd, or whoever set NOTIFY_SOCKET, and to the log."""

    is_worker = False

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self.beat_interval_s = min(BEAT_MAX_S, notifier.watchdog_interval_s or BEAT_MAX_S)

    def ready(self) -> None:
        """READY."""
        self._notifier.ready()

    def reloading(self) -> None:
        """RELOADING."""
        self._notifier.reloading()

    def reloaded(self, refused: str | None) -> None:
        """READY again; a refusal is a line in the log."""
        if refused is None:
            log.info("reloaded")
        else:
            log.error("the reload is refused, all stays as it was: %s", refused)
        self._notifier.ready()

    def stopping(self) -> None:
        """STOPPING."""
        self._notifier.stopping()

    def beat(self, in_flight: int, requests_total: int) -> None:
        """WATCHDOG and STATUS."""
        self._notifier.feed_watchdog()
        self._notifier.status(f"{in_flight} calls in flight")

    def wait_parent_end(self) -> None:
        """Never return: nobody above us is ours."""
        while True:
            green.sleep(3600)


# -- running services in this process ------------------------------------------------------------------------------


class Runner:
    """Starts services in this process, obeys signals, stops them. Its loop runs one verb at a time, in order."""

    def __init__(
        self,
        conf: Config,
        services: Sequence[Service],
        voice: Voice,
        *,
        signals: SignalQueue | None = None,
        interrupt_is_soft: bool = False,
        on_ready: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._conf = conf
        self._services = list(services)
        self._voice = voice
        self._on_ready = on_ready
        self._signals = signals or SignalQueue()
        self._installed_by_caller = signals is not None
        self._interrupt_is_soft = interrupt_is_soft
        self._verbs: eventlet.queue.LightQueue = eventlet.queue.LightQueue()
        self._started = False
        self._stopping = False
        self._reloading = False
        self._reload_again = False
        self._failed = False
        self._stops: list[green.GreenThread] = []
        self._status: int | None = None
        self._error: BaseException | None = None

    def run(self) -> int:
        """Run until all has stopped; give the exit status. Raises ConfigError when a service cannot start."""
        if not self._installed_by_caller:
            self._signals.install()
        dump_on_abort()
        helpers = [green.spawn(self._hear_signals), green.spawn(self._hear_parent), green.spawn(self._start)]
        loops = [LoopingCall(self._beat, FixedInterval(self._voice.beat_interval_s), name="heartbeat").start()]
        if return_s := self._conf.memory_return_s:
            trim = LoopingCall(_return_memory, FixedInterval(return_s), name="memory", initial_delay_s=return_s)
            loops.append(trim.start())
        try:
            while self._status is None:
                self._verbs.get()()
        finally:
            for loop in loops:
                loop.kill()
            for helper in helpers:
                helper.kill()
            processes.close_all()
            self._signals.silence()
            signal.setitimer(signal.ITIMER_REAL, 0)
        if self._error is not None:
            raise self._error
        return self._status

    # -- what puts verbs into the queue: greenthreads beside the loop -------------------------------------------

    def _hear_signals(self) -> None:
        while True:
            for number in self._signals.take():
                self._verbs.put(partial(self._on_signal, number))

    def _hear_parent(self) -> None:
        self._voice.wait_parent_end()
        self._verbs.put(self._on_parent_end)

    def _start(self) -> None:
        try:
            for service in self._services:
                service.start()
        except Exception as error:  # noqa: BLE001  whatever it is, the loop ends the program with it
            self._verbs.put(partial(self._on_start_failed, error))
        else:
            self._verbs.put(self._on_started)

    def _watch(self, service: Service) -> None:
        try:
            service.wait()
        except Exception as error:  # noqa: BLE001  the loop logs it and stops the rest
            self._verbs.put(partial(self._on_service_failed, service, error))

    def _stop_services(self) -> None:
        timeout_s = self._conf.graceful_shutdown_timeout
        self._stops = [green.spawn(service.stop, timeout_s) for service in self._services]
        clean = True
        for service, stop in zip(self._services, self._stops, strict=True):
            try:
                clean = stop.wait() and clean
            except green.GreenletExit:
                return  # a hard stop came
            except Exception:  # the other services must still be waited for
                log.exception("%s did not stop well", service.topic)
                clean = False
        self._verbs.put(partial(self._on_stopped, clean))

    def _reload_services(self) -> None:
        refused = None
        try:
            self._conf.reload()
            logs.set_level(self._conf)
            for service in self._services:
                service.reload()
        except ConfigError as error:
            refused = " ".join(str(error).split())
        except Exception as error:  # a reload that fails must leave the service running
            log.exception("the reload failed")
            refused = f"{type(error).__name__}: {error}"
        self._verbs.put(partial(self._on_reloaded, refused))

    def _beat(self) -> None:
        in_flight = sum(len(service.in_flight()) for service in self._services)
        self._voice.beat(in_flight, sum(service.requests_total() for service in self._services))

    # -- the verbs ----------------------------------------------------------------------------------------------

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGTERM or (number == signal.SIGINT and self._interrupt_is_soft):
            if self._stopping and not self._voice.is_worker:  # a worker may get it twice: from its group and parent
                self._end_now(number)
            else:
                self._stop_softly(number.name)
        elif number == signal.SIGINT and self._voice.is_worker:
            return  # Ctrl-C reaches the whole group: the parent decides
        elif number in (signal.SIGINT, signal.SIGQUIT):
            self._end_now(number)
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR1:
            logs.reopen()
        elif number == signal.SIGUSR2:
            dump_stacks()

    def _on_parent_end(self) -> None:
        if not self._stopping:
            self._stop_softly("the end of the parent process")

    def _on_started(self) -> None:
        self._started = True
        for service in self._services:
            green.spawn(self._watch, service)
        if self._stopping:
            green.spawn(self._stop_services)
            return
        _relax_collector()
        for tell in self._on_ready:
            tell()
        self._voice.ready()
        self._reload_if_asked()

    def _on_start_failed(self, error: Exception) -> None:
        self._kill_services()
        self._status = 1
        if isinstance(error, ConfigError):
            self._error = error
        else:
            log.error("the start failed", exc_info=error)

    def _on_service_failed(self, service: Service, error: Exception) -> None:
        log.error("%s cannot go on", service.topic, exc_info=error)
        self._failed = True
        if not self._stopping:
            self._stop_softly(f"the failure of {service.topic}")

    def _stop_softly(self, reason: str) -> None:
        if self._stopping:
            return
        self._stopping = True
        timeout_s = self._conf.graceful_shutdown_timeout
        calls = [call for service in self._services for call in service.in_flight()]
        log.info("stopping on %s: %d calls in flight have %g s", reason, len(calls), timeout_s)
        self._voice.stopping()
        self._order_undertaker(timeout_s + UNDERTAKER_GRACE_S)
        if self._started:
            green.spawn(self._stop_services)
        # else: _on_started stops them

    def _on_stopped(self, clean: bool) -> None:
        log.info("stopped" if clean else "stopped at the deadline; what still went on was ended")
        self._status = 0 if clean and not self._failed else 1

    def _end_now(self, number: signal.Signals) -> None:
        for stop in self._stops:
            stop.kill()
        for service in self._services:
            for name, since in service.in_flight():
                log.warning("%s: ended after %.1f s: %s", service.topic, time.monotonic() - since, name)
        log.warning("ending now on %s", number.name)
        self._order_undertaker(UNDERTAKER_GRACE_S)
        self._kill_services()
        self._status = 128 + number

    def _kill_services(self) -> None:
        for service in self._services:
            try:
                service.kill()
            except Exception:  # the others must end too
                log.exception("%s did not end well", service.topic)

    def _reload(self) -> None:
        if self._stopping:
            return
        if self._reloading or not self._started:
            self._reload_again = True
            return
        self._reloading = True
        self._voice.reloading()
        green.spawn(self._reload_services)

    def _on_reloaded(self, refused: str | None) -> None:
        self._reloading = False
        self._voice.reloaded(refused)
        self._reload_if_asked()

    def _reload_if_asked(self) -> None:
        """A SIGHUP that came too early, or during a reload, is obeyed now."""
        if self._reload_again:
            self._reload_again = False
            self._reload()

    def _order_undertaker(self, after_s: float) -> None:
        """Have the kernel end the process then, with SIGALRM, even if its hub is stuck in a call that never ends."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, after_s)
