"""A real store in bad times: its disk is full, or read-only; descriptors run out; its clock is set. It heals by itself."""

from __future__ import annotations

import datetime
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.bad_times import (
    DEADLINE_S,
    KINDS,
    FakeClock,
    MiB,
    failing_calls,
    fill,
    no_descriptors,
    processes,
    read,
    refused,
    small_disk,
    wait_for_success,
)
from support.store import Store, running_store
from support.store_state import check_files

from nova_objectstore.assembly import DATABASE_NAME, Settings, build_store
from nova_wsgi.testing import wait_until

LARGE, SMALL = bytes(range(256)) * 2000, b"small" * 100
FULL = (507, "InsufficientStorage")
UNAVAILABLE = (503, "ServiceUnavailable")


def put_some(s3: Any, count: int = 5) -> None:
    s3.create_bucket(Bucket="bucket")
    for number in range(count):
        s3.put_object(Bucket="bucket", Key=f"large-{number}", Body=LARGE)
        s3.put_object(Bucket="bucket", Key=f"small-{number}", Body=SMALL)


def check_readable(s3: Any, count: int = 5, *, first: int = 0) -> None:
    for number in range(first, count):
        assert read(s3, "bucket", f"large-{number}") == LARGE
        assert read(s3, "bucket", f"small-{number}") == SMALL
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket", Prefix="large-")["Contents"]]
    assert {f"large-{number}" for number in range(first, count)} <= set(listed)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with running_store(tmp_path / "state", "--sync", "always", workers=1) as running:
        yield running
    check_files(tmp_path / "state")


# -- disks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_read_and_emptied_and_takes_writes_again(tmp_path: Path, kind: str) -> None:
    with small_disk(tmp_path / "disk", 96 * MiB, kind=kind) as disk:
        options = "--collect-delay-s", "0", "--access-log-file", str(disk / "access.log")
        with running_store(disk / "state", *options, workers=2) as store:
            pids, s3 = processes(store), store.client()
            put_some(s3, 20)
            filler = fill(disk)

            for key, body in (("more", LARGE), ("more", SMALL * 20), ("large-0", SMALL), ("small-0", LARGE)):
                put_until_full(s3, key, body)
            upload = {"Bucket": "bucket", "Key": "more"}
            assert refused(s3.create_multipart_upload, **upload) == FULL
            check_readable(s3, 20, first=1)
            for number in range(5, 20):
                s3.delete_object(Bucket="bucket", Key=f"large-{number}")
                s3.delete_object(Bucket="bucket", Key=f"small-{number}")
            check_readable(s3, 5, first=1)
            assert processes(store) == pids, "nothing was restarted"
            kill_workers(store)
            s3.delete_object(Bucket="bucket", Key="large-4")
            check_readable(s3, 4, first=1)

            collect(disk / "state")
            s3.put_object(Bucket="bucket", Key="room", Body=LARGE)
            filler.unlink()
            s3.put_object(Bucket="bucket", Key="more", Body=LARGE)
            assert read(s3, "bucket", "more") == LARGE
            reserve = disk / "state" / f"{DATABASE_NAME}-reserve"
            wait_until(lambda: reserve.stat().st_blocks * 512 >= 8 * MiB, DEADLINE_S, what="the reserve")
        check_files(disk / "state")


def put_until_full(s3: Any, key: str, body: bytes) -> None:
    """Some of the last blocks may have been free within what is there already: a log, a database."""
    for _ in range(200):
        try:
            s3.put_object(Bucket="bucket", Key=key, Body=body)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InsufficientStorage":
                raise
            return
    raise AssertionError("the disk is not full")


def kill_workers(store: Store) -> None:
    """They must come up again on the full disk."""
    former = store.workers()
    for pid in former:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(store.workers()) - set(former)) == len(former), DEADLINE_S, what="new workers")


def collect(state_path: Path) -> None:
    """What the worker does every half minute; beside it, and on the full disk as well."""
    store = build_store(Settings(state_path=state_path, collect_delay_s=-1))
    store.open()
    try:
        assert store.collector.run() > 0
    finally:
        store.close()


@pytest.mark.parametrize("error", ["EROFS", "EIO"])
def test_a_disk_that_can_only_be_read_is_read_and_takes_writes_again(store: Store, error: str) -> None:
    pids, s3 = processes(store), store.client()
    put_some(s3)

    with failing_calls(pids, error):
        for key, body in (("more", LARGE), ("small-0", SMALL * 2), ("large-0", LARGE * 2)):
            assert refused(s3.put_object, Bucket="bucket", Key=key, Body=body) == UNAVAILABLE
        assert refused(s3.delete_object, Bucket="bucket", Key="small-1") == UNAVAILABLE
        assert refused(s3.create_bucket, Bucket="another") == UNAVAILABLE
        check_readable(s3)

    wait_for_success(s3.put_object, Bucket="bucket", Key="more", Body=LARGE)
    s3.put_object(Bucket="bucket", Key="small-0", Body=SMALL)
    s3.delete_object(Bucket="bucket", Key="small-4")
    s3.put_object(Bucket="bucket", Key="small-4", Body=SMALL)
    assert read(s3, "bucket", "more") == LARGE
    check_readable(s3)
    assert processes(store) == pids, "nothing was restarted"


# -- descriptors -----------------------------------------------------------------------------------------------------------


def test_descriptors_that_have_run_out_are_told_and_come_back(store: Store) -> None:
    pids, s3 = processes(store), store.client()
    put_some(s3)

    with no_descriptors(pids[0]):
        assert refused(s3.put_object, Bucket="bucket", Key="more", Body=LARGE) == UNAVAILABLE
        assert refused(s3.get_object, Bucket="bucket", Key="large-0") == UNAVAILABLE
        assert read(s3, "bucket", "small-0") == SMALL
        s3.put_object(Bucket="bucket", Key="small-0", Body=SMALL)

    wait_for_success(s3.put_object, Bucket="bucket", Key="more", Body=LARGE)
    assert read(store.client(), "bucket", "more") == LARGE, "on a new connection"
    check_readable(s3)
    assert processes(store) == pids, "nothing was restarted"


# -- clocks ----------------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_changes_no_order_and_deletes_nothing(tmp_path: Path) -> None:
    clock = FakeClock(tmp_path)
    options = "--upload-age-days-max", "1", "--collect-delay-s", "600"
    with running_store(tmp_path / "state", *options, workers=1, environ=clock.environ) as store:
        pids, s3 = processes(store), store.client()
        put_some(s3)
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        written = []
        for ahead_s in (0, -600, 600, -300, 0):
            clock.set(ahead_s)
            written.append(s3.put_object(Bucket="bucket", Key="key", Body=SMALL)["VersionId"])
        page = s3.list_object_versions(Bucket="bucket", Prefix="key")
        assert [version["VersionId"] for version in page["Versions"]] == written[::-1]
        moments = [version["LastModified"] for version in page["Versions"]]
        assert moments == sorted(moments, reverse=True)

        clock.set(-3600)
        assert refused(s3.list_buckets) == (403, "RequestTimeTooSkewed")
        clock.set(8 * 86_400)
        assert refused(s3.list_buckets) == (403, "RequestTimeTooSkewed")
        clock.set(0)
        check_readable(s3)
        assert processes(store) == pids, "nothing was restarted"
        assert moments[0] - moments[-1] < datetime.timedelta(hours=1)


def test_a_clock_that_is_set_forward_expires_nothing(tmp_path: Path) -> None:
    clock = FakeClock(tmp_path)
    with running_store(tmp_path / "state", "--lifecycle-day-s", "1", workers=1, environ=clock.environ) as store:
        s3 = store.client()
        s3.create_bucket(Bucket="bucket")
        s3.put_bucket_lifecycle_configuration(
            Bucket="bucket", LifecycleConfiguration={"Rules": [expire("soon/", 2), expire("late/", 300)]}
        )
        for key in ("soon/1", "late/1"):
            s3.put_object(Bucket="bucket", Key=key, Body=SMALL)
        clock.set(600)
        wait_until(lambda: keys(s3) == ["late/1"], DEADLINE_S, what="the lifecycle, by the time that has passed")
        clock.set(0)
        s3.put_object(Bucket="bucket", Key="soon/2", Body=SMALL)
        wait_until(lambda: keys(s3) == ["late/1"], DEADLINE_S, what="the lifecycle, that goes on")
        assert "the clock was set forward by" in store.server.output()


def expire(prefix: str, days: int) -> dict[str, Any]:
    return {"ID": prefix, "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": days}}


def keys(s3: Any) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket").get("Contents", ())]
