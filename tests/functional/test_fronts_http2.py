"""Clients that speak HTTP/2 to HAProxy and nginx, which speak HTTP/1.1 to the store: all is as it is without."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support import fronts
from support.fronts import Front
from support.http2_client import Answer, Field, Http2Client, head_of
from support.store import ACCESS_KEY, REGION, SECRET_KEY, Store, need_program, running_store

from nova_objectstore.limits import MiB

BUCKET = "behind"
OTHER_ADDRESS = "127.0.0.2"  # a client that is not where the front is
STREAMS = 50
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Setting(NamedTuple):
    """A front before a store."""

    store: Store
    front: Front

    def connect(self, source: str = "127.0.0.1") -> Http2Client:
        return Http2Client(self.front.tls_port, self.front.authority.client_context(), source)

    def head(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> list[Field]:
        """The head of a request that botocore has signed."""
        request = AWSRequest(method, f"{self.front.tls_url}{target}", headers or {}, body)
        S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION).add_auth(request)
        fields = {name.lower(): value for name, value in request.headers.items()}
        if body:
            fields["content-length"] = str(len(body))
        authority = self.front.tls_url.removeprefix("https://")
        return list(head_of(method, authority, target, *fields.items()))

    def ask(self, client: Http2Client, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        return client.request(self.head(method, target, body, headers), body)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("state")
    with running_store(folder / "state", f"--api-paste-config={fronts.proxied_ini(folder)}") as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running
        assert "Traceback" not in running.server.output()


@pytest.fixture(scope="module", params=[fronts.haproxy, fronts.nginx], ids=["haproxy", "nginx"])
def setting(
    request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setting]:
    with request.param(tmp_path_factory.mktemp("front"), store.port) as front:
        yield Setting(store, front)


def test_curl_puts_and_gets(setting: Setting, tmp_path: Path) -> None:
    body = random.Random(1).randbytes(3 * MiB)
    (tmp_path / "sent").write_bytes(body)
    for arguments in (["-T", tmp_path / "sent"], ["-o", tmp_path / "got"], ["-I"]):
        command = [need_program("curl"), "--disable", "-sS", "--http2", "--cacert", setting.front.authority.path]
        command += ["--aws-sigv4", f"aws:amz:{REGION}:s3", "-u", f"{ACCESS_KEY}:{SECRET_KEY}"]
        command += ["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-w", "\n%{http_code} %{http_version}"]
        told = subprocess.run(
            [*command, *arguments, f"{setting.front.tls_url}/{BUCKET}/curl"], capture_output=True, text=True, check=True
        )
        assert told.stdout.splitlines()[-1] == "200 2", told
    assert (tmp_path / "got").read_bytes() == body
    setting.store.client().delete_object(Bucket=BUCKET, Key="curl")


def test_objects_and_their_metadata(setting: Setting) -> None:
    with setting.connect() as client:
        for key in ("plain", "a//b", "a/../b", "a%20b", "%2F", "%C3%BC", "a%0D%0Ab"):
            target = f"/{BUCKET}/{key}"
            metadata = {"x-amz-meta-under_score": "a_b", "x-amz-meta-with.dot": "c"}
            assert setting.ask(client, "PUT", target, key.encode(), **metadata).status == 200
            answer = setting.ask(client, "GET", target)
            assert (answer.status, answer.body) == (200, key.encode())
            assert answer.header(b"x-amz-meta-under_score") == b"a_b"
            assert answer.header(b"x-amz-meta-with.dot") == b"c"
            etag = (answer.header(b"etag") or b"").decode()
            assert setting.ask(client, "GET", target, **{"if-none-match": etag}).status == 304
            head = setting.ask(client, "HEAD", target)
            assert (head.header(b"content-length"), head.body) == (str(len(key)).encode(), b"")
            assert setting.ask(client, "DELETE", target).status == 204
        assert b"<Code>NoSuchKey" in setting.ask(client, "GET", f"/{BUCKET}/plain").body


def test_an_upload_in_parts(setting: Setting) -> None:
    parts = [random.Random(2).randbytes(5 * MiB), b"the end"]
    target = f"/{BUCKET}/parts"
    with setting.connect() as client:
        begun = ElementTree.fromstring(setting.ask(client, "POST", f"{target}?uploads=").body)
        upload_id = begun.findtext(f"{NAMESPACE}UploadId")
        listed = ""
        for number, part in enumerate(parts, 1):
            answer = setting.ask(client, "PUT", f"{target}?partNumber={number}&uploadId={upload_id}", part)
            etag = (answer.header(b"etag") or b"").decode()
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        assert setting.ask(client, "POST", f"{target}?uploadId={upload_id}", document).status == 200
        assert setting.ask(client, "GET", target).body == b"".join(parts)
        assert setting.ask(client, "GET", target, range="bytes=5242878-5242885").body == parts[0][-2:] + b"the en"
        assert setting.ask(client, "DELETE", target).status == 204


def test_streams_beside_each_other_get_their_own(setting: Setting) -> None:
    with setting.connect() as client:
        bodies = {f"/{BUCKET}/stream-{number}": f"{number}".encode() * 9000 for number in range(STREAMS)}
        puts = [client.begin(setting.head("PUT", target, body), body) for target, body in bodies.items()]
        client.wait(puts)
        assert {client.answers[stream].status for stream in puts} == {200}
        gets = {client.begin(setting.head("GET", target)): body for target, body in bodies.items()}
        client.wait(gets)
        assert all(client.answers[stream].body == body for stream, body in gets.items())
        client.wait(client.begin(setting.head("DELETE", target)) for target in bodies)


def test_a_download_that_is_cancelled_leaves_the_others_alone(setting: Setting) -> None:
    setting.store.client().put_object(Bucket=BUCKET, Key="large", Body=bytes(20 * MiB))
    with setting.connect() as client:
        stream = client.begin(setting.head("GET", f"/{BUCKET}/large"))
        while not client.answers[stream].body:
            assert client.receive_more()
        client.cancel(stream)
        assert setting.ask(client, "HEAD", f"/{BUCKET}/large").status == 200
        assert setting.ask(client, "DELETE", f"/{BUCKET}/large").status == 204


def test_who_is_refused_instead_of_told_to_continue(setting: Setting) -> None:
    """A stream has an end of its own: the connection goes on."""
    with setting.connect() as client:
        head = setting.head("PUT", "/no-such-bucket/k", b"body")
        assert client.request([*head, (b"expect", b"100-continue")], b"body").status == 404
        assert b"<Code>NoSuchKey" in setting.ask(client, "GET", f"/{BUCKET}/nothing").body


def test_the_front_says_who_asks_and_nobody_else(setting: Setting) -> None:
    forged = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "http", "forwarded": "for=203.0.113.9"}
    key = f"who-{setting.front.port}"
    with setting.connect(OTHER_ADDRESS) as client:
        fields = [(name.encode(), value.encode()) for name, value in forged.items()]
        assert client.request([*setting.head("GET", f"/{BUCKET}/{key}"), *fields]).status == 404
    setting.store.server.wait_for_output(rf'(?m)^{OTHER_ADDRESS} - .*"GET /{BUCKET}/{key} ')
