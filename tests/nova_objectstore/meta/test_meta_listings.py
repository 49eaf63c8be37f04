"""Listings, against slow and obvious twins, and what they read."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.metadata import OWNER, new_upload

from nova_objectstore.domain.storage_classes import STANDARD
from nova_objectstore.meta.sql import listings
from nova_objectstore.types import (
    Checksum,
    Listed,
    ListQuery,
    UploadsQuery,
    Version,
    Versioning,
    VersionsQuery,
)

# Characters around every edge of UTF-8, and few others, so that prefixes and delimiters meet.
ALPHABET = "ab/\n\x7f\u0800\ud7ff\ue000\uffff\U0001f600\U0010ffff"
keys = st.text(st.sampled_from(ALPHABET), min_size=1, max_size=5)
prefixes = st.one_of(st.just(""), st.text(st.sampled_from(ALPHABET), max_size=3))
PAGES_MAX = 2000  # a listing that never ends is a fault, not a test that hangs
delimiters = st.sampled_from(["", "/", "a", "ab", "//", "/a/", "\U0010ffff", "\uffff", "none"])


def shown(version: Version) -> Listed:
    """What a listing is to show of a version."""
    facts = {name: getattr(version, name) for name in Listed._fields if not name.startswith("checksum")}
    if version.storage_class == STANDARD:
        facts["storage_class"] = None
    algorithm, kind = version.checksum[:2] if version.checksum else (None, None)
    return Listed(**facts, checksum_algorithm=algorithm, checksum_type=kind)


# -- the twins ---------------------------------------------------------------------------------------------------------


def roll_up(names: Iterable[str], prefix: str, delimiter: str) -> list[tuple[str, bool]]:
    """(name, whether it is a common prefix) of everything listed, in order, without pages."""
    listed: list[tuple[str, bool]] = []
    for name in names:
        if not name.startswith(prefix):
            continue
        head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        entry = (prefix + head + delimiter, True) if found else (name, False)
        if not found or entry not in listed:
            listed.append(entry)
    return listed


def by_bytes(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: name.encode())


def pages(meta, bucket, limit: int, **query) -> list[list[tuple[str, bool]]]:
    """Every page of a listing, its keys and common prefixes merged."""
    found: list[list[tuple[str, bool]]] = []
    after = ""
    while True:
        page = meta.engine.list_objects(bucket.id, ListQuery(after=after, limit=limit, **query))
        assert [version.key for version in page.versions] == by_bytes(version.key for version in page.versions)
        assert list(page.common_prefixes) == by_bytes(page.common_prefixes)
        entries = [(version.key, False) for version in page.versions] + [(name, True) for name in page.common_prefixes]
        found.append(sorted(entries, key=lambda entry: entry[0].encode()))
        if page.next_after is None:
            return found
        assert found[-1][-1][0] == page.next_after
        assert len(found[-1]) == limit
        assert len(found) < PAGES_MAX
        after = page.next_after


@settings(max_examples=150, deadline=None)
@given(st.sets(keys, max_size=25), prefixes, delimiters, st.integers(1, 7), keys)
@example({"a/", "a/b", "a"}, "", "/", 1, "a/")
@example({"\U0010ffff", "\U0010ffff\U0010ffff", "\uffff"}, "\U0010ffff", "", 1, "a")
def test_pages_of_keys_are_those_of_the_twin(shared_meta, names, prefix, delimiter, limit, after):
    bucket = shared_meta.bucket(f"keys-{shared_meta.tick()}")
    for name in names:
        shared_meta.put(bucket, name)

    found = pages(shared_meta, bucket, limit, prefix=prefix, delimiter=delimiter)

    expected = roll_up(by_bytes(names), prefix, delimiter)
    assert [entry for page in found for entry in page] == expected
    assert len(found) == max(1, -(-len(expected) // limit))

    page = shared_meta.engine.list_objects(bucket.id, ListQuery(prefix, delimiter, after))
    seen = after if delimiter and (after, True) in expected else None
    later = (name for name in by_bytes(names) if name > after and not (seen and name.startswith(seen)))
    entries = {(version.key, False) for version in page.versions} | {(name, True) for name in page.common_prefixes}
    assert entries == set(roll_up(later, prefix, delimiter))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(keys, st.booleans()), max_size=25),
    st.integers(0, 25),
    prefixes,
    delimiters,
    st.integers(1, 5),
)
def test_pages_of_versions_are_those_of_the_twin(shared_meta, writes, unversioned, prefix, delimiter, limit):
    bucket = shared_meta.bucket(f"versions-{shared_meta.tick()}")
    history: dict[str, list[tuple[str, bool]]] = {}  # key -> (version id, marker), newest first
    for number, (key, is_put) in enumerate(writes):
        if number == unversioned:
            shared_meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
        done = shared_meta.put(bucket, key) if is_put else shared_meta.delete(bucket, key)
        if number < unversioned:
            history.pop(key, None)
        if is_put or number >= unversioned:
            history.setdefault(key, []).insert(0, (done.version_id, not is_put))

    found: list[tuple[str, str | None]] = []
    next_key: str | None = ""
    next_id: str | None = ""
    while next_key is not None:
        query = VersionsQuery(prefix, delimiter, next_key, next_id or "", limit)
        page = shared_meta.engine.list_versions(bucket.id, query)
        entries: list[tuple[str, str | None]] = [(name, None) for name in page.common_prefixes]
        entries += [(version.key, version.version_id) for version in page.versions]
        found += sorted(entries, key=lambda entry: entry[0].encode())  # stable: versions of a key stay in order
        for version in page.versions:
            position = history[version.key].index((version.version_id, version.is_marker))
            assert version.is_latest == (position == 0)
        next_key, next_id = page.next_key, page.next_version_id
        assert len(found) < PAGES_MAX
        assert (next_key is None) == (next_id is None)
        assert len(entries) == limit or next_key is None

    expected: list[tuple[str, str | None]] = []
    for name, is_group in roll_up(by_bytes(history), prefix, delimiter):
        expected += [(name, None)] if is_group else [(name, version_id) for version_id, _ in history[name]]
    assert found == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(keys, max_size=20), prefixes, delimiters, st.integers(1, 4))
def test_pages_of_uploads_are_those_of_the_twin(shared_meta, names, prefix, delimiter, limit):
    bucket = shared_meta.bucket(f"uploads-{shared_meta.tick()}")
    uploads: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        upload_id = f"{bucket.id}-{number % 3}-{number}"
        upload = new_upload(bucket, name, upload_id, now_us=shared_meta.tick())
        shared_meta.engine.begin_upload(bucket, upload)
        uploads.setdefault(name, []).append(upload_id)

    found: list[tuple[str, str | None]] = []
    next_key: str | None = ""
    next_id: str | None = ""
    while next_key is not None:
        query = UploadsQuery(prefix, delimiter, next_key, next_id or "", limit)
        page = shared_meta.engine.list_uploads(bucket.id, query)
        entries: list[tuple[str, str | None]] = [(name, None) for name in page.common_prefixes]
        entries += [(upload.key, upload.upload_id) for upload in page.uploads]
        found += sorted(entries, key=lambda entry: entry[0].encode())
        next_key, next_id = page.next_key, page.next_upload_id
        assert len(found) < PAGES_MAX

    expected: list[tuple[str, str | None]] = []
    for name, is_group in roll_up(by_bytes(uploads), prefix, delimiter):
        expected += [(name, None)] if is_group else [(name, upload_id) for upload_id in uploads[name]]
    assert found == expected


# -- stories -----------------------------------------------------------------------------------------------------------


def test_a_listed_object_is_the_object_without_its_bytes(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    meta.put(bucket, "k", b"old", tags={"a": "b"}, headers={"Content-Type": "x"}, storage_class="GLACIER")
    new = meta.put(bucket, "k", b"new", tags={"c": "d"}, extra={"e": "f"})

    (listed,) = meta.engine.list_objects(bucket.id, ListQuery()).versions
    versions = meta.engine.list_versions(bucket.id, VersionsQuery()).versions

    current = meta.engine.get_version(bucket.id, "k", inline=False)
    assert versions[0] == current
    assert current._replace(content=new.content) == new
    assert listed == shown(current)
    assert versions[1] == meta.engine.get_version(bucket.id, "k", versions[1].version_id, inline=False)


def test_a_listed_object_has_its_class_and_kind_of_checksum(meta):
    bucket = meta.bucket()
    checksum = Checksum("CRC32", "COMPOSITE", "AAAAAA==-2")
    stored = [meta.put(bucket, "a", storage_class="GLACIER"), meta.put(bucket, "b", checksum=checksum)]

    page = meta.engine.list_objects(bucket.id, ListQuery())

    assert page.versions == [shown(version) for version in stored]
    assert [row[-3:] for row in page.rows] == [("GLACIER", None, None), (None, "CRC32", "COMPOSITE")]


def test_hidden_keys_are_not_listed(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    meta.put(bucket, "a")
    meta.put(bucket, "b/1")
    meta.put(bucket, "c")
    meta.delete(bucket, "a")
    meta.delete(bucket, "b/1")

    page = meta.engine.list_objects(bucket.id, ListQuery(delimiter="/"))

    assert ([version.key for version in page.versions], page.common_prefixes, page.next_after) == (["c"], [], None)
    all_versions = meta.engine.list_versions(bucket.id, VersionsQuery(delimiter="/"))
    assert [(version.key, version.is_marker) for version in all_versions.versions] == [
        ("a", True),
        ("a", False),
        ("c", False),
    ]
    assert all_versions.common_prefixes == ["b/"]


def test_a_page_of_nothing_is_not_truncated(meta):
    bucket = meta.bucket()
    meta.put(bucket, "k")

    assert meta.engine.list_objects(bucket.id, ListQuery(limit=0)) == ([], [], None)
    assert meta.engine.list_versions(bucket.id, VersionsQuery(limit=0)) == ([], [], None, None)
    assert meta.engine.list_objects(bucket.id + 1, ListQuery()) == ([], [], None)


def test_buckets_do_not_see_each_others_keys(meta):
    first, second = meta.bucket("first", Versioning.ENABLED), meta.bucket("second", Versioning.ENABLED)
    for bucket, key in ((first, "a"), (second, "b"), (first, "c")):
        meta.put(bucket, key)
        meta.put(bucket, key)

    assert [version.key for version in meta.engine.list_objects(first.id, ListQuery()).versions] == ["a", "c"]
    assert [version.key for version in meta.engine.list_versions(second.id, VersionsQuery()).versions] == ["b", "b"]


def listed_behind(meta, bucket, key: str, version_id: str) -> list[Version]:
    query = VersionsQuery(after=key, version_id_after=version_id)
    return list(meta.engine.list_versions(bucket.id, query).versions)


def test_versions_go_on_behind_a_version_that_has_gone(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    versions = [meta.put(bucket, "k", body) for body in (b"1", b"2", b"3", b"4")]
    gone = versions[2].version_id
    meta.erase(bucket, "k", gone)

    assert [version.etag for version in listed_behind(meta, bucket, "k", gone)] == [b"2".hex(), b"1".hex()]

    gone = versions[3].version_id
    meta.erase(bucket, "k", gone)
    rest = listed_behind(meta, bucket, "k", gone)
    assert [(version.etag, version.is_latest) for version in rest] == [(b"2".hex(), True), (b"1".hex(), False)]


def test_versions_begin_anew_behind_a_null_version_that_has_gone(meta):
    bucket = meta.bucket()
    meta.put(bucket, "k", b"null")
    meta.engine.set_versioning(bucket.id, Versioning.ENABLED)
    meta.put(bucket, "k", b"2")
    meta.put(bucket, "l", b"3")
    assert [version.key for version in listed_behind(meta, bucket, "k", "null")] == ["l"]

    meta.erase(bucket, "k", "null")

    assert [version.key for version in listed_behind(meta, bucket, "k", "null")] == ["k", "l"]
    assert [version.key for version in listed_behind(meta, bucket, "k", "no id of ours")] == ["k", "l"]


def test_a_version_marker_before_the_prefix_says_nothing(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    first = meta.put(bucket, "a")
    meta.put(bucket, "b")

    query = VersionsQuery(prefix="b", after="a", version_id_after=first.version_id)

    assert [version.key for version in meta.engine.list_versions(bucket.id, query).versions] == ["b"]


# -- what a walk reads -------------------------------------------------------------------------------------------------


class CountedSource:
    """Rows of a sorted list of keys, and how often and how many were read."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.seeks = 0
        self.read_rows = 0

    def source(self) -> listings.Source:
        return listings.Source(self._read, lambda row: (row[1],), lambda key: (key,))

    def _read(self, position: listings.Position, limit: int) -> list[tuple[int, str]]:
        found = [(1, name) for name in self.names if name > position[0]][:limit]
        self.seeks += 1
        self.read_rows += len(found)
        return found


@pytest.mark.parametrize(
    ("names", "limit", "seeks_max", "rows_max"),
    [
        ([f"{group}/{number:05}" for group in range(10) for number in range(2000)], 1000, 12, 100),
        ([f"{number:05}/x" for number in range(3000)], 1000, 12, 1400),
        ([f"{number:05}" for number in range(3000)], 1000, 12, 1400),
        ([f"{number:05}/{part}" for number in range(1000) for part in range(3)], 500, 200, 3200),
        ([f"a/{number:05}" for number in range(5000)] + ["b"], 1000, 3, 30),
    ],
    ids=["few large groups", "groups of one", "no groups", "small groups", "one group"],
)
def test_a_walk_reads_about_what_it_returns(names, limit, seeks_max, rows_max):
    counted = CountedSource(names)

    walked = listings.walk(counted.source(), ("",), prefix="", delimiter="/", limit=limit)

    expected = roll_up(names, "", "/")[:limit]
    assert len(walked.rows) + len(walked.common_prefixes) == len(expected)
    assert counted.seeks <= seeks_max
    assert counted.read_rows <= rows_max


def test_a_large_bucket_is_listed_in_whole_pages(meta):
    bucket = meta.bucket()
    names = [f"{number % 7}/{number:06}" for number in range(5000)]
    facts = {"sequence": 1, "version_id": "null", "size": 0, "etag": "e", "modified_us": 1, "owner_id": OWNER}
    facts |= {"parts_count": 0, "kind": 1, "retain_until_us": 0, "legal_hold": 0}
    meta.insert("objects", [{"bucket_id": bucket.id, "key": name, "ref": name, **facts} for name in names])
    meta.insert("bucket_usage", [{"bucket_id": bucket.id, "objects": len(names), "bytes": 0}])

    found = pages(meta, bucket, 1000)
    grouped = pages(meta, bucket, 3, delimiter="/")

    assert [len(page) for page in found] == [1000] * 5
    assert [name for page in found for name, _ in page] == sorted(names)
    assert [len(page) for page in grouped] == [3, 3, 1]
