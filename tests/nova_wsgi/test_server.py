"""The accept loop: sharing, bounds, want of descriptors; TLS with reload; memory of what idles."""

import collections
import hashlib
import os
import resource
import socket
import ssl
import struct

import pytest
from support.raw_http import Client, echo, limits, serving, wait_until

from nova_wsgi import green
from nova_wsgi.server import HttpServer


def test_two_servers_share_a_socket():
    """As two workers do: both are woken, one gets the connection, the other finds nothing and goes on."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening, listening.dup() as shared:
        one, two = HttpServer(listening, echo), HttpServer(shared, echo)
        clients = [Client(one) for _ in range(40)]
        one.start()
        two.start()
        wait_until(lambda: one.connections + two.connections == 40)

        assert min(one.connections, two.connections) > 10  # neither takes all that waits
        for client in clients:
            assert client.is_open()
            client.close()
        one.kill()
        two.kill()


def test_beyond_the_connections_the_longest_idle_one_goes():
    with serving(echo, limits=limits(connections_max=3)) as server:
        clients = [Client(server) for _ in range(3)]
        for client in (clients[1], clients[0], clients[2]):
            client.get().response()
        with Client(server) as newcomer:
            assert newcomer.get().response().status == 200
            assert clients[1].is_closed()
            assert server.connections == 3
            assert clients[0].is_open()
        for client in clients:
            client.close()


def test_an_idle_connection_whose_request_has_come_is_not_the_one_to_go():
    with serving(echo, limits=limits(connections_max=2)) as server, Client(server) as first, Client(server) as second:
        first.get().response()
        second.get().response()
        first.get()  # in the kernel, and the hub has not looked
        assert server.make_room()

        assert second.is_closed()
        assert first.response().status == 200


def test_beyond_the_connections_all_busy_there_is_503():
    gate = []

    def app(environ, start_response):
        wait_until(lambda: gate)
        return echo(environ, start_response)

    with serving(app, limits=limits(connections_max=2, retry_after_s=5)) as server:
        busy = [Client(server).get() for _ in range(2)]
        wait_until(lambda: server.in_flight == 2)
        with Client(server) as client:
            response = client.response()
            assert (response.status, response.header("Retry-After")) == (503, "5")
            assert client.is_closed()
        gate.append("open")
        for client in busy:
            assert client.response().status == 200
            client.close()


def test_want_of_descriptors_is_waited_out(caplog):
    with serving(echo) as server:
        clients = [socket.socket() for _ in range(3)]
        spare = os.dup(0)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.close(spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
        try:
            for client in clients:
                client.settimeout(5)
                client.connect(server.socket.getsockname())
            wait_until(lambda: "cannot accept" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for sock in clients:
            with Client(server, sock=sock) as client:
                assert client.get().response().status == 200
        assert caplog.text.count("cannot accept") == 1  # it does not spin, nor fill the log


def test_a_connection_reset_before_it_was_served_disturbs_nobody(caplog):
    with serving(echo) as server:
        for _ in range(20):
            sock = socket.create_connection(server.socket.getsockname())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        with Client(server) as client:
            assert client.is_open()
        wait_until(lambda: not server.connections)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_idle_connections_hold_no_greenthread():
    """Ten thousand of them must stay cheap: a listener and two objects each."""
    import gc

    import greenlet

    with serving(echo) as server:
        clients = [Client(server) for _ in range(300)]
        for client in clients:
            client.get().response()
        gc.collect()
        alive = [found for found in gc.get_objects() if isinstance(found, greenlet.greenlet) and not found.dead]
        assert server.connections == len(server.idle) == 300
        assert len(alive) < 100
        for client in clients:
            client.close()


def test_unhandled_errors_do_not_stop_accepting(caplog):
    """Even a fault in the server's own setup of a connection."""
    with serving(echo, limits=limits(connections_max="many")) as server:
        with Client(server) as client:
            assert client.is_closed()
        wait_until(lambda: "could not be served" in caplog.text)
        server.limits = limits()
        with Client(server) as client:
            assert client.is_open()


# -- TLS ----------------------------------------------------------------------------------------------------------


def test_tls(authority, tmp_path):
    content = os.urandom(1_000_000)
    (tmp_path / "file").write_bytes(content)

    def app(environ, start_response):
        if environ["PATH_INFO"] != "/file":
            return echo(environ, start_response)
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

    context = authority.client_context()
    with serving(app, tls=authority.server_context()) as server, Client(server, tls=context) as client:
        environ = client.get().response().json["environ"]
        assert (environ["wsgi.url_scheme"], environ["HTTPS"]) == ("https", "on")
        assert "nova.tls_client_subject" not in environ
        assert client.get("/file").response().body == content
        assert client.is_open()


@pytest.mark.parametrize("call", ["read", "readinto"])
def test_a_large_body_over_tls(authority, call):
    content = os.urandom(1_000_000)

    def app(environ, start_response):
        body, buffer = environ["wsgi.input"], bytearray(len(content) + 10)
        received = body.read() if call == "read" else buffer[: body.readinto(buffer)]
        start_response("200 OK", [])
        return [hashlib.sha256(received).digest()]

    context = authority.client_context()
    with serving(app, tls=authority.server_context()) as server, Client(server, tls=context) as client:
        sender = green.spawn(client.get("/", f"Content-Length: {len(content)}", method="PUT").send, content)
        assert client.response().body == hashlib.sha256(content).digest()
        sender.wait()
        assert client.get("/", method="HEAD").response(method="HEAD").status == 200


def test_pipelined_requests_in_one_tls_record(authority):
    context = authority.client_context()
    with serving(echo, tls=authority.server_context()) as server, Client(server, tls=context) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
        for _ in range(3):
            assert client.response().status == 200
        assert client.is_open()


def test_more_than_one_record_at_once(authority):
    """What TLS has decrypted the hub knows nothing of: it must not lie there until more comes."""
    request = b"GET / HTTP/1.1\r\nHost: h\r\nX-Pad: " + b"p" * 9000 + b"\r\n\r\n"
    context = authority.client_context()
    with serving(echo, tls=authority.server_context()) as server, Client(server, tls=context) as client:
        client.send(request * 7)
        for _ in range(7):
            assert client.response().status == 200


def test_client_certificates(authority):
    certificate = authority.issue(COMMON_NAME="alice", ORGANIZATION_NAME="Example, Inc.")
    with serving(echo, tls=authority.server_context(asks_client=True)) as server:
        with Client(server, tls=authority.client_context(certificate)) as client:
            environ = client.get().response().json["environ"]
            assert environ["nova.tls_client_subject"] == "O=Example\\, Inc.,CN=alice"
        with Client(server, tls=authority.client_context()) as client:
            assert "nova.tls_client_subject" not in client.get().response().json["environ"]


def test_a_new_certificate_is_for_new_connections(authority):
    def name(client):
        return dict(pair for part in client.sock.getpeercert()["subject"] for pair in part)["commonName"]

    trusting = authority.client_context()
    old, new = authority.server_context(COMMON_NAME="old"), authority.server_context(COMMON_NAME="new")
    with serving(echo, tls=old) as server, Client(server, tls=trusting) as former:
        server.replace_tls(new)
        with Client(server, tls=trusting) as latter:
            assert (name(former), name(latter)) == ("old", "new")
            assert former.is_open()
            assert latter.is_open()


def test_plain_http_on_a_tls_port(authority, caplog):
    with serving(echo, tls=authority.server_context()) as server:
        with Client(server) as client:
            assert not client.get().receive_to_end().startswith(b"HTTP/1.1 2")
        wait_until(lambda: not server.connections)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_tls_ends_with_a_goodbye(authority):
    """Without close_notify a client could not tell a body that ends with the connection from one that was cut."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return iter([b"to the end"])

    context = authority.client_context()
    with serving(app, tls=authority.server_context()) as server, Client(server, tls=context) as client:
        client.sock.suppress_ragged_eofs = False
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().body == b"to the end"


def test_a_cut_response_ends_without_one(authority):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"half"
        raise RuntimeError

    context = authority.client_context()
    with serving(app, tls=authority.server_context()) as server, Client(server, tls=context) as client:
        client.sock.suppress_ragged_eofs = False
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            collections.deque(iter(lambda: client.sock.recv(1000), b""), maxlen=0)
