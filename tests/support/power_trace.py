"""What a program does to the files below a directory, and when it answers: read from a trace of its system calls.

Strategy: strace writes down every call that changes a file or a directory, that syncs one, or that sends to a socket, with
all its bytes. The trace becomes a journal: operations in the order in which they ended. A sync knows where it began, for
it vouches only for what had ended by then; an answer stands where its last bytes began to be sent.

Laws:

- A call that changes a file below the directory and is not understood is an error, never passed over: ``Unmodelled``.
- The shared memory of SQLite's wal-index (``-shm``) is changed through a mapping: nothing is known of its bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Unmodelled(AssertionError):
    """A call that changes a file in a way that this module knows nothing of."""


class Made(NamedTuple):
    """A new file, directory or socket."""

    path: str
    kind: str


class Written(NamedTuple):
    """Bytes at an offset of a file."""

    path: str
    offset: int
    data: bytes


class Resized(NamedTuple):
    """A file got another length; ``grows``: unless it is longer already."""

    path: str
    size: int
    grows: bool = False


class Linked(NamedTuple):
    """A second name."""

    source: str
    target: str


class Renamed(NamedTuple):
    """Another name, in place of what had it."""

    source: str
    target: str


class Removed(NamedTuple):
    """A name of a file, or an empty directory, is no more."""

    path: str


class Synced(NamedTuple):
    """A sync of a file or a directory came back; it began when ``began`` operations had ended."""

    path: str
    began: int


Operation = Made | Written | Resized | Linked | Renamed | Removed | Synced


_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_FD = re.compile(r"(?:\d+|AT_FDCWD)<([^>]*)>(\(deleted\))?")
_STRING = re.compile(r'"([^"]*)"')
_SOCKET = re.compile(rb"socket:\[\d+\]$")
_REQUEST_ID = re.compile(rb"x-amz-request-id: *([0-9A-Za-z]+)", re.IGNORECASE)
_OPEN_FLAGS = re.compile(r", (O_[A-Z_|]+)")


def _bytes_of(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _string(arguments: str, number: int = 0) -> bytes:
    return _bytes_of(_STRING.findall(arguments)[number])


@dataclass
class Journal:
    """What happened below ``root``, and at which operation each answer was given."""

    root: str
    operations: list[Operation] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)  # request id -> how many operations had ended
    _kinds: dict[str, str] = field(default_factory=dict)  # of what is there now, by path
    _offsets: dict[str, int] = field(default_factory=dict)  # where the next write() of an open file goes
    _pending: dict[str, tuple[str, int]] = field(default_factory=dict)  # process -> a call that has not ended
    _answering: dict[bytes, str] = field(default_factory=dict)  # socket -> the request that is answered on it

    def begin_with_what_is_there(self) -> None:
        """Begin with what lies under ``root`` now, all of it durable: a store that has run before."""
        for path in [Path(self.root), *sorted(Path(self.root).rglob("*"))]:
            self._add(Made(str(path), "directory" if path.is_dir() else "file"))
            if path.is_file():
                self._add(Written(str(path), 0, path.read_bytes()))
        for name in [os.path.dirname(self.root), *self._kinds]:
            self._add(Synced(name, len(self.operations)))

    def read(self, trace: Path) -> None:
        """Go on with another trace: of a program that ran when the one before had ended."""
        self._pending.clear()
        with open(trace, encoding="ascii") as file:
            for line in file:
                self._read_line(line.rstrip("\n"))

    def _read_line(self, line: str) -> None:
        match = _LINE.match(line)
        if match is None or match[2].startswith(("+++", "---")):
            return
        process, text = match.groups()
        began = len(self.operations)
        if text.endswith(_UNFINISHED):
            self._pending[process] = (text.removesuffix(_UNFINISHED), began)
            self._note_answer(text)
            return
        resumed = _RESUMED.match(text)
        if resumed is None:
            self._note_answer(text)
        else:
            start, began = self._pending.pop(process)
            text = start + resumed[2]
        call = _CALL.match(text)
        if call is not None and int(call[3]) >= 0:
            self._read_call(call[1], call[2], int(call[3]), began)

    # -- answers -----------------------------------------------------------------------------------------------------

    def _note_answer(self, text: str) -> None:
        """An answer stands where the sending of its last bytes begins."""
        if not text.startswith(("sendto(", "sendmsg(", "write(", "writev(")):
            return
        fd = _FD.search(text)
        if fd is None or not _SOCKET.match(socket := _bytes_of(fd[1])):
            return
        data = b"".join(map(_bytes_of, _STRING.findall(text)))
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            found = _REQUEST_ID.search(data)
            self._answering[socket] = found[1].decode() if found is not None else ""
        if self._answering.get(socket):
            self.answers[self._answering[socket]] = len(self.operations)

    # -- calls -------------------------------------------------------------------------------------------------------

    def _read_call(self, name: str, arguments: str, result: int, began: int) -> None:
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(self, arguments, result, began)
            return
        if name in ("sync", "syncfs") or any(self._is_ours(path) for path in self._paths(arguments)):
            raise Unmodelled(f"{name}({arguments[:200]}")

    def _is_ours(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/") or path == os.path.dirname(self.root)

    def _paths(self, arguments: str) -> list[str]:
        return [_bytes_of(found[0]).decode(errors="replace") for found in _FD.findall(arguments)]

    def _file(self, arguments: str) -> str | None:
        """The path of the first descriptor, when it is one of ours that still has its name."""
        fd = _FD.search(arguments)
        if fd is None or fd[2]:
            return None
        path = _bytes_of(fd[1]).decode(errors="replace")
        return path if self._is_ours(path) and path in self._kinds else None

    def _names(self, arguments: str) -> list[str]:
        """The paths that are named by strings, each in the directory of the descriptor before it."""
        directory, found = "/", []
        for part in re.finditer(rf"{_FD.pattern}|{_STRING.pattern}", arguments):
            if part[3] is None:
                directory = _bytes_of(part[1]).decode(errors="replace")
            else:
                name = _bytes_of(part[3]).decode(errors="replace")
                found.append(os.path.normpath(os.path.join(directory, name)))
        return found

    def _open(self, arguments: str, _result: int, _began: int) -> None:
        (path,) = self._names(arguments)
        found = _OPEN_FLAGS.search(arguments)
        flags = found[1].split("|") if found is not None else []
        if not path.startswith(self.root + "/") or "O_DIRECTORY" in flags:
            return
        if set(flags) & {"O_APPEND", "O_SYNC", "O_DSYNC", "O_TMPFILE"}:
            raise Unmodelled(f"open of {path}: {flags}")
        self._offsets[path] = 0
        if path not in self._kinds:
            if "O_CREAT" not in flags:
                raise Unmodelled(f"{path} is there, and nobody has made it")
            self._add(Made(path, "file"))
        elif "O_TRUNC" in flags:
            self._add(Resized(path, 0))

    def _write(self, arguments: str, result: int, _began: int) -> None:
        path = self._file(arguments)
        if path is not None:
            data = _string(arguments)[:result]
            self._add(Written(path, self._offsets[path], data))
            self._offsets[path] += len(data)

    def _write_at(self, arguments: str, result: int, _began: int) -> None:
        path = self._file(arguments)
        if path is not None:
            self._add(Written(path, int(arguments.rpartition(",")[2]), _string(arguments)[:result]))

    def _seek(self, arguments: str, result: int, _began: int) -> None:
        path = self._file(arguments)
        if path is not None:
            self._offsets[path] = result

    def _resize(self, arguments: str, _result: int, _began: int) -> None:
        path = self._file(arguments)
        if path is not None:
            self._add(Resized(path, int(arguments.rpartition(",")[2])))

    def _resize_by_name(self, arguments: str, _result: int, _began: int) -> None:
        (path,) = self._names(arguments)
        if path in self._kinds:
            self._add(Resized(path, int(arguments.rpartition(",")[2])))

    def _allocate(self, arguments: str, _result: int, _began: int) -> None:
        path = self._file(arguments)
        if path is not None:
            mode, offset, size = arguments.rsplit(", ", 3)[1:]
            if mode != "0":
                raise Unmodelled(f"fallocate of {path}: {mode}")
            self._add(Resized(path, int(offset) + int(size), grows=True))

    def _map(self, arguments: str, _result: int, _began: int) -> None:
        path = self._file(arguments)
        if path is not None and not path.endswith("-shm") and "MAP_SHARED" in arguments and "PROT_WRITE" in arguments:
            raise Unmodelled(f"{path} is changed through a mapping")

    def _sync(self, arguments: str, _result: int, began: int) -> None:
        path = self._paths(arguments)[0]
        if self._is_ours(path):
            self._add(Synced(path, began))

    def _make_directory(self, arguments: str, _result: int, _began: int) -> None:
        (path,) = self._names(arguments)
        if self._is_ours(path):
            self._add(Made(path, "directory"))

    def _bind(self, arguments: str, _result: int, _began: int) -> None:
        if "sun_path" in arguments and self._is_ours(path := self._names(arguments)[-1]):
            self._add(Made(path, "socket"))

    def _link(self, arguments: str, _result: int, _began: int) -> None:
        source, target = self._names(arguments)
        if self._is_ours(target):
            self._add(Linked(source, target))

    def _rename(self, arguments: str, _result: int, _began: int) -> None:
        source, target = self._names(arguments)
        if source in self._kinds:
            self._add(Renamed(source, target))
        elif self._is_ours(target):  # a socket, bound by way of a descriptor: its path is too long for an address
            self._add(Made(target, "socket"))

    def _remove(self, arguments: str, _result: int, _began: int) -> None:
        (path,) = self._names(arguments)
        if self._is_ours(path):
            self._add(Removed(path))

    def _add(self, operation: Operation) -> None:
        self.operations.append(operation)
        if isinstance(operation, Made):
            self._kinds[operation.path] = operation.kind
        elif isinstance(operation, Linked):
            self._kinds[operation.target] = self._kinds[operation.source]
        elif isinstance(operation, Renamed):
            self._kinds[operation.target] = self._kinds.pop(operation.source)
        elif isinstance(operation, Removed):
            del self._kinds[operation.path]


def _nothing(_journal: Journal, _arguments: str, _result: int, _began: int) -> None:
    """A call that only an answer is read from."""


_HANDLERS: dict[str, Callable[[Journal, str, int, int], None]] = {
    "openat": Journal._open,
    "open": Journal._open,
    "write": Journal._write,
    "pwrite64": Journal._write_at,
    "lseek": Journal._seek,
    "ftruncate": Journal._resize,
    "truncate": Journal._resize_by_name,
    "fallocate": Journal._allocate,
    "mmap": Journal._map,
    "fsync": Journal._sync,
    "fdatasync": Journal._sync,
    "mkdir": Journal._make_directory,
    "mkdirat": Journal._make_directory,
    "bind": Journal._bind,
    "link": Journal._link,
    "linkat": Journal._link,
    "rename": Journal._rename,
    "renameat": Journal._rename,
    "renameat2": Journal._rename,
    "unlink": Journal._remove,
    "unlinkat": Journal._remove,
    "rmdir": Journal._remove,
    "sendto": _nothing,
    "sendmsg": _nothing,
}
