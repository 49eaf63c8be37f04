"""Connections as clients use them: keep-alive, bodies, 100-continue, refusals that arrive whole."""

import hashlib
import socket

import pytest
from support.raw_http import Client, answering, echo, limits, serving, wait_until

from nova_wsgi import green
from nova_wsgi.errors import BadRequest, RequestError, ServiceBusy


def ignoring(environ, start_response):
    """Answers without a look at the body."""
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def test_keep_alive_goes_on():
    with serving(echo) as server, Client(server) as client:
        for number in range(20):
            response = client.get(f"/{number}").response()
            assert response.json["environ"]["PATH_INFO"] == f"/{number}"
            assert response.header("Connection") is None

        assert server.requests_total == 20
        assert server.connections == 1


def test_environ_describes_server_and_client():
    with serving(echo, environ={"nova.extra": "yes"}) as server, Client(server) as client:
        host, port = client.sock.getsockname()
        environ = client.get().response().json["environ"]

        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (host, str(port))
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("127.0.0.1", str(client.sock.getpeername()[1]))
        assert environ["wsgi.url_scheme"] == "http"
        assert environ["wsgi.input_terminated"] is True
        assert environ["SCRIPT_NAME"] == ""
        assert environ["nova.extra"] == "yes"


def test_ipv6():
    with serving(echo, family=socket.AF_INET6) as server, Client(server) as client:
        assert client.get().response().json["environ"]["REMOTE_ADDR"] == "::1"


def test_unix_socket(tmp_path):
    with serving(echo, family=socket.AF_UNIX, path=str(tmp_path / "s")) as server, Client(server) as client:
        environ = client.get().response().json["environ"]

        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("", "")
        assert environ["SERVER_NAME"] == "localhost"
        assert client.is_open()


def test_ipv4_clients_of_a_dual_stack_socket_have_ipv4_addresses():
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(("::", 0))
        listening.listen()
        from nova_wsgi.server import HttpServer

        server = HttpServer(listening, echo)
        server.start()
        sock = socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=5)
        with Client(server, sock=sock) as client:
            assert client.get().response().json["environ"]["REMOTE_ADDR"] == "127.0.0.1"
        server.kill()


def test_a_large_body_arrives_whole():
    content = bytes(range(256)) * 8192  # 2 MiB

    def app(environ, start_response):
        digest, buffer = hashlib.sha256(), bytearray(300_000)
        while count := environ["wsgi.input"].readinto(buffer):
            digest.update(memoryview(buffer)[:count])
        start_response("200 OK", [])
        return [digest.hexdigest().encode()]

    with serving(app) as server, Client(server) as client:
        for _ in range(2):
            sender = green.spawn(
                client.send, b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(content) + content
            )
            assert client.response().body == hashlib.sha256(content).hexdigest().encode()
            sender.wait()


def test_a_large_chunked_body_arrives_whole():
    content = bytes(range(256)) * 4096
    pieces = [content[start : start + size] for start, size in ((0, 100_000), (100_000, 3), (100_003, 2_000_000))]
    framed = b"".join(b"%X\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"

    def app(environ, start_response):
        start_response("200 OK", [])
        return [hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()]

    with serving(app) as server, Client(server) as client:
        sender = green.spawn(client.send, b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + framed)
        assert client.response().body == hashlib.sha256(content).hexdigest().encode()
        sender.wait()
        assert client.is_open()


# -- 100-continue -------------------------------------------------------------------------------------------------


def test_continue_is_sent_when_the_body_is_read():
    with serving(echo) as server, Client(server) as client:
        client.get("/", "Expect: 100-continue", "Content-Length: 5", method="PUT")
        assert client.response().status == 100
        client.send(b"hello")

        assert client.response().json["body"] == "hello"
        assert client.is_open()


def test_continue_for_a_chunked_body():
    with serving(echo) as server, Client(server) as client:
        client.get("/", "Expect: 100-continue", "Transfer-Encoding: chunked", method="PUT")
        assert client.response().status == 100
        client.send(b"5\r\nhello\r\n0\r\n\r\n")

        assert client.response().json["body"] == "hello"
        assert client.is_open()


def test_a_body_never_asked_for_ends_the_connection():
    """The client may or may not send it: nobody could tell it from the next request."""
    with serving(ignoring) as server, Client(server) as client:
        response = client.get("/", "Expect: 100-continue", "Content-Length: 5", method="PUT").response()

        assert (response.status, response.header("Connection")) == (200, "close")
        assert client.is_closed()


def test_no_continue_after_the_response_has_begun():
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "5")])
        write(b"x")
        return [environ["wsgi.input"].read()]

    with serving(app) as server, Client(server) as client:
        client.get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT")
        wait_until(lambda: server.in_flight)
        client.send(b"body")
        response = client.response()

        assert (response.status, response.header("Connection"), response.body) == (200, "close", b"xbody")


# -- bodies the application leaves --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Length: 5"], b"hello"),
        (["Content-Length: 60000"], bytes(60000)),
        (["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n"),
    ],
)
def test_a_small_body_left_unread_is_skipped(fields, body):
    with serving(ignoring) as server, Client(server) as client:
        client.get("/", *fields, method="PUT").send(body)

        assert client.response().body == b"ok"
        assert client.is_open()


def test_a_large_body_left_unread_ends_the_connection_and_the_answer_arrives():
    with serving(ignoring) as server, Client(server) as client:
        client.get("/", "Content-Length: 3000000", method="PUT")
        client.send(bytes(3_000_000))  # all of it: the server swallows what it did not want
        response = client.response()

        assert (response.body, response.header("Connection")) == (b"ok", "close")
        assert client.is_closed()


def test_a_bad_chunk_left_unread_ends_the_connection():
    with serving(ignoring) as server, Client(server) as client:
        client.get("/", "Transfer-Encoding: chunked", method="PUT").send(b"nonsense\r\n" + b"GET / HTTP/1.1\r\n")

        assert client.response().body == b"ok"
        assert client.is_closed()


def test_a_body_over_the_limit_is_refused_before_the_application():
    with serving(echo, limits=limits(body_max=10)) as server:
        with Client(server) as client:
            client.get("/", "Content-Length: 11", method="PUT").send(bytes(11))
            assert client.response().status == 413
            assert client.is_closed()
        with Client(server) as client:
            client.get("/", "Transfer-Encoding: chunked", method="PUT").send(b"b\r\nhello world\r\n0\r\n\r\n")
            assert client.response().status == 413
            assert client.is_closed()
        with Client(server) as client:
            client.get("/", "Content-Length: 10", method="PUT").send(bytes(10))
            assert client.response().status == 200


def test_a_refused_upload_gets_its_answer():
    """Clients that send all before they look must not be reset while they do."""
    with serving(echo, limits=limits(body_max=10)) as server, Client(server) as client:
        client.get("/", "Content-Length: 4000000", method="PUT").send(bytes(4_000_000))
        assert client.response().status == 413


def test_an_application_may_answer_a_broken_body_itself():
    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except BadRequest as error:
            start_response("400 Bad Request", [])
            return [str(error).encode()]

    with serving(app) as server, Client(server) as client:
        client.get("/", "Transfer-Encoding: chunked", method="PUT").send(b"nonsense\r\n")
        response = client.response()

        assert response.status == 400
        assert b"hexadecimal" in response.body
        assert response.header("Connection") == "close"
        assert client.is_closed()


def test_a_client_that_leaves_inside_its_body(caplog):
    errors = []

    def app(environ, start_response):
        try:
            return echo(environ, start_response)
        except RequestError as error:
            errors.append(type(error).__name__)
            raise

    with serving(app) as server:
        with Client(server) as client:
            client.get("/", "Content-Length: 100", method="PUT").send(b"half")
        wait_until(lambda: errors)

        wait_until(lambda: not server.connections)
    assert errors == ["ClientDisconnected"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# -- limits -------------------------------------------------------------------------------------------------------


def test_a_connection_has_so_many_requests():
    with serving(echo, limits=limits(requests_per_connection_max=3)) as server, Client(server) as client:
        answers = [client.get().response().header("Connection") for _ in range(3)]

        assert answers == [None, None, "close"]
        assert client.is_closed()


def test_beyond_the_requests_in_flight_there_is_503():
    gate = []

    def app(environ, start_response):
        wait_until(lambda: gate)
        return ignoring(environ, start_response)

    with serving(app, limits=limits(requests_in_flight_max=2, retry_after_s=7)) as server:
        busy = [Client(server).get() for _ in range(2)]
        wait_until(lambda: server.in_flight == 2)
        with Client(server) as idle, Client(server) as client:
            idle.send(b"")
            response = client.get().response()
            assert (response.status, response.header("Retry-After")) == (503, "7")
            gate.append("open")
            for other in busy:
                assert other.response().status == 200
                other.close()
            assert idle.is_open()  # idle connections hold no place


def test_pipelined_requests_without_end_leave_room_for_others():
    with serving(echo) as server, Client(server) as greedy, Client(server) as modest:
        sender = green.spawn(greedy.send, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 2000)
        wait_until(lambda: server.requests_total > 10)
        assert modest.get("/modest").response().json["environ"]["PATH_INFO"] == "/modest"
        assert server.requests_total < 1900
        for _ in range(2000):
            assert greedy.response().status == 200
        sender.wait()


# -- errors of the application ------------------------------------------------------------------------------------


def test_busy_application():
    def app(environ, start_response):
        raise ServiceBusy("no room", retry_after_s=3)

    with serving(app) as server, Client(server) as client:
        response = client.get().response()

        assert (response.status, response.header("Retry-After")) == (503, "3")
        assert b"no room" in response.body


def test_refusals_are_worded_by_the_hook():
    def render(status, reason, hint, request_id):
        return [("Content-Type", "application/xml"), ("x-amz-request-id", request_id)], f"<{status}/>".encode()

    with serving(echo, refusal_renderer=render) as server, Client(server) as client:
        response = client.send(b"nonsense\r\n\r\n").response()

        assert (response.status, response.body) == (400, b"<400/>")
        assert response.header("Content-Type") == "application/xml"
        assert response.header("x-amz-request-id")


def test_refusals_to_head_have_no_body():
    with serving(echo, limits=limits(body_max=1)) as server, Client(server) as client:
        client.get("/", "Content-Length: 5", method="HEAD").send(b"hello")

        assert client.response(method="HEAD").status == 413
        assert client.is_closed()


def test_applications_are_replaced_between_requests():
    gate = []

    def slow(environ, start_response):
        wait_until(lambda: gate)
        return answering(b"old")(environ, start_response)

    with serving(slow) as server, Client(server) as first, Client(server) as second:
        first.get()
        wait_until(lambda: server.in_flight)
        server.replace_app(answering(b"new"))
        assert second.get().response().body == b"new"
        gate.append("open")
        assert first.response().body == b"old"
        assert first.get().response().body == b"new"


def test_each_request_is_counted():
    counted = []
    with serving(echo, on_request=lambda: counted.append(1)) as server, Client(server) as client:
        client.get().response()
        client.get().response()
        assert len(counted) == server.requests_total == 2


def test_context_variables_end_with_their_request():
    from contextvars import ContextVar

    seen: ContextVar[str] = ContextVar("seen", default="nothing")
    found = []

    def app(environ, start_response):
        found.append(seen.get())
        seen.set(environ["PATH_INFO"])
        return ignoring(environ, start_response)

    with serving(app) as server, Client(server) as client:
        for _ in range(3):
            client.get().response()
    assert found == ["nothing"] * 3
