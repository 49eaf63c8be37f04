"""The parser without a network: the same bytes mean the same, however they were cut; limits hold to the byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import http_vectors
from support.raw_http import limits

from nova_wsgi.body import NO_BODY, ChunkedBody, SizedBody
from nova_wsgi.errors import HeadersTooLarge, RequestError, UriTooLong
from nova_wsgi.http_parse import find_head_end, head_start, parse_head

VECTORS = http_vectors.read_all()
SMALL = limits(request_line_max=60, header_count_max=4, header_size_max=50, headers_total_max=120, chunk_line_max=30)


class Pieces:
    """A source of bytes that arrive in pieces, and then no more."""

    def __init__(self, pieces):
        self.pieces = [piece for piece in pieces if piece]
        self.buffer = b""

    def receive(self, size_max):
        piece = self.pieces.pop(0) if self.pieces else b""
        if len(piece) > size_max:
            self.pieces.insert(0, piece[size_max:])
        return piece[:size_max]

    def receive_into(self, view):
        piece = self.receive(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def send(self, data):
        assert data.startswith(b"HTTP/1.1 100")


def read_requests(pieces, limits):
    """What a connection makes of bytes: each request's environ, body and trailers, or the fault that ends it."""
    source, outcomes = Pieces(pieces), []
    try:
        while True:
            scanned = 0
            while (end := find_head_end(source.buffer, scanned, limits)) < 0:
                scanned = len(source.buffer)
                data = source.receive(16384)
                if not data:
                    return [*outcomes, ("incomplete", source.buffer)]
                source.buffer += data
            head, source.buffer = source.buffer[head_start(source.buffer) : end], source.buffer[end + 4 :]
            environ = {}
            framing = parse_head(head, environ, limits)
            body = open_body(source, framing, limits)
            outcomes.append((environ, framing.keep_alive, body.read(), body.trailers))
    except RequestError as error:
        return [*outcomes, (type(error).__name__, error.status)]


def open_body(source, framing, limits):
    if framing.body_length < 0:
        return ChunkedBody(source, limits)
    return SizedBody(source, framing.body_length) if framing.body_length else NO_BODY


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@settings(max_examples=300, deadline=None)
@given(vector=st.sampled_from(VECTORS), places=st.lists(st.integers(0, 100_000), max_size=12), small=st.booleans())
def test_the_outcome_does_not_depend_on_the_cuts(vector, places, small):
    chosen = SMALL if small else limits()

    assert read_requests(cut(vector.request, places), chosen) == read_requests([vector.request], chosen)


SPOILS = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"\xff", b"0", b"5", b"a", b"\r\n\r\n", b""]


@settings(max_examples=300, deadline=None)
@given(
    vector=st.sampled_from([vector for vector in VECTORS if len(vector.request) < 500]),
    spoils=st.lists(st.tuples(st.integers(0, 500), st.sampled_from(SPOILS)), max_size=3),
    places=st.lists(st.integers(0, 500), max_size=8),
)
def test_spoiled_requests_end_in_answers_that_do_not_depend_on_the_cuts(vector, spoils, places):
    data = vector.request
    for place, spoil in spoils:
        place %= len(data) + 1
        data = data[:place] + spoil + data[place + (1 if place % 2 else 0) :]

    assert read_requests(cut(data, places), SMALL) == read_requests([data], SMALL)


def head_of(request_line="GET / HTTP/1.1", *fields):
    return "".join(f"{line}\r\n" for line in (request_line, "Host: h", *fields)).encode() + b"\r\n"


def test_a_request_line_of_just_the_limit_passes():
    line = "GET /" + "a" * (SMALL.request_line_max - 14) + " HTTP/1.1"
    assert len(line) == SMALL.request_line_max

    assert find_head_end(head_of(line), 0, SMALL) > 0


@pytest.mark.parametrize("complete", [True, False])
def test_a_request_line_one_byte_longer_does_not(complete):
    line = "GET /" + "a" * (SMALL.request_line_max - 13) + " HTTP/1.1"

    with pytest.raises(UriTooLong):
        find_head_end(head_of(line) if complete else line.encode() + b"\r", 0, SMALL)


def test_a_head_of_just_the_limit_passes():
    fields = ["X-A: " + "a" * 45, "X-B: " + "b" * 38]
    head = head_of("GET / HTTP/1.1", *fields)
    assert len(head) == SMALL.headers_total_max + len("\r\n\r\n")

    assert find_head_end(head, 0, SMALL) > 0
    assert parse_head(head[:-4], {}, SMALL).keep_alive
    fields[1] += "b"
    with pytest.raises(HeadersTooLarge):
        find_head_end(head_of("GET / HTTP/1.1", *fields), 0, SMALL)


def test_fields_are_counted_and_measured():
    parse_head(head_of("GET / HTTP/1.1", "A: 1", "B: 2", "C: 3")[:-4], {}, SMALL)
    with pytest.raises(HeadersTooLarge):
        parse_head(head_of("GET / HTTP/1.1", "A: 1", "B: 2", "C: 3", "D: 4")[:-4], {}, SMALL)
    parse_head(head_of("GET / HTTP/1.1", "A: " + "a" * 47)[:-4], {}, SMALL)
    with pytest.raises(HeadersTooLarge):
        parse_head(head_of("GET / HTTP/1.1", "A: " + "a" * 48)[:-4], {}, SMALL)


def test_the_table_of_names_is_bounded():
    """Clients choose the names: the table must not grow with them, and names beyond it must still be understood."""
    from nova_wsgi import http_parse

    for number in range(http_parse._NAMES_MAX + 100):
        environ = {}
        parse_head(head_of("GET / HTTP/1.1", f"X-Flood-{number}: v")[:-4], environ, limits())
        assert environ[f"HTTP_X_FLOOD_{number}"] == "v"

    assert len(http_parse._names) == http_parse._NAMES_MAX
