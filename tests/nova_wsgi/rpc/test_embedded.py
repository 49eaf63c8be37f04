"""The queue without a broker: what it promises beyond the port."""

import contextlib
import json
import os
import resource
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.queues import PROGRAM, Recorder, Site

from nova_wsgi import green, rpc
from nova_wsgi.errors import ConfigError
from nova_wsgi.rpc.embedded import EmbeddedTransport, consumers_here
from nova_wsgi.rpc.messages import encode_message
from nova_wsgi.rpc.rendezvous import Rendezvous
from nova_wsgi.testing import wait_until


@pytest.fixture(params=["embedded", "sockets"])
def both(request, tmp_path):
    """Within a process, and between two."""
    made = Site(request.param, str(tmp_path / "queue"))
    yield made
    made.close()


def only_socket(site):
    (found,) = Path(site.place).rglob("*.sock")
    return found


def raw_sender(site):
    """A connection to the only consumer, for bytes of our own."""
    connected = Rendezvous(site.place).connect(str(only_socket(site)))
    connected.settimeout(5)
    return connected


# -- nobody there


def test_without_a_consumer_a_message_is_refused_at_once(both):
    client = both.client()
    for send in (client.call, client.cast):
        with pytest.raises(rpc.NoConsumer, match=f"nobody listens to {both.topic}"):
            send("note", {"what": 1})
        with pytest.raises(rpc.NoConsumer, match=f"nobody listens to {both.topic}.other"):
            send("note", {"what": 1}, host="other")


def test_a_consumer_that_stopped_is_no_consumer(both):
    consumer = both.consumer(Recorder())
    client = both.client()
    assert client.call("note", {"what": 1}) == 1
    consumer.stop()
    with pytest.raises(rpc.NoConsumer):
        client.cast("note", {"what": 2})
    consumer.close()
    with pytest.raises(rpc.NoConsumer):
        client.cast("note", {"what": 3})


def test_a_call_in_flight_when_its_consumer_is_closed_is_lost(both):
    manager = Recorder()
    consumer = both.consumer(manager, handlers_max=1)
    client = both.client()
    calls = [green.spawn(_outcome, client.call, "wait", {"what": number}) for number in range(3)]
    wait_until(lambda: manager.waiting)
    consumer.close()
    assert [call.wait() for call in calls] == [rpc.ConsumerLost] * 3


def _outcome(call, *arguments):
    try:
        return call(*arguments)
    except rpc.QueueError as error:
        return type(error)


def test_a_fanout_reaches_the_others_when_one_is_full(both):
    limits = {"handlers_max": 1, "queue_max": 1}
    full, free = Recorder("full"), Recorder("free")
    both.consumer(full, **limits)
    client = both.client()
    client.cast("wait")
    client.cast("wait")
    both.consumer(free, **limits)
    with pytest.raises(rpc.QueueFull):
        client.fanout("note", {"what": "all"})
    wait_until(lambda: free.seen == ["all"])


def test_bytes_that_wait_are_bounded_too(both):
    manager = Recorder()
    limits = {"handlers_max": 1, "queue_size_max": 10_000}
    both.consumer(manager, **limits)
    client = both.client()
    client.cast("wait")
    accepted = 0
    with pytest.raises(rpc.QueueFull):  # noqa: PT012
        for _ in range(100):
            client.cast("note", {"what": "x" * 1000})
            accepted += 1
    assert 5 <= accepted <= 10


# -- finding one another


def test_a_consumer_is_found_the_moment_it_listens(embedded):
    client = embedded.client()
    consumer = embedded.consumer(Recorder())
    for number in range(100):  # quicker than the clock that directories are stamped by
        assert client.call("note", {"what": number}) == number
        consumer, before = embedded.consumer(Recorder()), consumer
        before.close()


def test_only_its_owner_can_reach_the_sockets(embedded):
    before = os.umask(0)
    try:
        embedded.consumer(Recorder())
    finally:
        os.umask(before)
    place = Path(embedded.place)
    directories = [place, *(path for path in place.rglob("*") if path.is_dir())]
    assert len(directories) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o700}
    assert stat.S_IMODE(only_socket(embedded).stat().st_mode) == 0o600


def test_a_directory_that_others_may_use_is_refused(embedded):
    place = Path(embedded.place)
    place.mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="not a directory of this user alone"):
        embedded.consumer(Recorder())
    place.rmdir()
    place.touch(0o600)
    with pytest.raises(ConfigError, match="the queue cannot use"):
        embedded.consumer(Recorder())


def test_a_path_longer_than_a_socket_address_can_be_used(tmp_path):
    site = Site("sockets", str(tmp_path / ("long" * 30)))
    with contextlib.closing(site):
        site.consumer(Recorder("h" * 200))
        assert site.client().call("where") == "h" * 200


def test_what_dead_consumers_left_is_removed_by_the_next(embedded):
    directory = Path(embedded.place) / embedded.topic / "host-1"
    dead, _ = Rendezvous(embedded.place).bind(embedded.topic, "host-1")
    dead.close()
    for name, age_s in (("old.new", 100), ("young.new", 0)):
        (directory / name).touch()
        os.utime(directory / name, (time.time() - age_s,) * 2)
    (directory / "no-socket.sock").touch()
    embedded.consumer(Recorder())
    names = {path.name for path in directory.iterdir()}
    assert "old.new" not in names
    assert "young.new" in names  # perhaps being born
    assert len(names) == 2
    assert embedded.client().call("where") == "host-1"


def test_a_sender_removes_a_dead_socket_and_finds_the_living(embedded):
    dead, dead_path = Rendezvous(embedded.place).bind(embedded.topic, "host-1")
    embedded.consumer(Recorder())
    client = embedded.client()
    dead.close()
    for _ in range(5):
        assert client.call("where") == "host-1"
    assert not Path(dead_path).exists()


def test_a_consumer_that_does_not_answer_costs_no_more_than_the_timeout(embedded):
    stuck, _ = Rendezvous(embedded.place).bind(embedded.topic, "stuck")
    client = rpc.Client(embedded.transport(), embedded.topic, timeout_s=0.2, send_timeout_s=0.2)
    began = time.monotonic()
    with pytest.raises(rpc.CallTimeout):
        client.call("note", {"what": 1})
    with pytest.raises(rpc.QueueDown):
        client.cast("note", {"what": 1})
    with pytest.raises(rpc.QueueDown):
        client.cast("note", {"what": "x" * 1_000_000})  # more than the socket holds
    assert time.monotonic() - began < 5
    embedded.consumer(Recorder("well"))
    fresh = embedded.client()
    threads = [green.spawn(fresh.call, "where", host="well") for _ in range(3)]
    assert [thread.wait() for thread in threads] == ["well"] * 3
    stuck.close()


def test_within_a_process_no_socket_is_used_even_where_there_are_some(tmp_path):
    place = str(tmp_path / "queue")
    here = EmbeddedTransport(place)
    consumer = here.listen("topic", "host", rpc.Dispatcher(Recorder()).handle)
    elsewhere = EmbeddedTransport(place + "/")
    (path,) = Path(place).rglob("*.sock")
    path.unlink()
    assert rpc.Client(elsewhere, "topic").call("note", {"what": "in memory"}) == "in memory"
    consumer.close()
    assert consumers_here(place) == []


def test_a_forked_child_is_not_its_parents_consumer():
    ran = subprocess.run(
        [sys.executable, PROGRAM.with_name("queue_fork.py")], capture_output=True, timeout=20, check=True
    )
    assert json.loads(ran.stdout) == {"parent": "answered", "inherited": "AssertionError", "own": "NoConsumer"}


# -- bytes that are no messages


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",  # a length of a gigabyte
        struct.pack(">I", 5) + b"{}",  # cut short
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 4) + b"null",
        struct.pack(">I", 8) + b"[" * 8,
        struct.pack(">I", 3) + b"\xff\xfe\xfd",
        struct.pack(">I", 0),
        b"",
    ],
    ids=["too large", "cut short", "no fields", "null", "no JSON", "no UTF-8", "empty", "nothing"],
)
def test_a_sender_of_what_is_no_message_is_cut_off_alone(embedded, sent):
    manager = Recorder()
    embedded.consumer(manager)
    client = embedded.client()
    with raw_sender(embedded) as connected:
        connected.sendall(sent)
        connected.shutdown(socket.SHUT_WR)
        assert connected.recv(1000) == b""
    assert client.call("note", {"what": "others go on"}) == "others go on"
    assert manager.seen == ["others go on"]


def test_a_sender_that_reads_no_answers_harms_nobody_else(embedded):
    manager = Recorder()
    embedded.consumer(manager)
    message = rpc.Message("note", {"what": "x" * 1000}, rpc.Context(), "id")
    frame = _frame(message)
    with raw_sender(embedded) as connected:
        connected.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(100_000):
                connected.send(frame)
                green.sleep(0)
        taken = len(manager.seen)
        assert taken < 100_000, "it was slowed down when its answers filled the socket"
        assert embedded.client().call("where") == "host-1"


def _frame(message):
    data = encode_message(message, size_max=10_000)
    return struct.pack(">I", len(data)) + data


# -- figures


def test_two_thousand_calls_a_second_on_one_core_within_a_process(tmp_path):
    site = Site("embedded", "")
    with contextlib.closing(site):
        site.consumer(Recorder())
        client = site.client()
        began = resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(1000):
            client.call("where")
        ended = resource.getrusage(resource.RUSAGE_SELF)
        used_s = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
        assert 1000 / used_s >= 2000
