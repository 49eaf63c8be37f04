"""Clients that would have the server for themselves: turns are short, places are limited, and memory is bounded."""

import contextlib
import ipaddress
import itertools
import logging
import os
import tracemalloc

import pytest
from support.counting import check_growth
from support.raw_http import Client, answering, echo, limits, serving, wait_until

from nova_wsgi.body import ChunkedBody, SizedBody
from nova_wsgi.client_network import client_network
from nova_wsgi.connection import TRUSTED_FROM, TURN_MIN
from nova_wsgi.http_limits import HttpLimits
from nova_wsgi.http_parse import parse_head
from nova_wsgi.response import FileBody, FileSegment
from nova_wsgi.server import HEAD_GRACE_S, REFUSALS_TOLD_MAX

FLOOD = 64
PIECE = 64 * 1024
REQUEST = b"GET /flood HTTP/1.1\r\nHost: h\r\n\r\n"


class Diary:
    """An application that writes down whom it has answered, when the request's body was read."""

    def __init__(self):
        self.paths = []

    def __call__(self, environ, start_response):
        environ["wsgi.input"].read()
        self.paths.append(environ["PATH_INFO"])
        return answering(b"ok")(environ, start_response)


# -- turns -------------------------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_one_a_turn():
    diary = Diary()
    with serving(diary) as server, Client(server) as flooder, Client(server) as honest:
        wait_until(lambda: server.connections == 2)
        flooder.send(REQUEST * FLOOD)
        honest.get("/honest")
        assert honest.response().status == 200
        assert diary.paths.index("/honest") <= 2
        assert [flooder.response().status for _ in range(FLOOD)] == [200] * FLOOD


def test_requests_in_tls_records_of_their_own_are_answered_one_a_turn(authority):
    diary = Diary()
    tls = authority.client_context()
    with (
        serving(diary, tls=authority.server_context()) as server,
        Client(server, tls=tls) as flooder,
        Client(server, tls=tls) as honest,
    ):
        for client in (flooder, honest):
            client.get("/first").response()
        for _ in range(FLOOD):
            flooder.send(REQUEST)
        honest.get("/honest")
        assert honest.response().status == 200
        assert diary.paths[2:].index("/honest") <= 3
        assert [flooder.response().status for _ in range(FLOOD)] == [200] * FLOOD


def test_a_body_of_tiny_chunks_is_read_in_turns():
    diary = Diary()
    with serving(diary) as server, Client(server) as flooder, Client(server) as honest:
        wait_until(lambda: server.connections == 2)
        head = b"PUT /flood HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        flooder.send(head + b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n")
        honest.get("/honest")
        assert honest.response().status == 200
        assert flooder.response().status == 200
        assert diary.paths == ["/honest", "/flood"]


def segments_of(file, count):
    """A body from files that are opened one after the other."""
    return lambda told: FileBody(
        (told(FileSegment(file.fileno(), 0, PIECE)) for _ in range(count)), length=PIECE * count
    )


def pieces_of(_file, count):
    """What is made piece by piece, or sent through TLS."""
    return lambda told: (told(bytes(PIECE)) for _ in range(count))


@pytest.mark.parametrize("make", [segments_of, pieces_of])
def test_the_buffers_of_who_never_reads_are_filled_in_turns(tmp_path, make):
    """Megabytes fit into a socket's buffers: those of many clients at once would keep all others waiting."""
    (tmp_path / "file").write_bytes(bytes(PIECE))
    diary = []
    with (tmp_path / "file").open("rb") as file:
        body = make(file, 1000)

        def app(environ, start_response):
            start_response("200 OK", [])
            return body(lambda piece: diary.append(environ["PATH_INFO"]) or piece)

        with serving(app) as server, Client(server) as one, Client(server) as other:
            wait_until(lambda: server.connections == 2)
            one.get("/one")
            other.get("/other")
            wait_until(lambda: diary.count("/one") > 8 and diary.count("/other") > 8)
    start = diary.index("/other" if diary[0] == "/one" else "/one")  # from here on there are two
    runs = [len(list(run)) for _, run in itertools.groupby(diary[start : start + 16])]
    assert max(runs) <= TURN_MIN // PIECE + 1


def test_who_has_not_begun_to_read_is_sent_little(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"%07d\n" * 1_000_000 % tuple(range(1_000_000)))
    sent = []

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/honest":
            return answering(b"ok")(environ, start_response)
        environ["nova.finish_hooks"].append(lambda _, finished: sent.append(finished.bytes_sent))
        start_response("200 OK", [])
        return FileBody.of_descriptor(os.open(path, os.O_RDONLY))

    with serving(app) as server, Client(server) as honest, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Client(server)) for _ in range(4)]
        wait_until(lambda: server.connections == 5)
        for client in silent:
            client.get("/large")
        for _ in range(50):  # many more turns than it takes to fill the buffers
            assert honest.get("/honest").response().status == 200
        reader = silent.pop()
        assert reader.response().body == path.read_bytes()
        for client in silent:
            client.close()
        wait_until(lambda: len(sent) == 4)
    assert max(sent) == path.stat().st_size  # the reader's
    assert sum(count < TRUSTED_FROM for count in sent) >= 2  # but for the one that was the first, and alone


def test_a_body_of_tiny_chunks_that_nobody_wants_is_not_read_for_the_connection_s_sake():
    with serving(answering_unread) as server, Client(server) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500)
        assert client.response().status == 403
        assert client.is_closed()


def answering_unread(environ, start_response):
    start_response("403 Forbidden", [])
    return [b"no"]


# -- places ------------------------------------------------------------------------------------------------------------


def test_beyond_the_connections_the_slowest_head_goes_before_any_that_is_idle():
    with serving(echo, limits=limits(connections_max=3)) as server, Client(server) as idle:
        idle.get().response()
        slow = [Client(server).send(b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(2)]
        wait_until(lambda: len(server.unfinished) == 2)
        slow[0].send(b"more")
        wait_until(lambda: all(protocol.head_age_s() > HEAD_GRACE_S for protocol in server.unfinished))
        with Client(server) as newcomer:
            assert newcomer.get().response().status == 200
            assert sorted(client.sock.fileno() for client in slow if is_over(client)) == [slow[0].sock.fileno()]
            assert idle.is_open()
        for client in slow:
            client.close()
    assert not server.unfinished


def is_over(client):
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1) == b""
    except BlockingIOError:
        return False


def test_a_head_that_was_slow_and_is_complete_is_no_longer_one():
    with serving(echo) as server, Client(server) as client:
        client.send(REQUEST[:10])
        wait_until(lambda: len(server.unfinished) == 1)
        assert client.send(REQUEST[10:]).response().status == 200
        assert not server.unfinished


def test_connections_of_one_address():
    told = []

    class App:
        refusal_hooks = (lambda environ, finished: told.append((environ["REMOTE_ADDR"], finished.status)),)

        def __call__(self, environ, start_response):
            return echo(environ, start_response)

    with serving(App(), limits=limits(connections_per_address_max=2)) as server:
        with Client(server) as first, Client(server) as second:
            assert first.is_open()
            assert second.is_open()
            with Client(server) as third:
                assert third.response().status == 503
                assert third.is_closed()
            wait_until(lambda: told == [("127.0.0.1", 503)])
        wait_until(lambda: not server.connections)
        with Client(server) as later:
            assert later.is_open()


def test_connections_of_one_address_behind_a_proxy():
    options = {
        "limits": limits(connections_per_address_max=1),
        "proxy_networks": [ipaddress.ip_network("127.0.0.0/8")],
    }

    def header(address):
        return f"PROXY TCP4 {address} 192.0.2.9 1000 80\r\n".encode()

    with serving(echo, **options) as server:
        with Client(server) as one, Client(server) as other, Client(server) as second:
            assert one.send(header("192.0.2.1")).is_open()
            assert other.send(header("192.0.2.2")).is_open()
            assert second.send(header("192.0.2.1") + REQUEST).is_closed()
        wait_until(lambda: not server.connections)
        with Client(server) as later:
            assert later.send(header("192.0.2.1")).is_open()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a:b:nonsense", "a:b:nonsense"),
        ("", ""),
    ],
)
def test_who_counts_as_one_client(address, network):
    assert client_network(address) == network


# -- the log -----------------------------------------------------------------------------------------------------------


def test_many_refusals_are_few_lines(caplog):
    caplog.set_level(logging.INFO, logger="nova_wsgi")
    with serving(echo) as server:
        for _ in range(REFUSALS_TOLD_MAX + 20):
            with Client(server) as client:
                assert client.send(b"nonsense\r\n\r\n").response().status == 400
    assert sum("refused" in record.getMessage() for record in caplog.records) == REFUSALS_TOLD_MAX


# -- memory and work -----------------------------------------------------------------------------------------------------


class Pieces:
    """A source that has never more than two bytes at a time."""

    def __init__(self, size):
        self.buffer = b""
        self.left = size

    def receive(self, size_max):
        count = min(2, size_max, self.left)
        self.left -= count
        return b"xy"[:count]

    def receive_into(self, view):
        raise AssertionError("nobody asked for it")

    def send(self, data):
        raise AssertionError("nobody asked for it")


def test_a_body_in_drops_takes_no_more_memory_than_its_bytes():
    size = 50_000
    tracemalloc.start()
    try:
        assert len(SizedBody(Pieces(size), size).read(size)) == size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * size  # that of so many pieces is twenty times it


def test_header_names_of_strangers_are_not_kept():
    names = [f"x-{number}-".encode() + b"n" * 16_000 for number in range(100)]
    tracemalloc.start()
    try:
        for name in names:
            parse_head(b"GET / HTTP/1.1\r\nHost: h\r\n%b: v" % name, {}, HttpLimits())
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000


@pytest.mark.parametrize("name", ["x-same", f"x-%d-{'n' * 80}", f"x_under_%d_{'n' * 80}"], ids=["same", "new", "under"])
def test_the_work_of_a_head_grows_with_its_fields(name):
    numbers = itertools.count()

    def work(count):
        lines = [f"{name.replace('%d', str(next(numbers)))}: v" for _ in range(count)]
        head = "\r\n".join(["GET / HTTP/1.1", "Host: h", *lines]).encode()
        parse_head(head, {}, limits(header_count_max=10_000))

    check_growth(work, (25, 50, 100, 200))


def test_the_work_of_a_chunked_body_grows_with_its_chunks():
    class Whole(Pieces):
        def receive(self, size_max):
            return b""

    def work(count):
        source = Whole(0)
        source.buffer = b"1\r\nx\r\n" * count + b"0\r\n\r\n"
        assert len(ChunkedBody(source, HttpLimits()).read()) == count

    check_growth(work, (500, 1000, 2000))
