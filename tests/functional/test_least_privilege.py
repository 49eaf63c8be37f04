"""Nobody gets anything by default: listeners are on the loopback, a private bucket answers who did not sign with 403 and
nothing else, and what administrators ask is not answered where clients ask.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import ipaddress
import re
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import pytest
from support.house import address
from support.store import BIN, Store, running_store
from support.web import BOUNDARY, encode_form

from nova_objectstore.config import (
    api_sections,
    combined_sections,
    manage_sections,
    objectstore_sections,
    worker_sections,
)
from nova_objectstore.s3.operation import Operation, Scope
from nova_objectstore.s3.operations import CONTROLLERS
from nova_objectstore.s3.operations.not_offered import NOT_OFFERED
from nova_wsgi.testing import LiveServer, Notified

OFFERED = {made.name: made for controller in CONTROLLERS for made, _ in controller.rows()}
# What they are about stands in their bodies, which come before anybody is asked: tests of their own.
BY_BODY = {"DeleteObjects", "PostObject"}
# What browsers ask before they may ask, of buckets that have cross-origin rules; answered 403 all the same without.
PREFLIGHT = "OPTIONS"
SECTIONS = {
    section.title: section
    for sections in (objectstore_sections, worker_sections, api_sections, combined_sections, manage_sections)
    for section in sections()
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        found = re.search(rb"<Code>(\w+)</Code>", self.body)
        return found[1].decode() if found else ""


def ask(port: int, method: str, target: str, *, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
    """A request that nobody signed."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, target, body=body, headers={"Content-Length": str(len(body)), **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("state"), "--sync=never") as running:
        s3 = running.client()
        s3.create_bucket(Bucket="private", ObjectLockEnabledForBucket=True)
        s3.put_object(Bucket="private", Key="key", Body=b"what nobody may see")
        yield running


# -- listeners ---------------------------------------------------------------------------------------------------------


def test_every_listener_is_on_the_loopback_unless_told_otherwise() -> None:
    options = {option.dest: option.default for section in SECTIONS.values() for option in section.options}
    listeners = {name: default for name, default in options.items() if name.endswith("_listen")}
    assert set(listeners) == {"s3_listen", "osapi_listen", "ec2_listen", "iam_listen"}
    assert all(ipaddress.ip_address(default).is_loopback for default in listeners.values())
    assert options["control_path"] is None, "a directory of its owner's alone, where one is named"


# -- who did not sign --------------------------------------------------------------------------------------------------


def target_of(made: Operation) -> str:
    path = {Scope.SERVICE: "/", Scope.BUCKET: "/private", Scope.OBJECT: "/private/key"}[made.scope]
    given = {**dict.fromkeys(made.markers | made.guards, ""), **made.marker_values}
    values = {"partNumber": "1", "uploadId": "an-upload", "versionId": "null"}
    query = "&".join(f"{name}={value or values.get(name, '')}".rstrip("=") for name, value in sorted(given.items()))
    return f"{path}?{query}" if query else path


def headers_of(made: Operation) -> dict[str, str]:
    needed = {"x-amz-copy-source": "/private/key", "x-amz-rename-source": "/private/key"}
    return {made.header: needed.get(made.header, "x")} if made.header else {}


@pytest.mark.parametrize("name", sorted(OFFERED.keys() - BY_BODY))
def test_a_private_bucket_answers_nobody(store: Store, name: str) -> None:
    made = OFFERED[name]
    answer = ask(store.port, made.method, target_of(made), headers=headers_of(made))
    assert answer.status == 403, (made.request_line, answer)
    assert b"what nobody may see" not in answer.body
    if made.method not in ("HEAD", PREFLIGHT):
        assert answer.code == "AccessDenied"


@pytest.mark.parametrize("name", sorted(made.name for made in NOT_OFFERED))
def test_what_is_not_offered_tells_nobody_anything_either(store: Store, name: str) -> None:
    made = next(made for made in NOT_OFFERED if made.name == name)
    answer = ask(store.port, made.method, target_of(made), headers=headers_of(made))
    assert answer.status in (403, 501), (made.request_line, answer)


def test_whether_a_bucket_or_key_is_there_is_not_told(store: Store) -> None:
    told = {
        ask(store.port, method, target)[0:1]
        for method in ("GET", "HEAD")
        for target in ("/private/key", "/private/no-key")
    }
    assert told == {(403,)}


def test_no_key_is_deleted_of_a_list_that_nobody_signed(store: Store) -> None:
    body = b"<Delete><Object><Key>key</Key></Object><Object><Key>no-key</Key></Object></Delete>"
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    answer = ask(store.port, "POST", "/private?delete", body=body, headers={"Content-MD5": digest})
    assert re.findall(rb"<Code>(\w+)</Code>", answer.body) == [b"AccessDenied"] * (1 if answer.status == 403 else 2)
    assert b"<Deleted>" not in answer.body


def test_a_form_that_nobody_signed_is_refused(store: Store) -> None:
    body = encode_form([("key", "k")])
    answer = ask(
        store.port, "POST", "/private", body=body, headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    )
    assert (answer.status, answer.code) == (403, "AccessDenied")


@pytest.mark.parametrize(
    "action",
    [
        "ListUsers&Version=2010-05-08",
        "CreateUser&UserName=x&Version=2010-05-08",
        "GetCallerIdentity&Version=2011-06-15",
        "AssumeRole&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=me&Version=2011-06-15",
        "ListTopics&Version=2010-03-31",
        "CreateTopic&Name=x&Version=2010-03-31",
    ],
)
def test_query_services_answer_nobody(store: Store, action: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = ask(store.port, "POST", "/", body=f"Action={action}".encode(), headers=headers)
    assert answer.status == 403, answer


def test_images_answer_nobody(store: Store) -> None:
    for method, target in (
        ("GET", "/_images/"),
        ("PUT", "/_images/?image_location=private/key"),
        ("GET", "/_images/ami-1"),
    ):
        assert ask(store.port, method, target).status == 403


def test_nothing_was_changed_by_any_of_it(store: Store) -> None:
    s3 = store.client()
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["private"]
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="private")["Contents"]] == ["key"]
    assert s3.get_object(Bucket="private", Key="key")["Body"].read() == b"what nobody may see"


# -- what is for administrators ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(store: Store) -> Iterator[LiveServer]:
    command = [BIN / "nova-api", "--state-path", store.state_path, "--sync=never"]
    ports = [f"--{name}-listen-port=0" for name in ("osapi", "ec2", "iam")]
    with LiveServer([*command, *ports], ready=Notified("")) as running:
        yield running


def test_the_listener_of_s3_has_nothing_for_administrators(store: Store, api: LiveServer) -> None:
    osapi = int(address(api, "osapi").rpartition(":")[2])
    for path in ("/metrics", "/health/live", "/health/ready", "/os-services", "/os-services/1"):
        assert ask(osapi, "GET", path).status in (200, 404, 503)
        answer = ask(store.port, "GET", path)
        assert (answer.status, answer.code) == (404, "NoSuchBucket"), "it is a key of a bucket, as any other path"
    assert b"nova_http" in ask(osapi, "GET", "/metrics").body, "there they are"


def test_the_health_check_of_s3_tells_that_it_answers_and_no_more(store: Store) -> None:
    answer = ask(store.port, "GET", "/_/health")
    assert (answer.status, answer.body) == (200, b"OK\n")
    told = set(answer.headers) - {
        "content-length",
        "content-type",
        "date",
        "server",
        "x-amz-request-id",
        "cache-control",
    }
    assert told == set()


@pytest.mark.parametrize("name", ["osapi", "ec2", "iam"])
def test_the_listeners_of_nova_api_have_no_objects(store: Store, api: LiveServer, name: str) -> None:
    port = int(address(api, name).rpartition(":")[2])
    for target in ("/private", "/private/key"):
        answer = ask(port, "GET", target)
        assert answer.status in (400, 403, 404, 405)
        assert b"nobody may see" not in answer.body


def test_nothing_is_changed_through_osapi_without_the_token(api: LiveServer) -> None:
    port = int(address(api, "osapi").rpartition(":")[2])
    changes = (
        ("PUT", "/os-services/1"),
        ("DELETE", "/os-services/1"),
        ("PUT", "/os-services/enable"),
        ("PUT", "/os-services/disable"),
    )
    for method, target in changes:
        body = b'{"host": "h", "binary": "nova-objectstore", "status": "disabled"}'
        answer = ask(port, method, target, body=body, headers={"Content-Type": "application/json"})
        assert answer.status == 401, (method, target, answer)
