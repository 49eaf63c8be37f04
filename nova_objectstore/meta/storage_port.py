"""What the metadata engine knows of storage classes: data that moved, copies that were restored; the port ``StorageStore``.

Laws, for every engine (``tests/nova_objectstore/meta/test_meta_storage.py``):

- A version that moves is the same in all but its class and where its bytes lie: id, sequence, ETag, times, tags, lock.
- A move happens only if the version still is as it was read; what it leaves is queued as garbage in the same transaction.
- A restored copy belongs to one version and goes with it: deleted, replaced or moved, its data are garbage at once.
- Whoever restores holds a lease; a change by another lease than the row's does nothing.
- A verb is one whole transaction, as in ``meta/engine.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.types import Content, Listed, Version


class MovedPart(NamedTuple):
    """One part's bytes: where they lay, and where they lie now."""

    number: int
    before: Content
    after: Content  # DATA


class Move(NamedTuple):
    """A version as it was read, its new class, and what of its bytes lies elsewhere now."""

    version: Version
    storage_class: str
    content: Content | None = None  # DATA, for a version that is not in PARTS; None: its bytes stay
    parts: Sequence[MovedPart] = ()


class Restore(NamedTuple):
    """The copy of an archived version: asked for, or there until ``expires_us``."""

    id: int
    bucket_id: int
    key: str
    version_id: str
    sequence: int
    days: int  # as asked for
    expires_us: int  # 0 while it is being made
    content: Content | None  # None while it is being made; INLINE: the version's own bytes are it

    @property
    def is_ongoing(self) -> bool:
        """Whether the copy is still being made."""
        return self.expires_us == 0


class RestoreClaim(NamedTuple):
    """A restore to be worked on by whoever holds ``lease``."""

    restore: Restore
    version: Version
    lease: str
    attempts: int  # this one included


class RestoredPart(NamedTuple):
    """The copy of one part."""

    number: int
    content: Content  # DATA, or INLINE with its bytes


class StorageStore(Protocol):
    """The verbs."""

    def move_version(self, move: Move, *, now_us: int, announce: Announcement | None = None) -> Version | None:
        """Give a version its new class and place; None, and nothing done, when it is not as it was read."""
        ...

    # -- restored copies ---------------------------------------------------------------------------------------------

    def request_restore(
        self,
        version: Version,
        *,
        days: int,
        priority: int,
        now_us: int,
        expires_us: int,
        announce: Announcement | None = None,
    ) -> bool:
        """Ask for a copy of a version; True when one will be made, False when it is there and now lasts till ``expires_us``.

        The lower its ``priority`` the sooner it is made. Raises RestoreAlreadyInProgress, NoSuchVersion (it went).
        """
        ...

    def find_restore(self, version: Version) -> Restore | None:
        """What was asked for of that version and has not been cleared away."""
        ...

    def find_restores(self, versions: Sequence[Version | Listed]) -> Mapping[tuple[str, int], Restore]:
        """The same of many versions of one bucket, by key and sequence."""
        ...

    def claim_restore(self, lease: str, *, now_us: int, until_us: int) -> RestoreClaim | None:
        """Lease the next restore to be made that nobody holds; None when there is none."""
        ...

    def renew_restore(self, restore_id: int, lease: str, *, until_us: int) -> bool:
        """Hold it longer; False when it is not held any more."""
        ...

    def finish_restore(
        self,
        restore_id: int,
        lease: str,
        *,
        content: Content | None,
        parts: Sequence[RestoredPart],
        expires_us: int,
        announce: Announcement | None = None,
    ) -> bool:
        """The copy is there: DATA, INLINE (the version's own bytes are it), or None with the copies of all its parts.

        False, and nothing done, when the version or the lease went.
        """
        ...

    def release_restore(self, restore_id: int, lease: str, *, retry_at_us: int) -> None:
        """Let anybody claim it from ``retry_at_us`` on."""
        ...

    def give_restore_up(self, restore_id: int, lease: str) -> None:
        """Forget that it was asked for."""
        ...

    def list_expired_restores(self, *, now_us: int, limit: int) -> Sequence[Restore]:
        """Those whose time is over: what ``expire_restores`` would remove."""
        ...

    def expire_restores(self, *, now_us: int, limit: int, announcements: Mapping[int, Announcement] = {}) -> int:
        """Remove copies whose time is over; answer how many. ``announcements``: of each bucket that wants to hear of it."""
        ...

    # -- the places of classes ----------------------------------------------------------------------------------------

    def list_class_places(self) -> Mapping[str, str]:
        """The classes that have had a data engine of their own, each with the mark of its place."""
        ...

    def record_class_place(self, name: str, mark: str) -> None:
        """A class has a data engine of its own, whose place bears ``mark``."""
        ...

    def uses_class_place(self, name: str) -> bool:
        """Whether a version or an upload is of that class, or garbage lies in its engine."""
        ...

    def forget_class_place(self, name: str) -> bool:
        """Forget the place of a class that is not used; False, and nothing done, when it is."""
        ...
