"""Object lock: what may not be removed, and how a retention may change (AWS: "How S3 Object Lock works")."""

import pytest
from support.metadata import OWNER

from nova_objectstore.errors import NoSuchKey, NoSuchVersion, ObjectLocked
from nova_objectstore.types import Deleted, Lock, Versioning, WriteCondition

HOUR_US = 3600 * 1_000_000
LOCKS = {
    "governance": Lock("GOVERNANCE", 1 << 60),
    "compliance": Lock("COMPLIANCE", 1 << 60),
    "hold": Lock(legal_hold=True),
    "hold over an old retention": Lock("GOVERNANCE", 1, True),
}


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_locked_version_cannot_be_removed(meta, lock, hidden):
    bucket = meta.bucket(object_lock=True)
    put = meta.put(bucket, "k", lock=lock)
    if hidden:
        meta.put(bucket, "k", b"newer")

    with pytest.raises(ObjectLocked) as locked:
        meta.erase(bucket, "k", put.version_id)
    assert locked.value.facts == {"key": "k", "version_id": put.version_id}

    assert meta.engine.get_version(bucket.id, "k", put.version_id) == put._replace(is_latest=not hidden)


@pytest.mark.parametrize(
    ("name", "removable"),
    [("governance", True), ("compliance", False), ("hold", False), ("hold over an old retention", False)],
)
def test_only_governance_can_be_bypassed(meta, name, removable):
    bucket = meta.bucket(object_lock=True)
    put = meta.put(bucket, "k", lock=LOCKS[name])

    if removable:
        assert meta.erase(bucket, "k", put.version_id, bypass_governance=True) == Deleted(put.version_id, False)
        return
    with pytest.raises(ObjectLocked):
        meta.erase(bucket, "k", put.version_id, bypass_governance=True)


def test_a_retention_ends_with_its_time(meta):
    bucket = meta.bucket(object_lock=True)
    until = meta.now_us + HOUR_US
    put = meta.put(bucket, "k", lock=Lock("COMPLIANCE", until))

    def erase(now_us):
        return meta.engine.delete_version(bucket, "k", put.version_id, now_us=now_us)

    with pytest.raises(ObjectLocked):
        erase(until - 1)
    assert erase(until) == Deleted(put.version_id, is_marker=False)


def test_a_locked_object_can_be_hidden_and_overwritten_but_stays(meta):
    bucket = meta.bucket(object_lock=True)
    put = meta.put(bucket, "k", b"locked", lock=LOCKS["compliance"])
    meta.put(bucket, "k", b"newer")
    marker = meta.delete(bucket, "k")
    assert marker.is_marker
    meta.erase(bucket, "k", marker.version_id)

    assert meta.engine.get_version(bucket.id, "k").content.inline == b"newer"
    assert meta.engine.get_version(bucket.id, "k", put.version_id).content.inline == b"locked"


@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.SUSPENDED])
def test_a_locked_null_version_is_not_replaced(meta, versioning):
    bucket = meta.bucket(versioning=versioning)
    put = meta.put(bucket, "k", b"locked", lock=LOCKS["hold"])

    with pytest.raises(ObjectLocked):
        meta.put(bucket, "k", b"other")
    with pytest.raises(ObjectLocked):
        meta.delete(bucket, "k")
    outcomes = meta.engine.delete_objects(
        bucket, [("k", None, WriteCondition())], owner_id=OWNER, now_us=meta.tick(), bypass_governance=True
    )

    assert isinstance(outcomes[0], ObjectLocked)
    assert meta.engine.get_version(bucket.id, "k") == put


def test_a_retention_can_be_set_and_extended(meta):
    bucket = meta.bucket(object_lock=True)
    put = meta.put(bucket, "k")
    until = meta.now_us + HOUR_US

    for mode, retain_until_us in [("GOVERNANCE", until), ("GOVERNANCE", until + 1), ("GOVERNANCE", until + 1)]:
        meta.engine.set_retention(bucket.id, "k", None, mode=mode, retain_until_us=retain_until_us, now_us=meta.now_us)

    assert meta.engine.get_version(bucket.id, "k", put.version_id).lock == Lock("GOVERNANCE", until + 1)


@pytest.mark.parametrize(
    ("old", "mode", "retain_until_us", "allowed", "with_bypass"),
    [
        ("GOVERNANCE", "GOVERNANCE", 2 * HOUR_US, True, True),
        ("GOVERNANCE", "GOVERNANCE", HOUR_US // 2, False, True),
        ("GOVERNANCE", "COMPLIANCE", 2 * HOUR_US, False, True),
        ("GOVERNANCE", "", 0, False, True),
        ("COMPLIANCE", "COMPLIANCE", 2 * HOUR_US, True, True),
        ("COMPLIANCE", "COMPLIANCE", HOUR_US // 2, False, False),
        ("COMPLIANCE", "GOVERNANCE", 2 * HOUR_US, False, False),
        ("COMPLIANCE", "", 0, False, False),
    ],
)
def test_a_retention_in_force_is_not_weakened(meta, old, mode, retain_until_us, allowed, with_bypass):
    bucket = meta.bucket(object_lock=True)
    start = meta.now_us
    lock = Lock(old, start + HOUR_US, legal_hold=True)

    for bypass, succeeds in ((False, allowed), (True, with_bypass)):
        put = meta.put(bucket, "k", lock=lock)
        until = start + retain_until_us if mode else 0

        def change(put=put, until=until, bypass=bypass):
            return meta.engine.set_retention(
                bucket.id, "k", put.version_id, mode=mode, retain_until_us=until, now_us=start, bypass_governance=bypass
            )

        if succeeds:
            assert change().lock == Lock(mode, until, legal_hold=True)
        else:
            with pytest.raises(ObjectLocked):
                change()
            assert meta.engine.get_version(bucket.id, "k").lock == lock


def test_a_retention_that_is_over_can_change_in_any_way(meta):
    bucket = meta.bucket(object_lock=True)
    meta.put(bucket, "k", lock=Lock("COMPLIANCE", meta.now_us + 10))

    changed = meta.engine.set_retention(bucket.id, "k", None, mode="", retain_until_us=0, now_us=meta.tick())

    assert changed.lock == Lock()
    assert meta.rows("objects")[0]["lock_mode"] is None


def test_a_legal_hold_is_set_and_lifted_beside_a_retention(meta):
    bucket = meta.bucket(object_lock=True)
    put = meta.put(bucket, "k", lock=Lock("GOVERNANCE", 1 << 60))
    meta.put(bucket, "k", b"newer")

    on = meta.engine.set_legal_hold(bucket.id, "k", put.version_id, on=True)
    assert on.lock == Lock("GOVERNANCE", 1 << 60, True)
    assert not on.is_latest
    with pytest.raises(ObjectLocked):
        meta.erase(bucket, "k", put.version_id, bypass_governance=True)
    off = meta.engine.set_legal_hold(bucket.id, "k", put.version_id, on=False)
    assert off.lock == put.lock
    meta.engine.set_legal_hold(bucket.id, "k", None, on=True)
    assert meta.engine.set_legal_hold(bucket.id, "k", None, on=False).lock == Lock()

    meta.erase(bucket, "k", put.version_id, bypass_governance=True)


def test_locks_of_what_is_not_there(meta):
    bucket = meta.bucket(object_lock=True)

    with pytest.raises(NoSuchKey):
        meta.engine.set_legal_hold(bucket.id, "k", None, on=True)
    with pytest.raises(NoSuchVersion):
        meta.engine.set_retention(bucket.id, "k", "null", mode="GOVERNANCE", retain_until_us=1, now_us=0)
