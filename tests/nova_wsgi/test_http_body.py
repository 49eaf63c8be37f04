"""Request bodies over a source without a network: reading in every way, to the byte."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.raw_http import limits

from nova_wsgi.body import NO_BODY, ChunkedBody, SizedBody
from nova_wsgi.errors import BadRequest, BodyTooLarge, ClientDisconnected

CONTENT = b"first line\nsecond\n\nlast without an end" * 50


class Source:
    """Gives at most ``step`` bytes at a time; what is behind the body must stay."""

    def __init__(self, data, *, step=7, buffered=0):
        self.buffer, self.data = data[:buffered], data[buffered:]
        self.step = step
        self.sizes = []
        self.sent = b""

    def receive(self, size_max):
        size = min(size_max, self.step)
        self.sizes.append(size_max)
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    def receive_into(self, view):
        piece = self.receive(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def send(self, data):
        self.sent += data

    @property
    def rest(self):
        return self.buffer + self.data


def sized(content=CONTENT, **source):
    opened = Source(content + b"NEXT", **source)
    return opened, SizedBody(opened, len(content))


def chunked(content=CONTENT, *, chunk=13, **source):
    chunks = [content[start : start + chunk] for start in range(0, len(content), chunk)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in chunks) + b"0\r\nX-End: yes\r\n\r\n"
    opened = Source(framed + b"NEXT", **source)
    return opened, ChunkedBody(opened, limits())


BOTH = pytest.mark.parametrize("make", [sized, chunked])


@BOTH
@pytest.mark.parametrize("buffered", [0, 1, 20, 100_000])
def test_read_whole(make, buffered):
    source, body = make(buffered=buffered)

    assert body.read() == CONTENT
    assert body.read() == b""
    assert body.ended
    assert body.received == len(CONTENT)
    assert source.rest == b"NEXT"


@BOTH
def test_reading_beyond_the_end_returns_what_there_is(make):
    source, body = make()

    assert body.read(len(CONTENT) - 3) == CONTENT[:-3]
    assert body.read(1000) == CONTENT[-3:]
    assert body.read(1000) == b""
    assert source.rest == b"NEXT"


@BOTH
def test_lines(make):
    _, body = make()

    assert list(body) == list(io.BytesIO(CONTENT))


@BOTH
def test_readlines_stops_at_the_hint(make):
    _, body = make()

    assert body.readlines(12) == [b"first line\n", b"second\n"]
    assert body.read() == CONTENT[18:]


@settings(max_examples=150, deadline=None)
@given(
    make=st.sampled_from([sized, chunked]),
    step=st.integers(1, 3000),
    buffered=st.integers(0, 3000),
    calls=st.lists(st.tuples(st.sampled_from(["read", "readinto", "readline"]), st.integers(0, 400)), max_size=30),
)
def test_any_mix_of_calls_reads_like_a_file(make, step, buffered, calls):
    source, body = make(step=step, buffered=buffered)
    file = io.BytesIO(CONTENT)

    for call, size in calls:
        if call == "readinto":
            ours, theirs = bytearray(size), bytearray(size)
            assert body.readinto(ours) == file.readinto(theirs)
            assert ours == theirs
        else:
            assert getattr(body, call)(size) == getattr(file, call)(size)

    assert body.read() == file.read()
    assert source.rest == b"NEXT"


@pytest.mark.parametrize("make", [sized, lambda content, **source: chunked(content, chunk=1_000_000, **source)])
def test_large_pieces_are_asked_for_directly(make):
    """A large body must not pass through small buffers."""
    content = bytes(1_000_000)
    source, body = make(content, step=1_000_000, buffered=0)

    assert body.readinto(bytearray(len(content))) == len(content)
    assert max(source.sizes) >= 900_000
    assert len(source.sizes) <= 4


def test_trailers_come_with_the_end():
    _, body = chunked()

    body.read(10)
    assert body.trailers == {}
    body.read()
    assert body.trailers == {"x-end": "yes"}


@BOTH
def test_a_body_that_ends_early_raises_again_and_again(make):
    source, body = make()
    source.data = source.data[:100]

    for _ in range(3):
        with pytest.raises(ClientDisconnected):
            body.read()
    assert body.broken


@BOTH
def test_what_came_before_the_end_can_be_read(make):
    source, body = make()
    source.data = source.data[:100]

    assert body.read(50) == CONTENT[:50]
    with pytest.raises(ClientDisconnected):
        body.read()


def test_a_bad_chunk_raises_again_and_again():
    source = Source(b"5\r\nhello\r\nxyz\r\n")
    body = ChunkedBody(source, limits())

    assert body.read(5) == b"hello"
    for _ in range(2):
        with pytest.raises(BadRequest):
            body.read(5)


def test_a_chunked_body_is_bounded_before_it_is_read():
    source, _ = chunked(bytes(2000), chunk=1000)
    body = ChunkedBody(source, limits(body_max=1500))

    assert body.read(1000) == bytes(1000)
    with pytest.raises(BodyTooLarge):
        body.read(1)


def test_continue_is_sent_once_at_the_first_read():
    source = Source(b"hello")
    body = SizedBody(source, 5, expects_continue=True)

    assert source.sent == b""
    assert body.read(2) == b"he"
    assert body.read() == b"llo"
    assert source.sent == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_continue_is_not_sent_when_the_body_has_begun():
    source = Source(b"hello", buffered=2)

    assert SizedBody(source, 5, expects_continue=True).read() == b"hello"
    assert source.sent == b""


def test_discard_reads_no_more_than_it_may():
    source, body = sized(bytes(1000), step=100)

    assert not body.discard(500)
    assert body.length_left == 500
    assert body.discard(500)
    assert source.rest == b"NEXT"


def test_no_body():
    assert NO_BODY.read() == NO_BODY.read(10) == NO_BODY.readline() == b""
    assert NO_BODY.readinto(bytearray(3)) == 0
    assert list(NO_BODY) == []
    assert NO_BODY.ended
