"""Clients that people use, unmodified, against a real process with two workers."""

import hashlib
import os
import random
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from support.store import ACCESS_KEY, BIN, REGION, SECRET_KEY, Store, need_program

from nova_objectstore.limits import GiB, MiB


def make_file(path: Path, size: int, seed: int = 1) -> str:
    """A file of pseudo-random bytes; its SHA-256."""
    digest = hashlib.sha256()
    generator = random.Random(seed)
    with path.open("wb") as file:
        for _ in range(0, size, MiB):
            block = generator.randbytes(min(MiB, size))
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture
def bucket(store: Store, request: pytest.FixtureRequest) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60].strip("-")
    store.client().create_bucket(Bucket=name)
    return name


# -- boto3 ------------------------------------------------------------------------------------------------------------


def test_boto3_client(store: Store, bucket: str) -> None:
    s3 = store.client()
    put = s3.put_object(
        Bucket=bucket, Key="a/b.txt", Body=b"hello", ContentType="text/plain", Metadata={"color": "red"}
    )
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    got = s3.get_object(Bucket=bucket, Key="a/b.txt", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["Metadata"]) == ("text/plain", {"color": "red"})
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    assert s3.head_object(Bucket=bucket, Key="a/b.txt")["ContentLength"] == 5
    assert s3.get_object(Bucket=bucket, Key="a/b.txt", Range="bytes=1-3")["Body"].read() == b"ell"
    listed = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [group["Prefix"] for group in listed["CommonPrefixes"]] == ["a/"]
    s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "a/b.txt"})
    assert [entry["Key"] for entry in s3.list_objects(Bucket=bucket)["Contents"]] == ["a/b.txt", "c"]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/b.txt"}, {"Key": "c"}]})
    assert {entry["Key"] for entry in deleted["Deleted"]} == {"a/b.txt", "c"}
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.list_objects_v2(Bucket=bucket)


def test_boto3_resource_uploads_100_mib_in_parts(store: Store, bucket: str, tmp_path: Path) -> None:
    import boto3

    wanted = make_file(tmp_path / "up", 100 * MiB)
    s3 = boto3.resource(
        "s3", endpoint_url=store.url, region_name=REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY
    )
    obj = s3.Object(bucket, "big")
    obj.upload_file(str(tmp_path / "up"), Config=TransferConfig(multipart_chunksize=8 * MiB))
    assert obj.content_length == 100 * MiB
    assert obj.e_tag.endswith('-13"')
    obj.download_file(str(tmp_path / "down"))
    assert sha256(tmp_path / "down") == wanted
    assert [summary.key for summary in s3.Bucket(bucket).objects.all()] == ["big"]


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_boto3_presigned_urls(store: Store, bucket: str, signature: str) -> None:
    s3 = store.client(signature_version=signature)
    kind = {"ContentType": "text/plain"}  # SigV2 signs it
    put = urllib.request.Request(
        s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k", **kind}, ExpiresIn=60),
        data=b"presigned",
        method="PUT",
        headers={"Content-Type": "text/plain"},
    )
    with urllib.request.urlopen(put, timeout=10) as answer:
        assert answer.status == 200
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"presigned"


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
@pytest.mark.parametrize(
    "key", ["plain", "a b+c&d=e?f#g%h", "ü/日本/😀", "//double//", "/lead", "../dots/./..", "new\nline", "~!*'()"]
)
def test_boto3_odd_keys(store: Store, key: str, signature: str) -> None:
    s3 = store.client(signature_version=signature)
    name = "odd-keys"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=name, Key=key)["Body"].read() == key.encode()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=name)["Contents"]] == [key]
    s3.delete_object(Bucket=name, Key=key)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_boto3_checksums(store: Store, algorithm: str) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="checksums")
    put = s3.put_object(Bucket="checksums", Key=algorithm, Body=b"x" * 100_000, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket="checksums", Key=algorithm, ChecksumMode="ENABLED")
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    assert got["ChecksumType"] == "FULL_OBJECT"
    assert got["Body"].read() == b"x" * 100_000
    attributes = s3.get_object_attributes(
        Bucket="checksums", Key=algorithm, ObjectAttributes=["Checksum", "ObjectSize"]
    )
    assert attributes["Checksum"][f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]


def test_two_workers_see_each_other_s_writes(store: Store, bucket: str) -> None:
    for number in range(40):
        store.client().put_object(Bucket=bucket, Key=f"{number:02}", Body=b"%d" % number)
        assert store.client().get_object(Bucket=bucket, Key=f"{number:02}")["Body"].read() == b"%d" % number


# -- boto 2 -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="boto 2 does not import on Python 3.12 and later")
def test_boto2_with_sigv2(store: Store) -> None:
    program = Path(__file__).parent / "boto2_program.py"
    assert store.run(sys.executable, program, "127.0.0.1", str(store.port), ACCESS_KEY, SECRET_KEY).endswith("ok\n")


# -- command lines ------------------------------------------------------------------------------------------------------


def test_awscli(store: Store, bucket: str, tmp_path: Path) -> None:
    aws = BIN / "aws"
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for number in range(5):
        (tree / "sub" / f"{number} ü.txt").write_text(f"file {number}")
    wanted = make_file(tree / "large", 20 * MiB)
    store.run(aws, "s3", "sync", tree, f"s3://{bucket}/tree/")
    assert "large" in store.run(aws, "s3", "ls", "--recursive", f"s3://{bucket}/")
    store.run(aws, "s3", "cp", f"s3://{bucket}/tree/large", tmp_path / "back")
    assert sha256(tmp_path / "back") == wanted
    store.run(aws, "s3", "sync", f"s3://{bucket}/tree/", tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy" / "sub").iterdir()) == [f"{n} ü.txt" for n in range(5)]
    url = store.run(aws, "s3", "presign", f"s3://{bucket}/tree/sub/1 ü.txt").strip()
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"file 1"
    assert '"us-east-1"' in store.run(aws, "s3api", "list-buckets", "--query", "Buckets[0].BucketRegion")
    store.run(aws, "s3api", "head-object", "--bucket", bucket, "--key", "tree/large")
    store.run(aws, "s3", "rm", "--recursive", f"s3://{bucket}/")
    assert store.run(aws, "s3", "ls", "--recursive", f"s3://{bucket}/") == ""


def test_awscli_copies_1_gib_and_back(store: Store, bucket: str, tmp_path: Path) -> None:
    wanted = make_file(tmp_path / "up", GiB)
    store.run(BIN / "aws", "s3", "cp", "--no-progress", tmp_path / "up", f"s3://{bucket}/gib", timeout_s=300)
    (tmp_path / "up").unlink()
    store.run(BIN / "aws", "s3", "cp", "--no-progress", f"s3://{bucket}/gib", tmp_path / "down", timeout_s=300)
    assert sha256(tmp_path / "down") == wanted
    store.client().delete_object(Bucket=bucket, Key="gib")


def test_s3cmd(store: Store, bucket: str, tmp_path: Path) -> None:
    config = tmp_path / "s3cfg"
    config.write_text(
        f"[default]\naccess_key = {ACCESS_KEY}\nsecret_key = {SECRET_KEY}\nhost_base = 127.0.0.1:{store.port}\n"
        f"host_bucket = 127.0.0.1:{store.port}\nuse_https = False\nbucket_location = us-east-1\n"
    )
    s3cmd = [need_program("s3cmd"), "-c", config]
    wanted = make_file(tmp_path / "up", 18 * MiB)
    store.run(*s3cmd, "put", "--multipart-chunk-size-mb=5", tmp_path / "up", f"s3://{bucket}/dir/large")
    (tmp_path / "small").write_text("small")
    store.run(*s3cmd, "put", "--add-header=Cache-Control:no-cache", tmp_path / "small", f"s3://{bucket}/small")
    assert "dir/" in store.run(*s3cmd, "ls", f"s3://{bucket}")
    store.run(*s3cmd, "get", f"s3://{bucket}/dir/large", tmp_path / "down")
    assert sha256(tmp_path / "down") == wanted
    assert "MD5" in store.run(*s3cmd, "info", f"s3://{bucket}/small")
    store.run(*s3cmd, "cp", f"s3://{bucket}/small", f"s3://{bucket}/copy")
    store.run(*s3cmd, "mv", f"s3://{bucket}/copy", f"s3://{bucket}/moved")
    store.run(*s3cmd, "del", "--recursive", "--force", f"s3://{bucket}")
    store.run(*s3cmd, "rb", f"s3://{bucket}")


def test_rclone(store: Store, bucket: str, tmp_path: Path) -> None:
    rclone = need_program("rclone")
    environ = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_STORE_TYPE": "s3",
        "RCLONE_CONFIG_STORE_PROVIDER": "Other",
        "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": ACCESS_KEY,
        "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": SECRET_KEY,
        "RCLONE_CONFIG_STORE_ENDPOINT": store.url,
        "RCLONE_CONFIG_STORE_REGION": REGION,
    }
    tree = tmp_path / "tree"
    (tree / "deep/er").mkdir(parents=True)
    for number in range(20):
        (tree / "deep/er" / f"file {number}").write_bytes(os.urandom(number * 1000))
    make_file(tree / "large", 30 * MiB)
    store.run(
        rclone, "sync", "--s3-upload-cutoff=10M", "--s3-chunk-size=6M", tree, f"store:{bucket}/t", environ=environ
    )
    assert "0 differences found" in store.run(rclone, "check", tree, f"store:{bucket}/t", environ=environ)
    store.run(rclone, "check", "--download", tree, f"store:{bucket}/t", environ=environ)
    (tree / "large").unlink()
    store.run(rclone, "sync", tree, f"store:{bucket}/t", environ=environ)
    store.run(rclone, "moveto", f"store:{bucket}/t/deep/er/file 1", f"store:{bucket}/t/moved", environ=environ)
    assert "large" not in store.run(rclone, "ls", f"store:{bucket}", environ=environ)
    store.run(rclone, "purge", f"store:{bucket}/t", environ=environ)


def test_curl_with_a_presigned_url(store: Store, bucket: str, tmp_path: Path) -> None:
    curl = need_program("curl")
    (tmp_path / "up").write_bytes(b"from curl" * 100_000)
    s3 = store.client(signature_version="s3v4")
    put: Any = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "c"})
    get: Any = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "c"})
    store.run(curl, "-sS", "--fail-with-body", "-T", tmp_path / "up", put)
    store.run(curl, "-sS", "--fail-with-body", "-o", tmp_path / "down", get)
    assert sha256(tmp_path / "down") == sha256(tmp_path / "up")
    assert store.run(curl, "-sS", "-r", "0-3", get) == "from"
    assert "SignatureDoesNotMatch" in store.run(curl, "-sS", get + "&x=1")
