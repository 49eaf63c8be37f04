"""aws-chunked bodies: the vectors, what an encoder of our own writes, and what nobody may get through."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.signing import encode_chunks, example_signed, read_chunked

from nova_objectstore import errors
from nova_objectstore.errors import (
    IncompleteBody,
    MalformedTrailerError,
    MissingContentLength,
    SignatureDoesNotMatch,
    StoreError,
)
from nova_objectstore.limits import CHUNK_SIZE_MIN
from nova_objectstore.s3.auth import PayloadForm
from nova_objectstore.s3.auth.chunked import READ_AHEAD, ChunkedReader, decoded_length, is_chunked, open_chunked
from nova_wsgi.errors import ClientDisconnected

FORMS = {
    "signed": PayloadForm.SIGNED_CHUNKS,
    "signed-trailer": PayloadForm.SIGNED_CHUNKS_TRAILER,
    "unsigned-trailer": PayloadForm.UNSIGNED_CHUNKS_TRAILER,
}
SEED = "5" * 64
CHECKSUM = {"x-amz-checksum-crc32": "DUoRhQ=="}


class Dribble:
    """A source that never gives more than ``most`` bytes at once, and counts what it was asked for."""

    def __init__(self, data, most):
        self._file = io.BytesIO(data)
        self._most = most
        self.largest = 0

    def read(self, size, /):
        self.largest = max(self.largest, size)
        return self._file.read(min(size, self._most))


def make_reader(body, size, *, form=PayloadForm.UNSIGNED_CHUNKS_TRAILER, seed=SEED, announced=(), most=1 << 30):
    headers = {"x-amz-decoded-content-length": str(size)}
    return open_chunked(Dribble(body, most), headers, signed=example_signed(form, seed), trailer_names=tuple(announced))


def read_all(reader, step=1 << 20):
    pieces = []
    while piece := reader.read(step):
        pieces.append(piece)
    return b"".join(pieces), reader.finish()


@pytest.mark.parametrize("most", [7, 1000, 1 << 30])
@pytest.mark.parametrize("vector", read_chunked(), ids=str)
def test_a_vector_gets_its_verdict(vector, most):
    reader = make_reader(
        vector.body,
        vector.size,
        form=FORMS[vector.form],
        seed=vector.seed or SEED,
        announced=vector.announced,
        most=most,
    )
    if vector.expect == ["ok"]:
        assert read_all(reader) == (vector.data, vector.trailers)
        return
    with pytest.raises(tuple(getattr(errors, name) for name in vector.expect)):
        read_all(reader)


# -- what is decoded -------------------------------------------------------------------------------------------------

chunk_sizes = st.lists(st.integers(CHUNK_SIZE_MIN, 20_000), max_size=4)


@given(
    sizes=chunk_sizes,
    last=st.integers(1, 9000),
    signed=st.booleans(),
    trailer=st.booleans(),
    most=st.sampled_from([1000, 8191, 1 << 30]),
    step=st.sampled_from([1, 100, 5000, 1 << 20]),
)
@settings(max_examples=60, deadline=None, database=None)
def test_what_was_encoded_is_decoded_however_it_arrives(sizes, last, signed, trailer, most, step):
    step = max(step, 1 + (sum(sizes) + last) // 200)
    pieces = [bytes([number + 1]) * size for number, size in enumerate([*sizes, last])]
    trailers = CHECKSUM if trailer else {}
    body = encode_chunks(pieces, seed=SEED if signed else None, trailers=trailers)
    form = PayloadForm.SIGNED_CHUNKS_TRAILER if signed else PayloadForm.UNSIGNED_CHUNKS_TRAILER
    data = b"".join(pieces)
    reader = make_reader(body, len(data), form=form, announced=trailers, most=most)
    assert read_all(reader, step) == (data, trailers)
    assert reader.trailers == trailers


def test_readinto_fills_the_buffer_over_chunks():
    pieces = [b"a" * 10_000, b"b" * 10_000]
    reader = make_reader(encode_chunks(pieces, seed=SEED), 20_000, form=PayloadForm.SIGNED_CHUNKS)
    buffer = bytearray(15_000)
    assert reader.readinto(buffer) == 15_000
    assert bytes(buffer) == b"a" * 10_000 + b"b" * 5000
    assert reader.readinto(memoryview(buffer)) == 5000
    assert reader.readinto(buffer) == 0
    assert reader.finish() == {}
    assert reader.finish() == {}


def test_read_without_a_size_reads_all():
    assert make_reader(encode_chunks([b"hello"]), 5).read() == b"hello"


def test_memory_does_not_grow_with_a_stated_size():
    size = 5 << 40
    source = Dribble(f"{size:x}\r\n".encode() + b"x" * 300_000, 1 << 30)
    reader = ChunkedReader(source, size=size, chain=None)
    with pytest.raises(IncompleteBody):
        read_all(reader, 65536)
    assert source.largest <= READ_AHEAD


# -- the verdict -----------------------------------------------------------------------------------------------------


def test_data_is_not_to_be_trusted_before_finish():
    body = bytearray(encode_chunks([b"hello"], seed=SEED))
    body[body.index(b"hello")] = ord("j")
    reader = make_reader(bytes(body), 5, form=PayloadForm.SIGNED_CHUNKS)
    with pytest.raises(SignatureDoesNotMatch):
        read_all(reader, 1)
    with pytest.raises(SignatureDoesNotMatch):  # and it stays refused
        reader.finish()
    with pytest.raises(SignatureDoesNotMatch):
        reader.read(1)


def test_finish_before_the_end_of_the_data_is_a_refusal():
    reader = make_reader(encode_chunks([b"hello"]), 5)
    assert reader.read(3) == b"hel"
    with pytest.raises(IncompleteBody):
        reader.finish()


def test_a_chunk_of_another_request_is_refused():
    one = encode_chunks([b"a" * 9000, b"b"], seed=SEED)
    other = encode_chunks([b"a" * 9000, b"c"], seed="6" * 64)
    start = one.index(b"\r\n1;") + 2
    mixed = one[:start] + other[start:]
    assert len(mixed) == len(one)
    with pytest.raises(SignatureDoesNotMatch):
        read_all(make_reader(mixed, 9001, form=PayloadForm.SIGNED_CHUNKS))


@given(st.data())
@settings(max_examples=150, deadline=None, database=None)
def test_no_changed_byte_of_a_signed_body_gets_through(data):
    body = bytearray(encode_chunks([b"hello world"], seed=SEED, trailers=CHECKSUM))
    place = data.draw(st.integers(0, len(body) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != body[place]))
    original = body[place]
    body[place] = value
    # What S3 signs does not have the case of hex sizes and of trailer names.
    if chr(original).lower() == chr(value).lower() and original < 128:
        return
    with pytest.raises(StoreError):
        read_all(make_reader(bytes(body), 11, form=PayloadForm.SIGNED_CHUNKS_TRAILER, announced=CHECKSUM))


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=300, deadline=None, database=None)
def test_garbage_is_an_error_of_the_store_and_ends(garbage, signed):
    form = PayloadForm.SIGNED_CHUNKS_TRAILER if signed else PayloadForm.UNSIGNED_CHUNKS_TRAILER
    reader = make_reader(garbage, 20, form=form, announced=CHECKSUM, most=13)
    with pytest.raises(StoreError):
        read_all(reader, 7)


@given(st.integers(0, 400))
@settings(max_examples=100, deadline=None, database=None)
def test_a_body_cut_anywhere_is_refused(cut):
    body = encode_chunks([b"hello world"], seed=SEED, trailers=CHECKSUM)
    if cut >= len(body):
        return
    with pytest.raises((IncompleteBody, MalformedTrailerError)):
        read_all(make_reader(body[:cut], 11, form=PayloadForm.SIGNED_CHUNKS_TRAILER, announced=CHECKSUM))


def test_a_failing_transfer_fails_for_good():
    class Broken:
        def read(self, size, /):
            raise ClientDisconnected("gone")

    reader = ChunkedReader(Broken(), size=5, chain=None)
    for _ in range(2):
        with pytest.raises(ClientDisconnected):
            reader.read(1)
    with pytest.raises(ClientDisconnected):
        reader.finish()


# -- which bodies are chunked ----------------------------------------------------------------------------------------

LENGTH = {"x-amz-decoded-content-length": "5"}
ENCODING = {"content-encoding": "gzip, aws-chunked"}


@pytest.mark.parametrize(
    ("headers", "payload", "expected"),
    [
        ({}, PayloadForm.SIGNED_CHUNKS, True),
        ({}, PayloadForm.SIGNED_CHUNKS_TRAILER, True),
        ({}, PayloadForm.UNSIGNED_CHUNKS_TRAILER, True),
        ({}, PayloadForm.HASH, False),
        ({**LENGTH, **ENCODING}, PayloadForm.HASH, False),
        ({}, PayloadForm.UNSIGNED, False),
        (ENCODING, PayloadForm.UNSIGNED, False),
        (LENGTH, PayloadForm.UNSIGNED, False),
        ({**LENGTH, **ENCODING}, PayloadForm.UNSIGNED, True),
        ({**LENGTH, **ENCODING}, None, True),
        ({**LENGTH, "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, None, True),
        ({}, None, False),
    ],
)
def test_which_bodies_are_chunked(headers, payload, expected):
    assert is_chunked(headers, payload) is expected


def test_an_anonymous_body_is_decoded_without_signatures():
    reader = open_chunked(io.BytesIO(encode_chunks([b"hello"])), LENGTH, signed=None)
    assert read_all(reader) == (b"hello", {})


@pytest.mark.parametrize("length", [None, "", "abc", "12x", "-1", "1_0", "٣", "9" * 20])
def test_the_decoded_length_must_be_told(length):
    headers = {} if length is None else {"x-amz-decoded-content-length": length}
    with pytest.raises(MissingContentLength):
        decoded_length(headers)


def test_chunks_without_trailers_cannot_announce_them():
    with pytest.raises(MalformedTrailerError):
        make_reader(b"", 0, form=PayloadForm.SIGNED_CHUNKS, announced=CHECKSUM)
