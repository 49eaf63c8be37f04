"""The one door to eventlet.

Strategy: every program calls :func:`patch` before it imports anything else; the modules that may not know eventlet
(engines, domain, protocol) take what they need of it from here.

Laws:

- Native threads never touch a green lock, a green socket or ``logging``: they compute, and hand the outcome back.
- A greenthread that needs a blocking call gives it to a native thread (:func:`run_native`, :class:`Lane`) and waits
  for the :class:`Completion`; many completions made ready together cost one wake-up of the hub.
- Once an outcome is delivered, the thread that made it holds nothing of it, nor of its call: whoever waited goes on at
  once, and a thread may wait long for its next turn, with buffers that were to be free by then.
- After ``os.fork()`` the child calls :func:`after_fork` first: it shares nothing with its parent's hub or threads.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import threading
import time
import traceback
import types
import warnings
from _queue import Empty, SimpleQueue  # the C queue: safe between native threads and the hub, patched or not
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NoReturn, TypeVar

# eventlet warns that it is deprecated, on import and on each fork; this product is built on it on purpose.
warnings.filterwarnings("ignore", message=r"(?s).*Eventlet is deprecated.*")
warnings.filterwarnings("ignore", message=r"(?s).*Using fork\(\) is a bad idea.*", category=DeprecationWarning)
warnings.filterwarnings("ignore", message=r"(?s).*multi-threaded, use of fork\(\).*", category=DeprecationWarning)

# dnspython would cost every program 0.2 s and 10 MB; names are looked up by the C library in a native thread instead.
_asked_no_greendns = os.environ.get("EVENTLET_NO_GREENDNS")
os.environ["EVENTLET_NO_GREENDNS"] = "yes"

import eventlet  # noqa: E402
import eventlet.green.socket  # noqa: E402
import eventlet.greenthread  # noqa: E402
import eventlet.hubs  # noqa: E402
import eventlet.patcher  # noqa: E402
import eventlet.tpool  # noqa: E402
import greenlet  # noqa: E402

if _asked_no_greendns is None:
    del os.environ["EVENTLET_NO_GREENDNS"]  # it is no business of the processes we start

_native_thread = eventlet.patcher.original("_thread")
_native_getaddrinfo = socket.getaddrinfo

T = TypeVar("T")
R = TypeVar("R")

# Modules that make locks or keep references to blocking functions when they are imported.
_MUST_COME_AFTER = ("oslo_config", "sqlalchemy", "kombu", "psycopg", "requests", "urllib3")

TURN_S = 0.002  # what computes longer without waiting is felt by everybody else's requests
NATIVE_THREADS_MAX = 8  # run_native: more than the cores, because its calls mostly wait for a disk


class TooLate(RuntimeError):
    """:func:`patch` was called after something that must be imported patched."""


def patch() -> None:
    """Make the standard library cooperative. Call it before any other import; a second call does nothing.

    Raises TooLate when modules that must see the patched library are imported already, or native threads run.
    """
    if is_patched():
        return
    early = [name for name in _MUST_COME_AFTER if name in sys.modules]
    if early:
        raise TooLate(f"nova_wsgi.green.patch() must run before these are imported: {', '.join(early)}")
    if threading.active_count() > 1:
        raise TooLate("nova_wsgi.green.patch() must run before any thread is started")
    eventlet.monkey_patch()
    socket.getaddrinfo = eventlet.green.socket.getaddrinfo = _getaddrinfo


def _getaddrinfo(
    host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[tuple[Any, ...]]:
    """``socket.getaddrinfo``: at once for addresses, in a native thread for names, which a resolver may keep long."""
    try:
        return list(_native_getaddrinfo(host, port, family, type, proto, flags | socket.AI_NUMERICHOST))
    except socket.gaierror:
        return list(run_native(_native_getaddrinfo, host, port, family, type, proto, flags))


def is_patched() -> bool:
    """Tell whether :func:`patch` has made this process cooperative."""
    return bool(eventlet.patcher.is_monkey_patched("socket"))


def before_fork() -> None:
    """End the threads of :func:`run_native`: a fork takes no thread along, but all that one holds."""
    global _pool
    if _pool is not None:
        _pool.stop()
        _pool = None


def after_fork() -> None:
    """Give a forked child a hub of its own, with no native thread, completion or listener of its parent's."""
    global _bridge, _pool
    inherited = getattr(eventlet.hubs.get_hub(), "poll", None)
    eventlet.hubs.use_hub()
    eventlet.tpool.killall()
    if inherited is not None and hasattr(inherited, "close"):
        inherited.close()  # an epoll shared with the parent: closing is safe, changing it would not be
    if _bridge is not None:
        _bridge.close()
    _bridge = None
    _pool = None


# -- what the rest of the house uses of eventlet ------------------------------------------------------------------

spawn = eventlet.greenthread.spawn
spawn_after = eventlet.greenthread.spawn_after
sleep = eventlet.greenthread.sleep
GreenThread = eventlet.greenthread.GreenThread
GreenletExit = greenlet.GreenletExit
Timeout = eventlet.Timeout
GreenPool = eventlet.GreenPool
current = greenlet.getcurrent  # the greenthread that runs, or the thread where none does; it takes attributes


class Turn:
    """A computation that a client can make long, in a greenthread that never waits: ``pause`` now and then lets others run.

    It begins when it is made. One that is over within ``turn_s`` seconds costs a look at the clock for each ``pause``.
    """

    __slots__ = ("_ends_s", "_turn_s")

    def __init__(self, turn_s: float = TURN_S) -> None:
        self._turn_s = turn_s
        self._ends_s = time.monotonic() + turn_s

    def pause(self) -> None:
        """Let everybody else who can run do so once, if the turn is over; then another begins."""
        if time.monotonic() >= self._ends_s:
            sleep(0)
            self._ends_s = time.monotonic() + self._turn_s


def suspended() -> Iterator[tuple[str, types.FrameType]]:
    """Yield (the name of what it runs, where it waits) of every greenthread but the calling one; slow, for dumps."""
    for found in [thing for thing in gc.get_objects() if isinstance(thing, greenlet.greenlet)]:
        if found.gr_frame is None or found is greenlet.getcurrent():
            continue
        outer: types.FrameType = found.gr_frame
        while outer.f_back is not None and outer.f_back.f_code is not GreenThread.main.__code__:
            outer = outer.f_back
        yield outer.f_code.co_qualname, found.gr_frame


def wait_readable(fd: int) -> None:
    """Wait, without blocking the hub, until ``fd`` can be read or its other end is closed."""
    eventlet.hubs.trampoline(fd, read=True)


def wait_writable(fd: int) -> None:
    """Wait, without blocking the hub, until ``fd`` takes bytes or its other end is closed."""
    eventlet.hubs.trampoline(fd, write=True)


def on_hub_thread() -> bool:
    """Tell whether the caller runs in the thread whose hub delivers completions."""
    return _bridge is None or _bridge.thread_id == _native_thread.get_ident()


# -- from native threads to greenthreads --------------------------------------------------------------------------


class Completion(Generic[T]):
    """The outcome of work that goes on elsewhere: set once, from any thread; waited for by one greenthread."""

    __slots__ = ("_done", "_error", "_result", "_waiter")

    def __init__(self) -> None:
        self._done = False
        self._result: T | None = None
        self._error: BaseException | None = None
        self._waiter: greenlet.greenlet | None = None

    def ready(self) -> bool:
        """Tell whether the outcome is there."""
        return self._done

    def wait(self) -> T:
        """Wait for the outcome without blocking the hub; return it, or raise the error it ended with, which is done once."""
        if not self._done:
            self._waiter = greenlet.getcurrent()
            try:
                eventlet.hubs.get_hub().switch()
            finally:
                self._waiter = None
        if self._error is not None:
            self._raise()
        return self._result  # type: ignore[return-value]

    def _raise(self) -> NoReturn:
        """Raise the error and keep it no longer: its traceback holds the frames that hold this completion."""
        error, self._error = self._error, None
        try:
            raise error  # type: ignore[misc]
        finally:
            del error

    def _deliver(self, result: T | None, error: BaseException | None) -> None:
        """On the hub's thread: store the outcome and run the waiter until it blocks again."""
        self._result, self._error, self._done = result, error, True
        if self._waiter is not None:
            self._waiter.switch()


class _Bridge:
    """Carries outcomes from native threads into the hub: a deque and one eventfd."""

    def __init__(self) -> None:
        self.thread_id = _native_thread.get_ident()
        self._outcomes: deque[tuple[Completion[Any], Any, BaseException | None]] = deque()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._hub = eventlet.hubs.get_hub()
        self._hub.add(self._hub.READ, self._fd, self._drain, self._drain, lambda: None)

    def deliver(self, outcomes: Sequence[tuple[Completion[Any], Any, BaseException | None]]) -> None:
        """From any thread: queue the outcomes and wake the hub once."""
        self._outcomes.extend(outcomes)
        os.eventfd_write(self._fd, 1)

    def hand_over(self, outcomes: deque[tuple[Completion[Any], Any, BaseException | None]]) -> None:
        """The same, and ``outcomes`` is empty before a waiter can run: the calling thread keeps none alive."""
        while outcomes:
            self._outcomes.append(outcomes.popleft())
        os.eventfd_write(self._fd, 1)

    def close(self) -> None:
        """In a forked child: let go of the parent's descriptor."""
        os.close(self._fd)

    def _drain(self, *_: object) -> None:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return
        outcomes = self._outcomes
        while outcomes:
            completion, result, error = outcomes.popleft()
            try:
                completion._deliver(result, error)
            except self._hub.SYSTEM_EXCEPTIONS:
                raise
            except BaseException:  # noqa: BLE001  a waiter died of its own error: the others' outcomes must still arrive
                traceback.print_exc()


_bridge: _Bridge | None = None


def _get_bridge() -> _Bridge:
    global _bridge
    if _bridge is None:
        _bridge = _Bridge()
    return _bridge


def deliver(outcomes: Sequence[tuple[Completion[Any], Any, BaseException | None]]) -> None:
    """From any thread: set each completion's result or error; all their waiters share one wake-up of the hub."""
    _get_bridge().deliver(outcomes)


class _Handover:
    """The way of one outcome: to a hub that waits for it with all that it runs or, once that has given up, over the bridge."""

    __slots__ = ("_claim", "_done")

    def __init__(self) -> None:
        self._claim = _native_thread.allocate_lock()  # whoever has it first, decides
        self._done = _native_thread.allocate_lock()
        self._done.acquire()

    def wait(self, patience_s: float) -> bool:
        """On the hub's thread: whether the outcome came in time; else the bridge will bring it."""
        if self._done.acquire(True, patience_s):
            return True
        return not self._claim.acquire(False) and self._done.acquire()

    def is_taken(self) -> bool:
        """In the native thread, with the outcome: whether the hub waits, and now has it."""
        if not self._claim.acquire(False):
            return False
        self._done.release()
        return True


class Job(Generic[T, R]):
    """One request in a :class:`Lane`'s batch: ``request`` in, ``result`` or ``error`` out."""

    __slots__ = ("completion", "error", "handover", "request", "result")

    def __init__(self, request: T, handover: _Handover | None = None) -> None:
        self.request = request
        self.handover = handover
        self.result: R | None = None
        self.error: BaseException | None = None
        self.completion: Completion[R] = Completion()


class Lane(Generic[T, R]):
    """A native thread that takes requests in batches: all that came while it was busy go together.

    ``run_batch(jobs)`` runs in the native thread and sets each job's ``result`` or ``error``; what it raises itself
    becomes the error of every job. ``batch_max`` bounds a batch. All of a batch is delivered with one wake-up.
    """

    def __init__(self, name: str, run_batch: Callable[[list[Job[T, R]]], None], *, batch_max: int = 1000) -> None:
        self.name = name
        self._run_batch = run_batch
        self._batch_max = batch_max
        self._requests: SimpleQueue[Job[T, R] | None] = SimpleQueue()
        self._bridge = _get_bridge()
        self._stopped: Completion[None] = Completion()
        _native_thread.start_new_thread(self._run, ())

    def submit(self, request: T) -> Completion[R]:
        """Queue a request; wait on the completion for its outcome."""
        job: Job[T, R] = Job(request)
        self._requests.put(job)
        return job.completion

    def call(self, request: T, *, patience_s: float = 0.0) -> R:
        """Queue a request and wait for its outcome: for up to ``patience_s`` with the whole hub, then in this greenthread.

        Where the outcome comes soon, that is the cheaper way: a native thread beside a busy hub gets the interpreter's lock
        late, and each of its tries costs the hub a system call and a look at what it did before.
        """
        if not patience_s:
            return self.submit(request).wait()
        handover = _Handover()
        job: Job[T, R] = Job(request, handover)
        self._requests.put(job)
        if handover.wait(patience_s):
            job.completion._deliver(job.result, job.error)
        return job.completion.wait()

    def stop(self) -> None:
        """Finish what is queued, then end the thread. Waits for it."""
        if not self._stopped.ready():
            self._requests.put(None)
            self._stopped.wait()

    def _run(self) -> None:
        while True:
            batch, last = self._next_batch()
            if batch:
                try:
                    self._run_batch(batch)
                except BaseException as error:  # noqa: BLE001  the jobs' waiters get it; the lane itself must go on
                    for job in batch:
                        job.error = error
                outcomes = [
                    (job.completion, job.result, job.error)
                    for job in batch
                    if job.handover is None or not job.handover.is_taken()
                ]
                if outcomes:
                    self._bridge.deliver(outcomes)
                batch.clear()
                del outcomes
            if last:
                self._bridge.deliver([(self._stopped, None, None)])
                return

    def _next_batch(self) -> tuple[list[Job[T, R]], bool]:
        batch: list[Job[T, R]] = []
        job = self._requests.get()
        while job is not None:
            batch.append(job)
            if len(batch) >= self._batch_max:
                return batch, False
            try:
                job = self._requests.get_nowait()
            except Empty:
                return batch, False
        return batch, True


class _NativePool:
    """Native threads for single blocking calls; started one by one as they are needed."""

    def __init__(self, threads_max: int) -> None:
        self._threads_max = threads_max
        self._threads = 0
        self._idle = 0
        self._calls: SimpleQueue[tuple[Completion[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._ends: list[Completion[None]] = []
        self._bridge = _get_bridge()

    def stop(self) -> None:
        """Do the calls that wait, then end every thread. Waits for it."""
        self._ends = [Completion() for _ in range(self._threads)]
        for _ in self._ends:
            self._calls.put(None)
        for end in list(self._ends):
            end.wait()

    def submit(self, call: Callable[..., T], args: tuple[Any, ...]) -> Completion[T]:
        completion: Completion[T] = Completion()
        if self._idle <= self._calls.qsize() and self._threads < self._threads_max:
            self._threads += 1
            _native_thread.start_new_thread(self._run, ())
        self._calls.put((completion, call, args))
        return completion

    def _run(self) -> None:
        while True:
            self._idle += 1  # a hint for submit() only: a lost update costs a thread, never a call
            job = self._calls.get()
            self._idle -= 1
            if job is None:
                self._bridge.deliver([(self._ends.pop(), None, None)])
                return
            outcomes = deque((_find_outcome(*job),))
            del job
            self._bridge.hand_over(outcomes)


def _find_outcome(
    completion: Completion[T], call: Callable[..., T], args: tuple[Any, ...]
) -> tuple[Completion[T], T | None, BaseException | None]:
    try:
        return completion, call(*args), None
    except BaseException as error:  # noqa: BLE001  it belongs to the caller, who raises it from wait()
        return completion, None, error


_pool: _NativePool | None = None


def submit_native(call: Callable[..., T], *args: Any) -> Completion[T]:
    """Start ``call(*args)`` in a native thread; the caller goes on and waits on the completion later."""
    global _pool
    if _pool is None:
        _pool = _NativePool(NATIVE_THREADS_MAX)
    return _pool.submit(call, args)


def run_native(call: Callable[..., T], *args: Any) -> T:
    """Run a blocking call in a native thread while other greenthreads go on; return or raise what it did.

    ``call`` must not log, nor touch green locks or sockets.
    """
    return submit_native(call, *args).wait()


def original(module: str) -> types.ModuleType:
    """The unpatched form of a standard module, for code that runs in native threads."""
    return eventlet.patcher.original(module)  # type: ignore[no-any-return]
