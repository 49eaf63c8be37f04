"""A pool of subprocesses: at most so many at once, each with a time, an amount of output, and a known end.

Laws:

- Each runs in a session and process group of its own, and nothing of the group outlives its leader: not after an
  ordinary end, a timeout, too much output, nor the pool's :meth:`ProcessPool.close`. (A program that is killed with
  SIGKILL itself cannot keep this.)
- Every way to fail is one exception, ProcessFailed, with the command, how it ended, and what it wrote to stderr.
- No wait blocks the hub.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nova_wsgi import green
from nova_wsgi.errors import NovaError

from eventlet.green import subprocess  # isort: skip  # after green: it silences the deprecation warning

_os = green.original("os")

READ_SIZE = 64 << 10
STDERR_KEPT = 64 << 10  # bytes: enough for any message; a program may write more, the last of it is kept


class ProcessFailed(NovaError):
    """A subprocess did not do its work.

    ``argv`` is its command; ``reason`` how it ended, in words; ``status`` its exit status, or minus the signal that
    ended it; ``stderr`` the last of what it wrote there.
    """

    def __init__(self, argv: Sequence[str], reason: str, *, status: int | None, stderr: bytes) -> None:
        self.argv = list(argv)
        self.reason = reason
        self.status = status
        self.stderr = stderr.decode(errors="replace")
        last = self.stderr.strip().rpartition("\n")[2][-200:]
        super().__init__(f"{self.argv[0]}: {reason}" + (f": {last}" if last else ""))


@dataclass(frozen=True, slots=True)
class Output:
    """What a subprocess that ended well wrote."""

    stdout: bytes
    stderr: bytes
    duration_s: float


class ProcessPool:
    """Runs commands, at most ``size`` at once; more wait for their turn, which their timeout does not count.

    ``timeout_s`` and ``stdout_max`` (bytes) bound each, unless the call says otherwise.
    """

    def __init__(self, *, size: int = 4, timeout_s: float = 60.0, stdout_max: int = 1 << 20) -> None:
        self._timeout_s = timeout_s
        self._stdout_max = stdout_max
        self._turns = threading.BoundedSemaphore(size)
        self._running: set[_Run] = set()
        self._closed = False
        _pools.add(self)

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float | None = None,
        stdout_max: int | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Output:
        """Run a command to its end and give its output.

        Raises ProcessFailed when it cannot be started, ends with another status than 0, takes longer than
        ``timeout_s`` seconds, writes more than ``stdout_max`` bytes, or is ended by :meth:`close`.
        """
        with self._turns:
            if self._closed:
                raise ProcessFailed(argv, "not started: the pool is closed", status=None, stderr=b"")
            began = time.monotonic()
            run = _Run(argv, cwd=cwd, env=env, stdout_max=self._stdout_max if stdout_max is None else stdout_max)
            self._running.add(run)
            try:
                run.finish(stdin, self._timeout_s if timeout_s is None else timeout_s)
            finally:
                self._running.discard(run)
            return Output(bytes(run.stdout), bytes(run.stderr), time.monotonic() - began)

    def close(self) -> None:
        """End everything that runs, and start nothing more."""
        self._closed = True
        for run in list(self._running):
            run.end("ended: the pool was closed")


_pools: weakref.WeakSet[ProcessPool] = weakref.WeakSet()


def close_all() -> None:
    """Close every pool of this process: the last thing it does, however it ends."""
    for pool in list(_pools):
        pool.close()


class _Run:
    """One subprocess, from its start to its end."""

    def __init__(self, argv: Sequence[str], *, cwd: str | None, env: Mapping[str, str] | None, stdout_max: int) -> None:
        self.argv = argv
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._stdout_max = stdout_max
        self._ended: str | None = None  # why we ended it
        pipe = subprocess.PIPE
        try:
            self._process: Any = subprocess.Popen(
                list(argv), stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=env, start_new_session=True
            )
        except OSError as error:
            raise ProcessFailed(argv, f"not started: {error.strerror}", status=None, stderr=b"") from error
        self._pidfd = os.pidfd_open(self._process.pid)

    def finish(self, stdin: bytes, timeout_s: float) -> None:
        """Feed it, read it, and wait for its end. Raises ProcessFailed."""
        pumps = [green.spawn(pump, *args) for pump, *args in (
            (self._write_stdin, stdin), (self._read_stdout,), (self._read_stderr,))]  # fmt: skip
        timer = green.spawn_after(timeout_s, self.end, f"ended: it took longer than {timeout_s:g} s")
        try:
            green.wait_readable(self._pidfd)
            self._kill_group()  # what it left running would keep the pipes open
            for pump in pumps:
                pump.wait()
        finally:
            timer.cancel()
            for pump in pumps:
                pump.kill()
            status = self._clean_up()
        if self._ended is not None or status != 0:
            raise ProcessFailed(self.argv, self._ended or _tell(status), status=status, stderr=bytes(self.stderr))

    def end(self, reason: str) -> None:
        """Kill it and all it has started."""
        if self._ended is None and self._process.returncode is None:
            self._ended = reason
            self._kill_group()

    def _kill_group(self) -> None:
        """Before the leader is reaped: so long its id, and the group's, cannot be another's."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _clean_up(self) -> int:
        self._kill_group()
        status = int(self._process.wait())
        os.close(self._pidfd)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        return status

    def _write_stdin(self, data: bytes) -> None:
        fd = self._process.stdin.fileno()
        os.set_blocking(fd, False)
        left = memoryview(data)
        with contextlib.suppress(BrokenPipeError):  # it need not read all
            while left:
                green.wait_writable(fd)
                left = left[_os.write(fd, left) :]  # not the patched one, which tries a broken pipe for ever
        self._process.stdin.close()

    def _read_stdout(self) -> None:
        while data := os.read(self._process.stdout.fileno(), READ_SIZE):
            if len(self.stdout) + len(data) > self._stdout_max:
                self.end(f"ended: it wrote more than {self._stdout_max} bytes")
                return
            self.stdout += data

    def _read_stderr(self) -> None:
        while data := os.read(self._process.stderr.fileno(), READ_SIZE):
            self.stderr += data
            del self.stderr[:-STDERR_KEPT]


def _tell(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"ended by {signal.Signals(-status).name}"
