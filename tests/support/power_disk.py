"""A disk that forgets what was not synced: what may lie on it after a power cut, in as many ways as are asked for.

The model is what ext4 permits, and a little more:

- Bytes that were not synced are there or not, sector by sector; a file may have its new length without its new bytes,
  which are zeros then.
- A name that was made, changed or removed is so after the cut only if its directory was synced; else that may have
  happened or not, each by itself (``Fate.in_order`` keeps their order, as a journal does). Syncing a file does not sync its
  name, syncing a directory does not sync the files in it. A rename is whole or not at all.
- A sync vouches for what had ended when it began.
- Sectors are written whole, and their neighbours stay as they are.

Memory that is mapped (SQLite's ``-shm``) holds anything.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from support.power_trace import Linked, Made, Operation, Removed, Renamed, Resized, Synced, Written

SECTOR = 512  # bytes


class _Write(NamedTuple):
    index: int
    offset: int
    data: bytes


class _Resize(NamedTuple):
    index: int
    size: int
    grows: bool


@dataclass(eq=False)
class Node:
    """A file or directory: what is durable of it, and what has happened since."""

    kind: str
    durable: bytearray = field(default_factory=bytearray)
    unsynced: list[_Write | _Resize] = field(default_factory=list)
    entries: dict[str, Node] = field(default_factory=dict)  # of a directory, as programs see it
    durable_entries: dict[str, Node] = field(default_factory=dict)


class _Entry(NamedTuple):
    directory: Node
    name: str
    node: Node | None


class _Change(NamedTuple):
    """Names that change together."""

    index: int
    entries: tuple[_Entry, ...]


@dataclass(frozen=True)
class Fate:
    """What becomes of what was not synced: the shares that are kept. ``None`` is another share for each file."""

    kind: str
    names: float = 0.0
    sectors: float | None = 0.0
    lengths: float = 0.0
    in_order: bool = False
    seed: int = 0


DROPPED = Fate("nothing that was not synced")
KEPT = Fate("everything, as after a killed process", names=1, sectors=1, lengths=1)
NAMES = Fate("names and lengths without bytes", names=1, lengths=1)
BYTES = Fate("bytes without names", sectors=1, lengths=1)
FIXED = (DROPPED, NAMES, BYTES, KEPT)


def torn(seed: int) -> Fate:
    """Some of it, by the seed."""
    rng = random.Random(seed)
    in_order = rng.random() < 0.5
    kind = f"some names, {'in' if in_order else 'out of'} order, and sectors"
    return Fate(kind, names=rng.random(), sectors=None, lengths=0.5, in_order=in_order, seed=seed)


class Disk:
    """``root`` and what is below it; the directory above is there, and so is all of it that was before."""

    def __init__(self, root: str) -> None:
        self._above, self._name = os.path.split(root)
        self._top = Node("directory")
        self._changes: list[_Change] = []

    def apply(self, index: int, operation: Operation) -> None:
        """The next operation of the journal."""
        match operation:
            case Made(path, kind):
                self._change(index, (path, Node(kind)))
            case Written(path, offset, data):
                self._find(path).unsynced.append(_Write(index, offset, data))
            case Resized(path, size, grows):
                self._find(path).unsynced.append(_Resize(index, size, grows))
            case Linked(source, target):
                self._change(index, (target, self._find(source)))
            case Renamed(source, target):
                self._change(index, (target, self._find(source)), (source, None))
            case Removed(path):
                self._change(index, (path, None))
            case Synced(path, began):
                self._sync(self._find(path), began)

    def _find(self, path: str) -> Node:
        node = self._top
        for name in self._below(path):
            node = node.entries[name]
        return node

    def _below(self, path: str) -> list[str]:
        return [] if path == self._above else path[len(self._above) :].strip("/").split("/")

    def _change(self, index: int, *changed: tuple[str, Node | None]) -> None:
        entries = []
        for path, node in changed:
            directory, name = self._find(os.path.dirname(path)), os.path.basename(path)
            entries.append(_Entry(directory, name, node))
            _assign(directory.entries, name, node)
        self._changes.append(_Change(index, tuple(entries)))

    def _sync(self, node: Node, began: int) -> None:
        if node.kind == "directory":
            for change in self._changes:
                if change.index < began and any(entry.directory is node for entry in change.entries):
                    for directory, name, named in change.entries:
                        _assign(directory.durable_entries, name, named)
            self._changes = [
                change
                for change in self._changes
                if change.index >= began or all(entry.directory is not node for entry in change.entries)
            ]
            return
        for done in node.unsynced:
            if done.index < began:
                _do(node.durable, done)
        node.unsynced = [done for done in node.unsynced if done.index >= began]

    # -- after a cut ---------------------------------------------------------------------------------------------------

    def lay_out(self, target: Path, fate: Fate) -> None:
        """Write what may be there after a power cut now: ``target`` becomes the root."""
        rng = random.Random(fate.seed)
        entries = self._surviving_entries(fate, rng)
        root = entries.get(self._top, self._top.durable_entries).get(self._name)
        if root is not None:
            self._lay_out(root, target, fate, rng, entries)

    def _surviving_entries(self, fate: Fate, rng: random.Random) -> dict[Node, dict[str, Node]]:
        """The entries of each directory that differ from the durable ones."""
        kept = [change for change in self._changes if rng.random() < fate.names]
        if fate.in_order:
            kept = self._changes[: len(kept)]
        entries: dict[Node, dict[str, Node]] = {}
        for change in kept:
            for directory, name, node in change.entries:
                _assign(entries.setdefault(directory, dict(directory.durable_entries)), name, node)
        return entries

    def _lay_out(
        self, node: Node, target: Path, fate: Fate, rng: random.Random, entries: dict[Node, dict[str, Node]]
    ) -> None:
        if node.kind == "directory":
            target.mkdir(mode=0o700)
            for name, child in entries.get(node, node.durable_entries).items():
                self._lay_out(child, target / name, fate, rng, entries)
        elif node.kind == "file":
            data = surviving_bytes(node, fate, rng)
            if target.name.endswith("-shm"):
                data = rng.randbytes(len(data))
            target.touch(mode=0o600)
            target.write_bytes(data)


def _assign(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


def surviving_bytes(node: Node, fate: Fate, rng: random.Random) -> bytes | bytearray:
    """A file's bytes after the cut."""
    share = rng.choice((0.0, 0.1, 0.5, 0.9, 1.0)) if fate.sectors is None else fate.sectors
    if not node.unsynced or share == 0 == fate.lengths:
        return node.durable
    data, size = bytearray(node.durable), len(node.durable)
    for done in node.unsynced:
        if isinstance(done, _Resize):
            size = max(size, done.size) if done.grows else done.size
            if rng.random() < max(share, fate.lengths):
                _do(data, done)
            continue
        size = max(size, done.offset + len(done.data))
        for piece in _sectors(done):
            if rng.random() < share:
                _do(data, piece)
    if len(data) < size and rng.random() < fate.lengths:
        data.extend(bytes(size - len(data)))
    return data


def _sectors(write: _Write) -> list[_Write]:
    """The same write, as a disk does it."""
    pieces, start, end = [], write.offset, write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        pieces.append(_Write(write.index, start, write.data[start - write.offset : stop - write.offset]))
        start = stop
    return pieces


def _do(data: bytearray, done: _Write | _Resize) -> None:
    end = done.size if isinstance(done, _Resize) else done.offset + len(done.data)
    if len(data) < end:
        data.extend(bytes(end - len(data)))
    if isinstance(done, _Resize):
        if not done.grows:
            del data[end:]
    else:
        data[done.offset : end] = done.data
