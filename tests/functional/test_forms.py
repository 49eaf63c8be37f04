"""Browsers' forms against a running store: signed both ways, anonymous, odd ones byte for byte."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from botocore.exceptions import ClientError
from support.accounts import Told
from support.raw_store import connect
from support.store import Store, need_program, running_store
from support.web import BOUNDARY, encode_form, make_policy, post, sign_v2, sign_v4

DOMAIN = "s3.test"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("state"), f"--s3-domain={DOMAIN}") as running:
        running.client().create_bucket(Bucket="forms")
        yield running


@pytest.fixture(scope="module")
def s3(store: Store) -> Any:
    return store.client()


def fill(store: Store, key: str, *fields: tuple[str, str], file: bytes = b"bar", **covered: str) -> Told:
    """Post a signed form whose policy covers each field by name."""
    named = [*fields, *((name.replace("_", "-"), value) for name, value in covered.items())]
    signed = sign_v4("forms", *(["starts-with", f"${name}", ""] for name, _ in named))
    return post(store, "/forms", encode_form([("key", key), *named, *signed], file=file))


def read(s3: Any, key: str, bucket: str = "forms") -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def assert_not_there(s3: Any, key: str) -> None:
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="forms", Key=key)


# -- signed ------------------------------------------------------------------------------------------------------------


def test_a_form_of_boto3_posted_by_requests(store: Store, s3: Any) -> None:
    made = s3.generate_presigned_post(
        "forms", "boto/${filename}", Fields={"acl": "private"}, Conditions=[{"acl": "private"}, ["content-length-range", 1, 10]]
    )  # fmt: skip
    answer = requests.post(
        made["url"], data=made["fields"], files={"file": ("C:\\dir\\größe.txt", b"hello")}, timeout=30
    )
    assert answer.status_code == 204, answer.text
    assert answer.content == b""
    assert answer.headers["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert answer.headers["Location"] == f"{store.url}/forms/boto/gr%C3%B6%C3%9Fe.txt"
    assert read(s3, "boto/größe.txt") == b"hello"


def test_a_form_posted_by_curl_to_the_bucket_s_host(store: Store, s3: Any, tmp_path: Path) -> None:
    curl = need_program("curl")
    (tmp_path / "up.bin").write_bytes(b"x" * 3_000_000)
    fields = [
        ("key", "curl/${filename}"),
        ("Content-Type", "image/png"),
        *sign_v4("forms", {"Content-Type": "image/png"}),
    ]
    form = [item for name, value in fields for item in ("-F", f"{name}={value}")]
    host = f"forms.{DOMAIN}:{store.port}"
    output = store.run(
        curl, "-sS", "-i", "--resolve", f"{host}:127.0.0.1", *form, "-F", f"file=@{tmp_path / 'up.bin'}", f"http://{host}/"
    )  # fmt: skip
    assert re.search(r"HTTP/1\.1 204", output), output
    assert f"Location: http://{host}/curl/up.bin" in output
    found = s3.get_object(Bucket="forms", Key="curl/up.bin")
    assert (found["ContentType"], found["Body"].read()) == ("image/png", b"x" * 3_000_000)


def test_sigv2(store: Store, s3: Any) -> None:
    policy = make_policy("forms", {"acl": "private"}, ["starts-with", "$Content-Type", "text/"])
    fields = [("key", "v2"), ("acl", "private"), ("Content-Type", "text/plain"), *sign_v2(policy)]
    assert post(store, "/forms", encode_form(fields)).status == 204
    assert s3.head_object(Bucket="forms", Key="v2")["ContentType"] == "text/plain"
    bad = [(name, value[::-1] if name == "signature" else value) for name, value in fields]
    refused = post(store, "/forms", encode_form(bad))
    assert (refused.status, refused.code) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("conditions", "fields", "words"),
    [
        ([], [("acl", "private")], "Extra input fields: acl"),
        ([{"acl": "private"}], [("acl", "public-read")], "Policy Condition failed"),
        ([["starts-with", "$x-amz-meta-a", "b"]], [], "Policy Condition failed"),
        ([["eq", "$key", "other"]], [], "Policy Condition failed"),
        ([], [("x-amz-meta-a", "b")], "Extra input fields: x-amz-meta-a"),
        ([], [("success_action_status", "201")], "Extra input fields: success_action_status"),
        ([], [("bucket", "forms"), ("surprise", "")], "Extra input fields: surprise"),
    ],
)
def test_what_the_policy_does_not_say(store: Store, s3: Any, conditions: Any, fields: Any, words: str) -> None:
    refused = post(store, "/forms", encode_form([("key", "uncovered"), *fields, *sign_v4("forms", *conditions)]))
    assert (refused.status, refused.code) == (403, "AccessDenied")
    assert words in refused.body.decode()
    assert_not_there(s3, "uncovered")


def test_policies_of_another_bucket_and_of_another_time(store: Store) -> None:
    store.client().create_bucket(Bucket="forms-other")
    refused = post(store, "/forms-other", encode_form([("key", "k"), ("bucket", "forms"), *sign_v4("forms")]))
    assert (refused.status, refused.code) == (403, "AccessDenied")
    refused = post(store, "/forms", encode_form([("key", "k"), *sign_v4("forms", expiration="2020-01-01T00:00:00Z")]))
    assert "Policy expired" in refused.body.decode()
    refused = post(store, "/no-such-bucket", encode_form([("key", "k"), *sign_v4("no-such-bucket")]))
    assert (refused.status, refused.code) == (404, "NoSuchBucket")
    refused = post(store, "/forms", encode_form([("key", "k"), *sign_v4("forms", token="nobody-s")]))
    assert (refused.status, refused.code) == (400, "InvalidToken")


def test_sizes(store: Store, s3: Any) -> None:
    for size, status, code in ((2, 400, "EntityTooSmall"), (3, 204, ""), (5, 204, ""), (6, 400, "EntityTooLarge")):
        signed = sign_v4("forms", ["content-length-range", 3, 5])
        told = post(store, "/forms", encode_form([("key", f"size-{size}"), *signed], file=b"x" * size))
        assert (told.status, told.code) == (status, code)
        if status == 400:
            assert_not_there(s3, f"size-{size}")


# -- what fields say ---------------------------------------------------------------------------------------------------


def test_headers_tags_and_metadata(store: Store, s3: Any) -> None:
    tagging = "<Tagging><TagSet><Tag><Key>a b</Key><Value>ü+</Value></Tag></TagSet></Tagging>"
    told = fill(
        store, "everything", ("Cache-Control", "no-cache"), ("Content-Type", "text/html"), ("Content-Encoding", "gzip"),
        ("Content-Disposition", "inline"), ("Expires", "Thu, 01 Dec 2033 16:00:00 GMT"),
        ("x-amz-meta-name", "größe"), ("tagging", tagging), ("x-amz-storage-class", "STANDARD"),
        ("x-amz-website-redirect-location", "/there"), ("x-ignore-me", "1"), ("x-amz-server-side-encryption", "AES256"),
    )  # fmt: skip
    assert told.status == 204, told.body
    assert told.headers["x-amz-server-side-encryption"] == "AES256"
    found = s3.head_object(Bucket="forms", Key="everything")
    assert found["CacheControl"] == "no-cache"
    assert found["ContentEncoding"] == "gzip"
    assert found["ContentDisposition"] == "inline"
    assert found["WebsiteRedirectLocation"] == "/there"
    assert found["ServerSideEncryption"] == "AES256"
    assert found["Metadata"]["name"].encode("latin-1").decode() == "größe"
    assert s3.get_object_tagging(Bucket="forms", Key="everything")["TagSet"] == [{"Key": "a b", "Value": "ü+"}]


def test_headers_of_the_request_are_not_the_form_s(store: Store, s3: Any) -> None:
    body = encode_form([("key", "beside"), *sign_v4("forms")])
    headers = {"x-amz-meta-a": "b", "Cache-Control": "no-cache", "x-amz-tagging": "a=b", "x-amz-acl": "public-read"}
    assert post(store, "/forms", body, headers).status == 204
    found = s3.head_object(Bucket="forms", Key="beside")
    assert found["Metadata"] == {}
    assert "CacheControl" not in found
    assert found["ContentType"] == "binary/octet-stream"
    assert s3.get_object_tagging(Bucket="forms", Key="beside")["TagSet"] == []
    refused = post(store, "/forms", body, {"Authorization": "Bearer x"})
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    refused = post(store, "/forms", body, {"x-amz-expected-bucket-owner": "999999999999"})
    assert (refused.status, refused.code) == (403, "AccessDenied")


def test_checksums(store: Store, s3: Any) -> None:
    good = base64.b64encode(hashlib.sha256(b"bar").digest()).decode()
    signed = sign_v4("forms")
    told = post(store, "/forms", encode_form([("key", "sum"), ("x-amz-checksum-sha256", good), *signed]))
    assert (told.status, told.headers["x-amz-checksum-sha256"]) == (204, good)
    for bad in (base64.b64encode(b"\0" * 32).decode(), "sailor"):
        told = post(store, "/forms", encode_form([("key", "bad-sum"), ("x-amz-checksum-sha256", bad), *signed]))
        assert (told.status, told.code) == (400, "BadDigest")
    told = fill(store, "bad-md5", ("Content-MD5", base64.b64encode(b"\0" * 16).decode()))
    assert (told.status, told.code) == (400, "BadDigest")
    assert_not_there(s3, "bad-sum")
    assert_not_there(s3, "bad-md5")


def test_conditions_versions_and_locks(store: Store, s3: Any) -> None:
    s3.create_bucket(Bucket="forms-locked", ObjectLockEnabledForBucket=True)
    names = (
        "If-None-Match",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-retain-until-date",
        "x-amz-object-lock-legal-hold",
    )
    values = ("*", "GOVERNANCE", "2098-01-01T00:00:00Z", "ON")
    signed = sign_v4("forms-locked", *(["starts-with", f"${name}", ""] for name in names))
    body = encode_form([("key", "k"), *zip(names, values, strict=True), *signed])
    told = post(store, "/forms-locked", body)
    assert told.status == 204, told.body
    found = s3.head_object(Bucket="forms-locked", Key="k")
    assert told.headers["x-amz-version-id"] == found["VersionId"]
    assert (found["ObjectLockMode"], found["ObjectLockLegalHoldStatus"]) == ("GOVERNANCE", "ON")
    again = post(store, "/forms-locked", body)
    assert (again.status, again.code) == (412, "PreconditionFailed")


# -- answers -----------------------------------------------------------------------------------------------------------


def test_statuses(store: Store) -> None:
    for said, status in (("200", 200), ("204", 204), ("404", 204), ("", 204), ("2O1", 204)):
        told = fill(store, "status", ("success_action_status", said))
        assert (told.status, told.body) == (status, b"")
    told = fill(store, "a b&<c>", ("success_action_status", "201"))
    assert (told.status, told.headers["content-type"]) == (201, "application/xml")
    root = ElementTree.fromstring(told.body)
    assert root.tag == "PostResponse"
    assert {child.tag: child.text for child in root} == {
        "Location": f"{store.url}/forms/a%20b%26%3Cc%3E",
        "Bucket": "forms",
        "Key": "a b&<c>",
        "ETag": told.headers["etag"],
    }


def test_redirects(store: Store) -> None:
    told = fill(store, "a&b=ü", ("success_action_redirect", "http://app.test/done?x=1#end"))
    etag = told.headers["etag"].strip('"')
    assert told.status == 303
    assert told.headers["location"] == f"http://app.test/done?x=1&bucket=forms&key=a%26b%3D%C3%BC&etag=%22{etag}%22"
    told = fill(store, "k", ("redirect", "https://app.test/é"))
    assert told.headers["location"].startswith("https://app.test/%C3%A9?bucket=forms&key=k&etag=")
    for nowhere in ("javascript:alert(1)", "//app.test/", "/relative", "http://", "http://[", "a\r\nSet-Cookie: x"):
        told = fill(store, "k", ("success_action_redirect", nowhere))
        assert (told.status, "set-cookie" in told.headers) == (204, False), nowhere


# -- nobody's ----------------------------------------------------------------------------------------------------------


def test_anonymous_forms_need_the_bucket_s_leave(store: Store, s3: Any) -> None:
    body = encode_form([("key", "in/${filename}"), ("Content-Type", "text/plain")])
    refused = post(store, "/forms", body)
    assert (refused.status, refused.code) == (403, "AccessDenied")
    s3.create_bucket(Bucket="forms-open")
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::forms-open/in/*",
    }
    s3.put_bucket_policy(Bucket="forms-open", Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))
    assert post(store, "/forms-open", body).status == 204
    assert read(s3, "in/a.txt", "forms-open") == b"bar"
    refused = post(store, "/forms-open", encode_form([("key", "out/a")]))
    assert (refused.status, refused.code) == (403, "AccessDenied")
    refused = post(store, "/forms-open", encode_form([("key", "in/a"), ("tagging", "<Tagging><TagSet/></Tagging>")]))
    assert refused.status == 403  # tags are a right of their own
    refused = post(store, "/forms-open", encode_form([("key", "in/a"), ("policy", make_policy("forms-open"))]))
    assert (refused.status, refused.code) == (400, "InvalidArgument")


# -- odd bodies --------------------------------------------------------------------------------------------------------


def test_what_is_no_form(store: Store) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/mixed; boundary=x", ""):
        told = post(store, "/forms", b"key=a", {"Content-Type": kind})
        assert (told.status, told.code) == (412, "PreconditionFailed")
        assert b"<Condition>Bucket POST must be of the enclosure-type multipart/form-data</Condition>" in told.body
    told = post(store, "/forms", b"key=a", {"Content-Type": "multipart/form-data"})
    assert (told.status, told.code) == (400, "MalformedPOSTRequest")
    told = post(store, "/forms", b"no delimiters at all")
    assert (told.status, told.code) == (400, "MalformedPOSTRequest")


def test_fields_that_are_missing_late_or_given_twice(store: Store, s3: Any) -> None:
    signed = sign_v4("forms")
    cases = [
        (encode_form(signed), 400, "InvalidArgument"),  # no key
        (encode_form([("key", ""), *signed]), 400, "InvalidArgument"),
        (encode_form([("key", "k" * 1025), *signed]), 400, "KeyTooLongError"),
        (encode_form([("key", "twice"), ("Key", "other"), *signed]), 400, "InvalidArgument"),
        (encode_form([("key", "twice"), *signed], file=None), 400, "IncorrectNumberOfFilesInPostRequest"),
        (encode_form([("key", "twice"), *signed[:-1]]), 400, "InvalidArgument"),  # no signature
        (encode_form([("key", "twice"), ("x-amz-meta-a", "a\r\nb"), *signed]), 403, "AccessDenied"),
        (encode_form([("key", "twice"), ("pad", "x" * 20480), *signed]), 400, "MaxPostPreDataLengthExceeded"),
    ]
    for number, (body, status, code) in enumerate(cases):
        told = post(store, "/forms", body)
        assert (told.status, told.code) == (status, code), number
    late = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'.encode()
    fields = b"".join(late + f'{name}"\r\n\r\n{value}\r\n'.encode() for name, value in signed)
    body = (
        encode_form([("key", "late")]).removesuffix(f"--{BOUNDARY}--\r\n".encode())
        + fields
        + f"--{BOUNDARY}--".encode()
    )
    told = post(store, "/forms", body)
    assert (told.status, told.code) == (403, "AccessDenied")  # what is behind the file is ignored: nobody signed
    told = fill(store, "twice", ("x-amz-meta-a", "a\r\nb"))
    assert (told.status, told.code) == (400, "InvalidArgument")
    assert_not_there(s3, "twice")


def test_a_form_that_ends_early_stores_nothing(store: Store, s3: Any) -> None:
    body = encode_form([("key", "cut"), *sign_v4("forms")], file=b"x" * 100_000)
    for end in (len(body) - 1, len(body) - 4, len(body) - 50, len(body) // 2):
        cut = body[:end].removesuffix(b"--\r\n").removesuffix(b"--\r").removesuffix(b"--")
        told = post(store, "/forms", cut)
        assert (told.status, told.code) == (400, "MalformedPOSTRequest")
        with connect(store) as wire:
            head = (
                f"POST /forms HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            wire.sock.sendall(head.encode() + cut)
            wire.sock.shutdown(1)
            answer = wire.sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 400 ") or answer == b"", answer
    assert_not_there(s3, "cut")


def test_a_form_in_chunks_and_one_of_unknown_length(store: Store, s3: Any) -> None:
    body = encode_form([("key", "chunked"), *sign_v4("forms")], file=b"y" * 200_000)
    pieces = (body[at : at + 7001] for at in range(0, len(body), 7001))
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    assert requests.post(f"{store.url}/forms", data=pieces, headers=kind, timeout=30).status_code == 204
    assert read(s3, "chunked") == b"y" * 200_000
    with connect(store) as wire:
        answer = wire.send(
            f"POST /forms HTTP/1.1\r\nHost: x\r\nContent-Type: {kind['Content-Type']}\r\n\r\n".encode()
        ).response()
        assert answer.status == 411


def test_names_of_fields_that_are_no_headers(store: Store, s3: Any) -> None:
    for name in ("x-amz-meta-a: b", "x-amz-meta-a b", "x-amz-meta-ü", "x-amz-meta-"):
        told = fill(store, "odd-name", (name, "value"))
        assert (told.status, told.code) == ((204, "") if name == "x-amz-meta-" else (400, "InvalidArgument")), name


def test_files_full_of_boundaries(store: Store, s3: Any) -> None:
    for number, file in enumerate(
        (b"", f"\r\n--{BOUNDARY[:-1]}".encode() * 3000, b"\r\n" * 40_000, encode_form([("a", "b")])[:60])
    ):
        told = fill(store, f"file-{number}", file=file)
        assert told.status == (204 if b"\r\n--" + BOUNDARY.encode() not in file else 400)
        if told.status == 204:
            assert read(s3, f"file-{number}") == file


def test_a_post_elsewhere_is_no_form(store: Store) -> None:
    body = encode_form([("key", "k"), *sign_v4("forms")])
    assert post(store, "/forms/key", body).status == 405
    assert post(store, "/", body).status in (403, 405)
