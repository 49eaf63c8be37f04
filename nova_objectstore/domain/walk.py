"""A walk over everything that the metadata name: versions, parts of them and of uploads, restored copies, images.

Strategy: a page at a time; between pages others write as they like. A walk can be begun anew behind any position that it
has told, in the middle of an object's parts too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nova_objectstore.meta.integrity_port import IntegrityStore, Position, Stage, Stored
from nova_objectstore.types import Content, ContentKind, Part

PAGE = 100  # rows, with their small bodies: at most some MB


class Found(NamedTuple):
    """One content, which is INLINE with its bytes or DATA; ``position`` is behind it."""

    position: Position
    stored: Stored
    part: Part | None

    @property
    def content(self) -> Content:
        """Where the bytes lie."""
        return self.stored.content if self.part is None else self.part.content

    @property
    def stage(self) -> Stage:
        """What it is of."""
        return Stage(self.position.stage)

    @property
    def is_sealed(self) -> bool:
        """Whether the bytes are encrypted; of a restored copy that is not known."""
        return bool(self.stored.extra.get("sse")) or (self.part is not None and bool(self.part.extra))

    @property
    def size(self) -> int:
        """Bytes of the plaintext; -1: not known."""
        return self.stored.size if self.part is None else self.part.size


def walk(store: IntegrityStore, *, start: Position | None = None, bucket_id: int | None = None) -> Iterator[Found]:
    """Everything behind ``start``, of one bucket or of all."""
    start = start or Position()
    for stage in Stage:
        if stage >= start.stage:
            after = start if stage == start.stage else Position(stage)
            yield from _walk_stage(store, after, bucket_id)


def _walk_stage(store: IntegrityStore, after: Position, bucket_id: int | None) -> Iterator[Found]:
    while page := store.list_stored(after, bucket_id=bucket_id, limit=PAGE):
        for stored in page:
            if stored.content.kind is ContentKind.PARTS:
                yield from _walk_parts(store, after, stored)
            elif stored.content.kind is not ContentKind.NOTHING:
                yield Found(stored.position, stored, None)
            after = stored.position


def _walk_parts(store: IntegrityStore, before: Position, stored: Stored) -> Iterator[Found]:
    """The parts of ``stored``, which comes next behind ``before``."""
    number = before.part if before.content == stored.content.ref else 0
    while page := store.list_stored_parts(stored.content, after=number, limit=PAGE):
        for part in page:
            number = part.number
            yield Found(before._replace(part=number, content=stored.content.ref), stored, part)
