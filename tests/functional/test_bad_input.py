"""Whatever a client sends, it gets a clear error of AWS's or a closed connection: never a 500, never half an object."""

import random
import re
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

import pytest
from support.bad_cases import CASES, DELETE, INCOMPLETE, KEYS_TAKEN, delete_document
from support.bad_requests import CLOSED, Case, Chunked, Request, Sent, deliver, document, md5, read_outcome
from support.raw_store import UNSIGNED, Load, Wire, clients, connect, sign
from support.store import Store, running_store
from support.store_state import all_paths, check_files, check_listing, staged_files

from nova_objectstore.limits import KiB, MiB
from nova_wsgi.testing import wait_until

TIMEOUT_S = 2.0
DAMAGED = 300
DAMAGED_STATUSES = {200, 204, 206, 304, *range(400, 500), 501, 505}
KEPT = b"what was there before"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    arguments = f"--http-header-timeout-s={TIMEOUT_S}", f"--http-body-idle-timeout-s={TIMEOUT_S}"
    with running_store(tmp_path_factory.mktemp("state"), *arguments) as running:
        running.client().create_bucket(Bucket="bad")
        running.client().put_object(Bucket="bad", Key="kept", Body=KEPT)
        pids = running.workers()
        yield running
        check_whole(running, pids)


def check_whole(store: Store, pids: list[int]) -> None:
    """After everything: the same workers serve, and there is what was there before, and nothing else."""
    s3 = store.client()
    assert store.workers() == pids
    assert s3.get_object(Bucket="bad", Key="kept")["Body"].read() == KEPT
    check_listing(s3, {"bad": {"kept": len(KEPT)}})
    check_files(store.state_path)
    assert store.server.stop() == 0
    assert not re.search(" ERROR |Traceback", store.server.output())


def is_expected(outcome: str, expected: str) -> bool:
    return any(outcome == one or (one.isdigit() and outcome.split()[0] == one) for one in expected.split(" | "))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_input(store: Store, case: Case) -> None:
    with connect(store) as wire:
        outcome = deliver(wire, case.request.render())
    assert is_expected(outcome, case.expected), outcome


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case.request, Request)][::4], ids=str)
def test_a_head_of_it_is_refused_without_a_body(store: Store, case: Case) -> None:
    request = case.request
    assert isinstance(request, Request)
    with connect(store) as wire:
        outcome = deliver(wire, Request("HEAD", request.target, headers=request.headers).render())
    assert outcome == CLOSED or int(outcome.split()[0]) < 500


@pytest.mark.parametrize("raw", KEYS_TAKEN)
def test_odd_keys_are_keys_and_never_paths(store: Store, raw: str) -> None:
    before = {path for path in all_paths(store.state_path.parent) if path.parent != store.state_path}
    content = b"odd" * 10_000
    with connect(store) as wire:
        assert deliver(wire, Request("PUT", f"/bad/{raw}", content).render()) == "200"
        assert wire.send(sign("GET", f"/bad/{raw}").head).response().body == content
        listed = store.client().list_objects_v2(Bucket="bad", EncodingType="url")["Contents"]
        assert unquote(raw) in [unquote(entry["Key"]) for entry in listed]
        new = {path for path in all_paths(store.state_path.parent) if path.parent != store.state_path} - before
        assert all(store.state_path / "data" in path.parents for path in new)
        assert deliver(wire, Request("DELETE", f"/bad/{raw}").render()) == "204"


def test_a_part_that_is_cut_short_is_no_part(store: Store) -> None:
    s3 = store.client()
    upload = {
        "Bucket": "bad",
        "Key": "parts",
        "UploadId": s3.create_multipart_upload(Bucket="bad", Key="parts")["UploadId"],
    }
    cut = Request(
        "PUT", f"/bad/parts?partNumber=1&uploadId={upload['UploadId']}", b"p" * MiB, payload=UNSIGNED, length=2 * MiB
    )
    with connect(store) as wire:
        assert deliver(wire, replace(cut, stops=True).render()) == INCOMPLETE
    assert "Parts" not in s3.list_parts(**upload)
    s3.abort_multipart_upload(**upload)


def test_clients_that_break_the_connection_leave_nothing(store: Store) -> None:
    for size in (10, 100 * KiB, 5 * MiB):
        sent = Request("PUT", "/bad/kept", b"b" * size, payload=UNSIGNED, length=size + 1).render()
        with connect(store) as wire:
            wire.send(sent.data)
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
    wait_until(lambda: not staged_files(store.state_path), what="the end of the broken uploads")


def test_slow_clients_are_given_up(store: Store) -> None:
    def drip_a_header(wire: Wire) -> str:
        wire.send(b"GET / HTTP/1.1\r\nHost: store.test\r\nX-Slow: ")
        while not select.select([wire.sock], [], [], 0.05)[0]:
            wire.send(b"x")
        return read_outcome(wire)

    def stop_in_the_body(wire: Wire) -> str:
        wire.send(Request("PUT", "/bad/kept", b"s" * 50, payload=UNSIGNED, length=100).render().data)
        return read_outcome(wire)

    rows = [(drip_a_header, "408 RequestTimeout"), (stop_in_the_body, "400 RequestTimeout"), (read_outcome, CLOSED)]
    outcomes: dict[int, str] = {}

    def be_slow(index: int, load: Load) -> None:
        with connect(store) as wire:
            outcomes[index] = rows[index][0](wire)

    began = time.monotonic()
    with clients(len(rows), be_slow):
        pass
    assert [outcomes[index] for index in range(len(rows))] == [expected for _, expected in rows]
    assert time.monotonic() - began < 3 * TIMEOUT_S


def test_what_follows_a_length_that_was_too_short_is_no_request(store: Store) -> None:
    with connect(store) as wire:
        sent = Request("PUT", "/bad/kept", KEPT + b"and more\r\n\r\n", payload=UNSIGNED, length=len(KEPT)).render()
        assert deliver(wire, sent) == "200"  # the client's word: those were its bytes
        assert read_outcome(wire) == "400 BadRequest"
        assert wire.is_closed()


def test_damaged_requests_are_never_a_fault_of_the_store(store: Store) -> None:
    requests = [
        Request("PUT", "/bad/kept", KEPT, {"content-md5": md5(KEPT), "x-amz-meta-a": "b"}),
        document("POST", DELETE, delete_document(b"nothing", b"there")),
        Request("GET", "/bad?list-type=2&prefix=a%20b&delimiter=%2F&max-keys=7"),
        Request("GET", "/bad/kept", headers={"range": "bytes=1-5", "if-match": '"x"'}),
        Chunked("/bad/kept", lambda signed: signed.encode_chunks(KEPT), len(KEPT)),
    ]
    for seed in range(DAMAGED):
        dice = random.Random(seed)
        sent = requests[seed % len(requests)].render()
        data = bytearray(sent.data)
        for _ in range(dice.choice((1, 1, 2, 10))):
            start = dice.randrange(len(data))
            data[start : start + dice.choice((0, 1, 1, 5))] = dice.randbytes(dice.choice((0, 1, 1, 4)))
        with connect(store) as wire:
            outcome = deliver(wire, Sent(bytes(data), stops=True, method=sent.method))
        assert outcome == CLOSED or int(outcome.split()[0]) in DAMAGED_STATUSES, (seed, outcome, bytes(data))
