"""Finish hooks under a server that knows none: run once, with the truth, whatever happens."""

import pytest

from nova_wsgi.middleware.finish import HOOKS, call_with_hooks


class Body:
    """A response body that notes its closing."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.closed = 0

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self):
        self.closed += 1


def call(app, **environ):
    """Call an application whose first act is to add a hook; return the body and what the hooks are told."""
    told = []

    def hooked(environ, start_response):
        environ[HOOKS].append(lambda environ, finished: told.append(finished))
        return app(environ, start_response)

    environ = {"REQUEST_METHOD": "PUT", **environ}
    return call_with_hooks(hooked, environ, lambda *_: lambda chunk: None), told


def test_hooks_run_when_the_body_is_closed():
    content = Body(b"abc", b"de")

    def app(environ, start_response):
        start_response("201 Created", [])
        return content

    body, told = call(app, CONTENT_LENGTH="7")
    assert list(body) == [b"abc", b"de"]
    assert not told
    body.close()
    body.close()
    (finished,) = told
    assert (finished.status, finished.bytes_sent, finished.bytes_received) == (201, 5, 7)
    assert not finished.aborted
    assert 0 <= finished.first_byte_s <= finished.duration_s
    assert content.closed == 2


def test_a_body_closed_before_its_end_was_aborted():
    def app(environ, start_response):
        start_response("200 OK", [])
        return Body(b"abc", b"de")

    body, told = call(app)
    assert next(iter(body)) == b"abc"
    body.close()
    assert told[0].aborted
    assert told[0].bytes_sent == 3


def test_bytes_written_the_old_way_are_counted():
    def app(environ, start_response):
        start_response("200 OK", [])(b"written")
        return []

    body, told = call(app)
    assert list(body) == []
    body.close()
    assert told[0].bytes_sent == 7


def test_an_application_that_fails_has_its_hooks_run_and_its_error_raised():
    def app(environ, start_response):
        raise KeyError("broken")

    told = []

    def hooked(environ, start_response):
        environ[HOOKS].append(lambda environ, finished: told.append(finished))
        return app(environ, start_response)

    with pytest.raises(KeyError):
        call_with_hooks(hooked, {"REQUEST_METHOD": "GET"}, lambda *_: None)
    assert told[0].status == 500
    assert told[0].aborted


def test_a_hook_that_fails_stops_no_other(caplog):
    def app(environ, start_response):
        environ[HOOKS].insert(0, lambda environ, finished: 1 / 0)
        start_response("200 OK", [])
        return []

    body, told = call(app)
    body.close()
    assert len(told) == 1
    assert "a finish hook failed" in caplog.text
