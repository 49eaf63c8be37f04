"""Mover: gives a version another storage class, and its bytes the place of that class.

The order is that of every write: the bytes durable under fresh refs; then one metadata verb, which switches class and
place if the version still is what was read, and queues what it leaves as garbage; then the data settled. A crash at any
point leaves the version whole in its old class or in its new one.

Law: bytes are moved as they are stored: nothing is opened or sealed, so that no key is needed, not even a customer's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.domain.carrying import Carrier
from nova_objectstore.domain.storage_classes import StorageClass, StorageClasses
from nova_objectstore.errors import DataMissing, EngineError, MissingError, StoreError
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.storage_port import Move, MovedPart, StorageStore
from nova_objectstore.types import Bucket, Content, ContentKind, Version


class Mover:
    """Moves versions between storage classes."""

    def __init__(
        self,
        meta: MetadataEngine,
        store: StorageStore,
        carrier: Carrier,
        classes: StorageClasses,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._meta = meta
        self._store = store
        self._carrier = carrier
        self._classes = classes
        self._now_us = now_us

    def move(
        self, bucket: Bucket, version: Version, storage_class: str, *, announce: Announcement | None = None
    ) -> Version | None:
        """Give ``version``, as it was read, another class; None when it changed meanwhile or is gone.

        Its id, ETag, times, tags and lock stay; a restored copy goes. Raises InvalidStorageClass, StorageFull,
        StorageFailed, DataCorrupt.
        """
        assert bucket.id == version.bucket_id
        target = self._classes.find(storage_class)
        if version.is_marker or version.storage_class == storage_class:
            return None if version.is_marker else version
        carried: list[Content] = []
        try:
            move = self._carry(version, target, carried)
        except BaseException:  # a killed greenthread too: nothing names what it has carried
            self._carrier.discard(carried)
            raise
        try:
            moved = None if move is None else self._store.move_version(move, now_us=self._now_us(), announce=announce)
        except EngineError:  # it may have happened
            self._carrier.doubt(carried)
            raise
        except StoreError:
            self._carrier.discard(carried)
            raise
        if moved is None:
            self._carrier.discard(carried)
        else:
            self._carrier.settle(carried)
        return moved

    def _carry(self, version: Version, target: StorageClass, carried: list[Content]) -> Move | None:
        """Bring the bytes to their new place; None when the version changed meanwhile. ``carried`` gets what was made."""
        try:
            if version.content.kind is ContentKind.PARTS:
                return Move(version, target.name, parts=self._carry_parts(version, target, carried))
            content = self._content(version)
            if target.holds(content, version.size):
                return Move(version, target.name)
            carried.append(self._carrier.carry(content, target.data))
            return Move(version, target.name, carried[-1])
        except DataMissing:
            if self._is_as_it_was(version):
                raise
            return None

    def _is_as_it_was(self, version: Version) -> bool:
        try:
            again = self._meta.get_version(version.bucket_id, version.key, version.version_id, inline=False)
        except MissingError:
            return False
        return again.sequence == version.sequence and again.content == version.content._replace(inline=None)

    def _carry_parts(self, version: Version, target: StorageClass, carried: list[Content]) -> Sequence[MovedPart]:
        moved = []
        for part in self._meta.list_content_parts(version):
            if not target.holds(part.content, part.size):
                carried.append(self._carrier.carry(part.content, target.data))
                moved.append(MovedPart(part.number, part.content, carried[-1]))
        return moved

    def _content(self, version: Version) -> Content:
        """The version's content, with its bytes where they lie in the metadata. Raises DataMissing."""
        if version.content.kind is not ContentKind.INLINE or version.content.inline is not None:
            return version.content
        try:
            again = self._meta.get_version(version.bucket_id, version.key, version.version_id, inline=True)
        except MissingError as error:
            raise DataMissing(key=version.key, version_id=version.version_id) from error
        if again.sequence != version.sequence or again.content.kind is not ContentKind.INLINE:
            raise DataMissing(key=version.key, version_id=version.version_id)
        return again.content
