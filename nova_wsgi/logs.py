"""Logging: set up once, the request's id in every line, the access log beside it.

Strategy: the standard ``logging`` with one handler of our own that writes whole lines to one descriptor. The access
log is not ``logging``: a line is put into a list, and the list is written at most every 0.2 s, so that no request
waits for a disk or a pipe.

Laws:

- A record is one line per line of its text, each with the same head; control characters are escaped. So a client
  cannot forge a line, and a search for a request's id finds the whole traceback.
- Files are opened with O_APPEND and lines written whole: several workers may share one.
- Reopening (SIGUSR1) puts the new file under the old descriptor: nothing that is being written is lost or torn.
- Native threads never log (they would touch green locks).
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import select
import stat
import sys
import time
from collections.abc import Iterator

from oslo_config import cfg

from nova_wsgi import green
from nova_wsgi.config import Section
from nova_wsgi.errors import ConfigError

NO_REQUEST = "-"
ACCESS_FLUSH_S = 0.2  # how long a line may wait: long enough that a flush carries many, short enough to watch live
FLUSH_WAIT_MAX_S = 2.0  # at exit, for a write that has begun
ACCESS_BUFFER_MAX = 8 << 20  # bytes waiting for a disk that does not answer; lines beyond are dropped and counted
PIPE_WRITE_MAX = select.PIPE_BUF  # a pipe keeps writes up to this size whole (pipe(7))

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# Libraries whose debug and info lines tell an operator nothing.
QUIET_LOGGERS = ("oslo_config", "stevedore", "urllib3", "botocore", "amqp", "kombu", "sqlalchemy", "asyncio")

_os = green.original("os")  # the patched os.write asks the hub, and fails on what epoll cannot watch (/dev/null)


def section() -> Section:
    """The options that :func:`setup` reads."""
    return Section(
        "Logging",
        (
            cfg.StrOpt(
                "log_level", default="info", choices=list(LEVELS), mutable=True,
                help="The least severe lines that are written.",
            ),
            cfg.StrOpt(
                "log_file", metavar="FILE",
                help="Append the log to this file instead of standard error; it is opened again on SIGUSR1.",
            ),
            cfg.StrOpt(
                "log_format", default="human", choices=["human", "json"],
                help="How a line looks: for people, or one JSON object for programs.",
            ),
            cfg.StrOpt(
                "access_log_file", default="-", metavar="FILE",
                help="Append the access log, a line a request, to this file; - is where the log goes, off writes none.",
            ),
        ),
    )  # fmt: skip


# -- the request's id ----------------------------------------------------------------------------------------------


def bind_request_id(request_id: str) -> None:
    """Put this id into every line that the current greenthread logs from here on."""
    # PERF: an attribute of the greenthread; a context variable makes a context for each request, at 3 us
    green.current().nova_request_id = request_id


def current_request_id() -> str:
    """The id bound in this greenthread, or ``-``."""
    return getattr(green.current(), "nova_request_id", NO_REQUEST)


# -- lines ---------------------------------------------------------------------------------------------------------

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}
_ESCAPES |= {0x2028: "\\u2028", 0x2029: "\\u2029"}
_WITHOUT_CONTROLS = bytes(0x20 if code in _ESCAPES else code for code in range(0x100))


class HumanFormatter(logging.Formatter):
    """``2026-11-22T15:13:01.123Z 4711 INFO nova_wsgi.launcher [request-id] message``; times are UTC."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._stamp = ""
        self._pid = os.getpid()

    def format(self, record: logging.LogRecord) -> str:
        """Give the record's lines, each with the head."""
        head = f"{self._time(record)} {self._pid} {record.levelname} {record.name} [{current_request_id()}] "
        text = _text(record)
        if text.isprintable():
            return head + text
        return "\n".join(head + line for line in text.translate(_ESCAPES).split("\n"))

    def _time(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:  # PERF: strftime costs more than the rest of the line
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int(record.msecs):03d}Z"

    def renew(self) -> None:
        """After a fork: the process has another id."""
        self._pid = os.getpid()


class JsonFormatter(HumanFormatter):
    """One JSON object a record: time, pid, level, logger, request_id, message, and exception when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the record as one line of JSON."""
        fields = {
            "time": self._time(record),
            "pid": self._pid,
            "level": record.levelname,
            "logger": record.name,
            "request_id": current_request_id(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}\n{_FORMATTER.formatException(record.exc_info)}"
    if record.stack_info:
        text = f"{text}\n{record.stack_info}"
    return text


_FORMATTER = logging.Formatter()


class _NoLock:
    """Stands where logging wants a lock: lines leave in one write, and a green lock costs more than the line."""

    def acquire(self) -> None: ...
    def release(self) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


class LineHandler(logging.Handler):
    """Writes each record at once, as whole lines, to a :class:`LogFile`."""

    def __init__(self, file: LogFile, formatter: HumanFormatter) -> None:
        super().__init__()
        self.file = file
        self.lines = formatter
        self.setFormatter(formatter)

    def createLock(self) -> None:
        """Have none."""
        self.lock = _NoLock()  # type: ignore[assignment]

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; what cannot be written is told on standard error by logging itself."""
        try:
            self.file.write((self.format(record) + "\n").encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001  a log line must never break what it tells of
            self.handleError(record)


class LogFile:
    """A descriptor that lines are appended to: standard error, or a file that can be opened again by its name."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.fd = (
            sys.__stderr__.fileno() if path is None and sys.__stderr__ is not None else _append(path or os.devnull)
        )
        self._is_pipe = stat.S_ISFIFO(os.fstat(self.fd).st_mode)

    def write(self, data: bytes) -> None:
        """Write whole lines. Raises OSError."""
        for piece in _pieces(data, PIPE_WRITE_MAX) if self._is_pipe else (data,):
            self._write(piece)

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[_os.write(self.fd, data) :]
            except BlockingIOError:  # whoever shares our standard error made it non-blocking
                _wait_writable(self.fd)

    def reopen(self) -> None:
        """Open the path again, under the same descriptor. Raises OSError; the old file is then kept."""
        if self.path is not None:
            fresh = _append(self.path)
            os.dup2(fresh, self.fd, inheritable=False)
            os.close(fresh)


def _append(path: str) -> int:
    return int(_os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640))


def _wait_writable(fd: int) -> None:
    poll = green.original("select").poll()
    poll.register(fd, select.POLLOUT)
    poll.poll(1000)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Cut at line ends, so that each piece is at most ``size`` bytes unless a single line is longer."""
    start = 0
    while len(data) - start > size:
        end = data.rfind(b"\n", start, start + size) + 1
        end = end or data.find(b"\n", start + size) + 1 or len(data)
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]


# -- the access log ------------------------------------------------------------------------------------------------


class AccessLog:
    """Takes one line a request and writes them later, many at once, in a native thread.

    ``enabled`` is False when no access log is wanted: callers skip making the line.
    """

    def __init__(self, file: LogFile | None) -> None:
        self.enabled = file is not None
        self.dropped = 0  # lines that found the buffer full
        self._file = file
        self._lines: list[str] = []
        self._size = 0
        self._scheduled = False
        self._writing = False  # a native thread is at it

    def write(self, line: str) -> None:
        """Take a line (without its end). Never blocks; a control character in it is escaped."""
        if self._size >= ACCESS_BUFFER_MAX:
            self.dropped += 1
            return
        self._lines.append(line)
        self._size += len(line) + 1
        if not self._scheduled:
            self._scheduled = True
            green.spawn_after(ACCESS_FLUSH_S, self._flush_soon)

    def flush(self) -> None:
        """Write what waits, now, in this thread; at exit, and before a file is opened again. Raises OSError."""
        deadline = time.monotonic() + FLUSH_WAIT_MAX_S
        while self._writing and time.monotonic() < deadline:
            green.sleep(0.002)
        data = self._take()
        if data and self._file is not None:
            self._file.write(data)

    def _flush_soon(self) -> None:
        """In a greenthread: write in a native thread, one write at a time, so that lines keep their order."""
        try:
            data = self._take()
            if data and self._file is not None:
                self._writing = True
                green.run_native(self._file.write, data)
        except OSError as error:
            logging.getLogger(__name__).error("the access log cannot be written: %s", error)
        finally:
            self._scheduled = self._writing = False
            if self._lines:
                self._scheduled = True
                green.spawn_after(ACCESS_FLUSH_S, self._flush_soon)

    def _take(self) -> bytes:
        if not self._lines:
            return b""
        lines, self._lines, self._size = self._lines, [], 0
        if self.dropped:
            logging.getLogger(__name__).error("%d access log lines were dropped: the disk is slow", self.dropped)
            self.dropped = 0
        # PERF: one look at all of them, which finds nothing but the ends of lines
        text = "\n".join((*lines, ""))
        data = text.encode("utf-8", "backslashreplace")
        if text.isascii() and data.count(b"\n") == len(lines) and data.translate(_WITHOUT_CONTROLS) == data:
            return data
        lines = [line.translate(_ESCAPES).replace("\n", "\\x0a") for line in lines]
        return "\n".join((*lines, "")).encode("utf-8", "backslashreplace")

    def renew(self) -> None:
        """In a forked child: what the parent had not written yet is the parent's to write."""
        self._lines, self._size, self._scheduled, self._writing = [], 0, False, False


# -- set-up --------------------------------------------------------------------------------------------------------


class _Logs:
    """What :func:`setup` made: one per process."""

    def __init__(self) -> None:
        self.handler: LineHandler | None = None
        self.files: list[LogFile] = []
        self.access = AccessLog(None)


_logs = _Logs()


def setup(conf: cfg.ConfigOpts) -> None:
    """Send all logging where the options say. Raises ConfigError when a file cannot be opened."""
    main = _open("log_file", conf.log_file)
    formatter = JsonFormatter() if conf.log_format == "json" else HumanFormatter()
    root = logging.getLogger()
    if _logs.handler is None:
        atexit.register(flush)
    else:
        root.removeHandler(_logs.handler)
    _logs.handler = LineHandler(main, formatter)
    _logs.files = [main]
    _logs.access = AccessLog(_open_access(conf.access_log_file, main))
    root.addHandler(_logs.handler)
    _make_cheaper()
    logging.captureWarnings(True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    set_level(conf)


def set_level(conf: cfg.ConfigOpts) -> None:
    """Take the level the options name; again after they were reloaded."""
    logging.getLogger().setLevel(LEVELS[conf.log_level])


def access_log() -> AccessLog:
    """The process's access log; before :func:`setup`, one that is off."""
    return _logs.access


def log_fd() -> int:
    """The descriptor the log goes to, for what writes when Python no longer runs (faulthandler)."""
    return _logs.handler.file.fd if _logs.handler is not None else 2


def flush() -> None:
    """Write the access lines that wait."""
    try:
        _logs.access.flush()
    except OSError as error:
        logging.getLogger(__name__).error("the access log cannot be written: %s", error)


def reopen() -> None:
    """SIGUSR1: open the files again by their names, after something has moved them away."""
    flush()
    for file in _logs.files:
        try:
            file.reopen()
        except OSError as error:
            logging.getLogger(__name__).error("%s cannot be opened again, the old file is kept: %s", file.path, error)


def after_fork() -> None:
    """In a forked child: write its own process id, and none of its parent's access lines."""
    if _logs.handler is not None:
        _logs.handler.lines.renew()
    _logs.access.renew()


def _open(option: str, path: str | None) -> LogFile:
    try:
        return LogFile(path)
    except OSError as error:
        raise ConfigError(f"{option} {path}: {error.strerror}") from None


def _open_access(path: str, main: LogFile) -> LogFile | None:
    if path == "off":
        return None
    if path == "-" or path == main.path:
        return main
    file = _open("access_log_file", path)
    _logs.files.append(file)
    return file


def _make_cheaper() -> None:
    """Leave out what our lines do not show (logging's own advice for speed, in its "Optimization")."""
    logging._srcfile = None
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
    vars(logging)["logAsyncioTasks"] = False  # from Python 3.12 on
