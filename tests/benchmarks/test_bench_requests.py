"""What the benchmark sends is what a real server accepts: one request of each kind, and one short load of each program."""

import re
import time
from contextlib import ExitStack

import pytest
from support.store import need_program

from benchmarks import servers
from benchmarks.generator import write_requests
from benchmarks.lab import BUCKET, Lab, Settings, ask
from benchmarks.large import transfer
from benchmarks.listing import delete_request, groups, pages
from benchmarks.loads import LoadFailed, curl, generate, md5sum, wrk
from benchmarks.signing import CHUNK_SIZE, Kind, Request, sign

BODY = bytes(range(256)) * 600  # two chunks and a bit


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with servers.store(tmp_path_factory.mktemp("bench") / "state", workers=1) as server:
        assert ask(server, Request("PUT", f"/{BUCKET}")).status == 200
        yield server


@pytest.mark.parametrize("kind", Kind)
def test_every_signature_is_accepted(store, kind):
    assert len(BODY) > 2 * CHUNK_SIZE
    path = f"/{BUCKET}/{kind.value}/a%20key"
    assert ask(store, Request("PUT", path, BODY), kind=kind).status == 200
    answer = ask(store, Request("GET", path), kind=Kind.HEADER if kind is Kind.CHUNKS else kind)
    assert (answer.status, answer.body) == (200, BODY)


def test_a_signature_covers_query_and_headers(store):
    ask(store, Request("PUT", f"/{BUCKET}/part", BODY))
    part = ask(store, Request("GET", f"/{BUCKET}/part", headers={"range": "bytes=2-5"}))
    assert (part.status, part.body) == (206, BODY[2:6])
    page = ask(store, Request("GET", f"/{BUCKET}", query={"list-type": "2", "prefix": "par", "start-after": "a /+é"}))
    assert re.findall(rb"<Key>(.*?)</Key>", page.body) == [b"part"]
    assert ask(store, delete_request(["part"])).status == 200
    assert ask(store, Request("HEAD", f"/{BUCKET}/part")).status == 404


def test_the_generator_sends_each_request_once(store, tmp_path):
    keys = [f"/{BUCKET}/once/{number}" for number in range(5)]
    requests = [Request("PUT", key, b"1") for key in keys] + [Request("HEAD", f"/{BUCKET}/absent")]
    write_requests(tmp_path / "r", [sign(request, store.authority, time.time()) for request in requests])
    sample = generate(store, tmp_path / "r", connections=2, seconds=30, once=True)
    assert (sample.requests, sample.errors) == (6, 1)
    assert 0 < sample.p50_us <= sample.p99_us
    assert sample.resident_bytes > 0
    assert all(ask(store, Request("GET", key)).body == b"1" for key in keys)


def test_wrk_sends_the_same_file(store, tmp_path):
    need_program("wrk")
    ask(store, Request("PUT", f"/{BUCKET}/small", b"small"))
    write_requests(tmp_path / "r", [sign(Request("GET", f"/{BUCKET}/small"), store.authority, time.time())] * 3)
    sample = wrk(store, tmp_path / "r", connections=1, seconds=1)
    assert sample.requests > 0
    assert sample.errors == 0


def test_curl_moves_bodies_both_ways_and_fails_aloud(store, tmp_path):
    need_program("curl")
    (tmp_path / "body").write_bytes(BODY)
    up = transfer(store, Request("PUT", f"/{BUCKET}/curl"), upload=tmp_path / "body")
    down = transfer(store, Request("GET", f"/{BUCKET}/curl"))
    assert curl(store, [up, down], directory=tmp_path).requests == 2
    assert curl(store, [down], [down], directory=tmp_path).bytes_per_s > 0
    assert ask(store, Request("GET", f"/{BUCKET}/curl")).body == BODY
    with pytest.raises(LoadFailed):
        curl(store, [transfer(store, Request("GET", f"/{BUCKET}/absent"))], directory=tmp_path)


def test_hello_world_answers_as_the_store_does(store, tmp_path):
    request = Request("PUT", f"/{BUCKET}/hello", BODY)
    stored = ask(store, request)
    answers = {"PUT": ("200 OK", 0, [pair for pair in stored.headers if pair[0].lower() not in ("date", "server")])}
    with servers.hello(answers) as hello:
        told = ask(hello, request)
    assert (told.status, told.body) == (200, b"")
    headers = {name.lower(): text for name, text in told.headers}  # eventlet writes their names its own way
    assert headers["etag"] == dict(stored.headers)["ETag"]


def test_md5sum_tells_bytes_a_second(tmp_path):
    need_program("md5sum")
    (tmp_path / "body").write_bytes(b"x" * 16 * 1024**2)
    assert md5sum(tmp_path / "body").bytes_per_s > 0


def test_a_filled_bucket_is_listed_and_written_to(tmp_path):
    told: list[str] = []
    with ExitStack() as stack:
        lab = Lab(Settings(tmp_path, 1, 2, told.append), stack)
        server = lab.filled_store(1000)
        listed = ask(server, pages(1000)[0])
        assert listed.body.count(b"<Key>") == 1000
        assert ask(server, groups(1000)[0]).body.count(b"<CommonPrefixes>") == 10
        lab.send_all(server, [Request("PUT", "/keys-1000/d5/one-more", b"")])
        assert b"<IsTruncated>true</IsTruncated>" in ask(server, pages(1000)[0]).body
    assert told
