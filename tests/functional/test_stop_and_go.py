"""Stopping, reloading and dying under load: what was acknowledged stays, what was begun ends, and the next start works."""

import contextlib
import hashlib
import itertools
import os
import random
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.raw_store import Load, Wire, clients, connect, sign, sign_put
from support.store import Store, root_environ, running_store, store_command
from support.store_state import check_files, check_listing, staged_files

from nova_objectstore.limits import KiB, MiB
from nova_wsgi import green
from nova_wsgi.testing import LiveServer, LogLine, wait_until, workers

BIG = 100 * MiB
PIECE = random.Random(1).randbytes(MiB)
SLOW_READER = 64 * KiB  # bytes its kernel takes: the server has to wait for it


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with running_store(tmp_path / "state") as running:
        running.client().create_bucket(Bucket="box")
        yield running


def refuses(store: Store) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", store.port)) != 0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def content_of(key: str) -> bytes:
    """Bytes that are known by their key; small, middle and large ones."""
    number = int(key.rpartition("-")[2])
    size = (100, 3 * KiB, 20 * KiB, 600 * KiB)[number % 4]
    return random.Random(key).randbytes(size)


def put(wire: Wire, key: str) -> None:
    content = content_of(key)
    wire.send(sign_put(f"/box/{key}", len(content)) + content)
    response = wire.response()
    assert response.status == 200, response


def get(wire: Wire, key: str) -> bytes:
    response = wire.send(sign("GET", f"/box/{key}").head).response()
    assert response.status == 200, response
    return response.body


def begin_upload(store: Store, key: str, sent: int) -> Wire:
    """An upload of 100 MiB of which ``sent`` bytes are on their way."""
    wire = connect(store).send(sign_put(f"/box/{key}", BIG))
    for _ in range(sent // MiB):
        wire.send(PIECE)
    wait_until(lambda: staged_files(store.state_path), what="the upload's first bytes on the disk")
    return wire


def finish_upload(wire: Wire, sent: int) -> None:
    for _ in range((BIG - sent) // MiB):
        wire.send(PIECE)
    assert wire.response().status == 200


# -- a soft stop ----------------------------------------------------------------------------------------------------------


def test_a_soft_stop_lets_an_upload_and_a_slow_download_end(store: Store) -> None:
    finish_upload(begin_upload(store, "source", MiB), MiB)
    idle = connect(store)
    assert get(idle, "source")[:MiB] == PIECE
    uploading = begin_upload(store, "fresh", 40 * MiB)
    downloading = connect(store, receive_buffer=SLOW_READER).send(sign("GET", "/box/source").head)
    downloading.take_through(b"\r\n\r\n")
    store.server.send_signal(signal.SIGTERM)
    wait_until(lambda: refuses(store), what="the end of accepting")
    assert idle.is_closed()
    digest = hashlib.sha256()
    for _ in range(BIG // MiB):
        digest.update(downloading.take(MiB))
    assert digest.digest() == hashlib.sha256(PIECE * (BIG // MiB)).digest()
    assert store.server.process.poll() is None
    finish_upload(uploading, 40 * MiB)
    assert store.server.wait() == 0
    check_files(store.state_path)
    with running_store(store.state_path) as again:
        check_listing(again.client(), {"box": {"source": BIG, "fresh": BIG}})
        with connect(again) as wire:
            assert get(wire, "fresh") == PIECE * (BIG // MiB)


def test_a_soft_stop_under_load_answers_everything_it_has_taken(store: Store) -> None:
    acknowledged: list[str] = []

    def write(index: int, load: Load) -> None:
        for number in itertools.count():
            key = f"{index:02}-{number}"
            try:
                with connect(store) as wire:  # a fresh one each: the listening socket's queue is never empty
                    put(wire, key)
            except ConnectionRefusedError:
                return
            acknowledged.append(key)
            load.count += 1

    with clients(20, write) as load:
        load.wait_for(200)
        store.server.send_signal(signal.SIGTERM)
    assert store.server.wait() == 0
    check_files(store.state_path)
    with running_store(store.state_path) as again:
        check_listing(again.client(), {"box": {key: len(content_of(key)) for key in acknowledged}})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_ends_it_now_and_leaves_nothing_half(store: Store, number: signal.Signals) -> None:
    with begin_upload(store, "half", 20 * MiB) as uploading:
        store.server.send_signal(signal.SIGTERM)
        store.server.wait_for_output("stopping on SIGTERM: 1 calls in flight")
        store.server.send_signal(number)
        began = time.monotonic()
        assert store.server.wait() == 128 + number
        assert time.monotonic() - began < 5
        uploading.receive_to_end()
    with running_store(store.state_path) as again:
        check_listing(again.client(), {"box": {}})
    check_files(store.state_path)


def test_what_is_too_slow_for_the_deadline_is_ended_by_it(tmp_path: Path) -> None:
    with running_store(tmp_path, "--graceful-shutdown-timeout=0.5") as store:
        store.client().create_bucket(Bucket="box")
        with begin_upload(store, "half", 20 * MiB) as uploading:
            store.server.send_signal(signal.SIGTERM)
            assert store.server.wait() == 1
            uploading.receive_to_end()
    check_files(tmp_path)


# -- reloading ------------------------------------------------------------------------------------------------------------


def test_reloads_under_a_steady_load_lose_no_request(store: Store) -> None:
    def keep_connection(index: int, load: Load) -> None:
        with connect(store) as wire:
            while load.goes_on:
                key = f"{index:02}-{load.count % 3}"
                put(wire, key)
                assert get(wire, key) == content_of(key)
                load.count += 2

    def connect_anew(index: int, load: Load) -> None:
        while load.goes_on:
            with connect(store) as wire:
                put(wire, f"{index:02}-0")
                load.count += 1

    uploading = begin_upload(store, "long", 30 * MiB)
    with clients(50, lambda index, load: (keep_connection if index % 2 else connect_anew)(index, load)) as load:
        for reload in range(1, 5):
            load.wait_for(100)
            store.server.send_signal(signal.SIGHUP)
            wait_until(lambda reload=reload: store.server.output().count(" reloaded\n") == reload, what="the reload")
        for _ in range(20):  # as fast as they go
            store.server.send_signal(signal.SIGHUP)
            green.sleep(0)
        load.wait_for(100)
    finish_upload(uploading, 30 * MiB)
    assert len(store.workers()) == 2
    assert store.server.stop() == 0
    assert " ERROR " not in store.server.output()
    check_files(store.state_path)


def test_a_reload_that_cannot_be_changes_nothing(store: Store, tmp_path: Path) -> None:
    ini = tmp_path / "paste.ini"
    ini.write_text("[app:s3]\npaste.app_factory = nova_objectstore.manager:ObjectstoreManager.factory\n")
    with running_store(tmp_path / "other", f"--api-paste-config={ini}") as other, connect(other) as wire:
        other.client().create_bucket(Bucket="box")
        put(wire, "kept-1")
        ini.write_text("[app:s3]\nuse = nothing\n")
        other.server.send_signal(signal.SIGHUP)
        other.server.wait_for_output(r"the reload is refused.*\[app:s3\]: it names the app 'nothing'")
        assert get(wire, "kept-1") == content_of("kept-1")


# -- sudden death ---------------------------------------------------------------------------------------------------------


def test_killed_workers_lose_nothing_that_was_acknowledged(store: Store) -> None:
    acknowledged: dict[str, str] = {}  # key -> what it holds: its own content, or nothing any more

    def write(index: int, load: Load) -> None:
        numbers = itertools.count()
        while load.goes_on:
            with contextlib.suppress(ConnectionError, AssertionError), connect(store) as wire:
                while load.goes_on:
                    key = f"{index:02}-{next(numbers)}"
                    content = content_of(key)
                    wire.send(sign_put(f"/box/{key}", len(content)) + content)
                    if not wire.receive_more():
                        break  # killed: nobody has promised anything
                    assert wire.response().status == 200
                    acknowledged[key] = key
                    load.count += 1

    survivor = begin_upload(store, "survivor", 20 * MiB)
    with clients(20, write) as load:
        for _ in range(3):
            load.wait_for(60)
            [staged] = staged_files(store.state_path, size_min=10 * MiB)
            [victim] = [pid for pid in store.workers() if not staged.parent.name.startswith(f"{pid}-")]
            kill_worker(store, victim)
        load.wait_for(60)
    finish_upload(survivor, 20 * MiB)
    assert store.server.output().count("SIGKILL") == 3
    found = {entry["Key"] for page in list_pages(store) for entry in page["Contents"]}
    assert acknowledged.keys() <= found
    with connect(store) as wire:
        for key in found - {"survivor"}:
            assert get(wire, key) == content_of(key)  # what was not acknowledged is there whole, or not at all
        assert get(wire, "survivor") == PIECE * (BIG // MiB)
    assert store.server.stop() == 0
    check_files(store.state_path)


def kill_worker(store: Store, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in store.workers(), what="the end of a worker")
    wait_until(lambda: len(store.workers()) == 2, what="a new worker")


def list_pages(store: Store) -> list[dict]:
    return list(store.client().get_paginator("list_objects_v2").paginate(Bucket="box"))


def test_a_killed_parent_takes_its_workers_along(store: Store) -> None:
    with connect(store) as wire:
        put(wire, "kept-2")
    pids = workers(store.server.pid)
    with begin_upload(store, "finished", 20 * MiB) as uploading:
        os.kill(store.server.pid, signal.SIGKILL)
        wait_until(lambda: refuses(store), what="the end of accepting")
        finish_upload(uploading, 20 * MiB)  # the workers stop softly
    wait_until(lambda: not any(map(is_alive, pids)), what="the end of the workers")
    with running_store(store.state_path) as again, connect(again) as wire:
        assert get(wire, "kept-2") == content_of("kept-2")
        check_listing(again.client(), {"box": {"kept-2": len(content_of("kept-2")), "finished": BIG}})
    check_files(store.state_path)


def test_all_killed_at_once_and_started_again(store: Store) -> None:
    with connect(store) as wire:
        for number in range(8):
            put(wire, f"kept-{number}")
    with begin_upload(store, "half", 20 * MiB):
        os.killpg(store.server.pid, signal.SIGKILL)
        store.server.wait()
    assert staged_files(store.state_path)
    with running_store(store.state_path) as again, connect(again) as wire:
        for number in range(8):
            assert get(wire, f"kept-{number}") == content_of(f"kept-{number}")
        assert len(list_pages(again)[0]["Contents"]) == 8
    check_files(store.state_path)


# -- starts ---------------------------------------------------------------------------------------------------------------


def test_workers_that_cannot_start_again_wait_longer_and_longer_and_a_stop_ends_that(tmp_path: Path) -> None:
    ini = tmp_path / "paste.ini"
    ini.write_text("[app:s3]\npaste.app_factory = nova_objectstore.manager:ObjectstoreManager.factory\n")
    with running_store(tmp_path / "state", f"--api-paste-config={ini}") as store:
        ini.write_text("")
        for pid in store.workers():
            os.kill(pid, signal.SIGKILL)
        store.server.wait_for_output(r"the next one starts in 1 s")
        assert store.workers() == []
        began = time.monotonic()
        assert store.server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 2
        assert "Traceback" not in store.server.output()


def test_a_start_tells_where_it_serves_only_once_it_does(tmp_path: Path) -> None:
    ready = LogLine(r"S3 endpoint +(?P<url>http://\S+)")
    with LiveServer(store_command(tmp_path), environ=root_environ(), ready=ready) as server:
        assert len(re.findall(r"worker objectstore/\d \(\d+\) is ready", server.output())) == 2
        assert server.request("GET", "/")[0] == 403


def test_who_has_fewer_connections_gets_the_next(tmp_path):
    with running_store(tmp_path / "state", workers=2) as store, contextlib.ExitStack() as open_wires:
        _, second = store.workers()
        os.kill(second, signal.SIGSTOP)
        try:
            before = {answered_by(open_wires.enter_context(connect(store))) for _ in range(12)}
        finally:
            os.kill(second, signal.SIGCONT)
        assert len(before) == 1
        after = [answered_by(open_wires.enter_context(connect(store))) for _ in range(12)]
        assert sum(name not in before for name in after) >= 6, after


def answered_by(wire: Wire) -> str:
    """The process that answered, by the part of the request id that is its own."""
    response = wire.send(sign("HEAD", "/").head).response(method="HEAD")
    request_id = response.header("x-amz-request-id")
    assert request_id is not None
    return request_id[:8]
