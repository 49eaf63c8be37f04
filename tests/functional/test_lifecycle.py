"""Lifecycle rules on a store with two workers, through boto3: with days of two seconds, and with the calendar's."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.raw_store import connect, read_error_code, sign
from support.store import Store, running_store
from support.store_state import check_files, check_listing

from nova_wsgi.testing import wait_until, workers

DAY_S = 2
PATIENCE_S = 60.0  # thirty days


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("hasty"), "--lifecycle-day-s", str(DAY_S)) as running:
        yield running


def make_bucket(s3: Any, request: pytest.FixtureRequest, *, versioned: bool = False) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[-60:].strip("-")
    s3.create_bucket(Bucket=name)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def put_rules(s3: Any, bucket: str, *rules: Mapping[str, Any]) -> None:
    made = [{"ID": f"rule-{number}", "Status": "Enabled", "Filter": {}, **rule} for number, rule in enumerate(rules)]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": made})


def keys(s3: Any, bucket: str) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


def everything(s3: Any, bucket: str) -> list[str]:
    listed = s3.list_object_versions(Bucket=bucket)
    return sorted(entry["Key"] for entry in [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())])


# -- short days --------------------------------------------------------------------------------------------------------


def test_objects_expire_by_prefix_tag_and_size(hasty, request):
    s3 = hasty.client()
    bucket = make_bucket(s3, request)
    s3.put_object(Bucket=bucket, Key="old/a", Body=b"there before the rules")
    put_rules(
        s3,
        bucket,
        {"Filter": {"Prefix": "old/"}, "Expiration": {"Days": 1}},
        {"Filter": {"Tag": {"Key": "keep", "Value": "no"}}, "Expiration": {"Days": 1}},
        {"Filter": {"And": {"Prefix": "s/", "ObjectSizeGreaterThan": 3}}, "Expiration": {"Days": 1}},
        {"Filter": {"Prefix": "dated/"}, "Expiration": {"Date": datetime(2020, 1, 1, tzinfo=UTC)}},
        {"Filter": {"Prefix": "kept/"}, "Expiration": {"Date": datetime(2100, 1, 1, tzinfo=UTC)}},
        {"Filter": {"Prefix": "kept/"}, "Status": "Disabled", "Expiration": {"Days": 1}},
    )
    s3.put_object(Bucket=bucket, Key="old/b", Body=b"x" * 100_000)
    s3.put_object(Bucket=bucket, Key="t/no", Tagging="keep=no")
    s3.put_object(Bucket=bucket, Key="t/later")
    s3.put_object(Bucket=bucket, Key="s/big", Body=b"four")
    s3.put_object(Bucket=bucket, Key="dated/a")
    for key in ("kept/a", "t/yes", "s/small"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"123")
    s3.put_object_tagging(Bucket=bucket, Key="t/later", Tagging={"TagSet": [{"Key": "keep", "Value": "no"}]})
    wait_until(lambda: keys(s3, bucket) == ["kept/a", "s/small", "t/yes"], PATIENCE_S)


def test_versions_go_and_markers_after_them(hasty, request):
    s3 = hasty.client()
    bucket = make_bucket(s3, request, versioned=True)
    put_rules(
        s3,
        bucket,
        {"Filter": {"Prefix": "a"}, "Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
        {"Filter": {"Prefix": "n"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}},
        {"Filter": {"Prefix": "m"}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
    )
    for key in ("a", "n", "kept"):
        for number in range(5):
            s3.put_object(Bucket=bucket, Key=key, Body=b"%d" % number)
    s3.delete_object(Bucket=bucket, Key="m")
    # the object expires: it is hidden, goes as a noncurrent version, and then the marker, alone and old enough
    wait_until(lambda: everything(s3, bucket) == ["kept"] * 5 + ["n"] * 3, PATIENCE_S)
    assert s3.get_object(Bucket=bucket, Key="n")["Body"].read() == b"4"


def test_locked_versions_stay_until_their_time(hasty, request):
    s3 = hasty.client()
    bucket = make_bucket(s3, request)
    name = f"{bucket}-locked"[-60:].strip("-")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    put_rules(s3, name, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    until = datetime.now(UTC) + timedelta(seconds=12)
    s3.put_object(Bucket=name, Key="a", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    s3.put_object(Bucket=name, Key="held", ObjectLockLegalHoldStatus="ON")
    s3.put_object(Bucket=name, Key="plain")
    for key in ("a", "held", "plain"):
        s3.put_object(Bucket=name, Key=key)
    wait_until(lambda: everything(s3, name) == ["a", "a", "held", "held", "plain"], PATIENCE_S)
    wait_until(lambda: everything(s3, name) == ["a", "held", "held", "plain"], PATIENCE_S)
    assert datetime.now(UTC) >= until.replace(microsecond=0)
    held = s3.list_object_versions(Bucket=name, Prefix="held")["Versions"][1]["VersionId"]
    s3.put_object_legal_hold(Bucket=name, Key="held", VersionId=held, LegalHold={"Status": "OFF"})
    wait_until(lambda: everything(s3, name) == ["a", "held", "plain"], PATIENCE_S)


def test_uploads_are_aborted(hasty, request):
    s3 = hasty.client()
    bucket = make_bucket(s3, request)
    put_rules(s3, bucket, {"Filter": {"Prefix": "in/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    begun = s3.create_multipart_upload(Bucket=bucket, Key="in/a")
    s3.upload_part(Bucket=bucket, Key="in/a", UploadId=begun["UploadId"], PartNumber=1, Body=b"part")
    s3.create_multipart_upload(Bucket=bucket, Key="kept/a")

    def uploads() -> list[str]:
        return [upload["Key"] for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]

    wait_until(lambda: uploads() == ["kept/a"], PATIENCE_S)


def test_without_rules_nothing_expires_any_more(hasty, request):
    s3 = hasty.client()
    bucket = make_bucket(s3, request)
    put_rules(s3, bucket, {"Filter": {"Prefix": "a"}, "Expiration": {"Days": 2}})
    s3.put_object(Bucket=bucket, Key="a")
    s3.delete_bucket_lifecycle(Bucket=bucket)
    witness = f"{bucket}-w"[-60:].strip("-")
    s3.create_bucket(Bucket=witness)
    put_rules(s3, witness, {"Expiration": {"Days": 3}})
    s3.put_object(Bucket=witness, Key="a")
    wait_until(lambda: keys(s3, witness) == [], PATIENCE_S)
    assert keys(s3, bucket) == ["a"]


def test_objects_are_moved_to_their_class_and_read_from_there(tmp_path: Path):
    config = tmp_path / "nova.conf"
    config.write_text(f"[storage_class:COLD]\ndata = {(tmp_path / 'cold').as_uri()}\n")
    arguments = ("--config-file", str(config), "--lifecycle-day-s", str(DAY_S))
    with running_store(tmp_path / "state", *arguments) as store:
        s3 = store.client()
        s3.create_bucket(Bucket="moving")
        put_rules(s3, "moving", {"Transitions": [{"Days": 1, "StorageClass": "COLD"}]})
        body = os.urandom(300_000)
        s3.put_object(Bucket="moving", Key="a", Body=body, Tagging="k=v", ServerSideEncryption="AES256")
        before = s3.head_object(Bucket="moving", Key="a")
        wait_until(lambda: s3.head_object(Bucket="moving", Key="a").get("StorageClass") == "COLD", PATIENCE_S)
        after = s3.get_object(Bucket="moving", Key="a")
        assert after["Body"].read() == body
        for name in ("ETag", "LastModified", "ContentType", "ServerSideEncryption"):
            assert after[name] == before[name]
        assert [path.name for path in (tmp_path / "cold").glob("??/*")] != []


def test_a_worker_that_is_killed_again_and_again_loses_nothing(tmp_path: Path):
    count, kept = 1500, 40
    with running_store(tmp_path / "state", "--lifecycle-day-s", "1", "--sync", "never") as store:
        s3 = store.client(max_pool_connections=16)
        s3.create_bucket(Bucket="full")
        names = [f"gone/{number:05}" for number in range(count)] + [f"kept/{number:05}" for number in range(kept)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: s3.put_object(Bucket="full", Key=key, Body=b"x" * 20_000), names))
        put_rules(s3, "full", {"Filter": {"Prefix": "gone/"}, "Expiration": {"Days": 1}})

        def left() -> int:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket="full", Prefix="gone/")
            return sum(page["KeyCount"] for page in pages)

        wait_until(lambda: left() < count, PATIENCE_S)
        killed: set[int] = set()
        for _ in range(3):  # in the middle of it, and then whenever it is there again
            killed |= wait_until(lambda known=set(killed): kill_background_workers(store, known), PATIENCE_S)
        assert len(killed) == 3
        wait_until(lambda: left() == 0, PATIENCE_S)
        check_listing(s3, {"full": {f"kept/{number:05}": 20_000 for number in range(kept)}})
    check_files(tmp_path / "state")


def kill_background_workers(store: Store, killed: set[int]) -> set[int]:
    """SIGKILL those that run the jobs, the workers that do not serve S3, but for those that were killed before."""
    running = set(workers(store.server.pid)) - set(store.workers()) - killed
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    return running


# -- the calendar's days -----------------------------------------------------------------------------------------------


def test_rules_are_answered_as_they_were_put(store, request):
    s3 = store.client()
    bucket = make_bucket(s3, request)
    rules = [
        {"ID": "one", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 3}},
        {
            "ID": "old",
            "Status": "Disabled",
            "Prefix": "logs/",
            "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)},
        },
        {
            "ID": "all of it",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "<v>"}], "ObjectSizeLessThan": 100}},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 100},
        },
    ]
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    put = s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": rules},
        TransitionDefaultMinimumObjectSize="varies_by_storage_class",
    )
    assert put["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    got = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert got["Rules"] == rules
    assert got["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    s3.delete_bucket_lifecycle(Bucket=bucket)
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def test_responses_tell_when_objects_expire(store, request):
    s3 = store.client()
    bucket = make_bucket(s3, request, versioned=True)
    rule = {"ID": "tom & huck", "Filter": {"Prefix": "gone/"}, "Expiration": {"Days": 3}}
    put_rules(s3, bucket, rule, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}})
    first = s3.put_object(Bucket=bucket, Key="gone/a", Body=b"a")
    written = [first, s3.copy_object(Bucket=bucket, Key="gone/b", CopySource=f"{bucket}/gone/a")]
    begun = s3.create_multipart_upload(Bucket=bucket, Key="gone/c")
    part = {"Bucket": bucket, "Key": "gone/c", "UploadId": begun["UploadId"]}
    etag = s3.upload_part(**part, PartNumber=1, Body=b"c")["ETag"]
    told = [begun, s3.list_parts(**part)]
    written.append(s3.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}))
    read = [s3.get_object(Bucket=bucket, Key="gone/a"), s3.head_object(Bucket=bucket, Key="gone/a")]
    for response in (*written, *read):
        told_date, rule_id = re.fullmatch(r'expiry-date="(.+)", rule-id="(.+)"', response["Expiration"]).groups()
        assert rule_id == "tom%20%26%20huck"
        check_midnight(parsedate_to_datetime(told_date), days=3)
    for response in told:
        assert response["AbortRuleId"] == "rule-1"
        check_midnight(response["AbortDate"], days=2)
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="kept/a")
    s3.put_object(Bucket=bucket, Key="gone/a")
    noncurrent = s3.head_object(Bucket=bucket, Key="gone/a", VersionId=first["VersionId"])
    assert "Expiration" not in noncurrent


def check_midnight(moment: datetime, *, days: int) -> None:
    assert (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    assert timedelta(days=days) - timedelta(minutes=5) <= moment - datetime.now(UTC) <= timedelta(days=days + 1)


def test_new_rules_are_seen_by_every_worker_at_once(store, request):
    s3 = store.client()
    bucket = make_bucket(s3, request)
    clients = [store.client() for _ in range(8)]
    for number in range(10):
        put_rules(s3, bucket, {"ID": f"round-{number}", "Expiration": {"Days": 1 + number}})
        for client in clients:
            put = client.put_object(Bucket=bucket, Key="a")
            assert f'rule-id="round-{number}"' in put["Expiration"]


def test_a_document_without_a_digest_is_refused(store, request):
    s3 = store.client()
    bucket = make_bucket(s3, request)
    rule = b"<Rule><Prefix/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
    body = b"<LifecycleConfiguration>%s</LifecycleConfiguration>" % rule
    with connect(store) as client:
        length = {"Content-Length": str(len(body))}
        client.send(sign("PUT", f"/{bucket}?lifecycle", unsigned=length).head + body)
        response = client.response()
    assert (response.status, read_error_code(response.body)) == (400, "InvalidRequest")
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def test_classes_that_are_not_there_are_refused(store, request):
    s3 = store.client()
    bucket = make_bucket(s3, request)
    with pytest.raises(ClientError, match="InvalidStorageClass"):
        put_rules(s3, bucket, {"Transitions": [{"Days": 1, "StorageClass": "ATTIC"}]})
