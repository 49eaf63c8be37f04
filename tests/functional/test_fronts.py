"""HAProxy and nginx before a store with two workers, by the configuration in etc/: clients find all as it is without them."""

import http.client
import io
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from support import fronts
from support.fronts import Front
from support.raw_http import Client, Response
from support.raw_store import sign
from support.store import Store, running_store

from nova_objectstore.limits import MiB

DOMAIN = "s3.example.test"
BUCKET = "behind"
OTHER_ADDRESS = "127.0.0.2"  # a client that is not where the front is
KEYS = [
    "plain", "a b", " a ", "a+b", "a%20b", "%2F", "a%2Fb", "a%2fb", "//lead", "a//b", "end/", "a/../b", "a/./b", "..", ".",
    "ü", "日本/語", "\N{ROCKET}", "a\\b", "a;b=c", "a&b=c", "a?b", "a#b", "'(!*~)'", "$@:,", "[x]{y}|z^`", '"<>"', "tab\there",
]  # fmt: skip


class Setting(NamedTuple):
    """A front before a store, and one of its two listeners."""

    store: Store
    front: Front
    tls: bool

    def client(self, **config: Any) -> Any:
        url = self.front.tls_url if self.tls else self.front.url
        verify = str(self.front.authority.path) if self.tls else None
        return self.store.client(url=url, verify=verify, **config)

    def connect(self, source: str = "127.0.0.1") -> Client:
        """A plain connection from ``source``."""
        address = ("127.0.0.1", self.front.port)
        return Client(sock=socket.create_connection(address, timeout=20, source_address=(source, 0)))

    def fetch(self, method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Ask for a URL as it is, with no library that mends it."""
        parts = urlsplit(url)
        target = url[url.index("/", len(parts.scheme) + 3) :]
        if self.tls:
            context = self.front.authority.client_context()
            wire: Any = http.client.HTTPSConnection("localhost", self.front.tls_port, timeout=20, context=context)
        else:
            wire = http.client.HTTPConnection("127.0.0.1", self.front.port, timeout=20)
        wire.request(method, target, body)
        answer = wire.getresponse()
        content = answer.read()
        wire.close()
        return answer.status, content


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("state")
    arguments = f"--s3-domain={DOMAIN}", f"--api-paste-config={fronts.proxied_ini(folder)}"
    with running_store(folder / "state", *arguments) as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running
        assert "Traceback" not in running.server.output()


@pytest.fixture(scope="module", params=[fronts.haproxy, fronts.nginx], ids=["haproxy", "nginx"])
def front(request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with request.param(tmp_path_factory.mktemp("front"), store.port) as running:
        yield running


@pytest.fixture(scope="module", params=[False, True], ids=["http", "https"])
def setting(request: pytest.FixtureRequest, store: Store, front: Front) -> Setting:
    return Setting(store, front, request.param)


def test_keys_are_what_they_are(setting: Setting) -> None:
    s3, direct = setting.client(), setting.store.client()
    for number, key in enumerate(KEYS):
        body = f"{number} {key}".encode()
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        assert direct.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
        assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == len(body)
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == sorted(KEYS, key=str.encode)
    s3.copy_object(Bucket=BUCKET, Key="a/../copy", CopySource={"Bucket": BUCKET, "Key": "a%2Fb"})
    assert s3.get_object(Bucket=BUCKET, Key="a/../copy")["Body"].read().endswith(b" a%2Fb")
    for key in (*KEYS, "a/../copy"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    assert "Contents" not in direct.list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_urls(setting: Setting, version: str) -> None:
    s3 = setting.client(signature_version=version)
    for key in ("a b", "a//b", "a/../b", "a%2Fb", "ü+&=?"):
        put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key})
        assert setting.fetch("PUT", put, key.encode())[0] == 200
        get = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key})
        assert setting.fetch("GET", get) == (200, key.encode())
        assert setting.fetch("GET", get.replace(BUCKET, "another", 1))[0] == 403
        s3.delete_object(Bucket=BUCKET, Key=key)


def test_large_objects_in_parts(setting: Setting) -> None:
    s3 = setting.client()
    body = random.Random(7).randbytes(13 * MiB)
    config = TransferConfig(multipart_threshold=5 * MiB, multipart_chunksize=5 * MiB, max_concurrency=2)
    s3.upload_fileobj(io.BytesIO(body), BUCKET, "large", Config=config)
    assert s3.head_object(Bucket=BUCKET, Key="large")["ETag"].endswith('-3"')
    got = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", got, Config=config)
    assert got.getvalue() == body
    assert s3.get_object(Bucket=BUCKET, Key="large")["Body"].read() == body
    s3.put_object(Bucket=BUCKET, Key="large", Body=body)
    s3.delete_object(Bucket=BUCKET, Key="large")


def test_metadata_and_conditions(setting: Setting) -> None:
    s3 = setting.client()
    metadata = {"under_score": "a_b", "with.dot": "c", "plain": "d  e"}
    etag = s3.put_object(Bucket=BUCKET, Key="k", Body=b"k", Metadata=metadata)["ETag"]
    assert s3.head_object(Bucket=BUCKET, Key="k")["Metadata"] == metadata
    with pytest.raises(ClientError, match="304"):
        s3.get_object(Bucket=BUCKET, Key="k", IfNoneMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=BUCKET, Key="k", Body=b"l", IfNoneMatch="*")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=BUCKET, Key="nothing")
    s3.delete_object(Bucket=BUCKET, Key="k")


def test_the_host_names_the_bucket(setting: Setting) -> None:
    with setting.connect() as wire:
        answer = wire.send(sign("GET", "/?location", host=f"{BUCKET}.{DOMAIN}").head).response()
        assert (answer.status, b"<LocationConstraint" in answer.body) == (200, True)
        answer = wire.send(sign("GET", "/", host=f"{DOMAIN}:8080").head).response()
        assert b"<ListAllMyBucketsResult" in answer.body


def test_the_front_says_who_asks_and_nobody_else(setting: Setting) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "other.test",
        "X-Forwarded-Port": "99", "Forwarded": "for=203.0.113.9", "X_Forwarded_For": "203.0.113.9",
        "Connection": "keep-alive, X-Forwarded-For",
    }  # fmt: skip
    with setting.connect(OTHER_ADDRESS) as wire:
        key = f"who-{setting.front.port}-{setting.tls}"
        answer: Response = wire.send(sign("GET", f"/{BUCKET}/{key}", unsigned=forged).head).response()
        assert answer.status == 404
    setting.store.server.wait_for_output(rf'(?m)^{OTHER_ADDRESS} - .*"GET /{BUCKET}/{key} ')


def test_the_front_says_by_what_scheme(store: Store, front: Front) -> None:
    policy = (
        f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket", "Resource":'
        f' "arn:aws:s3:::{BUCKET}", "Condition": {{"Bool": {{"aws:SecureTransport": "false"}}}}}}]}}'
    )
    store.client().put_bucket_policy(Bucket=BUCKET, Policy=policy)
    try:
        Setting(store, front, True).client().list_objects_v2(Bucket=BUCKET)
        with pytest.raises(ClientError, match="AccessDenied"):
            Setting(store, front, False).client().list_objects_v2(Bucket=BUCKET)
    finally:
        store.client().delete_bucket_policy(Bucket=BUCKET)


def test_who_is_refused_instead_of_told_to_continue(setting: Setting) -> None:
    """The body that was announced never comes: what comes next is a request to everybody, or to nobody any more."""
    head = sign("PUT", "/no-such-bucket/k", unsigned={"Expect": "100-continue", "Content-Length": "4"}).head
    following = sign("GET", f"/{BUCKET}/nothing").head
    with setting.connect() as wire:
        answer = wire.send(head).response()
        if answer.status == 100:  # the front's own word: the body is due
            answer = wire.send(b"body").response()
        assert answer.status == 404
        wire.send(following)
        if wire.receive_more():  # the connection goes on
            answer = wire.response()
            assert (answer.status, b"<Code>NoSuchKey" in answer.body) == (404, True)


@pytest.mark.parametrize("target", [f"http://{DOMAIN}/{BUCKET}/k", "*", f"https://other.test/{BUCKET}/k"])
def test_a_target_is_a_path(store: Store, front: Front, target: str) -> None:
    with Setting(store, front, False).connect() as wire:
        method = "OPTIONS" if target == "*" else "GET"
        assert wire.send(f"{method} {target} HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode()).response().status == 400


def test_dots_that_climb_out_are_keys_to_haproxy_and_refused_by_nginx(store: Store, front: Front) -> None:
    """nginx resolves dots to choose a location, and refuses what would climb above the root; what it sends on is unchanged."""
    target = f"/{BUCKET}/../../up"
    with Setting(store, front, False).connect() as wire:
        status = wire.send(sign("GET", target).head).response().status
    assert status == (400 if "nginx" in front.server.process.args[0] else 404)


def test_the_proxy_protocol_says_who_asks(tmp_path: Path) -> None:
    with ExitStack() as stack:
        store = stack.enter_context(running_store(tmp_path / "state", "--proxy-protocol-networks=127.0.0.0/8"))
        changes = {" check\n": " send-proxy-v2 check check-send-proxy\n"}
        front = stack.enter_context(fronts.haproxy(tmp_path, store.port, changes))
        setting = Setting(store, front, False)
        setting.client().create_bucket(Bucket=BUCKET)
        with setting.connect(OTHER_ADDRESS) as wire:
            assert wire.send(sign("GET", "/").head).response().status == 200
        store.server.wait_for_output(rf"(?m)^{OTHER_ADDRESS} - .*ListBuckets")
