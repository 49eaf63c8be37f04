"""S3's semantics through boto3: conditions, ranges, copies, renames, multipart uploads, versions, tags, locks."""

import datetime
import re
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.store import Store

from nova_objectstore.limits import MiB


@pytest.fixture
def s3(store: Store) -> Any:
    return store.client()


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60].strip("-")
    s3.create_bucket(Bucket=name)
    return name


def code_of(call: Any, *args: Any, **kwargs: Any) -> tuple[int, str]:
    """The status and code that a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    response = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def body_of(s3: Any, bucket: str, key: str, **more: Any) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()
    return body


# -- reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=2-5", 2, 5), ("bytes=90-", 90, 99), ("bytes=-3", 97, 99), ("bytes=50-1000", 50, 99)],
)
def test_ranges(s3: Any, bucket: str, wanted: str, first: int, last: int) -> None:
    data = bytes(range(100))
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    got = s3.get_object(Bucket=bucket, Key="k", Range=wanted)
    assert got["Body"].read() == data[first : last + 1]
    assert got["ContentRange"] == f"bytes {first}-{last}/100"
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_ranges_that_are_none(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert code_of(s3.get_object, Bucket=bucket, Key="k", Range="bytes=3-") == (416, "InvalidRange")
    assert code_of(s3.get_object, Bucket=bucket, Key="empty", Range="bytes=0-") == (416, "InvalidRange")
    assert body_of(s3, bucket, "k", Range="bytes=2-1") == b"abc"
    assert body_of(s3, bucket, "k", Range="bites=0-1") == b"abc"


def test_conditional_reads(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"abc")["ETag"]
    past, future = datetime.datetime(2000, 1, 1), datetime.datetime.now() - datetime.timedelta(seconds=-3600)
    assert body_of(s3, bucket, "k", IfMatch=etag) == b"abc"
    assert code_of(s3.get_object, Bucket=bucket, Key="k", IfMatch='"other"')[0] == 412
    assert code_of(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag)[0] == 304
    assert body_of(s3, bucket, "k", IfModifiedSince=past) == b"abc"
    assert code_of(s3.get_object, Bucket=bucket, Key="k", IfUnmodifiedSince=past)[0] == 412
    assert body_of(s3, bucket, "k", IfUnmodifiedSince=future) == b"abc"


def test_response_headers_may_be_overridden(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc", CacheControl="no-store", ContentLanguage="de")
    got = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/x", ResponseContentDisposition="attachment")
    assert (got["ContentType"], got["ContentDisposition"]) == ("text/x", "attachment")
    assert (got["CacheControl"], got["ContentLanguage"]) == ("no-store", "de")


def test_metadata_names_may_have_underscores(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"my_key": "1", "my-key": "2"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"my_key": "1", "my-key": "2"}


# -- writes -----------------------------------------------------------------------------------------------------------


def test_conditional_writes(s3: Any, bucket: str) -> None:
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert code_of(s3.put_object, Bucket=bucket, Key="new", Body=b"2", IfMatch=first) == (404, "NoSuchKey")
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=first)
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"3", IfMatch=first) == (412, "PreconditionFailed")
    assert body_of(s3, bucket, "k") == b"2"
    assert code_of(s3.delete_object, Bucket=bucket, Key="k", IfMatch=first) == (412, "PreconditionFailed")
    assert body_of(s3, bucket, "k") == b"2"


def test_one_of_many_racing_creators_wins(store: Store, bucket: str) -> None:
    outcomes: list[str] = []

    def create(number: int) -> None:
        try:
            store.client().put_object(Bucket=bucket, Key="k", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
        else:
            outcomes.append("won")

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["PreconditionFailed"] * 15 + ["won"]


def test_copies(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"x" * 100_000, ContentType="text/x", Metadata={"n": "1"})
    source = {"Bucket": bucket, "Key": "a b/ü"}
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == (
        "text/x",
        {"n": "1"},
        copied["CopyObjectResult"]["ETag"],
    )
    assert got["Body"].read() == b"x" * 100_000
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "2"})
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"n": "2"}
    itself = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "copy"}}
    assert code_of(s3.copy_object, **itself) == (400, "InvalidRequest")
    s3.delete_object(Bucket=bucket, Key="a b/ü")
    assert body_of(s3, bucket, "copy") == b"x" * 100_000
    assert code_of(s3.copy_object, Bucket=bucket, Key="c", CopySource=source) == (404, "NoSuchKey")


@pytest.mark.parametrize("size", [10, 300_000])
def test_renames(s3: Any, bucket: str, size: int) -> None:
    etag = s3.put_object(Bucket=bucket, Key="old", Body=b"x" * size, Metadata={"n": "1"})["ETag"]
    s3.put_object(Bucket=bucket, Key="target", Body=b"y")
    s3.rename_object(Bucket=bucket, Key="new", RenameSource=f"/{bucket}/old")
    assert body_of(s3, bucket, "new") == b"x" * size
    assert s3.head_object(Bucket=bucket, Key="new")["Metadata"] == {"n": "1"}
    assert code_of(s3.get_object, Bucket=bucket, Key="old") == (404, "NoSuchKey")
    rename = {"Bucket": bucket, "Key": "target", "RenameSource": f"/{bucket}/new"}
    assert code_of(s3.rename_object, **rename, DestinationIfNoneMatch="*")[0] == 412
    assert code_of(s3.rename_object, **rename, SourceIfMatch='"other"')[0] == 412
    s3.rename_object(**rename, SourceIfMatch=etag)
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["target"]
    assert body_of(s3, bucket, "target") == b"x" * size


# -- multipart uploads ------------------------------------------------------------------------------------------------


def upload_parts(s3: Any, bucket: str, key: str, sizes: list[int]) -> tuple[str, list[dict[str, Any]]]:
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, Metadata={"n": "1"})["UploadId"]
    parts = []
    for number, size in enumerate(sizes, 1):
        made = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=b"%d" % number * size)
        parts.append({"PartNumber": number, "ETag": made["ETag"]})
    return upload, parts


def test_multipart_uploads(s3: Any, bucket: str) -> None:
    upload, parts = upload_parts(s3, bucket, "k", [5 * MiB, 5 * MiB, 3])
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload, MaxParts=2)
    assert ([part["PartNumber"] for part in listed["Parts"]], listed["IsTruncated"]) == ([1, 2], True)
    assert [found["UploadId"] for found in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    complete = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    done = s3.complete_multipart_upload(**complete, MultipartUpload={"Parts": parts})
    again = s3.complete_multipart_upload(**complete, MultipartUpload={"Parts": parts})
    assert done["ETag"] == again["ETag"]
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["ContentLength"], got["Metadata"]) == (10 * MiB + 3, {"n": "1"})
    assert got["Body"].read() == b"1" * 5 * MiB + b"2" * 5 * MiB + b"333"
    assert body_of(s3, bucket, "k", Range=f"bytes={5 * MiB - 2}-{5 * MiB + 1}") == b"1122"
    part = s3.get_object(Bucket=bucket, Key="k", PartNumber=3)
    assert (part["Body"].read(), part["PartsCount"]) == (b"333", 3)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_what_cannot_be_completed(s3: Any, bucket: str) -> None:
    upload, parts = upload_parts(s3, bucket, "k", [100, 100])
    complete = {"Bucket": bucket, "Key": "k", "UploadId": upload}

    def refused(chosen: list[dict[str, Any]]) -> tuple[int, str]:
        return code_of(s3.complete_multipart_upload, **complete, MultipartUpload={"Parts": chosen})

    assert refused(parts) == (400, "EntityTooSmall")
    assert refused(parts[::-1]) == (400, "InvalidPartOrder")
    assert refused([{"PartNumber": 7, "ETag": parts[0]["ETag"]}]) == (400, "InvalidPart")
    assert refused([{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}]) == (400, "InvalidPart")
    s3.abort_multipart_upload(**complete)
    assert code_of(s3.list_parts, **complete) == (404, "NoSuchUpload")
    assert code_of(s3.abort_multipart_upload, **complete) == (404, "NoSuchUpload")
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")


def test_parts_from_copies(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789" * MiB)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    source = {"Bucket": bucket, "Key": "source"}
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload, "CopySource": source}
    first = s3.upload_part_copy(**part, PartNumber=1, CopySourceRange=f"bytes=0-{6 * MiB - 1}")["CopyPartResult"]
    last = s3.upload_part_copy(**part, PartNumber=2, CopySourceRange="bytes=10-14")["CopyPartResult"]
    chosen = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": last["ETag"]}]
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": chosen})
    assert body_of(s3, bucket, "k") == (b"0123456789" * MiB)[: 6 * MiB] + b"01234"


# -- listings -----------------------------------------------------------------------------------------------------------


def test_listings_page_and_group(s3: Any, bucket: str) -> None:
    keys = [f"{group}/{number:02}" for group in "abc" for number in range(5)] + ["top"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 4})
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=2)
    assert ([group["Prefix"] for group in page["CommonPrefixes"]], page["IsTruncated"]) == (["a/", "b/"], True)
    rest = s3.list_objects_v2(Bucket=bucket, Delimiter="/", ContinuationToken=page["NextContinuationToken"])
    assert ([group["Prefix"] for group in rest["CommonPrefixes"]], rest["Contents"][0]["Key"]) == (["c/"], "top")
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    assert s3.list_objects_v2(Bucket=bucket, StartAfter="c/03", FetchOwner=True)["Contents"][0]["Owner"]["ID"]
    first = s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=1)
    assert first["NextMarker"] == "a/"
    assert s3.list_objects(Bucket=bucket, Prefix="b/0", Marker="b/02")["Contents"][0]["Key"] == "b/03"


# -- versions, tags, locks ------------------------------------------------------------------------------------------------


def test_versions(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"null")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"second")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"]
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")
    assert body_of(s3, bucket, "k", VersionId=second) == b"second"
    assert body_of(s3, bucket, "k", VersionId="null") == b"null"
    assert code_of(s3.get_object, Bucket=bucket, Key="k", VersionId=marker["VersionId"]) == (405, "MethodNotAllowed")
    listed = s3.list_object_versions(Bucket=bucket)
    assert [(v["VersionId"], v["IsLatest"]) for v in listed["Versions"]] == [(second, False), ("null", False)]
    assert [v["VersionId"] for v in listed["DeleteMarkers"]] == [marker["VersionId"]]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert body_of(s3, bucket, "k") == b"second"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=second)
    assert body_of(s3, bucket, "k") == b"null"
    assert code_of(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")


def test_tags(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1&b=2%203")
    assert s3.head_object(Bucket=bucket, Key="k")["TagCount"] == 2
    expected = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2 3"}]
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == expected
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == expected
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert code_of(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "x", "Value": "y"}]


def test_object_lock(s3: Any, store: Store) -> None:
    bucket = "object-lock"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    version = s3.put_object(
        Bucket=bucket, Key="k", Body=b"", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until
    )["VersionId"]
    named = {"Bucket": bucket, "Key": "k", "VersionId": version}
    assert s3.get_object_retention(**named)["Retention"]["Mode"] == "GOVERNANCE"
    assert code_of(s3.delete_object, **named) == (403, "AccessDenied")
    s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
    assert code_of(s3.delete_object, **named, BypassGovernanceRetention=True) == (403, "AccessDenied")
    s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    s3.delete_object(Bucket=bucket, Key="k")  # a marker hides it; nothing is lost
    assert body_of(s3, bucket, "k", VersionId=version) == b""
    s3.delete_object(**named, BypassGovernanceRetention=True)
    assert code_of(s3.get_object, **named) == (404, "NoSuchVersion")
    default = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=default)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == default
    locked = s3.put_object(Bucket=bucket, Key="d", Body=b"")["VersionId"]
    refused = {"Bucket": bucket, "Key": "d", "VersionId": locked, "BypassGovernanceRetention": True}
    assert code_of(s3.delete_object, **refused) == (403, "AccessDenied")
    suspend = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Suspended"}}
    assert code_of(s3.put_bucket_versioning, **suspend) == (409, "InvalidBucketState")


def test_what_is_not_offered_says_so(s3: Any, bucket: str) -> None:
    config = {"Status": "Enabled"}
    refused = code_of(s3.put_bucket_accelerate_configuration, Bucket=bucket, AccelerateConfiguration=config)
    assert refused == (501, "NotImplemented")
