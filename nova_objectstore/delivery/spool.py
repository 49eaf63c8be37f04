"""Access records on their way: files that every process of a host appends to, and that the job takes whole.

A group of records that will become one log object is one file, ``GROUP.open``: a header line, then a line per record. The
job takes what has been there long enough by renaming it to ``GROUP-TIME-NUMBER.batch``; time and number then name the log
object, so that storing a batch again stores the same object.

Laws:

- A line is written whole, by one system call, and lies in the system's cache when ``write`` returns: a process that is
  killed loses nothing of it. (Nothing is synced: a machine that loses its power loses its last seconds' records. AWS's
  delivery of logs is best effort.)
- Whoever writes to, renames or first opens a file holds its lock (flock), for microseconds: nothing is written behind a
  rename.
- What may wait is bounded; beyond it records are dropped and the log says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nova_objectstore.delivery.limits import SPOOL_FILE_BYTES_MAX, SPOOL_FILES_MAX, SPOOL_OPEN_MAX
from nova_objectstore.domain.access_logging import KeyFormat, LogTarget, Source
from nova_wsgi import green

# The job's native thread takes files: the patched os.open would give that thread a hub, with a descriptor of its own.
os = green.original("os")
LOG = logging.getLogger(__name__)

DIRECTORY = "access-logs"  # in the state directory
COMPLAINT_SPACING_S = 60.0
HEADER_BYTES_MAX = 256 * 1024  # a target, with a hundred grants


class Group(NamedTuple):
    """Records that become one log object. ``source`` and ``day`` are empty where the key does not tell of them."""

    target: LogTarget
    source: str = ""
    owner_id: str = ""
    region: str = ""
    day: str = ""  # 2026/11/22

    @classmethod
    def of(cls, target: LogTarget, source: Source, region: str, event_us: int) -> Group:
        """The group of a record."""
        if not target.key_format.is_partitioned:
            return cls(target)
        day = ""
        if target.key_format is KeyFormat.BY_EVENT_TIME:
            day = time.strftime("%Y/%m/%d", time.gmtime(event_us // 1_000_000))
        return cls(target, source.name, source.owner_id, region, day)

    def key(self, delivered: str, number: str) -> str:
        """The log object's key; ``delivered`` is the batch's time, 2026-11-22-18-45-00."""
        prefix = self.target.prefix
        if not self.target.key_format.is_partitioned:
            return f"{prefix}{delivered}-{number}"
        day = self.day or delivered[:10].replace("-", "/")
        moment = f"{day.replace('/', '-')}-00-00-00" if self.day else delivered
        return f"{prefix}{self.owner_id}/{self.region}/{self.source}/{day}/{moment}-{number}"


class Batch(NamedTuple):
    """A file that was taken: the log object to be, and the records of each source."""

    path: Path
    group: Group
    key: str
    records: Mapping[Source, Sequence[str]]


class _Open(NamedTuple):
    fd: int
    inode: int


class Spool:
    """The files of a host. Used by every process that serves, and by the job. ``now_us``: the wall clock."""

    def __init__(self, state_path: Path, *, now_us: Callable[[], int]) -> None:
        self._directory = state_path / DIRECTORY
        self._now_us = now_us
        self._open: OrderedDict[Group, _Open] = OrderedDict()
        self._complained_s = -COMPLAINT_SPACING_S
        self._is_closed = False
        self.set_aside: list[
            str
        ] = []  # what take() found to be no spool file: its caller may log, a native thread may not
        self.dropped = 0  # records, since the process began

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self, group: Group, source: Source, record: str) -> None:
        """Append a record. Never fails: what cannot be kept is dropped, counted and complained of."""
        line = json.dumps([source.name, source.owner_id, source.owner_names, record]).encode() + b"\n"
        try:
            self._append(group, line)
        except OSError as error:
            self._forget(group)
            self.dropped += 1
            now_s = time.monotonic()
            if now_s - self._complained_s >= COMPLAINT_SPACING_S:
                self._complained_s = now_s
                LOG.warning("access records are dropped, %d until now: %s", self.dropped, error)
        if self._is_closed:  # the record of a request that ended after its service
            self.close()

    def _append(self, group: Group, line: bytes) -> None:
        path = self._path(group)
        while not self._append_to(self._opened(group, path), path, group, line):
            self._forget(group)

    def _append_to(self, opened: _Open, path: Path, group: Group, line: bytes) -> bool:
        """Append to a file, unless it was taken meanwhile; a file that is full is left for the job to take."""
        with _locked(opened.fd):
            if not _is_at(path, opened.inode):
                return False
            size = os.fstat(opened.fd).st_size
            head = b"" if size else self._header(group)
            os.write(opened.fd, head + line)
            if size + len(head) + len(line) >= SPOOL_FILE_BYTES_MAX:
                self._seal(path)
            return True

    def _opened(self, group: Group, path: Path) -> _Open:
        found = self._open.get(group)
        if found is not None:
            self._open.move_to_end(group)
            return found
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if not path.exists() and len(os.listdir(self._directory)) >= SPOOL_FILES_MAX:
            raise OSError(f"{self._directory} holds {SPOOL_FILES_MAX} files: does no worker take them?")
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while len(self._open) >= SPOOL_OPEN_MAX:
            os.close(self._open.popitem(last=False)[1].fd)
        opened = self._open[group] = _Open(fd, os.fstat(fd).st_ino)
        return opened

    def _forget(self, group: Group) -> None:
        opened = self._open.pop(group, None)
        if opened is not None:
            os.close(opened.fd)

    def _path(self, group: Group) -> Path:
        name = hashlib.sha256(json.dumps(group).encode()).hexdigest()[:32]
        return self._directory / f"{name}.open"

    def _header(self, group: Group) -> bytes:
        target = group.target.encode().decode()
        return json.dumps([self._now_us(), target, *group[1:]]).encode() + b"\n"

    def close(self) -> None:
        """Close the files; what is written afterwards all the same keeps none open. Idempotent."""
        self._is_closed = True
        while self._open:
            os.close(self._open.popitem()[1].fd)

    # -- taking --------------------------------------------------------------------------------------------------------

    def take(self, *, begun_before_us: int) -> list[Path]:
        """Take every file whose first record came before that time; answer all batches there are, the oldest first.

        Blocking, for the time of a few system calls.
        """
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        for name in names:
            if name.endswith(".open"):
                self._take(self._directory / name, begun_before_us)
        batches = [self._directory / name for name in os.listdir(self._directory) if name.endswith(".batch")]
        return sorted(batches, key=lambda path: path.name.partition("-")[2])

    def _take(self, path: Path, begun_before_us: int) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            with _locked(fd):
                head = os.pread(fd, HEADER_BYTES_MAX, 0).partition(b"\n")[0]
                begun_us = json.loads(head)[0] if head else self._now_us()
                if begun_us < begun_before_us and _is_at(path, os.fstat(fd).st_ino):
                    self._seal(path)
        except ValueError as error:
            self.set_aside.append(f"{path}: {error}")
            path.rename(path.with_suffix(".bad"))
        finally:
            os.close(fd)

    def _seal(self, path: Path) -> None:
        """Rename a file that is locked."""
        moment = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime(self._now_us() // 1_000_000))
        path.rename(path.with_name(f"{path.stem}-{moment}-{secrets.token_hex(8).upper()}.batch"))


def read_batch(path: Path) -> Batch:
    """Read a batch. Blocking; raises OSError, and ValueError for a file that is none."""
    head, *lines = path.read_bytes().split(b"\n")
    _, target, source, owner_id, region, day = json.loads(head)
    group = Group(LogTarget.decode(target), source, owner_id, region, day)
    records: dict[Source, list[str]] = {}
    for line in lines:
        if line:
            name, owner, names, record = json.loads(line)
            records.setdefault(Source(name, owner, tuple(names)), []).append(record)
    _, _, stamp = path.stem.partition("-")
    delivered, _, number = stamp.rpartition("-")
    return Batch(path, group, group.key(delivered, number), records)


@contextmanager
def _locked(fd: int) -> Iterator[None]:
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _is_at(path: Path, inode: int) -> bool:
    try:
        return int(os.stat(path).st_ino) == inode
    except FileNotFoundError:
        return False
