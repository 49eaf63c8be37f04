"""A mixed load that stays the same for hours: clients do by turns whatever a store is asked for, the rude things too.

What there is stays bounded: a fixed number of keys is written over and over; short lifecycle days remove versions,
uploads that nobody went on with, and access logs. So a store in its steady state has no reason to grow.
"""

from __future__ import annotations

import base64
import hashlib
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from support.access_logs import allow, log_to
from support.raw_store import connect, read_error_code, sign, sign_put
from support.store import ACCESS_KEY, REGION, SECRET_KEY, Store

from nova_objectstore.limits import KiB, MiB
from nova_wsgi import green

PLAIN, VERSIONED, LARGE, LOGS = "soak-plain", "soak-versioned", "soak-large", "soak-logs"
BUCKETS = (PLAIN, VERSIONED, LARGE)
KEYS = {PLAIN: 200, VERSIONED: 40, LARGE: 12}
SMALL_SIZES = (0, 1, 700, 9_000, 16 * KiB, 16 * KiB + 1, 64 * KiB, 200_000)
LARGE_SIZES = (600 * KiB, MiB, 2 * MiB)
LAG_MAX_S = 2.0  # a client that is further behind its schedule gives up what it has missed

# What two clients at the same keys may be told.
EXPECTED = frozenset((
    "304", "404", "412", "NoSuchKey", "NoSuchVersion", "NoSuchUpload", "PreconditionFailed", "BadDigest", "InvalidRange",
    "ConditionalRequestConflict",
))  # fmt: skip

WEIGHTS: Mapping[str, int] = {
    "put_small": 14, "put_large": 2, "put_encrypted": 3, "put_chunks": 3, "put_presigned": 2, "put_condition": 4,
    "get_small": 20, "get_large": 3, "get_range": 6, "get_presigned": 2, "get_condition": 4, "head": 6,
    "upload": 2, "upload_aborted": 2, "upload_forgotten": 1, "copy": 4, "tag": 4,
    "delete": 4, "delete_version": 2, "delete_many": 1, "list_objects": 4, "list_versions": 2, "list_uploads": 1,
    "wrong_signature": 2, "wrong_digest": 1, "wrong_xml": 1, "wrong_range": 1, "leave_put": 2, "leave_get": 2,
    "leave_at_once": 2, "list_images": 1, "ask_identity": 1,
}  # fmt: skip


def prepare(store: Store, topic_url: str) -> None:
    """Buckets, with the rules that keep them small, access logs, and events to ``topic_url``."""
    s3 = store.client()
    for bucket in (*BUCKETS, LOGS):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": _rules(bucket)})
    s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    allow(s3, LOGS)
    log_to(s3, PLAIN, LOGS)
    topics = _client(store, "sns")
    arn = topics.create_topic(Name="soak", Attributes={"push-endpoint": topic_url})["TopicArn"]
    rule = {"Id": "soak", "TopicArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(Bucket=PLAIN, NotificationConfiguration={"TopicConfigurations": [rule]})


def _rules(bucket: str) -> list[dict[str, Any]]:
    """In days of the store, which are short ones."""
    tidy = {
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    if bucket == LOGS:
        tidy["Expiration"] = {"Days": 1}
    return [{"ID": "tidy", "Status": "Enabled", "Filter": {}, **tidy}]


def _client(store: Store, service: str) -> Any:
    return boto3.session.Session().client(
        service, endpoint_url=store.url, region_name=REGION, aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY, config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def expect(told: Any, *wanted: Any) -> None:
    assert told in wanted, f"was told {told}"


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Load:
    """Clients at work until :meth:`stop`. ``done`` counts by verb, ``errors`` what nobody should have been told."""

    def __init__(self, store: Store, *, seed: int, clients: int, rate: float) -> None:
        self.store = store
        self.s3 = store.client(retries={"total_max_attempts": 1}, max_pool_connections=clients)
        self.identity = _client(store, "sts")
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.goes_on = True
        self._spacing_s = clients / rate
        plans = random.Random(seed)
        self._clients = [Client(self, random.Random(plans.getrandbits(64))) for _ in range(clients)]
        self._running: list[Any] = []

    def start(self) -> None:
        self._running = [green.spawn(client.work, self._spacing_s) for client in self._clients]

    def do_everything(self) -> None:
        """Each verb once by each client, without a pause."""
        running = [green.spawn(client.do_everything) for client in self._clients]
        for greenthread in running:
            greenthread.wait()

    def stop(self) -> None:
        """Let what is under way end, and close the connections."""
        self.goes_on = False
        for greenthread in self._running:
            greenthread.wait()
        self.close_connections()

    def close_connections(self) -> None:
        self.s3.close()
        self.identity.close()


class Client:
    """One of them. Its plan is its own; the keys are everybody's."""

    def __init__(self, load: Load, rng: random.Random) -> None:
        self.load, self.rng, self.s3 = load, rng, load.s3

    def work(self, spacing_s: float) -> None:
        due_s = time.monotonic() + self.rng.random() * spacing_s
        verbs, weights = list(WEIGHTS), list(WEIGHTS.values())
        while self.load.goes_on:
            green.sleep(max(0.0, due_s - time.monotonic()))
            due_s = max(due_s + spacing_s * self.rng.uniform(0.5, 1.5), time.monotonic() - LAG_MAX_S)
            self.do(self.rng.choices(verbs, weights)[0])

    def do_everything(self) -> None:
        for verb in WEIGHTS:
            self.do(verb)

    def do(self, verb: str) -> None:
        """Once, and count what came of it."""
        self.load.done[verb] += 1
        try:
            getattr(self, verb)()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            kept = self.load.refused if code in EXPECTED else self.load.errors
            kept[f"{verb}: {code}"] += 1
        except (BotoCoreError, OSError, AssertionError) as error:
            self.load.errors[f"{verb}: {type(error).__name__} {error}"[:200]] += 1

    # -- what it works on ----------------------------------------------------------------------------------------------

    def place(self, *buckets: str) -> dict[str, str]:
        bucket = self.rng.choice(buckets or (PLAIN, PLAIN, PLAIN, VERSIONED))
        return {"Bucket": bucket, "Key": f"{bucket}/{self.rng.randrange(KEYS[bucket])}"}

    def body(self, sizes: tuple[int, ...] = SMALL_SIZES) -> bytes:
        return self.rng.randbytes(self.rng.choice(sizes))

    def read(self, got: Mapping[str, Any]) -> bytes:
        """A body, compared with its ETag where that is an MD5."""
        body = got["Body"].read()
        etag = got["ETag"].strip('"')
        if "-" not in etag and got["ResponseMetadata"]["HTTPStatusCode"] == 200:
            assert md5(body) == etag, "other bytes than were written"
        return bytes(body)

    # -- writes --------------------------------------------------------------------------------------------------------

    def put_small(self) -> None:
        self.s3.put_object(**self.place(), Body=self.body(), Metadata={"by": "soak"})

    def put_large(self) -> None:
        self.s3.put_object(**self.place(LARGE), Body=self.body(LARGE_SIZES))

    def put_encrypted(self) -> None:
        self.s3.put_object(**self.place(), Body=self.body(), ServerSideEncryption="AES256")

    def put_chunks(self) -> None:
        """Signed chunks, as SDKs send what they stream."""
        place, body = self.place(), self.body()
        pieces = [body] if body else []  # the empty one that ends a body is the encoder's
        headers = {"x-amz-decoded-content-length": str(len(body)), "content-encoding": "aws-chunked"}
        target, payload = f"/{place['Bucket']}/{place['Key']}", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        length = {"Content-Length": str(len(sign("PUT", target, headers, payload=payload).encode_chunks(*pieces)))}
        head = sign("PUT", target, headers, payload=payload, unsigned=length)
        with connect(self.load.store) as wire:
            expect(wire.send(head.head + head.encode_chunks(*pieces)).response().status, 200)

    def put_presigned(self) -> None:
        url = self.s3.generate_presigned_url("put_object", Params=self.place())
        expect(requests.put(url, data=self.body(), timeout=60).status_code, 200)

    def put_condition(self) -> None:
        """One that holds or not: whether the key is there, or has an ETag that somebody may have changed meanwhile."""
        place = self.place()
        if self.rng.random() < 0.5:
            condition = {"IfNoneMatch": "*"}
        else:
            condition = {"IfMatch": self.s3.head_object(**place)["ETag"]}
        self.s3.put_object(**place, Body=self.body(), **condition)

    def copy(self) -> None:
        source, target = self.place(), self.place()
        if source != target:  # which S3 refuses
            self.s3.copy_object(**target, CopySource=source)

    def tag(self) -> None:
        place = self.place()
        self.s3.put_object_tagging(**place, Tagging={"TagSet": [{"Key": "n", "Value": str(self.rng.random())}]})
        self.s3.get_object_tagging(**place)

    def delete(self) -> None:
        self.s3.delete_object(**self.place())

    def delete_version(self) -> None:
        place = self.place(VERSIONED)
        version_id = self.s3.head_object(**place)["VersionId"]
        self.s3.delete_object(**place, VersionId=version_id)

    def delete_many(self) -> None:
        keys = [{"Key": self.place(PLAIN)["Key"]} for _ in range(10)]
        self.s3.delete_objects(Bucket=PLAIN, Delete={"Objects": keys})

    # -- uploads of parts ----------------------------------------------------------------------------------------------

    @contextmanager
    def begun_upload(self, sizes: tuple[int, ...]) -> Iterator[tuple[dict[str, str], list[dict[str, Any]]]]:
        place = self.place(LARGE)
        place["UploadId"] = self.s3.create_multipart_upload(**place)["UploadId"]
        parts = []
        for number, size in enumerate(sizes, start=1):
            sent = self.s3.upload_part(**place, PartNumber=number, Body=self.rng.randbytes(size))
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        yield place, parts

    def upload(self) -> None:
        sizes = (5 * MiB, 100 * KiB) if self.rng.random() < 0.1 else (300 * KiB,)
        with self.begun_upload(sizes) as (place, parts):
            self.s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})

    def upload_aborted(self) -> None:
        with self.begun_upload((300 * KiB, 1)) as (place, _):
            self.s3.abort_multipart_upload(**place)

    def upload_forgotten(self) -> None:
        with self.begun_upload((100 * KiB,)):
            pass

    # -- reads ---------------------------------------------------------------------------------------------------------

    def get_small(self) -> None:
        self.read(self.s3.get_object(**self.place()))

    def get_large(self) -> None:
        self.read(self.s3.get_object(**self.place(LARGE)))

    def get_range(self) -> None:
        self.read(self.s3.get_object(**self.place(LARGE, VERSIONED), Range="bytes=0-99"))

    def get_presigned(self) -> None:
        url = self.s3.generate_presigned_url("get_object", Params=self.place())
        expect(requests.get(url, timeout=60).status_code, 200, 404)

    def get_condition(self) -> None:
        place = self.place()
        etag = self.s3.head_object(**place)["ETag"]
        condition = {"IfNoneMatch": etag} if self.rng.random() < 0.5 else {"IfMatch": '"other"'}
        self.s3.get_object(**place, **condition)

    def head(self) -> None:
        self.s3.head_object(**self.place())

    def list_objects(self) -> None:
        self.s3.list_objects_v2(Bucket=self.rng.choice(BUCKETS), MaxKeys=self.rng.choice((10, 1000)))

    def list_versions(self) -> None:
        self.s3.list_object_versions(Bucket=VERSIONED, MaxKeys=100)

    def list_uploads(self) -> None:
        self.s3.list_multipart_uploads(Bucket=LARGE)

    def list_images(self) -> None:
        with connect(self.load.store) as wire:
            expect(wire.send(sign("GET", "/_images").head).response().status, 200)

    def ask_identity(self) -> None:
        self.load.identity.get_caller_identity()

    # -- mistakes ------------------------------------------------------------------------------------------------------

    def refusal(self, request: bytes, status: int, code: str) -> None:
        with connect(self.load.store) as wire:
            answer = wire.send(request).response()
        expect((answer.status, read_error_code(answer.body)), (status, code))

    def wrong_signature(self) -> None:
        head = sign("GET", f"/{PLAIN}/x").head.removesuffix(b"\r\n\r\n")  # it ends with the signature
        self.refusal(head[:-8] + b"00000000\r\n\r\n", 403, "SignatureDoesNotMatch")

    def wrong_digest(self) -> None:
        digest = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
        self.s3.put_object(**self.place(), Body=self.body(), ContentMD5=digest)

    def wrong_xml(self) -> None:
        body = b"<Delete><Object>"
        headers = {"content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}
        head = sign("POST", f"/{PLAIN}?delete", headers, unsigned={"Content-Length": str(len(body))}).head
        self.refusal(head + body, 400, "MalformedXML")

    def wrong_range(self) -> None:
        self.s3.get_object(**self.place(), Range="bytes=999999999-")

    # -- bad manners ---------------------------------------------------------------------------------------------------

    def leave_put(self) -> None:
        """Begin to send a large body, and go."""
        place = self.place(LARGE)
        with connect(self.load.store) as wire:
            wire.send(sign_put(f"/{place['Bucket']}/{place['Key']}", MiB) + self.body((100 * KiB, 700 * KiB)))

    def leave_get(self) -> None:
        """Ask for a large body, and go after its head."""
        place = self.place(LARGE)
        with connect(self.load.store, receive_buffer=4 * KiB) as wire:
            wire.send(sign("GET", f"/{place['Bucket']}/{place['Key']}").head).take_through(b"\r\n\r\n")

    def leave_at_once(self) -> None:
        with connect(self.load.store) as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: a"[: self.rng.randrange(23)])
