"""Server-side encryption through boto3, on a store with two workers."""

import base64
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.exceptions import ClientError
from support.raw_store import connect, sign_put
from support.store import BIN, Store, running_store
from support.store_state import stored_paths

from nova_objectstore.limits import KiB, MiB
from nova_wsgi.testing import workers

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
SIZES = [0, 1, 1000, 200_000, 6 * MiB]


def manage(store: Store, *command: str) -> str:
    return store.run(BIN / "nova-manage", "--state-path", store.state_path, *command)


@pytest.fixture(scope="module")
def keys(store: Store) -> None:
    for key in ("one", "two"):
        manage(store, "kms", "create", key)


@pytest.fixture
def s3(store: Store, keys: None) -> Any:
    return store.client()


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[-60:].strip("-")
    s3.create_bucket(Bucket=name)
    return name


def code_of(call: Any, *args: Any, **kwargs: Any) -> tuple[int, str]:
    """The status and code that a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    response = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def customer(key: bytes = KEY) -> dict[str, Any]:
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def encoded(read: dict[str, Any]) -> dict[str, Any]:
    """A customer's key as botocore wants it where it does not encode it itself."""
    if not read:
        return {}
    key = read["SSECustomerKey"]
    digest = base64.b64encode(hashlib.md5(key).digest()).decode()
    return {**read, "SSECustomerKey": base64.b64encode(key).decode(), "SSECustomerKeyMD5": digest}


def source(key: bytes = KEY) -> dict[str, Any]:
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


# How a write asks, how a read does, what both are told.
KMS = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "one"}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "none": ({}, {}, {}),
    "sse-s3": ({"ServerSideEncryption": "AES256"}, {}, {"ServerSideEncryption": "AES256"}),
    "sse-kms": (KMS, {}, KMS),
    "sse-kms-bucket-key": ({**KMS, "BucketKeyEnabled": True}, {}, {**KMS, "BucketKeyEnabled": True}),
    "sse-c": (
        customer(),
        customer(),
        {
            "SSECustomerAlgorithm": "AES256",
            "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(KEY).digest()).decode(),
        },
    ),
}
TOLD = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "SSECustomerAlgorithm", "SSECustomerKeyMD5")


def told(response: dict[str, Any]) -> dict[str, Any]:
    return {name: response[name] for name in TOLD if name in response}


# -- objects -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_put_get_head_and_range(s3: Any, bucket: str, way: str, size: int) -> None:
    write, read, expected = WAYS[way]
    content = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=content, **write)
    got = s3.get_object(Bucket=bucket, Key="k", **read)
    head = s3.head_object(Bucket=bucket, Key="k", **read)

    assert got["Body"].read() == content
    assert [told(response) for response in (put, got, head)] == [expected] * 3
    assert put["ETag"] == got["ETag"] == head["ETag"]
    assert (put["ETag"] == f'"{hashlib.md5(content).hexdigest()}"') is (way in ("none", "sse-s3"))
    assert got["ContentLength"] == head["ContentLength"] == size
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [(entry["Size"], entry["ETag"]) for entry in listed] == [(size, put["ETag"])]
    if size > 10:
        part = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes=5-{size - 3}", **read)
        assert part["Body"].read() == content[5:-2]
        assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert told(part) == expected


@pytest.mark.parametrize("way", WAYS)
def test_attributes_and_checksums_are_the_plaintext_s(s3: Any, bucket: str, way: str) -> None:
    write, read, _ = WAYS[way]
    digest = base64.b64encode(hashlib.sha256(b"meow").digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=b"meow", ChecksumSHA256=digest, **write)
    wanted = {"Bucket": bucket, "Key": "k", "ObjectAttributes": ["Checksum", "ObjectSize"]}
    attributes = s3.get_object_attributes(**wanted, **encoded(read))

    assert (attributes["Checksum"]["ChecksumSHA256"], attributes["ObjectSize"]) == (digest, 4)
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", **read)["ChecksumSHA256"] == digest
    wrong = base64.b64encode(bytes(32)).decode()
    refused = code_of(s3.put_object, Bucket=bucket, Key="l", Body=b"meow", ChecksumSHA256=wrong, **write)
    assert refused == (400, "BadDigest")


def test_a_customer_s_object_wants_its_key(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"meow", **customer())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"meow")
    for call in (s3.get_object, s3.head_object):
        for more in ({}, customer(OTHER_KEY)):
            assert code_of(call, Bucket=bucket, Key="k", **more)[0] == 400
        assert code_of(call, Bucket=bucket, Key="plain", **customer())[0] == 400
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == (400, "InvalidRequest")
    wanted = {"Bucket": bucket, "Key": "k", "ObjectAttributes": ["ObjectSize"]}
    assert code_of(s3.get_object_attributes, **wanted) == (400, "InvalidRequest")
    assert s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"ServerSideEncryption": "AES192"}, (400, "InvalidArgument")),
        ({"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "one"}, (501, "NotImplemented")),
        ({"SSEKMSKeyId": "one"}, (400, "InvalidArgument")),
        ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "one"}, (400, "InvalidArgument")),
        ({"ServerSideEncryption": "AES256", **customer()}, (400, "InvalidArgument")),
        ({**customer(), "SSECustomerAlgorithm": "AES128"}, (400, "InvalidEncryptionAlgorithmError")),
        ({**encoded(customer()), "SSECustomerKeyMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, (400, "InvalidArgument")),
        (customer(bytes(31)), (400, "InvalidArgument")),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "three"}, (400, "KMS.NotFoundException")),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "nova/sse-s3"}, (400, "KMS.NotFoundException")),
        ({"ServerSideEncryption": "aws:kms"}, (400, "KMS.NotFoundException")),
    ],
)
def test_refusals_have_aws_s_codes_and_store_nothing(s3: Any, bucket: str, asked: Any, code: tuple[int, str]) -> None:
    for write in (s3.put_object, s3.create_multipart_upload):
        assert code_of(write, Bucket=bucket, Key="k", **asked) == code
    s3.put_object(Bucket=bucket, Key="source", Body=b"meow")
    assert code_of(s3.copy_object, Bucket=bucket, Key="k", CopySource=f"{bucket}/source", **asked) == code
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["source"]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_an_encryption_context_is_bound_and_told_to_the_writer(s3: Any, bucket: str) -> None:
    context = base64.b64encode(b'{"team": "cats"}').decode()
    write = {**KMS, "SSEKMSEncryptionContext": context}
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"meow", **write)["SSEKMSEncryptionContext"] == context
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"meow"
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **write)
    assert copied["SSEKMSEncryptionContext"] == context
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"meow"


def test_keys_go_by_their_arn_and_alias_too(s3: Any, bucket: str) -> None:
    for name in ("arn:aws:kms:us-east-1:111122223333:key/one", "alias/one"):
        write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": name}
        assert s3.put_object(Bucket=bucket, Key="k", Body=b"meow", **write)["SSEKMSKeyId"] == name
        assert s3.head_object(Bucket=bucket, Key="k")["SSEKMSKeyId"] == name


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_disabled_key_is_refused_by_all_workers_at_once(store: Store, s3: Any, bucket: str) -> None:
    manage(store, "kms", "create", "switched")
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "switched"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"meow", **write)
    clients = [store.client() for _ in range(4)]  # a connection each: both workers answer
    for _ in range(2):
        manage(store, "kms", "disable", "switched")
        for client in clients:
            assert code_of(client.get_object, Bucket=bucket, Key="k") == (400, "KMS.DisabledException")
            assert code_of(client.put_object, Bucket=bucket, Key="l", **write) == (400, "KMS.DisabledException")
        manage(store, "kms", "enable", "switched")
        for client in clients:
            assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"meow"


def test_a_rotated_key_opens_what_it_has_sealed(store: Store, s3: Any, bucket: str) -> None:
    manage(store, "kms", "create", "rotated")
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "rotated"}
    for number in range(2):
        s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"meow", **write)
        s3.put_object(Bucket=bucket, Key=f"s{number}", Body=b"meow", ServerSideEncryption="AES256")
        manage(store, "kms", "rotate", "rotated")
        manage(store, "kms", "rotate", "nova/sse-s3")
    for number in range(2):
        assert store.client().get_object(Bucket=bucket, Key=f"k{number}")["Body"].read() == b"meow"
        assert store.client().get_object(Bucket=bucket, Key=f"s{number}")["Body"].read() == b"meow"


def test_a_damaged_object_is_an_error_and_not_data(store: Store, s3: Any, bucket: str) -> None:
    before = set(stored_paths(store.state_path))
    s3.put_object(Bucket=bucket, Key="k", Body=os.urandom(200_000), ServerSideEncryption="AES256")
    (newest,) = set(stored_paths(store.state_path)) - before
    damaged = bytearray(newest.read_bytes())
    damaged[70_000] ^= 1
    newest.chmod(0o600)
    newest.write_bytes(damaged)

    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=bucket, Key="k")
    assert not {"Ref", "Frame"} & set(refused.value.response["Error"])  # they are for the log
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == (500, "InternalError")
    assert len(s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-1000")["Body"].read()) == 1001


def test_other_facts_of_an_object_leave_its_key_alone(s3: Any, bucket: str) -> None:
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_object(Bucket=bucket, Key="k", Body=b"meow", ServerSideEncryption="AES256")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="authenticated-read")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    s3.rename_object(Bucket=bucket, Key="l", RenameSource=f"{bucket}/k")

    got = s3.get_object(Bucket=bucket, Key="l")
    assert (got["Body"].read(), got["ServerSideEncryption"]) == (b"meow", "AES256")


def test_nobody_unsigned_has_anything_opened_under_a_key_of_the_keyring(store: Store, s3: Any, bucket: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    for way in ("none", "sse-s3", "sse-kms", "sse-c"):
        s3.put_object(Bucket=bucket, Key=way, Body=b"meow", **WAYS[way][0])
    stranger = store.client(signature_version=UNSIGNED)

    for way in ("none", "sse-s3"):
        assert stranger.get_object(Bucket=bucket, Key=way)["Body"].read() == b"meow"
    assert stranger.get_object(Bucket=bucket, Key="sse-c", **customer())["Body"].read() == b"meow"
    assert code_of(stranger.get_object, Bucket=bucket, Key="sse-c") == (400, "InvalidRequest")
    assert code_of(stranger.get_object, Bucket=bucket, Key="sse-kms") == (400, "InvalidArgument")
    assert code_of(stranger.head_object, Bucket=bucket, Key="sse-kms")[0] == 400


# -- copies and parts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 200_000])
@pytest.mark.parametrize("target", WAYS)
@pytest.mark.parametrize("origin", WAYS)
def test_copies_between_all_of_them(s3: Any, bucket: str, origin: str, target: str, size: int) -> None:
    content = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=content, ContentType="text/plain", **WAYS[origin][0])
    write, read, expected = WAYS[target]
    opening = source() if origin == "sse-c" else {}
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **write, **opening)
    got = s3.get_object(Bucket=bucket, Key="copy", **read)

    assert got["Body"].read() == content
    assert got["ContentType"] == "text/plain"
    assert [told(copied), told(got)] == [expected] * 2
    assert copied["CopyObjectResult"]["ETag"] == got["ETag"]


def test_a_copy_wants_its_source_s_key(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"meow", **customer())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"meow")
    asked = {"Bucket": bucket, "Key": "copy"}
    assert code_of(s3.copy_object, CopySource=f"{bucket}/k", **asked) == (400, "InvalidRequest")
    assert code_of(s3.copy_object, CopySource=f"{bucket}/k", **asked, **source(OTHER_KEY)) == (400, "InvalidRequest")
    assert code_of(s3.copy_object, CopySource=f"{bucket}/plain", **asked, **source()) == (400, "InvalidRequest")


def test_an_object_is_encrypted_in_its_place(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"meow", Metadata={"a": "b"})
    itself = {"Bucket": bucket, "Key": "k", "CopySource": f"{bucket}/k"}
    assert code_of(s3.copy_object, **itself) == (400, "InvalidRequest")
    s3.copy_object(**itself, ServerSideEncryption="AES256")
    s3.copy_object(**itself, **customer())
    s3.copy_object(**itself, **source(), **customer(OTHER_KEY))
    got = s3.get_object(Bucket=bucket, Key="k", **customer(OTHER_KEY))
    assert (got["Body"].read(), got["Metadata"]) == (b"meow", {"a": "b"})


@pytest.mark.parametrize("way", [way for way in WAYS if way != "sse-kms-bucket-key"])  # which it cannot ask for
def test_multipart_uploads_by_the_transfer_manager(s3: Any, bucket: str, way: str, tmp_path: Path) -> None:
    write, read, expected = WAYS[way]
    content = os.urandom(5 * MiB) + os.urandom(5 * MiB) + b"end"
    (tmp_path / "up").write_bytes(content)
    config = TransferConfig(multipart_threshold=5 * MiB, multipart_chunksize=5 * MiB)
    s3.upload_file(str(tmp_path / "up"), bucket, "k", ExtraArgs=write, Config=config)
    s3.download_file(bucket, "k", str(tmp_path / "down"), ExtraArgs=read, Config=config)

    assert (tmp_path / "down").read_bytes() == content
    head = s3.head_object(Bucket=bucket, Key="k", **read)
    assert told(head) == expected
    assert head["ETag"].endswith('-3"')
    for first, last in ((5 * MiB - 1, 5 * MiB), (0, 10 * MiB + 2), (10 * MiB + 1, 10 * MiB + 2)):
        got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **read)
        assert got["Body"].read() == content[first : last + 1]
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2, **read)
    assert second["Body"].read() == content[5 * MiB : 10 * MiB]


@pytest.mark.parametrize("way", WAYS)
def test_every_answer_of_an_upload_tells_its_encryption(s3: Any, bucket: str, way: str) -> None:
    write, read, expected = WAYS[way]
    parts = {"SSECustomerAlgorithm", "SSECustomerKey"}
    more = {name: value for name, value in write.items() if name in parts}
    s3.put_object(Bucket=bucket, Key="source", Body=b"meow")
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k", **write)
    upload = {"Bucket": bucket, "Key": "k", "UploadId": begun["UploadId"]}
    first = s3.upload_part(**upload, PartNumber=1, Body=bytes(5 * MiB), **more)
    second = s3.upload_part_copy(**upload, PartNumber=2, CopySource=f"{bucket}/source", **more)
    etags = [first["ETag"], second["CopyPartResult"]["ETag"]]
    listed = s3.list_parts(**upload)["Parts"]
    assert [part["ETag"] for part in listed] == etags
    done = s3.complete_multipart_upload(
        **upload,
        MultipartUpload={"Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]},
        **more,
    )
    in_model = {name: value for name, value in expected.items() if not name.startswith("SSECustomer")}
    assert [told(begun), told(first), told(second), told(done)] == [expected] * 3 + [in_model]
    assert s3.get_object(Bucket=bucket, Key="k", **read)["Body"].read() == bytes(5 * MiB) + b"meow"


# -- buckets -------------------------------------------------------------------------------------------------------------


def configure(s3: Any, bucket: str, algorithm: str, key: str = "", **more: Any) -> None:
    default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    rule = {"ApplyServerSideEncryptionByDefault": default, **more}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_a_bucket_s_default(s3: Any, bucket: str) -> None:
    missing = (404, "ServerSideEncryptionConfigurationNotFoundError")
    assert code_of(s3.get_bucket_encryption, Bucket=bucket) == missing
    configure(s3, bucket, "aws:kms", "one", BucketKeyEnabled=True)
    found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert found == [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "one"},
            "BucketKeyEnabled": True,
        }
    ]
    put = s3.put_object(Bucket=bucket, Key="default", Body=b"meow")
    assert told(put) == {**KMS, "BucketKeyEnabled": True}
    assert told(s3.put_object(Bucket=bucket, Key="own", **customer())) == WAYS["sse-c"][2]
    assert told(s3.put_object(Bucket=bucket, Key="own", BucketKeyEnabled=False)) == KMS
    assert told(s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/default")) == told(put)
    s3.delete_bucket_encryption(Bucket=bucket)
    assert code_of(s3.get_bucket_encryption, Bucket=bucket) == missing
    assert told(s3.put_object(Bucket=bucket, Key="after", Body=b"meow")) == {}
    assert s3.get_object(Bucket=bucket, Key="default")["Body"].read() == b"meow"


def test_a_bucket_s_default_holds_for_all_workers_at_once(store: Store, s3: Any, bucket: str) -> None:
    clients = [store.client() for _ in range(4)]  # a connection each: both workers answer
    for algorithm in ("AES256", "", "AES256"):
        if algorithm:
            configure(s3, bucket, algorithm)
        else:
            s3.delete_bucket_encryption(Bucket=bucket)
        for client in clients:
            put = client.put_object(Bucket=bucket, Key="k", Body=b"meow")
            assert put.get("ServerSideEncryption", "") == algorithm


def test_a_default_that_cannot_be_is_told_by_the_write(s3: Any, bucket: str) -> None:
    configure(s3, bucket, "aws:kms", "three")
    assert code_of(s3.put_object, Bucket=bucket, Key="k") == (400, "KMS.NotFoundException")


def test_a_bucket_may_refuse_customers_keys(s3: Any, bucket: str) -> None:
    configure(s3, bucket, "AES256", BlockedEncryptionTypes={"EncryptionType": ["SSE-C"]})
    assert code_of(s3.put_object, Bucket=bucket, Key="k", **customer()) == (403, "AccessDenied")
    assert code_of(s3.create_multipart_upload, Bucket=bucket, Key="k", **customer()) == (403, "AccessDenied")
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}


# -- options -------------------------------------------------------------------------------------------------------------


def test_a_store_that_encrypts_always_says_so_and_wants_tls_for_customers_keys(tmp_path: Path) -> None:
    with running_store(tmp_path / "state", "--default-encryption", "AES256", "--sse-c-needs-tls") as store:
        s3 = store.client()
        s3.create_bucket(Bucket="always")
        put = s3.put_object(Bucket="always", Key="k", Body=b"meow")
        found = s3.get_bucket_encryption(Bucket="always")["ServerSideEncryptionConfiguration"]["Rules"]

        assert told(put) == {"ServerSideEncryption": "AES256"}
        assert found[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        assert code_of(s3.put_object, Bucket="always", Key="k", **customer()) == (400, "InvalidRequest")
        assert s3.get_object(Bucket="always", Key="k")["Body"].read() == b"meow"


def test_objects_of_before_stay_readable_and_the_key_may_lie_elsewhere(tmp_path: Path) -> None:
    state, master = tmp_path / "state", tmp_path / "master"
    with running_store(state) as store:
        store.client().create_bucket(Bucket="before")
        store.client().put_object(Bucket="before", Key="plain", Body=b"meow")
    master.write_text("ab" * 32)
    master.chmod(0o600)
    subprocess.run(
        [BIN / "nova-manage", "--state-path", state, "kms", "reseal", master], check=True, capture_output=True
    )
    (state / "master-key").unlink()
    for _ in range(2):
        with running_store(state, "--default-encryption", "AES256", "--master-key-file", str(master)) as store:
            s3 = store.client()
            assert s3.get_object(Bucket="before", Key="plain")["Body"].read() == b"meow"
            s3.put_object(Bucket="before", Key="sealed", Body=b"meow")
    assert not (state / "master-key").exists()
    with running_store(state, environ={"NOVA_MASTER_KEY": "ab" * 32}) as store:
        assert store.client().get_object(Bucket="before", Key="sealed")["Body"].read() == b"meow"


@pytest.mark.parametrize("mistake", ["loose", "lost", "other"])
def test_a_store_does_not_start_with_a_wrong_master_key(tmp_path: Path, mistake: str) -> None:
    state = tmp_path / "state"
    with running_store(state) as store:
        manage(store, "kms", "create", "one")
    environ = {}
    if mistake == "loose":
        (state / "master-key").chmod(0o640)
    elif mistake == "lost":
        (state / "master-key").unlink()
    else:
        environ["NOVA_MASTER_KEY"] = "cd" * 32

    with pytest.raises(ChildProcessError, match=r"master key|chmod"), running_store(state, environ=environ):
        pass


# -- what must not be seen -----------------------------------------------------------------------------------------------


def test_customers_keys_are_in_no_log_and_no_answer_but_the_signer_s_own(tmp_path: Path) -> None:
    key = base64.b64encode(KEY).decode()
    with running_store(tmp_path / "state") as store:
        s3 = store.client()
        s3.create_bucket(Bucket="quiet")
        s3.put_object(Bucket="quiet", Key="k", Body=b"meow", **customer())
        assert s3.get_object(Bucket="quiet", Key="k", **customer())["Body"].read() == b"meow"
        for more in (customer(bytes(31)), customer(OTHER_KEY)):
            code_of(s3.get_object, Bucket="quiet", Key="k", **more)
        output = store.server.output()
    for secret in (key, base64.b64encode(OTHER_KEY).decode(), base64.b64encode(bytes(31)).decode()):
        assert secret not in output
    assert not any(KEY in path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())


# -- memory --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are read from Linux's /proc")
def test_a_large_object_is_sealed_and_opened_in_little_memory(tmp_path: Path) -> None:
    def sizes(name: str) -> list[int]:
        found = (re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()) for pid in pids)
        return [int(match[1]) * KiB for match in found if match]

    with running_store(tmp_path, "--default-encryption", "AES256") as store:
        s3 = store.client()
        s3.create_bucket(Bucket="memory")
        pids = workers(store.server.pid)
        for number in range(8):
            store.client().put_object(Bucket="memory", Key=f"warm{number}", Body=bytes(2 * MiB))
        before = sizes("VmRSS")
        for pid in pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM
        with connect(store) as wire:
            wire.send(sign_put("/memory/k", 128 * MiB))
            for _ in range(256):
                wire.send(bytes(512 * KiB))
            assert wire.response().status == 200
        got = s3.get_object(Bucket="memory", Key="k")
        assert sum(len(chunk) for chunk in got["Body"].iter_chunks(512 * KiB)) == 128 * MiB
        assert got["ServerSideEncryption"] == "AES256"
        growth = [peak - size for peak, size in zip(sizes("VmHWM"), before, strict=True)]
    assert growth
    assert max(growth) < 16 * MiB
