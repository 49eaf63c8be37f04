"""Limits of one application: requests in flight, and body sizes."""

import pytest

from nova_wsgi.errors import BodyTooLarge
from nova_wsgi.middleware.limits import Limits
from nova_wsgi.response import Response
from nova_wsgi.testing import Client

READINGS = {
    "read": lambda body: body.read(),
    "read in parts": lambda body: b"".join(iter(lambda: body.read(3), b"")),
    "readline": lambda body: b"".join(iter(body.readline, b"")),
    "iteration": b"".join,
    "readlines": lambda body: b"".join(body.readlines()),
    "readinto": lambda body: b"".join(_read_into(body)),
}


def _read_into(body):
    buffer = bytearray(4)
    while size := body.readinto(buffer):
        yield bytes(buffer[:size])


def app(environ, start_response):
    body = environ["wsgi.input"]
    return Response(READINGS[environ.get("reading", "read")](body))(environ, start_response)


def test_beyond_the_limit_of_requests_in_flight_a_request_is_refused():
    answers = []

    def nested(environ, start_response):
        if environ["PATH_INFO"] == "/outer":
            answers.append(client.get("/inner"))
        return Response(b"done")(environ, start_response)

    limits = Limits(nested, requests_in_flight_max=1, retry_after_s=3)
    client = Client(limits)
    assert client.get("/outer").body == b"done"
    assert answers[0].status == 503
    assert answers[0].header("Retry-After") == "3"
    assert client.get("/inner").status == 200
    assert limits.in_flight == 0


def test_a_request_that_fails_is_no_longer_in_flight():
    def broken(environ, start_response):
        raise KeyError("broken")

    limits = Limits(broken, requests_in_flight_max=1)
    for _ in range(3):
        with pytest.raises(KeyError):
            Client(limits).get("/")
    assert limits.in_flight == 0


def test_a_body_that_says_it_is_too_large_is_refused_unread():
    client = Client(Limits.filter_factory({}, body_size_max="10")(app))
    answer = client.put("/", body=b"0123456789a")
    assert answer.status == 413
    assert answer.environ["wsgi.input"].received == 0
    assert client.put("/", body=b"0123456789").body == b"0123456789"


@pytest.mark.parametrize("reading", READINGS)
def test_a_chunked_body_is_bounded_however_it_is_read(reading):
    client = Client(Limits(app, body_size_max=10), environ={"reading": reading})
    assert client.put("/", body=[b"012\n", b"45\n", b"789"]).body == b"012\n45\n789"
    with pytest.raises(BodyTooLarge):
        client.put("/", body=[b"012\n", b"45\n", b"789", b"a"])


def test_a_bounded_body_has_its_trailers():
    def trailers(environ, start_response):
        environ["wsgi.input"].read()
        return Response.of_json(environ["wsgi.input"].trailers)(environ, start_response)

    answer = Client(Limits(trailers, body_size_max=10)).put("/", body=[b"abc"], trailers={"X-Checksum": "1"})
    assert answer.json() == {"x-checksum": "1"}


def test_without_limits_everything_passes():
    client = Client(Limits(app))
    assert client.put("/", body=b"x" * 1000).status == 200
    assert client.put("/", body=[b"x" * 1000]).status == 200


def render(status, reason, hint, request_id):
    return [("Content-Type", "application/xml")], f"<{status} {reason}>".encode()


def test_a_refusal_can_be_in_the_applications_own_form():
    name = f"{__name__}:render"
    client = Client(Limits.filter_factory({}, body_size_max="1", refusal_renderer=name)(app))
    answer = client.put("/", body=b"ab")
    assert (answer.status, answer.body) == (413, b"<413 Content Too Large>")
    assert answer.header("Content-Type") == "application/xml"


def test_under_a_foreign_server_requests_are_counted_until_their_body_is_closed():
    limits = Limits(Response(b"x"), requests_in_flight_max=1)
    body = limits({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None)
    assert limits.in_flight == 1
    body.close()
    assert limits.in_flight == 0
