"""What a store must hold after a crash: for each key the versions that were acknowledged, and at most one open change.

A change that was sent and not answered may have happened or not; nothing in between, and nothing else. Bodies are told by
their MD5, so a model holds no bytes.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

MiB = 1024 * 1024
SIZES = (0, 1, 900, 16 * 1024, 16 * 1024 + 1, 70_000, 300_000)


@dataclass(frozen=True)
class Body:
    """Bytes that differ everywhere, known by a seed."""

    seed: int
    size: int

    def read(self) -> bytes:
        return random.Random(self.seed).randbytes(self.size)


@dataclass(frozen=True)
class Object:
    """A version, or a delete marker. ``version_id`` is empty while the store has not told it."""

    etag: str = ""
    pieces: tuple[Body, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    version_id: str = ""
    is_marker: bool = False

    def read(self) -> bytes:
        return b"".join(piece.read() for piece in self.pieces)

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)


Versions = tuple[Object, ...]  # newest first


def etag_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def multipart_etag(pieces: Sequence[Body]) -> str:
    whole = hashlib.md5(b"".join(hashlib.md5(piece.read()).digest() for piece in pieces), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(pieces)}"


@dataclass(frozen=True)
class Change:
    """A request under way: what the key holds if it did not happen, and if it did."""

    what: str
    before: Versions
    after: Versions

    @property
    def outcomes(self) -> list[Versions]:
        return [self.before, self.after]


class Plan:
    """Chooses what a client does next, by its seed alone and what it knows of its keys."""

    def __init__(self, seed: int, *, is_versioned: bool) -> None:
        self.rng = random.Random(seed)
        self.is_versioned = is_versioned

    def body(self) -> Body:
        return Body(self.rng.getrandbits(32), self.rng.choice(SIZES))

    def verb(self, versions: Versions) -> str:
        """One that makes sense for a key with these versions."""
        verbs = ["put"] * 5 + ["multipart", "refused"]
        if versions and not versions[0].is_marker:
            verbs += ["delete", "delete", "copy", "copy", "tag", "tag"]
        if self.is_versioned and len(versions) > 1:
            verbs += ["delete_version"] * (2 if len(versions) < 6 else 12)
        return self.rng.choice(verbs)

    def metadata(self) -> dict[str, str]:
        return {"mark": str(self.rng.getrandbits(32))}

    def tags(self) -> dict[str, str]:
        return {"colour": str(self.rng.getrandbits(16))}

    def pieces(self) -> tuple[Body, ...]:
        """The parts of an upload: mostly one, which may be small."""
        last = Body(self.rng.getrandbits(32), self.rng.choice((1, 20_000, 300_000)))
        return (Body(self.rng.getrandbits(32), 5 * MiB), last) if self.rng.random() < 0.1 else (last,)

    def add(self, versions: Versions, new: Object) -> Versions:
        """A key's versions when ``new`` was written to it."""
        return (new, *versions) if self.is_versioned else (new,)

    def hide(self, versions: Versions) -> Versions:
        """The same when it was deleted without naming a version."""
        return (Object(is_marker=True), *versions) if self.is_versioned else ()


def tagged(versions: Versions, tags: Mapping[str, str]) -> Versions:
    return (replace(versions[0], tags=tags), *versions[1:])
