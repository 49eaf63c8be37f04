"""What the metadata engine does for the trust in what is stored: the port ``IntegrityStore``.

A walk over everything that the metadata name, what was found damaged, counters that are counted again, and holds, which
keep data from being collected while somebody copies the store.

Laws, for every engine (``tests/nova_objectstore/meta/test_meta_integrity.py``):

- A walk meets whatever stays where it is while the walk goes on. What changes its place meanwhile (a version that is hidden,
  or comes forth again) is met once, twice or by the next walk.
- A hold that was put before a snapshot of the metadata was taken keeps all data that the snapshot names, until it ends.
- A verb is one whole transaction, as in ``meta/engine.py``.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from nova_objectstore.types import Checksum, Content, Part


class Stage(enum.IntEnum):
    """The parts of a walk, in their order."""

    CURRENT = 0  # objects that a plain GET finds
    HIDDEN = 1  # all other versions
    UPLOADS = 2  # multipart uploads in progress
    RESTORES = 3  # restored copies of archived versions
    IMAGES = 4


class Position(NamedTuple):
    """Where a walk is: behind this. ``number`` orders versions of a key, uploads and restores."""

    stage: int = 0
    bucket_id: int = 0
    key: str = ""
    number: int = 0
    part: int = 0  # so many of the parts of what comes next are behind it, if its content is ``content``
    content: str = ""

    def encode(self) -> str:
        """As text."""
        return json.dumps(self)

    @classmethod
    def decode(cls, text: str) -> Position:
        """From text."""
        return cls(*json.loads(text))


class Stored(NamedTuple):
    """Something whose bytes the metadata name. ``size``, ``etag`` and ``checksum`` are the plaintext's."""

    position: Position
    bucket_id: int  # 0 of an image
    key: str  # of an image its id
    version_id: str  # of an upload its id
    size: int  # -1: not known (of a restored copy)
    etag: str
    checksum: Checksum | None
    content: Content  # INLINE with its bytes; PARTS: see ``list_stored_parts``
    extra: Mapping[str, str]


class Damage(NamedTuple):
    """What was found damaged. ``id`` is 0 before it is recorded."""

    id: int
    stage: Stage  # what it is of
    bucket_id: int
    bucket_name: str  # empty of an image, and where the bucket is gone
    key: str
    version_id: str
    part: int  # 0: not of a part
    ref: str  # empty: the bytes lie in the metadata
    size: int  # bytes that are not to be trusted
    reason: str  # digest | size | missing | unreadable
    found_us: int


class Scrub(NamedTuple):
    """How far the walk of the scrubber is. The counts are those of the pass that runs, or of the last one."""

    started_us: int = 0  # of the last pass that began; 0: none did
    finished_us: int = 0  # of the last pass that came to its end
    position: str = ""  # Position.encode; empty: no pass runs
    items: int = 0
    bytes: int = 0
    found: int = 0
    bytes_total: int = 0  # of all passes
    found_total: int = 0


class Usage(NamedTuple):
    """A bucket's counters: objects, their bytes, the bytes of parts of uploads in progress."""

    objects: int
    bytes: int
    part_bytes: int


class IntegrityStore(Protocol):
    """The verbs."""

    # -- the walk ----------------------------------------------------------------------------------------------------

    def list_stored(self, after: Position, *, bucket_id: int | None = None, limit: int = 100) -> Sequence[Stored]:
        """What comes behind ``after`` in its stage, of one bucket or of all; none: the stage is over."""
        ...

    def list_stored_parts(self, content: Content, *, after: int = 0, limit: int = 100) -> Sequence[Part]:
        """The parts of a Stored whose content is PARTS with numbers above ``after``, with inline bytes."""
        ...

    def live_refs(self, refs: Sequence[str]) -> Sequence[str]:
        """Those of ``refs`` that something names which can be read: all that are known but the garbage."""
        ...

    # -- damage ------------------------------------------------------------------------------------------------------

    def record_damage(self, damage: Damage) -> bool:
        """Keep a record of what was found; False, and nothing done, when the same place is recorded already."""
        ...

    def list_damages(self) -> Sequence[Damage]:
        """All records, oldest first."""
        ...

    def forget_damage(self, damage_id: int) -> bool:
        """Drop a record; whether it was there."""
        ...

    def get_scrub(self) -> Scrub:
        """How far the scrubber is."""
        ...

    def put_scrub(self, scrub: Scrub) -> None:
        """Keep how far it is."""
        ...

    # -- counters ----------------------------------------------------------------------------------------------------

    def compare_usage(self, bucket_id: int) -> tuple[Usage, Usage]:
        """A bucket's counters as they are kept, and as they are when they are counted. Raises NoSuchBucket."""
        ...

    def rewrite_usage(self, bucket_id: int) -> None:
        """Count again, and keep that; the account's counters, where it has a quota, too. Raises NoSuchBucket."""
        ...

    # -- holds -------------------------------------------------------------------------------------------------------

    def put_hold(self, name: str, *, until_us: int) -> None:
        """Keep garbage from being collected until then."""
        ...

    def renew_hold(self, name: str, *, now_us: int, until_us: int) -> bool:
        """Hold longer; False when it has ended meanwhile."""
        ...

    def drop_hold(self, name: str) -> None:
        """Let it be collected. Nothing when there is no such hold."""
        ...

    def is_held(self, *, now_us: int) -> bool:
        """Whether anybody holds it."""
        ...
