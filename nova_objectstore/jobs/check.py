"""Check: the metadata against the data, both ways, and the counters against what they count.

Strategy: the database is asked whether it is whole; every name that the metadata hold is looked up in the data engine; every
file of the data engine is looked for in the metadata; every bucket is counted again. Bytes are not read: that is the
scrubber's.

Laws, while the store is in use:

- A file that is not staged was settled, so the metadata named it before: what they do not name then is nobody's. Files
  that are young are left alone all the same.
- What the metadata named a moment ago and the engine does not have is asked for again before it is told of.
- A repair removes what nobody names and rewrites counters. Data that are missing are recorded; nothing named is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from nova_objectstore.data.engine import Committed, DataEngine
from nova_objectstore.domain.verification import MISSING, QUARANTINED, SIZE, UNREADABLE, has_size
from nova_objectstore.domain.walk import Found, walk
from nova_objectstore.errors import DataCorrupt, DataMissing, MissingError, StorageFailed
from nova_objectstore.jobs.scrub import damage_of
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.integrity_port import IntegrityStore
from nova_objectstore.types import Bucket, ContentKind
from nova_wsgi import green

BATCH = 200  # names looked up in one native job, or one snapshot
ORPHAN = "orphan"
COUNTERS = "counters"
METADATA = "metadata"  # the database itself
_S = 1_000_000


class Problem(NamedTuple):
    """What does not fit together."""

    kind: str  # metadata | missing | size | unreadable | quarantined | orphan | counters
    bucket_id: int  # 0: of no bucket
    key: str
    version_id: str
    part: int
    ref: str
    size: int  # bytes: that should be there, or of an orphan
    is_repaired: bool = False
    facts: str = ""


class Checker:
    """Looks, and repairs when it is told to. ``check_metadata`` raises StorageFailed for a damaged database; blocking."""

    def __init__(
        self,
        meta: MetadataEngine,
        store: IntegrityStore,
        data: DataEngine,
        *,
        check_metadata: Callable[[], None],
        now_us: Callable[[], int],
    ) -> None:
        self._meta = meta
        self._check_metadata = check_metadata
        self._store = store
        self._data = data
        self._now_us = now_us

    def run(
        self, *, repair: bool, young_s: float, progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[Problem]:
        """Every problem there is. ``progress`` is told the bytes of what was looked up so far."""
        yield from self._check_database()
        yield from self._check_names(repair, progress)
        yield from self._check_files(repair, int(young_s * _S))
        yield from self._check_counters(repair)

    def _check_database(self) -> Iterator[Problem]:
        try:
            green.run_native(self._check_metadata)
        except StorageFailed as error:
            yield Problem(METADATA, 0, "", "", 0, "", 0, False, str(error))

    # -- what the metadata name --------------------------------------------------------------------------------------

    def _check_names(self, repair: bool, progress: Callable[[int], None]) -> Iterator[Problem]:
        size = 0
        everything = walk(self._store)
        while batch := list(islice(everything, BATCH)):
            for found, kind in zip(batch, green.run_native(self._look_up, batch), strict=True):
                size += max(found.size, 0)
                if kind and not (kind == MISSING and not self._store.live_refs([found.content.ref])):
                    yield self._named_problem(found, kind, repair)
            progress(size)

    def _look_up(self, batch: Sequence[Found]) -> list[str]:
        return [self._look_up_one(found) for found in batch]

    def _look_up_one(self, found: Found) -> str:
        content = found.content
        if content.kind is ContentKind.INLINE:
            return "" if content.inline is not None and has_size(found, len(content.inline)) else SIZE
        try:
            reader = self._data.open(content.ref)
        except DataMissing:
            return MISSING
        except DataCorrupt:
            return QUARANTINED
        except StorageFailed:
            return UNREADABLE
        try:
            return "" if has_size(found, reader.size) else SIZE
        finally:
            reader.close()

    def _named_problem(self, found: Found, kind: str, repair: bool) -> Problem:
        damage = damage_of(found, kind, self._now_us())
        if repair and kind != QUARANTINED:
            if kind == SIZE and damage.ref:
                green.run_native(self._data.quarantine, damage.ref)
            self._store.record_damage(damage)
        return Problem(kind, damage.bucket_id, damage.key, damage.version_id, damage.part, damage.ref, damage.size)

    # -- what lies in the data engine --------------------------------------------------------------------------------

    def _check_files(self, repair: bool, young_us: int) -> Iterator[Problem]:
        before_us = self._now_us() - young_us
        files = iter(self._data.list_settled())
        while batch := green.run_native(_take, files):
            named = set(self._meta.known_refs([file.ref for file in batch]))
            for file in batch:
                if file.ref not in named and file.changed_us <= before_us:
                    if repair:
                        green.run_native(self._data.delete, file.ref)
                    yield Problem(ORPHAN, 0, "", "", 0, file.ref, file.size, repair)

    # -- counters ----------------------------------------------------------------------------------------------------

    def _check_counters(self, repair: bool) -> Iterator[Problem]:
        for bucket in list_buckets(self._meta):
            try:
                kept, counted = self._store.compare_usage(bucket.id)
                if kept == counted:
                    continue
                if repair:
                    self._store.rewrite_usage(bucket.id)
            except MissingError:  # deleted meanwhile
                continue
            facts = (
                f"{kept.objects} objects, {kept.bytes} + {kept.part_bytes} bytes; "
                f"counted {counted.objects}, {counted.bytes} + {counted.part_bytes}"
            )
            yield Problem(COUNTERS, bucket.id, "", "", 0, "", counted.bytes, repair, facts)


def list_buckets(meta: MetadataEngine) -> Iterator[Bucket]:
    """The buckets of all accounts."""
    for account in meta.list_accounts():
        after = ""
        while page := meta.list_buckets(account.id, after=after, limit=1000):
            yield from page
            after = page[-1].name


def _take(files: Iterator[Committed]) -> list[Committed]:
    return list(islice(files, BATCH))
