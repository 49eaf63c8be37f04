"""The agenda misses nothing: random histories, and after each run what a look at everything would have left."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.metadata import Metadata, new_upload
from support.naive_lifecycle import REMOVE, Entry, configurations, naive_deed, read_bucket

from nova_objectstore.domain.lifecycle.buckets import BucketLifecycles
from nova_objectstore.domain.lifecycle.configuration import (
    Configuration,
    Expiration,
    Filter,
    NoncurrentExpiration,
    Predicates,
    Rule,
)
from nova_objectstore.domain.lifecycle.day import Day
from nova_objectstore.jobs.lifecycle import LifecycleJob
from nova_objectstore.meta.lifecycle_port import LookKind, Subject
from nova_objectstore.types import NOTHING, Bucket, UploadsQuery, Version, Versioning, VersionsQuery

KEYS = ["a", "b", "b/c"]
DAY = Day.of_seconds(100)
TAGS = [{}, {"colour": "red"}, {"colour": "blue", "size": "big"}]
START_US = 1_700_000_000_000_000


class NoMover:
    def move(self, bucket: Bucket, version: Version, storage_class: str) -> Version | None:
        raise AssertionError("these rules have no transitions")


steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS), st.sampled_from(TAGS), st.sampled_from([0, 3, 50])),
    st.tuples(st.just("put"), st.sampled_from(KEYS), st.sampled_from(TAGS), st.sampled_from([0, 3, 50])),
    st.tuples(st.just("hide"), st.sampled_from(KEYS)),
    st.tuples(st.just("erase"), st.sampled_from(KEYS), st.integers(0, 5)),
    st.tuples(st.just("tag"), st.sampled_from(KEYS), st.integers(0, 5), st.sampled_from(TAGS)),
    st.tuples(st.just("rename"), st.sampled_from(KEYS), st.sampled_from(KEYS)),
    st.tuples(st.just("begin"), st.sampled_from(KEYS)),
    st.tuples(st.just("versioning"), st.sampled_from([Versioning.ENABLED, Versioning.SUSPENDED])),
    st.tuples(st.just("wait"), st.integers(1, 500)),
    st.tuples(st.just("rules"), st.integers(0, 2)),
    st.tuples(st.just("run")),
    st.tuples(st.just("run")),
    st.tuples(st.just("forget")),
)


class Bucketful:
    """A bucket that goes through a history, and its lifecycle."""

    def __init__(self, meta: Metadata, rules: list[Configuration]) -> None:
        self.meta = meta
        meta.now_us = max(meta.now_us, START_US) + 10**9
        self.bucket = meta.bucket(f"lifecycle-{len(meta.rows('buckets'))}-{meta.tick()}")
        self.rules = rules
        self.lifecycles = BucketLifecycles(meta.engine, day=DAY)
        self.job = LifecycleJob(meta.engine, self.lifecycles, NoMover(), now_us=lambda: meta.now_us)
        self.uploads = 0

    def do(self, verb: str, *args: Any) -> None:
        getattr(self, verb)(*args)

    def put(self, key: str, tags: dict[str, str], size: int) -> None:
        self.meta.put(self.bucket, key, b"x" * size, tags=tags)

    def hide(self, key: str) -> None:
        self.meta.delete(self.bucket, key)

    def erase(self, key: str, number: int) -> None:
        line = [version for version in self.versions() if version.key == key]
        if line:
            self.meta.erase(self.bucket, key, line[number % len(line)].version_id)

    def tag(self, key: str, number: int, tags: dict[str, str]) -> None:
        line = [version for version in self.versions() if version.key == key and not version.is_marker]
        if line:
            self.meta.engine.set_tags(self.bucket.id, key, line[number % len(line)].version_id, tags)

    def rename(self, source: str, target: str) -> None:
        if any(version.key == source and version.is_latest and not version.is_marker for version in self.versions()):
            self.meta.engine.rename_object(self.bucket, source, target, now_us=self.meta.tick())

    def begin(self, key: str) -> None:
        self.uploads += 1
        upload = new_upload(self.bucket, key, f"{self.bucket.id}-{self.uploads}", now_us=self.meta.tick())
        self.meta.engine.begin_upload(self.bucket, upload)

    def versioning(self, state: Versioning) -> None:
        self.meta.engine.set_versioning(self.bucket.id, state)
        self.bucket = self.meta.engine.find_bucket(self.bucket.name)

    def wait(self, seconds: int) -> None:
        self.meta.tick(seconds * 1_000_000)

    def forget(self) -> None:
        self.lifecycles.delete(self.bucket)

    # (name clash with the strategy's word: the rules that hold from now on)
    def set_rules(self, number: int) -> None:
        self.lifecycles.put(self.bucket, self.rules[number % len(self.rules)])

    def versions(self) -> list[Version]:
        return list(self.meta.engine.list_versions(self.bucket.id, VersionsQuery()).versions)

    def run(self) -> None:
        """Run the lifecycle, and compare with what looking at everything says."""
        expected = self.expected()
        left_uploads = self.expected_uploads()
        self.job.run()
        found = [(version.key, self.name_of(version), version.is_marker) for version in self.versions()]
        assert found == [(version.key, self.name_of(version), version.is_marker) for version in expected]
        page = self.meta.engine.list_uploads(self.bucket.id, UploadsQuery())
        assert [upload.upload_id for upload in page.uploads] == left_uploads
        rows = [row for row in self.meta.rows("lifecycle_agenda") if row["bucket_id"] == self.bucket.id]
        assert all(row["due_us"] > self.meta.now_us for row in rows), "nothing that is due is left"
        if self.configuration() is None:
            assert rows == []

    def name_of(self, version: Version) -> str:
        """A version's id; markers that the lifecycle makes have one that cannot be foretold."""
        return "a new marker" if version.modified_us == self.meta.now_us else version.version_id

    def configuration(self) -> Configuration | None:
        return self.lifecycles.get(self.bucket)

    def expected(self) -> list[Version]:
        """Look at everything, do what is due as all of it stands now, and again, until there is nothing to do.

        What one rule removes still counts among the newer ones of another: both were due at the same moment.
        """
        versions, configuration = self.versions(), self.configuration()
        while configuration is not None:
            due = [entry for entry in read_bucket(versions) if self.is_removed(configuration, entry)]
            if not due:
                break
            for entry in due:
                versions = self.without(versions, entry)
        return versions

    def is_removed(self, configuration: Configuration, entry: Entry) -> bool:
        return entry.subject is not None and (naive_deed(configuration, DAY, entry.subject, self.meta.now_us) == REMOVE)

    def without(self, versions: list[Version], entry: Entry) -> list[Version]:
        gone = entry.version
        versioning = self.meta.engine.find_bucket(self.bucket.name).versioning
        assert entry.subject is not None
        at = versions.index(gone)
        if entry.subject.kind is not LookKind.CURRENT or versioning is Versioning.OFF:
            return versions[:at] + versions[at + 1 :]
        is_null = versioning is Versioning.SUSPENDED
        marker = gone._replace(
            version_id="null" if is_null else "new", sequence=max(self.meta.now_us, gone.sequence + 1),
            modified_us=self.meta.now_us, content=NOTHING, size=0, tags={},
        )  # fmt: skip
        kept = [
            version
            for version in versions
            if not (is_null and version.key == gone.key and version.version_id == "null")
        ]
        at = next((n for n, version in enumerate(kept) if version.key >= gone.key), len(kept))
        return [*kept[:at], marker, *kept[at:]]

    def expected_uploads(self) -> list[str]:
        configuration = self.configuration()
        left = []
        for upload in self.meta.engine.list_uploads(self.bucket.id, UploadsQuery()).uploads:
            subject = Subject(LookKind.UPLOAD, upload.key, -1, upload.initiated_us, upload=upload)
            if configuration is None or naive_deed(configuration, DAY, subject, self.meta.now_us) is None:
                left.append(upload.upload_id)
        return left


days = st.integers(1, 3)
dates = st.integers(-2000, 2000).map(lambda passed: START_US + passed * 1_000_000)

ANY = Filter(Predicates())
RED = Filter(Predicates(tags=(("colour", "red"),)))
TYPICAL = [
    {"expiration": Expiration(days=2)},
    {"expiration": Expiration(days=1), "filter": RED},
    {"expiration": Expiration(markers=True)},
    {"noncurrent_expiration": NoncurrentExpiration(1)},
    {"noncurrent_expiration": NoncurrentExpiration(1), "filter": RED},
    {"noncurrent_expiration": NoncurrentExpiration(1, newer=1)},
    {"noncurrent_expiration": NoncurrentExpiration(2, newer=2)},
    {"abort_days": 1},
]


def typical_rules(chosen: list[dict[str, Any]]) -> Configuration:
    """Rules as people have them: whole buckets, one thing each."""
    rules = [Rule(f"rule-{number}", True, **{"filter": ANY, **facts}) for number, facts in enumerate(chosen)]
    return Configuration(tuple(rules))


typical = st.lists(st.sampled_from(TYPICAL), min_size=1, max_size=2).map(typical_rules)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(typical | configurations(days=days, dates=dates), min_size=1, max_size=3),
    st.booleans(),
    st.lists(steps, min_size=5, max_size=40),
)
def test_runs_leave_what_a_look_at_everything_would(shared_meta, rules, versioned, history):
    bucketful = Bucketful(shared_meta, rules)
    if versioned:
        bucketful.versioning(Versioning.ENABLED)
    bucketful.set_rules(0)
    bucketful.run()  # the walk is over before anything is there: what is found later, the writes have entered
    for verb, *args in [*history, ("run",), ("wait", 450), ("run",), ("wait", 450), ("run",)]:
        bucketful.do("set_rules" if verb == "rules" else verb, *args)
