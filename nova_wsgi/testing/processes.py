"""Programs as real processes: started, known to be ready, asked, signalled, and stopped, each with a deadline.

Laws:

- Nothing sleeps for a fixed time: a condition is asked again until it holds or the deadline passes.
- A program runs in a session of its own, and nothing of it outlives its LiveServer.
- Its output goes to a file, so that it never blocks on us; a failure shows its last lines.
- Where nothing has failed it is ended softly, so that a stop that hangs fails a test; after a failure at once: what the
  test left half done would only be waited for, and the wait's TimeoutError hide why the test failed.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, TypeVar

T = TypeVar("T")

POLL_S = 0.01  # between two looks: short beside what is waited for, long beside what a look costs
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 20.0
TAIL_SIZE = 4000  # characters of output shown with a failure
LISTENS = r" listens on (?P<url>\S+)"  # the line of a WsgiService


def wait_until(condition: Callable[[], T], timeout_s: float = 10.0, *, what: str = "") -> T:
    """Ask until ``condition()`` is true, and return what it returned; TimeoutError when it is not in time."""
    deadline = time.monotonic() + timeout_s
    while not (outcome := condition()):
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {timeout_s} s: {what or getattr(condition, '__qualname__', condition)}")
        time.sleep(POLL_S)
    return outcome


def free_port() -> int:
    """A TCP port of the loopback that was free just now, for programs that cannot pick one and tell it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- when a program is ready ------------------------------------------------------------------------------------------


class Ready(Protocol):
    """A sign that a program is ready."""

    def prepare(self, environ: dict[str, str]) -> None:
        """Before the start: add to the program's environment."""

    def is_ready(self, server: LiveServer) -> bool:
        """Look for the sign; note in ``server.facts`` what it tells."""

    def close(self) -> None:
        """After the end."""


class LogLine:
    """Ready when the output has a line that matches; its named groups become ``server.facts``.

    The groups ``url``, or ``host`` and ``port``, tell where it listens.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)

    def prepare(self, environ: dict[str, str]) -> None:
        """Nothing."""

    def is_ready(self, server: LiveServer) -> bool:
        """Search the output."""
        match = self._pattern.search(server.output())
        if match is None:
            return False
        server.facts.update({name: text for name, text in match.groupdict().items() if text is not None})
        return True

    def close(self) -> None:
        """Nothing."""


class Listening:
    """Ready when ``port`` of ``host`` accepts a connection."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._address = host, port

    def prepare(self, environ: dict[str, str]) -> None:
        """Nothing."""

    def is_ready(self, server: LiveServer) -> bool:
        """Connect."""
        try:
            socket.create_connection(self._address, timeout=1).close()
        except OSError:
            return False
        server.facts.update(host=self._address[0], port=str(self._address[1]))
        return True

    def close(self) -> None:
        """Nothing."""


class Notified(LogLine):
    """Ready when the program has said READY=1, as it would to systemd (sd_notify(3)), and its output matches.

    The pattern is by default the line in which a WsgiService says where it listens; an empty one matches any output.
    ``messages`` are all it has told the supervisor so far, one string a datagram.
    """

    def __init__(self, pattern: str = LISTENS) -> None:
        super().__init__(pattern)
        self._directory = tempfile.TemporaryDirectory(prefix="nova-notify-")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = os.path.join(self._directory.name, "notify")
        self._socket.bind(self._path)
        self._socket.setblocking(False)
        self._messages: list[str] = []

    @property
    def messages(self) -> list[str]:
        """What the program has said, the oldest first."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._messages.append(self._socket.recv(64 * 1024).decode())
        return self._messages

    def prepare(self, environ: dict[str, str]) -> None:
        """Tell the program where we listen."""
        environ["NOTIFY_SOCKET"] = self._path

    def is_ready(self, server: LiveServer) -> bool:
        """Look for READY=1, then search the output."""
        return any("READY=1" in message.splitlines() for message in self.messages) and super().is_ready(server)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        self._directory.cleanup()


# -- a program ------------------------------------------------------------------------------------------------------


class LiveServer:
    """A program that runs: started when made, stopped by ``stop()`` or at the end of a ``with``.

    ``command`` is the argument list; ``ready`` says how to know that it is ready, by default as our own services tell
    it (:class:`Notified`); ``environ`` is added to this process's environment. Raises TimeoutError when it is not
    ready within ``start_timeout_s``, and ChildProcessError when it ends before; both show its output.

    The end of a ``with`` is soft, and hard when an error ends the ``with`` or :meth:`abandon` was called: a fixture's
    ``with`` does not see the error of its test, so the pytest plugin abandons all that run when a test has failed.
    """

    _running: ClassVar[weakref.WeakSet[LiveServer]] = weakref.WeakSet()

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        ready: Ready | None = None,
        environ: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        self.facts: dict[str, str] = {}
        self._is_abandoned = False
        self._ready = ready or Notified()
        self._stop_timeout_s = stop_timeout_s
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})}
        self._ready.prepare(environment)
        self._output = tempfile.TemporaryFile(prefix="nova-output-")  # noqa: SIM115  closed by kill()
        self._all_output = ""  # once it has ended
        self.process = subprocess.Popen(
            [str(argument) for argument in command],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
        self._running.add(self)
        try:
            self._wait_ready(start_timeout_s)
        except BaseException:  # an interrupt too: nothing may outlive a LiveServer that nobody has got
            self.kill()
            raise

    def _wait_ready(self, timeout_s: float) -> None:
        def ready_or_ended() -> bool:
            return self._ready.is_ready(self) or self.process.poll() is not None

        try:
            wait_until(ready_or_ended, timeout_s)
        except TimeoutError:
            raise TimeoutError(f"not ready within {timeout_s} s; its output:\n{self._tail()}") from None
        if self.process.poll() is not None:
            raise ChildProcessError(f"ended with {self.process.returncode} before it was ready:\n{self._tail()}")

    # -- where it is

    @property
    def pid(self) -> int:
        """The process id of the program started; its workers are ``workers(server.pid)``."""
        return self.process.pid

    @property
    def url(self) -> str:
        """Where it listens, as its sign of readiness told: ``http://127.0.0.1:34567``."""
        if "url" in self.facts:
            return self.facts["url"].rstrip("/")
        return f"http://{self.facts.get('host', '127.0.0.1')}:{self.facts['port']}"

    @property
    def port(self) -> int:
        """The TCP port of ``url``."""
        return int(self.url.rpartition(":")[2])

    def request(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        url: str | None = None,
        timeout_s: float = 10.0,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request on a connection of its own: status, headers by lower-case name, body.

        ``url`` is another of the program's listeners. An iterable body is sent in chunks.
        """
        host, _, port = (url or self.url).partition("://")[2].rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port.rstrip("/")), timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request(method, target, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    # -- what it says

    def output(self) -> str:
        """All it has written to standard output and standard error."""
        if self._output.closed:
            return self._all_output
        fd = self._output.fileno()  # pread: the program writes where the descriptor's position is
        return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")

    def wait_for_output(self, pattern: str, timeout_s: float = 10.0) -> re.Match[str]:
        """Wait until the output matches; the match."""
        expression = re.compile(pattern)
        try:
            match = wait_until(lambda: expression.search(self.output()), timeout_s)
        except TimeoutError:
            raise TimeoutError(f"no {pattern!r} within {timeout_s} s in its output:\n{self._tail()}") from None
        assert match is not None  # wait_until returns what is true
        return match

    def _tail(self) -> str:
        return self.output()[-TAIL_SIZE:]

    # -- its end

    def send_signal(self, number: int) -> None:
        """Send a signal to the program (not to its workers)."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for its end; the exit status, negative for a signal. TimeoutError when it goes on."""
        limit_s = self._stop_timeout_s if timeout_s is None else timeout_s
        try:
            wait_until(lambda: self.process.poll() is not None, limit_s)
        except TimeoutError:
            raise TimeoutError(f"still running after {limit_s} s; its output:\n{self._tail()}") from None
        return int(self.process.returncode)

    def stop(self, number: int = signal.SIGTERM, *, timeout_s: float | None = None) -> int:
        """Ask it to end, and wait for it; the exit status. TimeoutError, after killing it, when it does not."""
        try:
            if self.process.poll() is None:
                self.send_signal(number)
            return self.wait(timeout_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and all its session at once. What it has written stays readable; a second call does nothing."""
        self._running.discard(self)
        if self._output.closed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        wait_until(lambda: self.process.poll() is not None, STOP_TIMEOUT_S, what="the end of a killed process")
        self._all_output = self.output()
        self._output.close()
        self._ready.close()

    def abandon(self) -> None:
        """It goes on, and the end of its ``with`` is a hard one."""
        self._is_abandoned = True

    @classmethod
    def abandon_all(cls) -> None:
        """Abandon all that run."""
        for server in list(cls._running):
            server.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and not self._is_abandoned:
            self.stop()
        else:
            self.kill()


# -- probes ---------------------------------------------------------------------------------------------------------


def workers(pid: int) -> list[int]:
    """The process ids of a process's living children, in the order of their start; psutil is needed."""
    import psutil

    try:
        children = psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
    started = []
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                started.append((child.create_time(), child.pid))
    return [pid for _, pid in sorted(started)]


def open_fds(pid: int) -> int:
    """How many file descriptors a process has open; psutil is needed."""
    import psutil

    return int(psutil.Process(pid).num_fds())


def resident_size(pid: int) -> int:
    """The bytes of memory a process has resident; psutil is needed."""
    import psutil

    return int(psutil.Process(pid).memory_info().rss)
