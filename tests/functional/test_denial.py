"""While a server is attacked, others are served as on any day, memory stays bounded, and afterwards nothing is left of it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from support.bad_requests import Request, document
from support.denial import BUCKET, BUSY, CONNECTIONS_MAX, Victim, read_metric, running_victim
from support.raw_store import UNSIGNED, connect, sign

from nova_objectstore.limits import KiB, MiB

LARGE = 8 * MiB  # an object that no socket's buffer holds
UPLOADS = 1000


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with running_victim(tmp_path_factory.mktemp("denial")) as running:
        running.store.client().put_object(Bucket=BUCKET, Key="large", Body=bytes(LARGE))
        yield running


def slow_uploads() -> Sequence[bytes]:
    return [Request("PUT", f"/{BUCKET}/slow", b"", payload=UNSIGNED, length=MiB).render().data]


def large_downloads() -> Sequence[bytes]:
    return [sign("GET", f"/{BUCKET}/large").head]


def anonymous_and_signed() -> Sequence[bytes]:
    return [b"GET /nothing HTTP/1.1\r\nHost: store.test\r\n\r\n", sign("GET", f"/{BUCKET}?list-type=2").head]


class Case(NamedTuple):
    """An attack: how many connections at once and in all; the statuses that it may be answered, and those it must be."""

    name: str
    connections: int
    rounds: int
    may: str
    must: str = ""
    requests: Sequence[bytes] = ()

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("slow-headers", 60, 150, "408", must="408"),
    Case("silence", 60, 150, ""),
    Case("idleness", 60, 150, "404", must="404"),
    Case("pipelining", 4, 4, "404", must="404"),
    Case("tiny-chunks", 3, 4, "404", must="404"),
    Case("many-headers", 4, 12, "404 431", must="404 431"),
    Case("long-names", 4, 200, "404", must="404"),
    Case("many-parameters", 4, 50, "404", must="404"),
    Case("resets", 10, 500, "404"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_strangers_do_not_keep_others_from_being_served(victim: Victim, case: Case) -> None:
    with victim.attacked(case.name, case.requests, connections=case.connections, rounds=case.rounds) as attacker:
        seen = victim.serve_while(attacker)
    assert seen["rounds"] >= case.rounds
    assert seen["statuses"].keys() <= set(case.may.split())
    assert seen["statuses"].keys() >= set(case.must.split())
    assert "not connected" not in seen["outcomes"]


def test_heads_that_come_in_drops_are_counted(victim: Victim) -> None:
    before = read_metric(victim.store, "OTHER", "4xx")
    with victim.attacked("slow-headers", connections=20, rounds=20) as attacker:
        seen = victim.serve_while(attacker)
    assert read_metric(victim.store, "OTHER", "4xx") - before >= seen["statuses"]["408"]


@pytest.mark.parametrize(
    ("name", "requests"), [("slow-bodies", slow_uploads), ("slow-readers", large_downloads)], ids=["bodies", "readers"]
)
def test_clients_that_stall_are_given_up(victim: Victim, name: str, requests: object) -> None:
    with victim.attacked(name, requests(), connections=40, rounds=80) as attacker:  # type: ignore[operator]
        seen = victim.serve_while(attacker)
    assert seen["outcomes"].keys() == {"ended"}
    assert seen["statuses"].keys() <= {"400", "200"}


def test_a_pipelining_client_of_the_store_s_own(victim: Victim) -> None:
    with victim.attacked("pipelining", anonymous_and_signed(), connections=4, rounds=4) as attacker:
        seen = victim.serve_while(attacker)
    assert seen["statuses"].keys() == {"200", "404"}


@pytest.mark.parametrize("name", ["silence", "idleness", "slow-headers"])
def test_more_connections_than_there_may_be(victim: Victim, name: str) -> None:
    """The longest idle and the slowest go for those that come; who comes at a bad moment is told to come again."""
    with victim.attacked(name, connections=2 * CONNECTIONS_MAX, rounds=4 * CONNECTIONS_MAX) as attacker:
        seen = victim.serve_while(attacker)
    assert seen["rounds"] >= 4 * CONNECTIONS_MAX
    assert seen["statuses"].keys() <= {"404", "408", str(BUSY)}


def test_an_address_may_have_so_many_connections_and_no_more(tmp_path: Path) -> None:
    most = 20
    options = f"--http-connections-per-address-max={most}", "--http-keepalive-timeout-s=5"
    with running_victim(tmp_path, *options) as victim:
        settings = {"source": "127.0.0.2", "connections": 3 * most, "rounds": 6 * most}
        with victim.attacked("idleness", **settings) as attacker:
            victim.serve_while(attacker)
        assert read_metric(victim.store, "TurnAway", "5xx") >= 2 * most
        victim.wait_alone()
        with ExitStack() as stack:
            for _ in range(most):
                wire = stack.enter_context(connect(victim.store))
                assert wire.send(sign("GET", "/").head).response().status == 200
            with connect(victim.store) as wire:
                assert wire.response().status == BUSY
        assert victim.try_on(sign("GET", "/").head)[0] == 200  # as soon as one is closed


# -- documents and requests that cost as much as they can ------------------------------------------------------------------


def parts_document(count: int) -> bytes:
    entry = b"<Part><PartNumber>%d</PartNumber><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag></Part>"
    entries = b"".join(entry % number for number in range(1, count + 1))
    return b"<CompleteMultipartUpload>%b</CompleteMultipartUpload>" % entries


def policy_of(resource: str) -> bytes:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


def costly_documents() -> Sequence[bytes]:
    """The largest there may be of each kind, and what would be far larger if it were believed."""
    texts = b"<Delete>" + (b"x" * 14 + b"<x/>") * 95_000 + b"</Delete>"
    entities = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><Delete>&c;</Delete>'
    attributes = b"<Delete " + b" ".join(b'a%d=""' % number for number in range(150_000)) + b"/>"
    deep = b"<a>" * 100_000
    bodies = [texts, entities, attributes, deep, b"<Delete>" + b"<x/>" * 99_000 + b"</Delete>"]
    stars = policy_of(f"arn:aws:s3:::{'*' * 19_000}/x")
    return [
        *(document("POST", f"/{BUCKET}?delete", body).render().data for body in bodies),
        document("POST", f"/{BUCKET}/k?uploadId=none", parts_document(10_000)).render().data,
        Request("PUT", f"/{BUCKET}?policy", stars).render().data,
        Request("PUT", f"/{BUCKET}?policy", b'{"Version":' * 1700).render().data,
    ]


def test_documents_of_the_largest_size(victim: Victim) -> None:
    with victim.attacked("requests", costly_documents(), connections=3, rounds=3) as attacker:
        seen = victim.serve_while(attacker)
    assert seen["statuses"].keys() == {"204", "400", "404"}


def test_prefixes_as_deep_as_keys_are_long(victim: Victim) -> None:
    s3 = victim.store.client()
    for number in range(20):
        s3.put_object(Bucket=BUCKET, Key=f"{number}/" + "d/" * 500, Body=b"")
    queries = [f"list-type=2&delimiter=%2F&prefix={'d%2F' * depth}" for depth in (0, 100, 500)]
    queries.append("list-type=2&delimiter=%2F&prefix=" + "%2F" * 1024)
    listings = [sign("GET", f"/{BUCKET}?{query}").head for query in queries]
    with victim.attacked("requests", listings * 10, connections=4, rounds=8) as attacker:
        seen = victim.serve_while(attacker)
    assert seen["statuses"].keys() == {"200"}


def test_a_thousand_uploads_and_a_thousand_times_one_part(victim: Victim) -> None:
    """Eight clients begin a thousand uploads; then they upload one and the same part of another a thousand times."""
    s3 = victim.store.client()
    rounds, each = 8, UPLOADS // 8
    begin = [Request("POST", f"/{BUCKET}/up/{number}?uploads").render().data for number in range(each)]
    with victim.attacked("requests", begin, connections=8, rounds=rounds) as attacker:
        assert victim.serve_while(attacker)["statuses"].keys() == {"200"}
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 100})
    assert sum(len(page["Uploads"]) for page in pages) >= UPLOADS
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="one")
    named = {"Bucket": BUCKET, "Key": "one", "UploadId": upload["UploadId"]}
    part = Request("PUT", f"/{BUCKET}/one?partNumber=1&uploadId={upload['UploadId']}", bytes(64 * KiB)).render().data
    with victim.attacked("requests", [part] * each, connections=8, rounds=rounds) as attacker:
        assert victim.serve_while(attacker)["statuses"].keys() == {"200"}
    (listed,) = s3.list_parts(**named)["Parts"]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": listed["ETag"]}]})
    assert s3.head_object(Bucket=BUCKET, Key="one")["ContentLength"] == 64 * KiB


def test_what_lingers_behind_a_refusal_ends(victim: Victim) -> None:
    """A refusal that nobody reads, to a request whose body goes on and on: the connection is kept for a moment only."""
    head = b"PUT /nothing/x HTTP/1.1\r\nHost: store.test\r\nContent-Length: 10000000\r\n\r\n"
    with ExitStack() as stack:
        wires = [stack.enter_context(connect(victim.store, receive_buffer=4096)) for _ in range(20)]
        for wire in wires:
            wire.send(head + b"more")
        victim.wait_alone()
        assert {wire.response().status for wire in wires} == {404}
        victim.honest_round(b"after")
    victim.check_idle()
