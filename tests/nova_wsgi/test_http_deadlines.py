"""Slow clients: each phase has its deadline, progress counts and not the single read, and others are served meanwhile."""

import socket
import time

import pytest
from support.raw_http import Client, echo, limits, serving, wait_until

from nova_wsgi import green
from nova_wsgi.connection import Pace
from nova_wsgi.errors import RequestTimeout


def drip(client, data, *, every_s):
    """Send byte by byte in the background until the server has had enough."""

    def send():
        for index in range(len(data)):
            try:
                client.send(data[index : index + 1])
            except OSError:
                return
            green.sleep(every_s)

    return green.spawn(send)


def is_served(server):
    with Client(server) as client:
        return client.get().response().status == 200


def test_a_head_that_never_comes_is_not_waited_for():
    with serving(echo, limits=limits(header_timeout_s=0.15)) as server, Client(server) as client:
        assert client.is_closed()


def test_a_head_that_comes_byte_by_byte_has_one_deadline():
    with serving(echo, limits=limits(header_timeout_s=0.2)) as server, Client(server) as client:
        began = time.monotonic()
        dripping = drip(client, b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: " + b"z" * 1000, every_s=0.01)

        assert is_served(server)
        assert client.response().status == 408
        assert time.monotonic() - began < 1.0
        assert client.is_closed()
        dripping.kill()


def test_a_second_head_has_a_deadline_of_its_own():
    with serving(echo, limits=limits(header_timeout_s=0.2)) as server, Client(server) as client:
        client.get().response()
        dripping = drip(client, b"GET / HTTP/1.1\r\nX-Slow: " + b"z" * 1000, every_s=0.01)

        assert client.response().status == 408
        dripping.kill()


def test_a_head_in_pieces_within_the_deadline_is_served():
    with serving(echo, limits=limits(header_timeout_s=3)) as server, Client(server) as client:
        drip(client, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", every_s=0.001).wait()

        assert client.response().status == 200


def test_idle_connections_are_closed_without_a_word():
    with serving(echo, limits=limits(keepalive_timeout_s=0.15)) as server, Client(server) as client:
        client.get().response()
        assert client.is_closed()
        assert server.connections == 0


def test_a_head_that_comes_too_late_and_one_request_too_many_are_told_to_the_applications_hooks():
    class Observed:
        def __init__(self):
            self.told = []
            self.refusal_hooks = [lambda environ, finished: self.told.append((environ, finished))]

        def __call__(self, environ, start_response):
            return echo(environ, start_response)

    app = Observed()
    with serving(app, limits=limits(header_timeout_s=0.2)) as server, Client(server) as client:
        client.send(b"GET / HT")
        assert client.response().status == 408
    with serving(app, limits=limits(requests_in_flight_max=0)) as server, Client(server) as client:
        client.send(b"GET /full?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 503
    late, busy = app.told
    assert (late[0]["REQUEST_METHOD"], late[0]["REMOTE_ADDR"], late[1].status) == ("-", "127.0.0.1", 408)
    assert (busy[0]["RAW_PATH_INFO"], busy[0]["QUERY_STRING"], busy[1].status) == ("/full", "x=1", 503)
    assert busy[1].bytes_sent > 0
    assert not busy[1].aborted
    assert late[0]["nova.request_id"] != busy[0]["nova.request_id"]


def test_a_stalled_body_is_an_error_to_the_application_and_408_to_the_client():
    errors = []

    def app(environ, start_response):
        try:
            return echo(environ, start_response)
        except RequestTimeout as error:
            errors.append(error)
            raise

    with serving(app, limits=limits(body_idle_timeout_s=0.2)) as server, Client(server) as client:
        client.get("/", "Content-Length: 100", method="PUT").send(b"half")
        assert is_served(server)
        assert client.response().status == 408
        assert client.is_closed()
    assert len(errors) == 1


@pytest.mark.parametrize("field", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_dripping_body_is_stalled_too(field):
    """Each read succeeds in time, and yet it is no progress."""
    chosen = limits(body_idle_timeout_s=0.2, body_min_rate_bytes=10_000)
    with serving(echo, limits=chosen) as server, Client(server) as client:
        client.get("/", field, method="PUT").send(b"ffff\r\n" if "chunked" in field else b"")
        dripping = drip(client, bytes(1000), every_s=0.01)

        assert client.response().status == 408
        dripping.kill()


def test_a_slow_but_steady_body_may_take_longer_than_the_credit():
    chosen = limits(body_idle_timeout_s=0.15, body_min_rate_bytes=10)
    with serving(echo, limits=chosen) as server, Client(server) as client:
        client.get("/", "Content-Length: 60", method="PUT")
        began = time.monotonic()
        dripping = drip(client, bytes(60), every_s=0.005)

        assert client.response().status == 200
        assert time.monotonic() - began > 0.2
        dripping.wait()


def test_a_client_that_does_not_read_is_given_up(caplog):
    finished = []

    def app(environ, start_response):
        environ["nova.finish_hooks"].append(lambda _, finished_: finished.append(finished_))
        start_response("200 OK", [])
        return [bytes(20_000_000)]

    with serving(app, limits=limits(write_timeout_s=0.2)) as server, Client(server) as client:
        client.get()
        wait_until(lambda: finished)
        assert finished[0].aborted
        wait_until(lambda: not server.connections)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_client_that_reads_a_file_by_the_byte_is_given_up(tmp_path):
    """Its window opens now and then: waits succeed, and yet it is no progress."""
    path = tmp_path / "file"
    path.write_bytes(bytes(10_000_000))
    finished = []

    def app(environ, start_response):
        environ["nova.finish_hooks"].append(lambda _, finished_: finished.append(finished_))
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    chosen = limits(write_timeout_s=0.2, body_min_rate_bytes=100_000_000)
    with serving(app, limits=chosen) as server:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(5)
        sock.connect(server.socket.getsockname())
        with Client(server, sock=sock) as client:
            client.get()

            def nibble():
                while not finished:
                    client.receive_more()
                    green.sleep(0.01)

            nibbling = green.spawn(nibble)
            wait_until(lambda: finished)
            assert finished[0].aborted
            nibbling.kill()


def test_a_tls_handshake_that_never_ends_costs_nobody_else(authority):
    server_context, client_context = authority.server_context(), authority.client_context()
    with serving(echo, tls=server_context, limits=limits(handshake_timeout_s=0.25)) as server:
        with Client(server) as silent, Client(server) as stuck:
            stuck.send(b"\x16\x03\x01\x02\x00\x01\x00")
            with Client(server, tls=client_context) as client:
                assert client.get().response().status == 200
            assert silent.is_closed()
            assert stuck.is_closed()
        wait_until(lambda: not server.connections)


def test_lingering_ends():
    """A refused client that goes on sending for ever is not listened to for ever."""
    with serving(echo, limits=limits(linger_timeout_s=0.15)) as server, Client(server) as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.response().status == 400
        assert server.connections == 1
        wait_until(lambda: not server.connections)


def test_pace():
    pace = Pace(10, 100)

    assert pace.deadline(1000) == 1010
    pace.waited_s = 9
    assert pace.deadline(1000) == 1001
    pace.moved = 500  # wins five seconds back
    assert pace.deadline(1000) == 1006
    pace.moved = 1_000_000  # never more than the credit at once
    assert pace.deadline(1000) == 1010


def test_a_pace_without_a_rate_bounds_the_whole():
    pace = Pace(10)
    pace.waited_s, pace.moved = 8, 1_000_000

    assert pace.deadline(1000) == 1002
