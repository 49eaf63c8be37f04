"""Stopping: nothing hangs and no request that has arrived is lost, on TCP, on unix sockets and under TLS."""

import socket
import time

import pytest
from support.raw_http import Client, echo, serving, wait_until

from nova_wsgi import green


class Gate:
    """An application whose requests to /slow wait until it is opened."""

    def __init__(self):
        self.open = False
        self.ended = []

    def __call__(self, environ, start_response):
        try:
            if environ["PATH_INFO"] == "/slow":
                wait_until(lambda: self.open)
            return echo(environ, start_response)
        finally:
            self.ended.append(environ["PATH_INFO"])


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture(params=["tcp", "unix", "tls"])
def place(request, gate, tmp_path, authority):
    """A server and a way to connect to it."""
    kinds = {
        "tcp": ({}, {}),
        "unix": ({"family": socket.AF_UNIX, "path": str(tmp_path / "s")}, {}),
        "tls": ({"tls": authority.server_context()}, {"tls": authority.client_context()}),
    }
    options, client_options = kinds[request.param]
    with serving(gate, **options) as server:
        yield server, lambda: Client(server, **client_options)


def test_nothing_to_drain(place):
    server, _ = place

    assert server.drain(5)
    assert server.connections == 0


def test_idle_connections_are_closed_at_once(place):
    server, connect = place
    clients = [connect() for _ in range(3)]
    for client in clients:
        client.get().response()

    began = time.monotonic()
    assert server.drain(5)
    assert time.monotonic() - began < 0.3
    assert server.connections == 0
    for client in clients:
        assert client.is_closed()
        client.close()


def test_requests_in_flight_end_and_are_told(place, gate):
    server, connect = place
    with connect() as client, connect() as idle:
        idle.get().response()
        client.get("/slow")
        wait_until(lambda: server.in_flight)
        draining = green.spawn(server.drain, 5)
        assert idle.is_closed()
        assert server.in_flight == 1
        gate.open = True
        response = client.response()

        assert (response.status, response.header("Connection")) == (200, "close")
        assert client.is_closed()
        assert draining.wait() is True


def test_drain_gives_up_after_its_time(place, gate):
    server, connect = place
    with connect() as client:
        client.get("/slow")
        wait_until(lambda: server.in_flight)

        assert server.drain(0.1) is False
        assert server.in_flight == 1
        server.kill()
        assert client.receive_to_end() == b""
        wait_until(lambda: gate.ended == ["/slow"] and not server.in_flight)
        assert server.connections == 0


def test_kill_ends_everything_now(place, gate):
    server, connect = place
    clients = [connect() for _ in range(4)]
    clients[0].get("/slow")
    clients[1].get().response()
    clients[2].send(b"GET / HTTP/1.1\r\nHo")
    wait_until(lambda: server.in_flight and server.connections == 4)

    server.kill()

    assert server.connections == 0
    for client in clients:
        assert client.receive_to_end() == b""
        client.close()
    wait_until(lambda: not server.in_flight)


def test_an_upload_and_a_download_end(place, gate):
    """A request whose body is still coming is in flight; so is a response that is still going."""
    server, connect = place
    with connect() as client:
        client.get("/", "Content-Length: 10", method="PUT").send(b"01234")
        wait_until(lambda: server.in_flight)
        draining = green.spawn(server.drain, 5)
        wait_until(lambda: server.draining)
        client.send(b"56789")

        assert client.response().json["body"] == "0123456789"
        assert draining.wait() is True


def test_a_half_received_head_is_waited_for(place):
    server, connect = place
    with connect() as client, connect() as other:
        other.get().response()
        client.send(b"GET / HTTP/1.1\r\n")
        wait_until(lambda: server.connections - len(server.idle) == 1)
        draining = green.spawn(server.drain, 5)
        wait_until(lambda: server.draining)
        client.send(b"Host: h\r\n\r\n")

        assert client.response().header("Connection") == "close"
        assert draining.wait() is True


def test_a_new_connection_without_a_request_gets_a_moment(place):
    server, connect = place
    with connect() as client:
        wait_until(lambda: server.connections)
        draining = green.spawn(server.drain, 5)
        wait_until(lambda: server.draining)
        assert client.get().response().status == 200
        assert draining.wait() is True


def test_a_new_connection_that_says_nothing_is_not_waited_for(place):
    server, connect = place
    with connect() as client:
        wait_until(lambda: server.connections)
        assert server.drain(5) is True
        assert client.is_closed()


def test_what_the_kernel_has_accepted_is_answered(gate):
    """Connections in the backlog, their requests sent: nobody has accepted them, and nobody else will."""
    with serving(gate) as server:
        server._acceptor.pause()
        clients = [Client(server).get() for _ in range(10)]
        assert server.connections == 0
        server._acceptor.resume()
        assert server.drain(5) is True  # before the hub had a chance to tell of a single one

        for client in clients:
            response = client.response()
            assert (response.status, response.header("Connection")) == (200, "close")
            client.close()


def test_what_has_arrived_on_an_idle_connection_is_answered(place):
    server, connect = place
    with connect() as client:
        client.get().response()
        client.get()  # in the kernel, and the hub has not looked
        assert server.drain(5) is True

        assert client.response().header("Connection") == "close"


def test_nothing_is_accepted_after_stopping(gate):
    with serving(gate) as server:
        server.stop_accepting()
        with Client(server) as client:
            client.get()
            green.sleep(0)
            assert server.connections == 0
        with server.socket.dup() as listening:  # another worker would take it
            listening.accept()[0].close()


def test_draining_under_load_loses_nothing(gate):
    """Each request sent on a connection is answered, or the connection was closed before it was sent."""
    lost, answered = [], []

    def load(server):
        while True:
            try:
                client = Client(server)
            except ConnectionRefusedError:
                return
            with client:
                if not talk(client):
                    return

    def talk(client):
        for _ in range(5):
            try:
                client.get()
                response = client.response()
            except (AssertionError, OSError) as error:
                if "the connection ended before" not in str(error):
                    lost.append(error)
                return False
            answered.append(response.status)
            if response.header("Connection") == "close":
                return True
        return True

    with serving(gate) as server:
        threads = [green.spawn(load, server) for _ in range(20)]
        wait_until(lambda: len(answered) > 200)
        assert server.drain(5) is True
        server.socket.close()
        for thread in threads:
            thread.kill()
    assert not lost
    assert set(answered) == {200}
