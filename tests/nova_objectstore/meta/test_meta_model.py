"""The whole state machine of versions against a naive twin, by random histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.metadata import OWNER, Metadata

from nova_objectstore.errors import NoSuchKey, NoSuchVersion, PreconditionFailed, StoreError
from nova_objectstore.types import Bucket, ListQuery, Versioning, VersionsQuery, WriteCondition

KEYS = ["a", "b", "b/c"]


@dataclass
class Entry:
    """A version or, without an ETag, a marker."""

    version_id: str
    etag: str | None


@dataclass
class Twin:
    """What AWS documents, in lists: each key's entries, oldest first."""

    versioning: Versioning = Versioning.OFF
    keys: dict[str, list[Entry]] = field(default_factory=lambda: {key: [] for key in KEYS})

    def current(self, key: str) -> Entry | None:
        """The object a plain GET finds."""
        entries = self.keys[key]
        return entries[-1] if entries and entries[-1].etag is not None else None

    def check(self, key: str, condition: WriteCondition) -> None:
        """Raise what a condition raises."""
        current = self.current(key)
        if condition.if_none_match and current is not None:
            raise PreconditionFailed
        if condition.if_match is not None:
            if current is None:
                raise NoSuchKey
            if condition.if_match not in ("*", current.etag):
                raise PreconditionFailed

    def check_delete(self, key: str, condition: WriteCondition) -> None:
        """The same of a DELETE: it is judged by the newest, a marker too; a key without any passes."""
        newest = self.keys[key][-1] if self.keys[key] else None
        if newest is not None and condition.if_match not in (None, "*", newest.etag or ""):
            raise PreconditionFailed

    def add(self, key: str, version_id: str, etag: str | None) -> None:
        """A version or marker comes on top, over what the versioning state replaces."""
        if self.versioning is not Versioning.ENABLED:
            assert version_id == "null"
            self.keys[key] = [entry for entry in self.keys[key] if entry.version_id != "null"]
        self.keys[key].append(Entry(version_id, etag))

    def delete(self, key: str, version_id: str | None) -> None:
        """DELETE without a version id; ``version_id`` is the marker's."""
        if self.versioning is Versioning.OFF:
            self.keys[key] = []
        else:
            assert version_id is not None
            self.add(key, version_id, None)

    def rename(self, source: str, target: str, version_id: str, marker_id: str | None) -> None:
        """The source's newest entry moves."""
        moved = self.keys[source].pop()
        if marker_id is not None:
            self.add(source, marker_id, None)
        self.add(target, version_id, moved.etag)


conditions = st.sampled_from(
    [WriteCondition()] * 4 + [WriteCondition(if_none_match=True), WriteCondition(if_match="*"), "current", "other"]
)
steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), conditions),
    st.tuples(st.just("put"), st.sampled_from(KEYS), conditions),
    st.tuples(st.just("delete"), st.sampled_from(KEYS), conditions),
    st.tuples(st.just("erase"), st.sampled_from(KEYS), st.integers(0, 5)),
    st.tuples(st.just("rename"), st.sampled_from(KEYS), st.sampled_from(KEYS)),
    st.tuples(st.just("versioning"), st.sampled_from([Versioning.ENABLED, Versioning.SUSPENDED]), st.none()),
    st.tuples(st.just("clock"), st.integers(-(10**9), 10**9), st.none()),
)


class History:
    """Runs steps on the engine and on the twin, and compares."""

    def __init__(self, meta: Metadata) -> None:
        self.meta = meta
        self.bucket: Bucket = meta.bucket(f"model-{meta.tick()}-{len(meta.rows('buckets'))}")
        self.twin = Twin()
        self.bodies = 0

    def run(self, verb: str, *args: Any) -> None:
        """One step; an error must be the twin's error too."""
        getattr(self, verb)(*args)
        self.compare()

    def _condition(self, key: str, condition: WriteCondition | str) -> WriteCondition:
        if isinstance(condition, WriteCondition):
            return condition
        current = self.twin.current(key)
        return WriteCondition(if_match=current.etag if current and condition == "current" else "0ther")

    def _both(self, check: Callable[[], None], step: Callable[[], Any]) -> Any:
        expected = _error_of(check)
        if expected is None:
            return step()
        with pytest.raises(expected):
            step()
        return None

    def put(self, key: str, condition: Any) -> None:
        condition = self._condition(key, condition)
        self.bodies += 1
        body = f"body {self.bodies}".encode()
        version = self._both(
            lambda: self.twin.check(key, condition),
            lambda: self.meta.put(self.bucket, key, body, condition=condition),
        )
        if version is not None:
            self.twin.add(key, version.version_id, version.etag)

    def delete(self, key: str, condition: Any) -> None:
        condition = self._condition(key, condition)
        if condition.if_none_match:
            return
        deleted = self._both(
            lambda: self.twin.check_delete(key, condition),
            lambda: self.meta.delete(self.bucket, key, condition=condition),
        )
        does_nothing = condition != WriteCondition() and not self.twin.keys[key]
        if deleted is not None and not does_nothing:
            self.twin.delete(key, deleted.version_id)

    def erase(self, key: str, number: int) -> None:
        entries = self.twin.keys[key]
        version_id = entries[number % len(entries)].version_id if entries else "null"
        deleted = self.meta.erase(self.bucket, key, version_id)
        assert deleted.version_id == version_id
        assert deleted.is_marker == any(e.version_id == version_id and e.etag is None for e in entries)
        self.twin.keys[key] = [entry for entry in entries if entry.version_id != version_id]

    def rename(self, source: str, target: str) -> None:
        missing = self.twin.current(source) is None
        try:
            version = self.meta.engine.rename_object(self.bucket, source, target, now_us=self.meta.tick())
        except NoSuchKey:
            assert missing
            return
        assert not missing
        if source == target:
            return
        marker_id = None
        if self.twin.versioning is not Versioning.OFF:
            try:
                self.meta.engine.get_version(self.bucket.id, source)
            except NoSuchKey as hidden:
                marker_id = hidden.facts["version_id"]
        self.twin.rename(source, target, version.version_id, marker_id)

    def versioning(self, state: Versioning, _: None) -> None:
        self.meta.engine.set_versioning(self.bucket.id, state)
        self.twin.versioning = state

    def clock(self, us: int, _: None) -> None:
        self.meta.now_us += us

    # -- the whole state -----------------------------------------------------------------------------------------------

    def compare(self) -> None:
        """Everything that can be asked."""
        engine, bucket_id = self.meta.engine, self.bucket.id
        page = engine.list_versions(bucket_id, VersionsQuery())
        listed = [(v.key, v.version_id, None if v.is_marker else v.etag, v.is_latest) for v in page.versions]
        assert listed == [
            (key, entry.version_id, entry.etag, entry is entries[-1])
            for key, entries in sorted(self.twin.keys.items())
            for entry in reversed(entries)
        ]
        current = {key: self.twin.current(key) for key in KEYS}
        assert [(version.key, version.etag) for version in engine.list_objects(bucket_id, ListQuery()).versions] == [
            (key, entry.etag) for key, entry in sorted(current.items()) if entry is not None
        ]
        for key in KEYS:
            self._compare_key(key)
        etags = [entry.etag for entries in self.twin.keys.values() for entry in entries if entry.etag is not None]
        assert engine.usage(bucket_id) == (len(etags), sum(len(etag) // 2 for etag in etags))

    def _compare_key(self, key: str) -> None:
        engine, entries, current = self.meta.engine, self.twin.keys[key], self.twin.current(key)
        if current is not None:
            assert engine.get_version(self.bucket.id, key).etag == current.etag
        else:
            facts = {"delete_marker": True, "version_id": entries[-1].version_id} if entries else {}
            with pytest.raises(NoSuchKey) as missing:
                engine.get_version(self.bucket.id, key)
            assert missing.value.facts == {"key": key, **facts}
        for entry in entries:
            version = engine.get_version(self.bucket.id, key, entry.version_id)
            assert version.is_latest == (entry is entries[-1])
            if entry.etag is not None:
                assert version.content.inline == bytes.fromhex(entry.etag)
        if not any(entry.version_id == "null" for entry in entries):
            with pytest.raises(NoSuchVersion):
                engine.get_version(self.bucket.id, key, "null")


def _error_of(step: Callable[[], None]) -> type[StoreError] | None:
    try:
        step()
    except StoreError as error:
        return type(error)
    return None


@settings(max_examples=120, deadline=None)
@given(st.lists(steps, min_size=1, max_size=25))
def test_random_histories_end_as_the_twin_says(shared_meta, history):
    model = History(shared_meta)
    for verb, *args in history:
        model.run(verb, *args)
    for key, entries in model.twin.keys.items():  # and away with it all: nothing may be left behind
        for entry in list(entries):
            shared_meta.erase(model.bucket, key, entry.version_id)
    shared_meta.engine.delete_bucket(model.bucket.id)
    assert OWNER not in {row["owner_id"] for row in shared_meta.rows("objects")}
