"""The pre-fork parent: it only supervises. Its loop is four verbs: spawn, listen, reap, judge.

Strategy: no hub runs here, so a fork copies nothing that lives. Each worker has a pipe to tell the parent what
happened (ready, reloaded, recycle me, cannot start) and a cell of shared memory for its heartbeat, written from its
hub: a hub that is stuck stops writing. All workers hold the read end of one pipe whose write end only the parent has:
it closes with the parent, however that ends, and they stop.

Laws:

- Listening sockets stay open here while the service runs: a worker that ends takes no waiting connection with it.
- A worker that dies is replaced, at once the first time, then after longer and longer waits: a crash loop never spins.
- A worker is recycled by starting its successor first; it is told to stop when that one is ready.
- Whatever ends the parent's run, no worker outlives it: SIGTERM, then at the deadline SIGKILL.
- A worker that cannot start, at the first start, ends the program: as configured with one line and exit code 2, for
  another reason with exit code 1. Later ones are tried again: what they need may come back.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from nova_wsgi import green, logs
from nova_wsgi.config import Config
from nova_wsgi.errors import ConfigError
from nova_wsgi.heartbeat import Board, WorkerVoice
from nova_wsgi.monitor import Notifier
from nova_wsgi.service import Service
from nova_wsgi.signals import HANDLED, SignalQueue, dump_on_abort, dump_stacks, held

log = logging.getLogger(__name__)

NAP_MAX_S = 1.0  # how often heartbeats are looked at
ABORT_GRACE_S = 2.0  # for a stuck worker to write its stacks after SIGABRT
HARD_GRACE_S = 1.0  # between a hard stop's SIGQUIT and SIGKILL
SOFT_GRACE_S = 2.0  # a worker keeps the deadline itself; this much later it is killed
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
HELD_OUT_S = 10.0  # a worker that lived this long after its start began a new count of failures
CELLS_PER_SLOT = 4  # a worker, its successor, and those that still end

_os = green.original("os")
_poll = green.original("select").poll

SUPERVISED = (*HANDLED, signal.SIGCHLD)


# -- the parent's view --------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Worker:
    """A child process. Times are ``time.monotonic()`` seconds."""

    pid: int
    slot: Slot
    cell: int
    pipe_fd: int
    reloads: int  # how many had been asked for when it was forked
    ready: bool = False
    ready_at: float = 0.0
    asked_to_stop: bool = False
    wants_successor: bool = False
    unfit: str | None = None
    kill_at: float | None = None
    aborted: bool = False
    heard: bytes = b""

    def __str__(self) -> str:
        return f"worker {self.slot.service.topic}/{self.slot.index} ({self.pid})"

    def tell(self, number: int) -> None:
        """Send a signal; one that has ended but was not reaped yet takes it in peace."""
        os.kill(self.pid, number)

    def ask_to_stop(self, *, kill_at: float) -> None:
        """SIGTERM, and SIGKILL if it is still there at ``kill_at``."""
        self.asked_to_stop = True
        self.kill_at = kill_at if self.kill_at is None else min(kill_at, self.kill_at)
        self.tell(signal.SIGTERM)


@dataclass(slots=True, eq=False)
class Slot:
    """A place for one worker of a service, and what happened there."""

    service: Service
    index: int
    worker: Worker | None = None
    successor: Worker | None = None
    due_at: float = 0.0
    failures: int = 0
    ever_ready: bool = False

    def back_off(self, ended: Worker, now: float) -> float:
        """Note a failure; give the seconds until the next start, and set ``due_at``."""
        if ended.ready and now - ended.ready_at >= HELD_OUT_S:
            self.failures = 0
        wait_s = 0.0
        if self.failures:
            wait_s = min(BACKOFF_FIRST_S * 2.0 ** (self.failures - 1), BACKOFF_MAX_S)
        self.failures += 1
        self.due_at = now + wait_s
        return wait_s


@dataclass(slots=True)
class _Reload:
    """A reload that workers are still busy with."""

    awaited: set[int] = field(default_factory=set)
    refusals: set[str] = field(default_factory=set)


class Supervisor:
    """Keeps each service's workers running. ``serve`` is what a worker does; it returns its exit status.

    ``on_ready`` is called once, when every service has all its workers.
    """

    def __init__(
        self,
        conf: Config,
        services: Sequence[tuple[Service, int]],
        *,
        serve: Callable[[Service, WorkerVoice, SignalQueue], int],
        interrupt_is_soft: bool = False,
        on_ready: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._conf = conf
        self._services = [service for service, _ in services]
        self._slots = [Slot(service, index) for service, workers in services for index in range(workers)]
        self._serve = serve
        self._interrupt_is_soft = interrupt_is_soft
        self._on_ready = on_ready
        self._workers: dict[int, Worker] = {}  # by pid: all that live
        self._board = Board(CELLS_PER_SLOT * len(self._slots))
        self._signals = SignalQueue(SUPERVISED)
        self._notifier = Notifier()
        self._life_read, self._life_write = os.pipe2(os.O_CLOEXEC)
        self._announced = False
        self._reload: _Reload | None = None
        self._reloads = 0
        self._stopping = False
        self._status = 0
        self._unfit: str | None = None
        self._listened_at = time.monotonic()
        self._judge_from = 0.0

    def run(self) -> int:
        """Supervise until all workers have ended; give the exit status. Raises ConfigError (see the laws)."""
        self._signals.install()
        dump_on_abort()
        green.before_fork()
        gc.collect()
        gc.freeze()  # what is there now is shared with the workers: a collection must not touch, and so copy, it
        try:
            while not (self._stopping and not self._workers):
                self._spawn()
                self._listen()
                self._reap()
                self._judge()
                self._tell_supervisor()
        finally:
            self._end_everything()
        if self._unfit is not None:
            raise ConfigError(self._unfit)
        return self._status

    # -- spawn --------------------------------------------------------------------------------------------------

    def _spawn(self) -> None:
        """Start what is missing and due: a worker for an empty slot, a successor for one that wants it."""
        if self._stopping:
            return
        now = time.monotonic()
        for slot in self._slots:
            if now < slot.due_at:
                continue
            if slot.worker is None:
                slot.worker, slot.successor = slot.successor or self._fork(slot), None
            elif slot.worker.wants_successor and slot.successor is None:
                slot.successor = self._fork(slot)

    def _fork(self, slot: Slot) -> Worker | None:
        cell = self._board.take()
        if cell is None:
            slot.due_at = time.monotonic() + NAP_MAX_S  # many still end: wait for one
            return None
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _flush_output()  # or the child would write it once more
        try:
            with held(SUPERVISED):
                pid = os.fork()
                if pid == 0:
                    self._become_worker(slot, cell, write_fd, read_fd)
        except OSError as error:
            log.error("no worker can be started: %s", error)
            os.close(read_fd)
            self._board.give_back(cell)
            slot.due_at = time.monotonic() + BACKOFF_FIRST_S
            return None
        finally:
            os.close(write_fd)
        worker = Worker(pid, slot, cell, read_fd, self._reloads)
        self._workers[pid] = worker
        log.debug("%s started", worker)
        return worker

    def _become_worker(self, slot: Slot, cell: int, pipe_fd: int, other_end_fd: int) -> NoReturn:
        """In the child: let go of all that is the parent's, serve, and end without going back up the stack."""
        status = 1
        try:
            signals = self._leave_parent(slot, other_end_fd)
            voice = self._voice(cell, pipe_fd)
            try:
                status = self._serve(slot.service, voice, signals)
            except ConfigError as error:
                voice.unfit(error)
                status = 2
        except BaseException:  # nothing may go up into the parent's code: it would run twice
            log.exception("a worker of %s failed", slot.service.topic)
        finally:
            logs.flush()
            _flush_output()
            os._exit(status)

    def _leave_parent(self, slot: Slot, other_end_fd: int) -> SignalQueue:
        green.after_fork()
        logs.after_fork()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signals = SignalQueue()
        signals.install()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISED)
        self._signals.close()
        for fd in (other_end_fd, self._life_write, *(worker.pipe_fd for worker in self._workers.values())):
            os.close(fd)
        for service in self._services:
            if service is not slot.service:
                service.release()
        return signals

    def _voice(self, cell: int, pipe_fd: int) -> WorkerVoice:
        requests_max = self._conf.max_requests
        if requests_max:
            requests_max += random.randint(0, self._conf.max_requests_jitter)
        return WorkerVoice(
            board=self._board,
            cell=cell,
            pipe_fd=pipe_fd,
            life_fd=self._life_read,
            beat_s=min(NAP_MAX_S, self._conf.worker_timeout_s / 5),
            requests_max=requests_max,
        )

    # -- listen -------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Wait, at most until something is due, for signals and for what workers say."""
        poll = _poll()
        poll.register(self._signals.fileno(), select.POLLIN)
        by_fd = {worker.pipe_fd: worker for worker in self._workers.values()}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        nap_s = self._nap_s()
        ready = poll.poll(nap_s * 1000)
        now = time.monotonic()
        if now - self._listened_at > nap_s + 2 * NAP_MAX_S:
            # We did not run for a while (stopped, or a very busy machine): nor, perhaps, did the workers.
            self._judge_from = now + self._conf.worker_timeout_s / 2
        self._listened_at = now
        for fd, _ in ready:
            if fd in by_fd:
                self._hear(by_fd[fd])
        for number in self._signals.take_ready():
            self._obey(number)

    def _nap_s(self) -> float:
        now = time.monotonic()
        due = [slot.due_at for slot in self._slots if slot.worker is None and not self._stopping]
        due += [worker.kill_at for worker in self._workers.values() if worker.kill_at is not None]
        nap_s = min([NAP_MAX_S, self._conf.worker_timeout_s / 5, self._notifier.watchdog_interval_s or NAP_MAX_S])
        return max(0.001, min([float(nap_s), *(at - now for at in due)]))

    def _hear(self, worker: Worker) -> None:
        """Take what a worker said, line by line."""
        try:
            worker.heard += _os.read(worker.pipe_fd, 65536)
        except BlockingIOError:
            return
        *lines, worker.heard = worker.heard.split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "ready":
                self._note_ready(worker)
            elif word == "recycle":
                log.info("%s has served its requests", worker)
                worker.wants_successor = True
            elif word == "unfit":
                worker.unfit = rest
            elif word in ("reloaded", "refused"):
                self._note_reloaded(worker, rest)

    def _note_ready(self, worker: Worker) -> None:
        slot = worker.slot
        worker.ready, worker.ready_at, slot.ever_ready = True, time.monotonic(), True
        log.info("%s is ready", worker)
        if worker is slot.successor:
            old, slot.worker, slot.successor = slot.worker, worker, None
            if old is not None:
                old.ask_to_stop(kill_at=self._deadline())
        if worker.reloads != self._reloads:
            worker.tell(signal.SIGHUP)  # it may have composed what was there before the reload
        if not self._announced and all(slot.worker is not None and slot.worker.ready for slot in self._slots):
            self._announced = True
            for tell in self._on_ready:
                tell()
            self._notifier.ready()

    def _note_reloaded(self, worker: Worker, refused: str) -> None:
        if self._reload is None:
            return
        self._reload.awaited.discard(worker.pid)
        if refused:
            self._reload.refusals.add(refused)
        self._end_reload()

    def _end_reload(self) -> None:
        """When the last worker has answered, say so."""
        if self._reload is None or self._reload.awaited:
            return
        for reason in sorted(self._reload.refusals):
            log.error("the reload is refused, all stays as it was: %s", reason)
        if not self._reload.refusals:
            log.info("reloaded")
        self._reload = None
        self._notifier.ready()

    def _obey(self, number: signal.Signals) -> None:
        if number == signal.SIGTERM or (number == signal.SIGINT and self._interrupt_is_soft):
            if self._stopping:
                self._stop_hard(number)
            else:
                self._stop_softly(number)
        elif number in (signal.SIGINT, signal.SIGQUIT):
            self._stop_hard(number)
        elif number == signal.SIGHUP:
            self._begin_reload()
        elif number == signal.SIGUSR1:
            logs.reopen()
            self._tell_all(number)
        elif number == signal.SIGUSR2:
            dump_stacks()
            self._tell_all(number)

    def _tell_all(self, number: int) -> None:
        for worker in self._workers.values():
            worker.tell(number)

    def _begin_reload(self) -> None:
        if self._stopping:
            return
        self._notifier.reloading()
        try:
            self._conf.reload()
        except ConfigError as error:
            log.error("the reload is refused, all stays as it was: %s", error)
            self._notifier.ready()
            return
        logs.set_level(self._conf)
        self._reloads += 1
        ready = [worker for worker in self._workers.values() if worker.ready and not worker.asked_to_stop]
        self._reload = _Reload(awaited={worker.pid for worker in ready})
        for worker in ready:
            worker.tell(signal.SIGHUP)
        self._end_reload()

    def _deadline(self) -> float:
        return time.monotonic() + float(self._conf.graceful_shutdown_timeout) + SOFT_GRACE_S

    def _stop_softly(self, number: signal.Signals) -> None:
        log.info("stopping on %s within %g s", number.name, self._conf.graceful_shutdown_timeout)
        self._stopping = True
        self._notifier.stopping()
        self._release()
        for worker in self._workers.values():
            worker.ask_to_stop(kill_at=self._deadline())

    def _stop_hard(self, number: signal.Signals) -> None:
        log.warning("ending now on %s", number.name)
        self._stopping = True
        self._status = 128 + number
        self._notifier.stopping()
        self._release()
        for worker in self._workers.values():
            worker.asked_to_stop = True
            worker.kill_at = time.monotonic() + HARD_GRACE_S
            worker.tell(signal.SIGQUIT)

    def _release(self) -> None:
        for service in self._services:
            service.release()

    # -- reap ---------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Take leave of the workers that have ended."""
        for worker in list(self._workers.values()):
            pid, wait_status = _os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._hear(worker)
                os.close(worker.pipe_fd)
                del self._workers[pid]
                self._board.give_back(worker.cell)
                self._note_reloaded(worker, "")
                self._note_end(worker, os.waitstatus_to_exitcode(wait_status))

    def _note_end(self, worker: Worker, code: int) -> None:
        slot = worker.slot
        if slot.worker is worker:
            slot.worker = None
        elif slot.successor is worker:
            slot.successor = None
        if worker.asked_to_stop:
            if code != 0 and worker.ready and self._stopping and self._status == 0:
                self._status = 1  # one that had not begun to serve has broken nothing off
            log.debug("%s has stopped", worker)
        elif self._stopping:
            return
        elif worker.unfit is not None and not slot.ever_ready:
            self._unfit = worker.unfit
            self._give_up()
        elif code > 0 and not slot.ever_ready:
            log.error("%s could not start (exit status %d)", worker, code)
            self._status = 1
            self._give_up()
        elif code == 0 and worker.ready:
            slot.due_at = 0.0  # somebody asked it to stop: not a failure
        else:
            wait_s = slot.back_off(worker, time.monotonic())
            reason = worker.unfit or (f"exit status {code}" if code >= 0 else signal.Signals(-code).name)
            log.error("%s ended by itself (%s); the next one starts in %g s", worker, reason, wait_s)

    def _give_up(self) -> None:
        """The first start has failed. The others go without a word: the line that tells why is the last."""
        self._stopping = True
        self._notifier.stopping()
        self._release()
        for other in self._workers.values():
            other.ask_to_stop(kill_at=time.monotonic() + HARD_GRACE_S)

    # -- judge --------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        """End those whose heart has stopped, and those whose time is over."""
        now = time.monotonic()
        for worker in self._workers.values():
            if worker.kill_at is not None and now >= worker.kill_at:
                # One that is still starting sees the signal when it has started: that it did not end is no fault.
                log.log(logging.ERROR if worker.ready else logging.DEBUG, "%s is killed: it did not end", worker)
                worker.kill_at = None
                worker.tell(signal.SIGKILL)
            elif not worker.aborted and now >= self._judge_from and self._is_stuck(worker, now):
                log.error("%s is stuck: no heartbeat for %.1f s", worker, now - self._board.read(worker.cell).at)
                worker.aborted = True
                worker.kill_at = now + ABORT_GRACE_S
                worker.tell(signal.SIGABRT)

    def _is_stuck(self, worker: Worker, now: float) -> bool:
        allowed_s = self._conf.worker_timeout_s if worker.ready else self._conf.worker_start_timeout_s
        return bool(now - self._board.read(worker.cell).at > allowed_s)

    # -- the rest -----------------------------------------------------------------------------------------------

    def _tell_supervisor(self) -> None:
        self._notifier.feed_watchdog()
        in_flight = sum(self._board.read(worker.cell).in_flight for worker in self._workers.values())
        ready = sum(worker.ready for worker in self._workers.values())
        self._notifier.status(f"{ready} workers, {in_flight} calls in flight")

    def _end_everything(self) -> None:
        """Let no worker outlive this run, however it ends."""
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            _os.waitpid(pid, 0)
        self._workers.clear()
        self._release()
        os.close(self._life_write)
        os.close(self._life_read)
        self._signals.silence()


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, broken, or none
            stream.flush()
