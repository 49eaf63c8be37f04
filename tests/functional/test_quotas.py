"""Quotas through the protocol: every way in is judged, by every worker at once; deletions always work."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from support.accounts import Person, make_account
from support.raw_store import Load, clients, connect, sign_put
from support.store import BIN, Store
from support.store_state import check_files

from nova_objectstore.limits import MiB

NAMES = count()
PART = b"p" * (5 * MiB)


def quota(store: Store, *words: str) -> Any:
    command = (BIN / "nova-manage", "--state-path", store.state_path, "--json", "quota", *words)
    return json.loads(store.run(*command))


@pytest.fixture
def bucket(store: Store) -> str:
    name = f"quota-{next(NAMES)}"
    store.client().create_bucket(Bucket=name)
    return name


def refused(step: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        step(**arguments)
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("QuotaExceeded", 403)
    return str(answer["Error"]["Message"])


def test_of_thirty_two_writers_as_many_succeed_as_the_quota_lets(store: Store, bucket: str) -> None:
    quota(store, "set", f"--bucket={bucket}", "--objects=13")
    statuses: list[int] = []

    def write(index: int, load: Load) -> None:
        with connect(store) as wire:  # the listening socket shares them out over both workers
            statuses.append(wire.send(sign_put(f"/{bucket}/k{index}", 5) + b"12345").response().status)
            load.count += 1

    with clients(32, write) as load:
        load.wait_for(32)
    assert sorted(statuses) == [200] * 13 + [403] * 19
    assert quota(store, "show", f"--bucket={bucket}")["objects"] == 13
    assert store.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 13


def test_a_quota_is_obeyed_by_every_way_in(store: Store, bucket: str) -> None:
    s3 = store.client()
    s3.put_object(Bucket=bucket, Key="one", Body=b"x" * 100)
    quota(store, "set", f"--bucket={bucket}", "--bytes=150")
    told = "The write would exceed the bucket's quota of 150 bytes."
    assert refused(s3.put_object, Bucket=bucket, Key="two", Body=b"x" * 51) == told
    assert refused(s3.put_object, Bucket=bucket, Key="two", Body=b"x" * 100_000) == told  # a file, not a row
    refused(s3.copy_object, Bucket=bucket, Key="two", CopySource={"Bucket": bucket, "Key": "one"})
    upload = {"Bucket": bucket, "Key": "big"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    refused(s3.upload_part, **upload, PartNumber=1, Body=b"x" * 51)
    refused(s3.upload_part_copy, **upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "one"})
    form = s3.generate_presigned_post(bucket, "posted")
    posted = requests.post(form["url"], data=form["fields"], files={"file": b"x" * 51}, timeout=20)
    if posted.status_code != 501:
        assert (posted.status_code, "<Code>QuotaExceeded</Code>" in posted.text) == (403, True), posted.text
    s3.put_object(Bucket=bucket, Key="one", Body=b"x" * 99)
    assert quota(store, "show", f"--bucket={bucket}")["bytes"] == 99


def test_parts_count_while_the_upload_goes_on_and_an_abort_gives_the_room_back(store: Store, bucket: str) -> None:
    s3 = store.client()
    quota(store, "set", f"--bucket={bucket}", "--bytes=11MiB", "--objects=1")
    upload = {"Bucket": bucket, "Key": "big"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=PART)["ETag"]}
        for number in (1, 2)
    ]
    refused(s3.upload_part, **upload, PartNumber=3, Body=PART)
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert quota(store, "show", f"--bucket={bucket}")["bytes"] == 10 * MiB
    refused(s3.put_object, Bucket=bucket, Key="another", Body=b"")
    other = {"Bucket": bucket, "Key": "big"}
    other["UploadId"] = s3.create_multipart_upload(**other)["UploadId"]
    s3.upload_part(**other, PartNumber=1, Body=b"x" * MiB)
    s3.abort_multipart_upload(**other)
    assert quota(store, "show", f"--bucket={bucket}")["bytes"] == 10 * MiB
    check_files(store.state_path, at_rest=False)


def test_a_quota_below_what_is_held_lets_deletions_be(store: Store, bucket: str) -> None:
    s3 = store.client()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    quota(store, "set", f"--bucket={bucket}", "--objects=1")
    assert s3.delete_object(Bucket=bucket, Key="a")["DeleteMarker"] is True
    refused(s3.put_object, Bucket=bucket, Key="a", Body=b"x")
    for version in s3.list_object_versions(Bucket=bucket)["Versions"]:
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")


def test_an_accounts_quota_is_over_all_its_buckets(store: Store) -> None:
    person: Person = make_account(store, f"quota-{next(NAMES)}")
    s3 = person.client(store)
    names = [f"quota-{next(NAMES)}" for _ in range(2)]
    for name in names:
        s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=names[0], Key="held", Body=b"x" * 60)
    quota(store, "set", f"--account={person.account_id}", "--bytes=100", "--objects=4")
    message = refused(s3.put_object, Bucket=names[1], Key="k", Body=b"x" * 41)
    assert message == "The write would exceed the account's quota of 100 bytes."

    def write(number: int) -> int:
        try:
            s3.put_object(Bucket=names[number % 2], Key=f"k{number}", Body=b"x")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(16))) == [200] * 3 + [403] * 13
    shown = quota(store, "show", f"--account={person.account_id}")
    assert (shown["objects"], shown["bytes"]) == (4, 63)
    quota(store, "clear", f"--account={person.account_id}")
    s3.put_object(Bucket=names[1], Key="k", Body=b"x" * 41)
