"""The port of lifecycles: the agenda is kept by every write, and what was decided is done if it is still so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.metadata import OWNER, Metadata, new_part

from nova_objectstore.errors import NoSuchBucket, NoSuchDocument, NoSuchKey, NoSuchUpload
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.meta.lifecycle_port import (
    DOCUMENT,
    Decision,
    Look,
    LookKind,
    Outcome,
    Subject,
)
from nova_objectstore.types import Bucket, Lock, NewVersion, Versioning, VersionsQuery

CURRENT, NONCURRENT, MARKER, UPLOAD = LookKind.CURRENT, LookKind.NONCURRENT, LookKind.MARKER, LookKind.UPLOAD
S = 1_000_000
RULES = b"the rules"
FOREVER = 1 << 62


def rules(meta: Metadata, bucket: Bucket, *looks: Look, document: bytes = RULES) -> None:
    meta.engine.put_lifecycle(bucket.id, document, looks)
    while meta.engine.walk_lifecycle(bucket.id):
        pass


def agenda(meta: Metadata, bucket: Bucket) -> list[tuple[str, int, int]]:
    rows = [row for row in meta.rows("lifecycle_agenda") if row["bucket_id"] == bucket.id]
    return sorted((row["key"], row["number"], row["due_us"]) for row in rows)


def due(meta: Metadata, bucket: Bucket, now_us: int = FOREVER) -> Sequence[Subject]:
    found = meta.engine.list_due(bucket.id, now_us=now_us)
    assert found is not None
    return found.subjects


def generation(meta: Metadata, bucket: Bucket) -> int:
    stored = meta.engine.get_lifecycle(bucket.id)
    assert stored is not None
    return stored.generation


def apply(meta: Metadata, bucket: Bucket, *decisions: Decision) -> list[Outcome]:
    done = meta.engine.apply_decisions(bucket, generation(meta, bucket), decisions, now_us=meta.tick())
    return [applied.outcome for applied in done]


# -- rules -------------------------------------------------------------------------------------------------------------


def test_rules_are_stored_and_removed(meta):
    bucket = meta.bucket()
    assert meta.engine.get_lifecycle(bucket.id) is None
    looks = [Look(CURRENT, after_us=S, prefix="a", tags=(("k", "v"),), size_over=3), Look(UPLOAD, not_before_us=9)]
    epoch = meta.engine.epoch()
    meta.engine.put_lifecycle(bucket.id, RULES, looks)
    assert meta.engine.epoch() > epoch
    changed = meta.engine.find_bucket(bucket.name)
    assert changed.revision > bucket.revision
    assert meta.engine.get_lifecycle(bucket.id) == (changed.revision, RULES, tuple(looks))
    assert meta.engine.get_document(bucket.id, DOCUMENT) == RULES
    meta.engine.delete_lifecycle(bucket.id)
    assert meta.engine.get_lifecycle(bucket.id) is None
    with pytest.raises(NoSuchDocument):
        meta.engine.get_document(bucket.id, DOCUMENT)
    meta.engine.delete_lifecycle(bucket.id)
    with pytest.raises(NoSuchBucket):
        meta.engine.put_lifecycle(bucket.id + 1, RULES, looks)


def test_the_same_rules_again_change_nothing(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(CURRENT))
    before = meta.engine.find_bucket(bucket.name)
    meta.engine.put_lifecycle(bucket.id, RULES, [Look(CURRENT)])
    assert meta.engine.find_bucket(bucket.name) == before
    assert not meta.engine.walk_lifecycle(bucket.id)


def test_a_bucket_without_rules_has_no_agenda(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    meta.put(bucket, "a")
    meta.put(bucket, "a")
    meta.delete(bucket, "a")
    meta.begin(bucket, "b", "u1")
    assert meta.rows("lifecycle_agenda") == []
    assert meta.engine.list_due(bucket.id, now_us=FOREVER) is None
    assert meta.engine.list_lifecycle_work(now_us=FOREVER) == []


def test_rules_that_are_removed_leave_rows_to_be_cleared_away(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(CURRENT))
    for number in range(5):
        meta.put(bucket, f"key-{number}")
    meta.engine.delete_lifecycle(bucket.id)
    meta.put(bucket, "later")
    assert len(agenda(meta, bucket)) == 5
    (work,) = meta.engine.list_lifecycle_work(now_us=0)
    assert (work.bucket_id, work.walks) == (bucket.id, True)
    assert meta.engine.walk_lifecycle(bucket.id, limit=3)
    assert not meta.engine.walk_lifecycle(bucket.id, limit=3)
    assert agenda(meta, bucket) == []
    assert meta.engine.list_lifecycle_work(now_us=FOREVER) == []


def test_a_deleted_bucket_leaves_nothing(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(CURRENT), Look(UPLOAD))
    meta.begin(bucket, "a", "u1")
    meta.engine.delete_bucket(bucket.id)
    (work,) = meta.engine.list_lifecycle_work(now_us=0)
    assert (work.bucket_id, work.bucket, work.walks) == (bucket.id, None, True)
    assert not meta.engine.walk_lifecycle(bucket.id)
    assert agenda(meta, bucket) == []
    assert meta.rows("lifecycle_buckets") == []


# -- kept by writes ----------------------------------------------------------------------------------------------------


def test_a_write_is_entered_with_its_time(meta):
    bucket = meta.bucket()
    rules(
        meta, bucket, Look(CURRENT, after_us=10 * S, prefix="logs/"), Look(CURRENT, after_us=5 * S, tags=(("k", "v"),))
    )
    plain = meta.put(bucket, "logs/a")
    tagged = meta.put(bucket, "logs/b", tags={"k": "v"})
    meta.put(bucket, "other")
    assert agenda(meta, bucket) == [
        ("logs/a", plain.sequence, plain.modified_us + 10 * S),
        ("logs/b", tagged.sequence, tagged.modified_us + 5 * S),
    ]
    again = meta.put(bucket, "logs/a")
    meta.engine.set_tags(bucket.id, "logs/b", None, {})
    assert agenda(meta, bucket) == [
        ("logs/a", again.sequence, again.modified_us + 10 * S),
        ("logs/b", tagged.sequence, tagged.modified_us + 10 * S),
    ]
    meta.delete(bucket, "logs/a")
    assert [key for key, _, _ in agenda(meta, bucket)] == ["logs/b"]


def test_times_are_rounded_up(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(CURRENT, after_us=10 * S, round_us=100 * S))
    version = meta.put(bucket, "a")
    ((_, _, due_us),) = agenda(meta, bucket)
    assert due_us % (100 * S) == 0
    assert 0 <= due_us - version.modified_us - 10 * S < 100 * S


def test_a_version_is_noncurrent_from_its_successor_on(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    rules(meta, bucket, Look(NONCURRENT, after_us=10 * S))
    first = meta.put(bucket, "a")
    assert agenda(meta, bucket) == []
    second = meta.put(bucket, "a")
    meta.delete(bucket, "a")
    marker = meta.engine.list_versions(bucket.id, VersionsQuery()).versions[0]
    assert agenda(meta, bucket) == [
        ("a", first.sequence, second.modified_us + 10 * S),
        ("a", second.sequence, marker.modified_us + 10 * S),
    ]
    subjects = due(meta, bucket)
    assert [(found.kind, found.number, found.since_us, found.newer) for found in subjects] == [
        (NONCURRENT, first.sequence, second.sequence, 1),
        (NONCURRENT, second.sequence, marker.sequence, 0),
    ]


def test_shown_again_a_version_is_current(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    rules(meta, bucket, Look(CURRENT, after_us=10 * S), Look(NONCURRENT, after_us=1000 * S))
    version = meta.put(bucket, "a")
    deleted = meta.delete(bucket, "a")
    meta.erase(bucket, "a", deleted.version_id)
    assert agenda(meta, bucket) == [("a", version.sequence, version.modified_us + 10 * S)]


def test_a_marker_is_entered_when_it_is_alone(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    rules(meta, bucket, Look(MARKER))
    version = meta.put(bucket, "a")
    meta.delete(bucket, "a")
    assert agenda(meta, bucket) == []
    meta.erase(bucket, "a", version.version_id)
    (subject,) = due(meta, bucket)
    assert (subject.kind, subject.version.is_marker) == (MARKER, True)
    meta.delete(bucket, "never there")
    assert [found.key for found in due(meta, bucket)] == ["a", "never there"]
    meta.put(bucket, "a")
    assert [found.key for found in due(meta, bucket) if found.kind is MARKER] == ["never there"]


def test_enough_newer_versions_make_an_older_one_due(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    rules(meta, bucket, Look(NONCURRENT, after_us=S, newer=2))
    versions = [meta.put(bucket, "a") for _ in range(3)]
    assert agenda(meta, bucket) == [], "of two noncurrent versions none has two newer ones"
    meta.put(bucket, "a")
    assert [(found.number, found.newer) for found in due(meta, bucket)] == [(versions[0].sequence, 2)]
    meta.put(bucket, "a")
    assert [(found.number, found.newer) for found in due(meta, bucket)] == [
        (versions[0].sequence, 3),
        (versions[1].sequence, 2),
    ]


def test_uploads_are_entered_until_they_end(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(UPLOAD, after_us=10 * S))
    uploads = [meta.begin(bucket, "a", f"u{number}") for number in range(3)]
    assert [found.upload for found in due(meta, bucket)] == uploads
    assert [due_us for _, _, due_us in agenda(meta, bucket)][::-1] == [up.initiated_us + 10 * S for up in uploads]
    meta.engine.abort_upload(bucket.id, "a", "u0")
    part = new_part(1)
    meta.engine.put_part(bucket.id, "a", "u1", part)
    version = NewVersion("a", 10, "etag", meta.tick(), OWNER, part.content)
    meta.engine.complete_upload(bucket, Assembly("u1", [part], version))
    assert [found.upload.upload_id for found in due(meta, bucket)] == ["u2"]


def test_renames_take_the_row_along(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(CURRENT, after_us=10 * S))
    version = meta.put(bucket, "a")
    moved = meta.engine.rename_object(bucket, "a", "b", now_us=meta.tick())
    assert agenda(meta, bucket) == [("b", moved.sequence, version.modified_us + 10 * S)]


# -- the walk ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_a_walk_enters_what_was_there_before(meta, limit):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    for key in ("a", "b", "c"):
        for _ in range(3):
            meta.put(bucket, key)
    meta.delete(bucket, "c")
    meta.delete(bucket, "d")
    meta.begin(bucket, "a", "u1")
    meta.begin(bucket, "a", "u2")
    meta.begin(bucket, "b", "u3")
    looks = [Look(CURRENT), Look(NONCURRENT, newer=1), Look(MARKER), Look(UPLOAD)]
    meta.engine.put_lifecycle(bucket.id, RULES, looks)
    while meta.engine.walk_lifecycle(bucket.id, limit=limit):
        pass
    found = [(subject.kind.name, subject.key) for subject in due(meta, bucket)]
    assert sorted(found) == [
        ("CURRENT", "a"), ("CURRENT", "b"),
        ("MARKER", "d"),
        ("NONCURRENT", "a"), ("NONCURRENT", "b"), ("NONCURRENT", "c"), ("NONCURRENT", "c"),
        ("UPLOAD", "a"), ("UPLOAD", "a"), ("UPLOAD", "b"),
    ]  # fmt: skip


def test_new_rules_are_walked_from_the_beginning(meta):
    bucket = meta.bucket()
    for number in range(5):
        meta.put(bucket, f"key-{number}")
    meta.engine.put_lifecycle(bucket.id, b"one", [Look(CURRENT, prefix="key-4")])
    assert meta.engine.walk_lifecycle(bucket.id, limit=3)
    rules(meta, bucket, Look(CURRENT, prefix="key-1"), document=b"two")
    assert [found.key for found in due(meta, bucket)] == ["key-1"]


def test_looks_that_came_too_late_are_not_put(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(CURRENT, after_us=S))
    was = generation(meta, bucket)
    meta.engine.put_looks(bucket.id, was, [Look(CURRENT, after_us=2 * S)])
    assert meta.engine.walk_lifecycle(bucket.id)
    rules(meta, bucket, Look(CURRENT, after_us=3 * S), document=b"two")
    meta.engine.put_looks(bucket.id, was, [Look(CURRENT, after_us=4 * S)])
    assert meta.engine.get_lifecycle(bucket.id).looks == (Look(CURRENT, after_us=3 * S),)


# -- doing it ----------------------------------------------------------------------------------------------------------


def test_objects_are_removed_or_hidden(meta):
    plain, versioned = meta.bucket("plain"), meta.bucket("versioned", Versioning.ENABLED)
    for bucket in (plain, versioned):
        rules(meta, bucket, Look(CURRENT))
        meta.put_data(bucket, "a", ref=f"ref-{bucket.name}")
        assert apply(meta, bucket, *[Decision(subject, removes=True) for subject in due(meta, bucket)]) == [
            Outcome.REMOVED
        ]
        with pytest.raises(NoSuchKey) as missing:
            meta.engine.get_version(bucket.id, "a")
        assert ("delete_marker" in missing.value.facts) == (bucket is versioned)
        assert agenda(meta, bucket) == []
    assert meta.garbage() == ["ref-plain"]
    (marker, _) = meta.engine.list_versions(versioned.id, VersionsQuery()).versions
    assert marker.owner_id == OWNER


def test_versions_markers_and_uploads_go_for_good(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    rules(meta, bucket, Look(NONCURRENT), Look(MARKER), Look(UPLOAD))
    meta.put_data(bucket, "a", ref="one")
    meta.delete(bucket, "a")
    meta.begin(bucket, "b", "u1")
    meta.engine.put_part(bucket.id, "b", "u1", new_part(1))
    decisions = [Decision(subject, removes=True) for subject in due(meta, bucket)]
    assert apply(meta, bucket, *decisions) == [Outcome.REMOVED, Outcome.REMOVED]
    (marker,) = due(meta, bucket)
    assert apply(meta, bucket, Decision(marker, removes=True)) == [Outcome.REMOVED]
    assert not meta.engine.list_versions(bucket.id, VersionsQuery()).versions
    with pytest.raises(NoSuchUpload):
        meta.engine.get_upload(bucket.id, "b", "u1")
    assert sorted(meta.garbage()) == ["one", "part-1"]
    assert agenda(meta, bucket) == []


def test_what_changed_meanwhile_is_left(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED)
    rules(meta, bucket, Look(CURRENT), Look(NONCURRENT))
    changes = {
        "overwritten": lambda key: meta.put(bucket, key),
        "tagged": lambda key: meta.engine.set_tags(bucket.id, key, None, {"k": "v"}),
        "hidden": lambda key: meta.delete(bucket, key),
        "held": lambda key: meta.engine.set_legal_hold(bucket.id, key, None, on=True),
    }
    for key in changes:
        meta.put(bucket, key)
    decisions = [Decision(subject, removes=True) for subject in due(meta, bucket)]
    for key, change in changes.items():
        change(key)
    before = meta.engine.list_versions(bucket.id, VersionsQuery())
    assert apply(meta, bucket, *decisions) == [Outcome.CHANGED] * len(changes)
    assert meta.engine.list_versions(bucket.id, VersionsQuery()) == before
    assert {key for key, _, _ in agenda(meta, bucket)} == set(changes)


def test_under_other_rules_nothing_is_done(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(CURRENT))
    meta.put(bucket, "a")
    was, decisions = generation(meta, bucket), [Decision(subject, removes=True) for subject in due(meta, bucket)]
    rules(meta, bucket, Look(CURRENT, after_us=S), document=b"others")
    for _ in range(2):
        (applied,) = meta.engine.apply_decisions(bucket, was, decisions, now_us=meta.tick())
        assert applied.outcome is Outcome.CHANGED
        meta.engine.delete_lifecycle(bucket.id)
    assert meta.engine.get_version(bucket.id, "a")


def test_object_lock_holds(meta):
    bucket = meta.bucket(versioning=Versioning.ENABLED, object_lock=True)
    rules(meta, bucket, Look(NONCURRENT))
    meta.put(bucket, "a", lock=Lock("COMPLIANCE", meta.now_us + 1000 * S))
    meta.put(bucket, "a")
    (subject,) = due(meta, bucket)
    assert apply(meta, bucket, Decision(subject, removes=True)) == [Outcome.CHANGED]
    assert len(meta.engine.list_versions(bucket.id, VersionsQuery()).versions) == 2


def test_what_is_put_off_is_due_later(meta):
    bucket = meta.bucket()
    rules(meta, bucket, Look(CURRENT))
    meta.put(bucket, "a")
    meta.put(bucket, "b")
    one, other = due(meta, bucket)
    later = meta.now_us + 1000 * S
    assert apply(meta, bucket, Decision(one, False, later), Decision(other, False)) == [Outcome.KEPT, Outcome.KEPT]
    assert agenda(meta, bucket) == [("a", one.number, later)]
    assert meta.engine.list_lifecycle_work(now_us=later - 1) == []
    assert [work.bucket.name for work in meta.engine.list_lifecycle_work(now_us=later)] == [bucket.name]
