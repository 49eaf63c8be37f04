"""Responses as clients see them: framing that never lies, files by sendfile, and what a failing application leaves."""

import os
import re
import socket

import pytest
from support.raw_http import Client, answering, serving, wait_until

from nova_wsgi import green
from nova_wsgi.http_write import format_date
from nova_wsgi.response import FileBody, FileSegment


def errors_in(caplog):
    return [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


class Body:
    """An iterable that is no list, and notices being closed."""

    def __init__(self, *pieces, error=None):
        self.pieces, self.error = pieces, error
        self.closed = 0

    def __iter__(self):
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self):
        self.closed += 1


def returning(body, *headers, status="200 OK"):
    def app(environ, start_response):
        start_response(status, list(headers))
        return body

    return app


def ask(app, *fields, method="GET", version="1.1"):
    """One request to an application; the response and whether the connection survived."""
    with serving(app) as server, Client(server) as client:
        lines = [f"{method} / HTTP/{version}", "Host: h", *fields]
        client.send("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")
        response = client.response(method=method)
        closed = response.header("Connection") == "close"
        assert client.is_closed() if closed else client.get(method="HEAD").response(method="HEAD")
        return response


def ask_broken(app, *fields, method="GET"):
    """One request whose response breaks off: what was received of it."""
    with serving(app) as server, Client(server) as client:
        return client.get("/", *fields, method=method).receive_to_end()


# -- headers ------------------------------------------------------------------------------------------------------


def test_headers_are_sent_as_given():
    response = ask(
        answering(b"x", ("x-amz-META-Foo", "a  b"), ("ETag", '"\xe4"'), ("Set-Cookie", "a"), ("Set-Cookie", "b"))
    )

    assert response.headers[:4] == [
        ("x-amz-META-Foo", "a  b"),
        ("ETag", '"\xe4"'),
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
    ]
    assert response.header("Server") == "nova"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response.header("Date"))


def test_server_and_date_of_the_application_stand():
    response = ask(answering(b"x", ("Server", "other"), ("Date", "Thu, 01 Jan 1970 00:00:00 GMT")))

    assert [value for name, value in response.headers if name in ("Server", "Date")] == [
        "other",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ]


def test_dates():
    assert format_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_the_application_may_close_the_connection():
    assert ask(answering(b"x", ("Connection", "close"))).header("Connection") == "close"


@pytest.mark.parametrize(
    ("status", "header"),
    [
        ("200 OK", ("X-A", "b\r\nX-Injected: yes")),
        ("200 OK", ("X-A", "b\nc")),
        ("200 OK", ("X-A", "b\0")),
        ("200 OK", ("X-A\r\nX-Injected", "yes")),
        ("200 OK", ("X A", "b")),
        ("200 OK", ("X-A:", "b")),
        ("200 OK", ("", "b")),
        ("200 OK", ("X-A", "\u20ac")),
        ("200 OK", ("Transfer-Encoding", "chunked")),
        ("200 OK", ("Content-Length", "-1")),
        ("200 OK", ("Content-Length", "five")),
        ("200 OK\r\nX-Injected: yes", ("X-A", "b")),
        ("100 Continue", ("X-A", "b")),
        ("OK", ("X-A", "b")),
    ],
)
def test_headers_that_cannot_be_sent_are_an_error_of_the_application(status, header, caplog):
    response = ask(answering(b"x", header, status=status))

    assert response.status == 500
    assert response.header("X-Injected") is None
    assert len(errors_in(caplog)) == 1


# -- bodies and framing -------------------------------------------------------------------------------------------


def test_a_list_has_its_length_declared():
    response = ask(answering([b"one", b"", b"two"]))

    assert (response.header("Content-Length"), response.body) == ("6", b"onetwo")


def test_an_empty_list():
    response = ask(answering([]))

    assert (response.status, response.header("Content-Length")) == (200, "0")


def test_an_iterable_of_unknown_length_is_chunked():
    body = Body(b"one", b"", b"x" * 100_000, b"two")
    response = ask(returning(body))

    assert response.header("Transfer-Encoding") == "chunked"
    assert response.body == b"one" + b"x" * 100_000 + b"two"
    assert body.closed


def test_an_empty_iterable():
    response = ask(returning(Body(b"")))

    assert (response.status, response.body) == (200, b"")


def test_http_1_0_knows_the_end_by_the_connection():
    response = ask(returning(Body(b"one", b"two")), version="1.0")

    assert response.header("Transfer-Encoding") is None
    assert (response.header("Connection"), response.body) == ("close", b"onetwo")


def test_http_1_0_is_kept_when_asked_and_the_length_is_known():
    response = ask(answering(b"x"), "Connection: keep-alive", version="1.0")

    assert (response.header("Connection"), response.header("Content-Length")) == ("keep-alive", "1")


def test_a_generator_may_start_the_response_late():
    def app(environ, start_response):
        start_response("201 Created", [("Content-Length", "4")])
        yield b"late"

    response = ask(app)

    assert (response.status, response.body) == (201, b"late")
    assert ask(app, method="HEAD").status == 201


@pytest.mark.parametrize("body", [[b"ignored"], Body(b"ignored"), FileBody([])])
def test_head_has_the_headers_and_no_body(body):
    response = ask(returning(body, ("Content-Length", "7")), method="HEAD")

    assert (response.status, response.header("Content-Length")) == (200, "7")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", [[b"ignored"], Body(b"ignored")])
def test_statuses_without_a_body(status, body):
    response = ask(returning(body, status=status))

    assert response.header("Content-Length") is None
    assert response.header("Transfer-Encoding") is None


def test_204_declares_no_length():
    assert ask(returning([], ("Content-Length", "0"), status="204 No Content")).header("Content-Length") is None


@pytest.mark.parametrize("body", [[b"too long"], Body(b"too", b" long"), Body(b"to", b"o", b"!!")])
def test_a_body_beyond_its_length_is_cut(body, caplog):
    response = ask(returning(body, ("Content-Length", "3")))

    assert response.body == b"too"
    assert errors_in(caplog)[0].getMessage().startswith("the application's body is longer")


@pytest.mark.parametrize("body", [[b"short"], Body(b"sho", b"rt"), Body()])
def test_a_body_short_of_its_length_breaks_the_connection(body, caplog):
    received = ask_broken(returning(body, ("Content-Length", "10")))

    assert received.endswith((b"\r\n\r\nshort", b"\r\n\r\n")) or received == b""
    assert "missing" in errors_in(caplog)[0].getMessage()


def test_the_write_callable():
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"one")
        write(b"")
        write(b"two")
        return [b"three"]

    assert ask(app).body == b"onetwothree"


def test_a_large_list_leaves_whole():
    content = os.urandom(3_000_000)

    assert ask(answering([content[:10], content[10:]])).body == content


def test_a_large_chunked_body_leaves_whole():
    content = os.urandom(1_000_000)

    assert ask(returning(Body(content, content))).body == content * 2


# -- failing applications -----------------------------------------------------------------------------------------


def test_an_error_before_the_response_is_500_without_its_text(caplog):
    def app(environ, start_response):
        raise RuntimeError("secret")

    response = ask(app)

    assert (response.status, response.header("Connection")) == (500, "close")
    assert b"secret" not in response.body
    assert b"Traceback" not in response.body
    assert [record.exc_info[0] for record in errors_in(caplog)] == [RuntimeError]


def test_an_error_before_the_first_byte_is_500_too(caplog):
    body = Body(error=RuntimeError("secret"))
    response = ask(returning(body, ("Content-Length", "5")))

    assert response.status == 500
    assert body.closed
    assert len(errors_in(caplog)) == 1


@pytest.mark.parametrize("headers", [[], [("Content-Length", "10")]])
def test_an_error_after_the_first_byte_breaks_the_connection(headers, caplog):
    body = Body(b"half", error=RuntimeError("secret"))
    received = ask_broken(returning(body, *headers))

    assert b"secret" not in received
    assert not received.endswith(b"0\r\n\r\n")
    assert body.closed
    assert [record.exc_info[0] for record in errors_in(caplog)] == [RuntimeError]


def test_a_timeout_of_the_applications_own_is_an_error_of_its_own(caplog):
    def app(environ, start_response):
        with green.Timeout(0.01):
            green.sleep(10)

    assert ask(app).status == 500
    assert len(errors_in(caplog)) == 1


def test_no_response_at_all(caplog):
    assert ask(lambda environ, start_response: [b"x"]).status == 500
    assert ask(lambda environ, start_response: Body(b"x")).status == 500
    assert ask(lambda environ, start_response: None).status == 500
    assert len(errors_in(caplog)) == 3


@pytest.mark.parametrize("body", [["text"], Body("text")])
def test_text_is_no_body(body, caplog):
    assert ask(returning(body)).status == 500
    assert [record.exc_info[0] for record in errors_in(caplog)] == [TypeError]


def test_start_response_twice():
    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("201 Created", [])
        return []

    assert ask(app).status == 500


def test_exc_info_replaces_a_response_not_sent():
    import sys

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "100"), ("X-Old", "1")])
        try:
            raise ValueError
        except ValueError:
            start_response("409 Conflict", [("X-New", "1")], sys.exc_info())
        return [b"sorry"]

    response = ask(app)

    assert (response.status, response.header("X-Old"), response.header("X-New")) == (409, None, "1")
    assert (response.body, response.header("Content-Length")) == (b"sorry", "5")


def test_exc_info_after_the_header_raises_what_it_holds(caplog):
    import sys

    def app(environ, start_response):
        start_response("200 OK", [])(b"half")
        try:
            raise ValueError("the cause")
        except ValueError:
            start_response("500 Error", [], sys.exc_info())
        return []

    ask_broken(app)

    assert [record.exc_info[0] for record in errors_in(caplog)] == [ValueError]


def test_an_error_in_close_does_not_take_the_response_back(caplog):
    class Unclosable(Body):
        def close(self):
            raise RuntimeError("cannot close")

    assert ask(returning(Unclosable(b"whole"))).body == b"whole"
    assert len(errors_in(caplog)) >= 1


def test_a_client_that_leaves_during_the_response_is_no_error(caplog):
    body = Body(*[bytes(100_000)] * 1000)
    finished = []

    def app(environ, start_response):
        environ["nova.finish_hooks"].append(lambda _, finished_: finished.append(finished_))
        return returning(body)(environ, start_response)

    with serving(app) as server:
        with Client(server) as client:
            client.get().take(1000)
        wait_until(lambda: finished)
        wait_until(lambda: not server.connections)
    assert body.closed == 1
    assert finished[0].aborted
    assert not errors_in(caplog)


# -- hooks --------------------------------------------------------------------------------------------------------


def test_finish_hooks_are_told_how_it_went():
    told = []

    def app(environ, start_response):
        environ["nova.finish_hooks"].append(lambda environ, finished: told.append((environ["PATH_INFO"], finished)))
        environ["wsgi.input"].read()
        return returning(Body(b"12345", b"678"), status="201 Created")(environ, start_response)

    with serving(app) as server, Client(server) as client:
        client.get("/a", "Content-Length: 4", method="PUT").send(b"body").response()
        wait_until(lambda: told)
    path, finished = told[0]
    assert (path, finished.status, finished.bytes_sent, finished.bytes_received) == ("/a", 201, 8, 4)
    assert not finished.aborted
    assert 0 < finished.first_byte_s <= finished.duration_s < 5


def test_hooks_are_told_of_failures_and_do_not_fail_others(caplog):
    told = []

    def app(environ, start_response):
        environ["nova.finish_hooks"] += [lambda *_: 1 / 0, lambda _, finished: told.append(finished)]
        raise RuntimeError

    assert ask(app).status == 500
    assert [(finished.status, finished.aborted) for finished in told] == [(500, False)]


# -- files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(5_000_000))
    return path


def sending(path):
    """An application that answers a file, opened anew for each request."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return FileBody.of_descriptor(os.open(path, os.O_RDONLY))

    return app


def test_a_file_is_sent(file):
    with serving(sending(file)) as server, Client(server) as client:
        for _ in range(2):
            response = client.get().response()
            assert response.header("Content-Length") == "5000000"
            assert response.body == file.read_bytes()


def test_segments_are_sent_in_a_row(file, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"0123456789")
    with file.open("rb") as one, other.open("rb") as two:
        segments = [(two, 2, 3), (one, 4_000_000, 700_000), (two, 0, 0), (two, 9, 1), (one, 0, 1)]
        body = FileBody([FileSegment(opened.fileno(), offset, count) for opened, offset, count in segments])
        response = ask(returning(body))

        assert response.body == b"".join(os.pread(opened.fileno(), count, start) for opened, start, count in segments)


def test_head_of_a_file(file):
    response = ask(sending(file), method="HEAD")

    assert response.status == 200


def test_an_empty_file(tmp_path):
    (tmp_path / "empty").touch()
    response = ask(sending(tmp_path / "empty"))

    assert (response.header("Content-Length"), response.body) == ("0", b"")


def test_a_file_shorter_than_promised_breaks_the_connection(tmp_path, caplog):
    """Never padded, never passed off as whole."""
    (tmp_path / "short").write_bytes(b"short")
    closed = []
    with (tmp_path / "short").open("rb") as opened:
        body = FileBody([FileSegment(opened.fileno(), 0, 10)], lambda: closed.append(1))
        received = ask_broken(returning(body, ("Content-Length", "10")))

    assert not received.partition(b"\r\n\r\n")[2].startswith(b"short\0")
    assert closed == [1]
    assert "5 bytes of the promised" in errors_in(caplog)[0].getMessage()


def test_a_file_that_cannot_be_read_breaks_the_connection(tmp_path, caplog):
    folder = os.open(tmp_path, os.O_RDONLY)
    ask_broken(returning(FileBody([FileSegment(folder, 0, 10)], lambda: os.close(folder))))

    assert [record.exc_info[0] for record in errors_in(caplog)] == [IsADirectoryError]


def test_the_files_client_leaves(file, caplog):
    finished = []

    def app(environ, start_response):
        environ["nova.finish_hooks"].append(lambda _, finished_: finished.append(finished_))
        body = FileBody([FileSegment(opened.fileno(), 0, 5_000_000)] * 20)
        return returning(body)(environ, start_response)

    with file.open("rb") as opened, serving(app) as server:
        with Client(server) as client:
            client.get().take(1000)
        wait_until(lambda: finished)
    assert finished[0].aborted
    assert 0 < finished[0].bytes_sent < 100_000_000
    assert not errors_in(caplog)


def test_file_wrapper(file):
    def app(environ, start_response):
        opened = file.open("rb")
        opened.seek(4_999_000)
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](opened, 8192)

    assert ask(app).body == file.read_bytes()[4_999_000:]


def test_a_file_over_a_unix_socket(file, tmp_path):
    with serving(sending(file), family=socket.AF_UNIX, path=str(tmp_path / "s")) as server, Client(server) as client:
        assert client.get().response().body == file.read_bytes()


def test_a_slow_reader_of_a_file_holds_up_nobody(file):
    with serving(sending(file)) as server, Client(server) as slow, Client(server) as other:
        slow.get()
        wait_until(lambda: server.in_flight)
        assert len(other.get().response().body) == 5_000_000
        assert len(slow.response().body) == 5_000_000
