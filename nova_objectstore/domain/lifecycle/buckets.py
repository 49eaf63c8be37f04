"""The lifecycle rules of buckets: read, stored, removed; and compiled, once for each change."""

from __future__ import annotations

from typing import NamedTuple

from nova_objectstore.domain.lifecycle.configuration import Configuration, decode, encode
from nova_objectstore.domain.lifecycle.day import CALENDAR_DAY, Day
from nova_objectstore.domain.lifecycle.rules import Lifecycle
from nova_objectstore.meta.lifecycle_port import LifecycleStore
from nova_objectstore.types import Bucket

_COMPILED_MAX = 10_000  # as many as buckets


class Compiled(NamedTuple):
    """A bucket's rules, and which they are: ``generation`` changes with them."""

    generation: int
    lifecycle: Lifecycle


class BucketLifecycles:
    """The rules of lifecycles."""

    def __init__(self, store: LifecycleStore, *, day: Day = CALENDAR_DAY) -> None:
        self.day = day
        self._store = store
        self._compiled: dict[int, Compiled] = {}

    def get(self, bucket: Bucket) -> Configuration | None:
        """The rules as they were put; None without any."""
        stored = self._store.get_lifecycle(bucket.id)
        return None if stored is None else decode(stored.document)

    def put(self, bucket: Bucket, configuration: Configuration) -> None:
        """Replace the rules. They hold for what is there as for what will be. Raises NoSuchBucket."""
        looks = Lifecycle(configuration, self.day).looks()
        self._store.put_lifecycle(bucket.id, encode(configuration), looks)

    def delete(self, bucket: Bucket) -> None:
        """Remove the rules, if there are any. Raises NoSuchBucket."""
        self._store.delete_lifecycle(bucket.id)

    def compiled(self, bucket_id: int, generation: int) -> Lifecycle | None:
        """The rules of that generation; None when the bucket has others by now."""
        known = self._compiled.get(bucket_id)
        if known is None or known.generation != generation:
            known = self.refresh(bucket_id)
        return known.lifecycle if known is not None and known.generation == generation else None

    def refresh(self, bucket_id: int) -> Compiled | None:
        """Read and compile; where days had another length when the agenda was made, it is to be made anew."""
        stored = self._store.get_lifecycle(bucket_id)
        if stored is None:
            return None
        compiled = Compiled(stored.generation, Lifecycle(decode(stored.document), self.day))
        looks = compiled.lifecycle.looks()
        if list(stored.looks) != list(looks):
            self._store.put_looks(bucket_id, stored.generation, looks)
        if len(self._compiled) >= _COMPILED_MAX:
            self._compiled.clear()
        self._compiled[bucket_id] = compiled
        return compiled
