"""Server access logs, end to end: a store with two workers, each log object read field by field."""

from __future__ import annotations

import http.client
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from support.access_logs import allow, log_to, records
from support.accounts import NOBODY, administrator, ask, make_account
from support.store import REGION, Store, running_store

from nova_wsgi.testing import wait_until, workers

DELIVERY_S = 2


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(
        tmp_path_factory.mktemp("state"),
        "--sync=never",
        f"--logging-delivery-s={DELIVERY_S}",
        "--s3-website-domain=web.test",
    ) as running:
        yield running


def logged_pair(store: Store, name: str, **facts: Any) -> tuple[Any, str, str]:
    """A client, a bucket that logs, and the one it logs to."""
    s3 = store.client()
    bucket, target = name, f"{name}-logs"
    s3.create_bucket(Bucket=bucket, ObjectOwnership="ObjectWriter")
    s3.create_bucket(Bucket=target)
    allow(s3, target)
    log_to(s3, bucket, target, **facts)
    return s3, bucket, target


def wait_for(s3: Any, target: str, count: int) -> list[dict[str, str]]:
    """Wait until that many records were delivered."""
    wait_until(lambda: len(records(s3, target)) >= count, DELIVERY_S + 15, what=f"{count} records")
    return records(s3, target)


def test_a_record_has_every_field(store: Store) -> None:
    s3, bucket, target = logged_pair(store, "fields")
    me = administrator(store)
    put = s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"12345")
    s3.get_object(Bucket=bucket, Key="a b/ü", Range="bytes=1-2")

    written, read = sorted(wait_for(s3, target, 2), key=lambda record: record["operation"], reverse=True)

    agent = read.pop("user_agent")
    assert agent.startswith("Boto3/")
    moment = r"\d\d/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4}:\d\d:\d\d:\d\d \+0000"
    assert re.fullmatch(moment, read.pop("time"))
    assert read.pop("total_time").isdigit()
    assert read.pop("turn_around_time").isdigit()
    assert read.pop("request_id") != written["request_id"] == put["ResponseMetadata"]["RequestId"]
    assert read == {
        "bucket_owner": me.canonical_id,
        "bucket": bucket,
        "remote_ip": "127.0.0.1",
        "requester": me.canonical_id,
        "operation": "REST.GET.OBJECT",
        "key": "a%20b/%C3%BC",
        "request_uri": "GET /fields/a%20b/%C3%BC HTTP/1.1",
        "status": "206",
        "error_code": "-",
        "bytes_sent": "2",
        "object_size": "5",
        "referer": "-",
        "version_id": "-",
        "host_id": REGION,
        "signature_version": "SigV4",
        "cipher_suite": "-",
        "authentication_type": "AuthHeader",
        "host_header": f"127.0.0.1:{store.port}",
        "tls_version": "-",
        "access_point_arn": "-",
        "acl_required": "-",
    }
    assert (written["operation"], written["object_size"]) == ("REST.PUT.OBJECT", "5")
    (entry,) = s3.list_objects_v2(Bucket=target)["Contents"]
    assert re.fullmatch(r"logs/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}", entry["Key"])
    assert s3.head_object(Bucket=target, Key=entry["Key"])["ContentType"] == "text/plain"


def test_operations_have_awss_names(store: Store) -> None:
    s3, bucket, target = logged_pair(store, "operations")
    s3.put_object(Bucket=bucket, Key="k", Body=b"1234")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    s3.list_objects_v2(Bucket=bucket)
    s3.get_bucket_policy_status(Bucket=bucket)
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": []})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}, {"Key": "copy"}]})

    found = wait_for(s3, target, 12)

    assert sorted((record["operation"], record["key"]) for record in found) == sorted(
        [
            ("REST.PUT.OBJECT", "k"),
            ("REST.COPY.OBJECT", "copy"),
            ("REST.COPY.OBJECT_GET", "k"),
            ("REST.GET.BUCKET", "-"),
            ("REST.GET.POLICY_STATUS", "-"),
            ("REST.PUT.OBJECT_TAGGING", "k"),
            ("REST.POST.UPLOADS", "parts"),
            ("REST.PUT.PART", "parts"),
            ("REST.POST.UPLOAD", "parts"),
            ("REST.POST.MULTI_OBJECT_DELETE", "-"),
            ("BATCH.DELETE.OBJECT", "k"),
            ("BATCH.DELETE.OBJECT", "copy"),
        ]
    )
    source = next(record for record in found if record["operation"] == "REST.COPY.OBJECT_GET")
    assert (source["object_size"], source["request_uri"], source["status"]) == ("4", "-", "200")
    batch = [record for record in found if record["operation"] == "BATCH.DELETE.OBJECT"]
    assert {record["status"] for record in batch} == {"204"}
    assert len({record["request_id"] for record in batch}) == 1


def test_who_asked_and_what_was_refused(store: Store) -> None:
    s3, bucket, target = logged_pair(store, "refusals")
    other = make_account(store, "logged")
    s3.put_object(Bucket=bucket, Key="public", Body=b"1", ACL="public-read")
    s3.put_object(Bucket=bucket, Key="private", Body=b"1")
    ask(store, NOBODY, "GET", f"/{bucket}/public")
    ask(store, NOBODY, "GET", f"/{bucket}/private")
    ask(store, other, "GET", f"/{bucket}/private")
    forged = other._replace(secret_key="wrong")
    assert ask(store, forged, "GET", f"/{bucket}/public").code == "SignatureDoesNotMatch"
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "private"})
    headers = {"Referer": 'http://x/?signature=secret&a="b"', "User-Agent": 'forged" 200 - [x]'}
    assert requests.get(url, headers=headers, timeout=30).status_code == 200
    assert ask(store, administrator(store), "DELETE", f"/{bucket}/private?versionId=none").status == 204
    assert ask(store, administrator(store), "PATCH", f"/{bucket}/private").status == 405

    found = wait_for(s3, target, 9)
    told = [
        (record["operation"], record["key"], record["requester"], record["status"], record["error_code"],
         record["authentication_type"], record["acl_required"])
        for record in found
    ]  # fmt: skip
    me = administrator(store).canonical_id
    get, put = "REST.GET.OBJECT", "REST.PUT.OBJECT"
    assert sorted(told) == sorted(
        [
            (put, "public", me, "200", "-", "AuthHeader", "-"),
            (put, "private", me, "200", "-", "AuthHeader", "-"),
            (get, "public", "-", "200", "-", "-", "Yes"),
            (get, "private", "-", "403", "AccessDenied", "-", "-"),
            (get, "private", other.canonical_id, "403", "AccessDenied", "AuthHeader", "-"),
            (get, "public", "-", "403", "SignatureDoesNotMatch", "-", "-"),
            (get, "private", me, "200", "-", "QueryString", "-"),
            ("REST.DELETE.OBJECT", "private", me, "204", "-", "AuthHeader", "-"),
            ("REST.PATCH.OBJECT", "private", "-", "405", "MethodNotAllowed", "-", "-"),
        ]
    )
    presigned = next(record for record in found if record["authentication_type"] == "QueryString")
    assert "Signature=REDACTED" in presigned["request_uri"]
    assert presigned["referer"] == "http://x/?signature=REDACTED&a=%22b%22"
    assert presigned["user_agent"] == "forged%22 200 - [x]"


def test_visits_of_websites_and_preflights_are_recorded(store: Store) -> None:
    s3, bucket, target = logged_pair(store, "site")
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["http://page.test"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    s3.put_object(Bucket=bucket, Key="index.html", Body=b"hello", ACL="public-read")
    host = {"Host": f"{bucket}.web.test"}
    assert requests.get(f"{store.url}/", headers=host, timeout=30).text == "hello"
    assert requests.get(f"{store.url}/none", headers=host, timeout=30).status_code in (403, 404)
    asked = {"Origin": "http://page.test", "Access-Control-Request-Method": "GET"}
    assert requests.options(f"{store.url}/{bucket}/index.html", headers=asked, timeout=30).status_code == 200

    found = wait_for(s3, target, 6)
    told = {(record["operation"], record["key"], record["status"]) for record in found}
    assert ("WEBSITE.GET.OBJECT", "index.html", "200") in told
    assert {key for operation, key, status in told if operation == "WEBSITE.GET.OBJECT" and status != "200"} == {"none"}
    assert ("REST.OPTIONS.PREFLIGHT", "index.html", "200") in told


def test_configurations_are_told_as_they_were_put(store: Store) -> None:
    s3, bucket, target = logged_pair(store, "told")
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == {"TargetBucket": target, "TargetPrefix": "logs/"}
    partitioned = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    log_to(s3, bucket, target, "", TargetObjectKeyFormat=partitioned)
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]["TargetObjectKeyFormat"] == partitioned
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)

    grants = [{"Grantee": {"Type": "CanonicalUser", "ID": administrator(store).canonical_id}, "Permission": "READ"}]
    for code, facts in (
        ("InvalidTargetBucketForLogging", {"TargetBucket": "not-there"}),
        ("AccessDenied", {"TargetBucket": bucket}),
        ("AccessControlListNotSupported", {"TargetGrants": grants}),
        ("MalformedXML", {"TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "Nonsense"}}}),
    ):
        with pytest.raises(ClientError) as refused:
            log_to(s3, bucket, facts.pop("TargetBucket", target), **facts)
        assert refused.value.response["Error"]["Code"] == code


def test_partitioned_keys_tell_the_source_and_the_day(store: Store) -> None:
    me = administrator(store)
    for number, source in enumerate(("EventTime", "DeliveryTime")):
        name = f"partitioned-{number}"
        formats = {"PartitionedPrefix": {"PartitionDateSource": source}}
        s3, bucket, target = logged_pair(store, name, TargetObjectKeyFormat=formats)
        s3.list_objects_v2(Bucket=bucket)
        wait_for(s3, target, 1)
        (entry,) = s3.list_objects_v2(Bucket=target)["Contents"]
        time = "00-00-00" if source == "EventTime" else r"\d\d-\d\d-\d\d"
        expected = rf"logs/{me.account_id}/{REGION}/{name}/(\d{{4}})/(\d\d)/(\d\d)/\1-\2-\3-{time}-[0-9A-F]{{16}}"
        assert re.fullmatch(expected, entry["Key"]), entry["Key"]


def test_grants_reach_the_log_objects_where_there_are_acls(store: Store) -> None:
    other = make_account(store, "auditor")
    s3 = store.client()
    s3.create_bucket(Bucket="granted")
    s3.create_bucket(Bucket="granted-logs", ObjectOwnership="ObjectWriter", ACL="log-delivery-write")
    grants = [{"Grantee": {"Type": "CanonicalUser", "ID": other.canonical_id}, "Permission": "READ"}]
    log_to(s3, "granted", "granted-logs", TargetGrants=grants)
    s3.list_objects_v2(Bucket="granted")
    wait_for(s3, "granted-logs", 1)
    (entry,) = s3.list_objects_v2(Bucket="granted-logs")["Contents"]
    assert other.client(store).get_object(Bucket="granted-logs", Key=entry["Key"])["ContentLength"] > 0


# -- who may be logged to ------------------------------------------------------------------------------------------------


def test_a_policy_that_was_taken_back_ends_the_delivery(store: Store) -> None:
    s3, bucket, target = logged_pair(store, "revoked")
    s3.list_objects_v2(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=target)
    s3.list_objects_v2(Bucket=bucket)
    text = r"access records of bucket revoked are dropped"
    wait_until(lambda: bool(re.search(text, store.server.output())), 20, what="the log's word of it")
    assert records(s3, target) == []


def test_anothers_bucket_must_name_the_source(store: Store) -> None:
    other = make_account(store, "archive")
    theirs = other.client(store)
    theirs.create_bucket(Bucket="archive")
    s3 = store.client()
    s3.create_bucket(Bucket="from-outside")

    def refused() -> bool:
        with pytest.raises(ClientError) as told:
            log_to(s3, "from-outside", "archive")
        return bool(told.value.response["Error"]["Code"] == "AccessDenied")

    assert refused(), "no policy"
    allow(theirs, "archive")
    assert refused(), "a policy that does not speak of the source is for its own account's buckets"
    allow(theirs, "archive", StringEquals={"aws:SourceAccount": other.account_id})
    assert refused()
    allow(theirs, "archive", ArnLike={"aws:SourceArn": "arn:aws:s3:::from-outside"})
    log_to(s3, "from-outside", "archive")
    s3.list_objects_v2(Bucket="from-outside")
    (record,) = wait_for(theirs, "archive", 1)
    assert record["bucket"] == "from-outside"


# -- nothing is lost -----------------------------------------------------------------------------------------------------


def test_records_of_workers_that_were_killed_are_delivered(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running_store(state, "--sync=never", "--logging-delivery-s=3600") as store:
        s3, bucket, _ = logged_pair(store, "killed")
        for number in range(20):
            s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"")
        wait_until(lambda: spooled(state) >= 20, 10, what="the last request's end")
        for pid in [*workers(store.server.pid), store.server.pid]:
            os.kill(pid, signal.SIGKILL)
        store.server.process.wait(10)
    with running_store(state, "--sync=never", f"--logging-delivery-s={DELIVERY_S}", workers=1) as store:
        s3 = store.client()
        found = wait_for(s3, "killed-logs", 20)
        assert {record["key"] for record in found} == {f"k{number}" for number in range(20)}
        assert len(s3.list_objects_v2(Bucket="killed-logs")["Contents"]) == 1
        wait_until(lambda: spooled(state) == 0, 10, what="an empty spool")


def spooled(state: Path) -> int:
    """How many records wait."""
    files = [path.read_bytes() for path in (state / "access-logs").glob("*") if path.is_file()]
    return sum(max(0, content.count(b"\n") - 1) for content in files)


def test_a_client_that_hangs_up_is_recorded_with_what_it_got(store: Store) -> None:
    s3, bucket, target = logged_pair(store, "aborted")
    s3.put_object(Bucket=bucket, Key="large", Body=bytes(32 * 1024 * 1024), ACL="public-read")
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=30)
    connection.request("GET", f"/{bucket}/large")
    answer = connection.getresponse()
    answer.read(1000)
    connection.close()
    answer.close()
    found = wait_for(s3, target, 2)
    read = next(record for record in found if record["operation"] == "REST.GET.OBJECT")
    assert read["object_size"] == str(32 * 1024 * 1024)
    assert int(read["bytes_sent"]) < 32 * 1024 * 1024
