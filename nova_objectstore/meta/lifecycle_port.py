"""What the metadata engine keeps for the lifecycle: when which version must be looked at; and the port ``LifecycleStore``.

The *agenda* of a bucket has a row for each version, delete marker and upload that its rules may do something to, with the
time before which they will not. A run takes the rows that are due, and nothing else; so it costs what it finds to do,
however much the bucket holds. Prefix, tags, size and time are judged together when a row is written, where an index by
time alone would lead through everything that is old and not meant.

Laws, for every engine (``tests/nova_objectstore/meta/test_meta_lifecycle*.py``):

- A bucket without rules has no agenda, and its writes pay nothing for it.
- In a bucket with rules, every verb that makes a version, hides it, shows it again, changes its tags or removes it brings
  the agenda up to date in the same transaction. A row is never later than its rules' first deed; it may be earlier, and
  then a look finds nothing to do and puts it off.
- New rules take hold at once for what is written from then on; what was there before is entered by ``walk_lifecycle``,
  which costs what the bucket holds, once per change of the rules, in steps.
- Rows say what is to be done, never what was begun: who dies in between has done whole steps, and the rest is due still.
- What was judged outside is done only if it is still so inside: the same rules, the same version in the same place with
  the same tags and lock (``Subject`` compared as a whole).
- A verb is one whole transaction, as in ``meta/engine.py``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.types import Bucket, Deleted, Upload, Version

DOCUMENT = "lifecycle"  # the name of the rules among the bucket's documents


class LookKind(enum.IntEnum):
    """What a look is at."""

    CURRENT = 0  # the key's current object
    NONCURRENT = 1  # a version or marker behind a newer one
    MARKER = 2  # a delete marker with nothing behind it: AWS's expired object delete marker
    UPLOAD = 3  # a multipart upload in progress
    GONE = 4  # a row whose version went while nobody kept the agenda: nothing but the row is left


class Look(NamedTuple):
    """One reason to look at versions, and when: ``after_us`` behind their beginning, rounded up to ``round_us``, but not
    before ``not_before_us``.

    A version begins to be current when it was last modified, noncurrent when it got a successor, an upload when it was
    initiated. A delete marker has neither tags nor size: a look that asks for them is not at one.
    """

    kind: LookKind
    after_us: int = 0
    not_before_us: int = 0
    round_us: int = 0  # 0: not rounded
    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()  # all of them
    size_over: int | None = None
    size_under: int | None = None
    newer: int = 0  # NONCURRENT: so many newer noncurrent versions must be there

    def due_us(self, since_us: int) -> int:
        """When what began at ``since_us`` is to be looked at."""
        due_us = since_us + self.after_us
        if self.round_us:
            due_us = -(-due_us // self.round_us) * self.round_us
        return max(due_us, self.not_before_us)

    def is_at(self, key: str, size: int | None, tags: Mapping[str, str]) -> bool:
        """Whether it is at a version of that key; ``size`` is None for a delete marker and an upload."""
        if not key.startswith(self.prefix):
            return False
        if self.size_over is not None and (size is None or size <= self.size_over):
            return False
        if self.size_under is not None and (size is None or size >= self.size_under):
            return False
        return not self.tags or all(tags.get(name) == value for name, value in self.tags)


def first_look_us(
    looks: Iterable[Look], key: str, size: int | None, tags: Mapping[str, str], *, since_us: int, newer: int = 0
) -> int | None:
    """When the first of ``looks``, all of one kind, is due; None when none is at this version."""
    dues = [
        look.due_us(since_us) for look in looks if look.newer <= newer and look.is_at(key, size, tags)
    ]  # fmt: skip
    return min(dues, default=None)


class Subject(NamedTuple):
    """What a row of the agenda is about, as it is now; ``since_us`` is when it began to be that (see ``Look``)."""

    kind: LookKind
    key: str
    number: int  # the version's sequence; of an upload, its number below zero
    since_us: int
    version: Version | None = None  # without its bytes
    upload: Upload | None = None
    newer: int = 0  # NONCURRENT: newer noncurrent versions of the key, counted up to NEWER_COUNTED_MAX


NEWER_COUNTED_MAX = 100  # S3: NewerNoncurrentVersions is at most 100


class Due(NamedTuple):
    """What is due in a bucket, and under which rules: ``generation`` changes with them."""

    generation: int
    subjects: Sequence[Subject]


class Decision(NamedTuple):
    """What becomes of a subject. ``removes``: an object goes as by DELETE, everything else for good.

    Else ``next_us`` is when to look again; None: never, unless something happens to it.
    """

    subject: Subject
    removes: bool
    next_us: int | None = None


class Outcome(enum.Enum):
    """What became of a decision."""

    REMOVED = "removed"
    KEPT = "kept"
    CHANGED = "changed"  # the rules or the subject are others by now: nothing was done, and it is due still


class Applied(NamedTuple):
    """A decision's outcome; ``deleted`` tells of the version removed or the marker made, None for an upload."""

    outcome: Outcome
    deleted: Deleted | None = None


class StoredLifecycle(NamedTuple):
    """A bucket's rules as they are stored."""

    generation: int
    document: bytes
    looks: Sequence[Look]


class Work(NamedTuple):
    """A bucket where something is to be done. ``bucket`` is None when it is gone, and only rows of it are left."""

    bucket_id: int
    bucket: Bucket | None
    walks: bool  # there is something for walk_lifecycle


class LifecycleStore(Protocol):
    """The verbs. Each is one transaction."""

    def put_lifecycle(self, bucket_id: int, document: bytes, looks: Sequence[Look]) -> None:
        """Store or replace the rules; the bucket is to be walked. The bucket's revision grows. Raises NoSuchBucket."""
        ...

    def delete_lifecycle(self, bucket_id: int) -> None:
        """Remove the rules, if there are any; the agenda is left to ``walk_lifecycle``. Raises NoSuchBucket."""
        ...

    def get_lifecycle(self, bucket_id: int) -> StoredLifecycle | None:
        """The rules; None without any."""
        ...

    def put_looks(self, bucket_id: int, generation: int, looks: Sequence[Look]) -> None:
        """Replace the looks of the same rules, as when days got another length; the bucket is to be walked."""
        ...

    def list_lifecycle_work(self, *, now_us: int, after: int = 0, limit: int = 1000) -> Sequence[Work]:
        """Buckets with a row due at ``now_us``, or to be walked, by their ids above ``after``."""
        ...

    def walk_lifecycle(self, bucket_id: int, *, limit: int = 500) -> bool:
        """Enter the next ``limit`` versions or uploads into the agenda, or clear away as many rows of one without rules.

        Answers whether there is more to do.
        """
        ...

    def list_due(self, bucket_id: int, *, now_us: int, limit: int = 100) -> Due | None:
        """What is due at ``now_us``, the longest due first; None for a bucket without rules."""
        ...

    def apply_decisions(
        self,
        bucket: Bucket,
        generation: int,
        decisions: Sequence[Decision],
        *,
        now_us: int,
        announce: Announcement | None = None,
    ) -> Sequence[Applied]:
        """Do what was decided about subjects of ``list_due``, each on its own, all in one transaction.

        What is removed is removed as the bucket's owner would, its data queued as garbage; object lock holds. The
        events of ``announce`` are written with it; uploads that end have none.
        """
        ...
