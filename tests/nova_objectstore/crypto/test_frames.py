"""Frames: what was sealed comes out of any range, and nothing else ever does."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.crypto.envelope import new_data_key
from nova_objectstore.crypto.frames import (
    FRAME_SIZE,
    STORED_FRAME_SIZE,
    TAG_SIZE,
    DataKey,
    FrameOpener,
    FrameSealer,
    frame_count,
    open_whole,
    seal_whole,
    stored_size,
)
from nova_objectstore.errors import DataCorrupt

KEY = DataKey(bytes(range(16)), bytes(range(32)))
SOME = os.urandom(4 * FRAME_SIZE)  # what bodies are cut from

# Any size, and the edges of frames far more often than chance would have them.
SIZES = st.one_of(
    st.integers(0, 3 * FRAME_SIZE),
    st.builds(lambda frames, more: max(0, frames * FRAME_SIZE + more), st.integers(0, 3), st.integers(-2, 2)),
)


def seal(body: bytes, *, key: DataKey = KEY, piece: int = 100_000) -> bytes:
    """A body that arrives in pieces."""
    sealer = FrameSealer(key)
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    return b"".join([frame for one in pieces for frame in sealer.update([one])] + [sealer.finish()])


def read(sealed: bytes, size: int, first: int, count: int, *, key: DataKey = KEY, frames_max: int = 2) -> bytes:
    """A range, as the egress reads it."""
    opener = FrameOpener(key, size, name="ref")
    out = []
    for run in opener.runs(first, count, frames_max=frames_max):
        opened = opener.open(run, sealed[run.offset : run.offset + run.size])
        out += opener.cut(run, opened, first, count)
    return b"".join(out)


@given(size=SIZES, piece=st.integers(1, 200_000))
def test_a_body_of_any_size_comes_out_as_it_went_in(size, piece):
    body = SOME[:size]
    sealed = seal(body, piece=max(piece, size // 50))

    assert len(sealed) == stored_size(size)
    assert sealed == seal_whole(KEY, [body])
    assert open_whole(KEY, sealed, size) == body


@given(size=SIZES.filter(bool), data=st.data())
def test_any_range_is_those_bytes(size, data):
    first = data.draw(st.integers(0, size - 1))
    count = data.draw(st.integers(1, size - first))
    sealed = seal(SOME[:size])

    assert read(sealed, size, first, count, frames_max=data.draw(st.integers(1, 4))) == SOME[first : first + count]


@given(first=st.integers(0, 4 * FRAME_SIZE - 1), count=st.integers(1, FRAME_SIZE))
def test_a_range_reads_only_its_frames(first, count):
    size = 4 * FRAME_SIZE
    count = min(count, size - first)
    runs = list(FrameOpener(KEY, size).runs(first, count, frames_max=100))

    touched = range(first // FRAME_SIZE, (first + count - 1) // FRAME_SIZE + 1)
    assert [(run.first, run.frames) for run in runs] == [(touched.start, len(touched))]
    assert (runs[0].offset, runs[0].size) == (touched.start * STORED_FRAME_SIZE, len(touched) * STORED_FRAME_SIZE)


@settings(max_examples=200)
@given(size=SIZES, data=st.data())
def test_a_flipped_bit_anywhere_is_an_error(size, data):
    sealed = bytearray(seal(SOME[:size]))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(DataCorrupt) as refused:
        open_whole(KEY, bytes(sealed), size, name="the ref")
    assert refused.value.facts == {"ref": "the ref", "frame": bit // 8 // STORED_FRAME_SIZE}


@given(size=SIZES, data=st.data())
def test_a_missing_end_is_an_error_whatever_the_size_is_said_to_be(size, data):
    sealed = seal(SOME[:size])
    left = data.draw(st.integers(0, len(sealed) - 1))
    said = data.draw(st.sampled_from((size, max(0, left - TAG_SIZE * max(1, -(-left // STORED_FRAME_SIZE))))))

    with pytest.raises(DataCorrupt):
        open_whole(KEY, sealed[:left], said)


def test_an_end_cut_off_at_a_frame_is_told_by_the_last_frame_s_mark():
    sealed = seal(SOME[: 3 * FRAME_SIZE])

    for frames in (1, 2):
        with pytest.raises(DataCorrupt):
            open_whole(KEY, sealed[: frames * STORED_FRAME_SIZE], frames * FRAME_SIZE)


def test_frames_cannot_be_swapped_repeated_or_left_out():
    size = 4 * FRAME_SIZE
    sealed = seal(SOME[:size])
    frames = [sealed[at : at + STORED_FRAME_SIZE] for at in range(0, len(sealed), STORED_FRAME_SIZE)]
    assert len(frames) == 4

    for order in ([1, 0, 2, 3], [0, 1, 1, 3], [0, 2, 3, 3], [3, 0, 1, 2]):
        with pytest.raises(DataCorrupt):
            open_whole(KEY, b"".join(frames[index] for index in order), size)
    with pytest.raises(DataCorrupt):
        open_whole(KEY, b"".join(frames[:1] + frames[2:]), 3 * FRAME_SIZE)
    with pytest.raises(DataCorrupt):  # a body that goes on after its end
        open_whole(KEY, sealed + frames[0], 5 * FRAME_SIZE)


def test_frames_of_another_body_do_not_fit():
    body = SOME[: 2 * FRAME_SIZE + 7]
    same_secret = KEY._replace(id=os.urandom(16))  # never so in life: even then
    for other in (new_data_key(), same_secret, KEY._replace(secret=os.urandom(32))):
        foreign = seal(body, key=other)
        with pytest.raises(DataCorrupt):
            open_whole(KEY, foreign, len(body))
        with pytest.raises(DataCorrupt):
            open_whole(KEY, seal(body)[:STORED_FRAME_SIZE] + foreign[STORED_FRAME_SIZE:], len(body))


def test_what_is_stored_tells_nothing_of_what_is_equal():
    sealed = seal(bytes(2 * FRAME_SIZE))

    assert sealed[:FRAME_SIZE] != sealed[STORED_FRAME_SIZE : STORED_FRAME_SIZE + FRAME_SIZE]
    assert seal(bytes(100), key=new_data_key()) != seal(bytes(100), key=new_data_key())


def test_an_empty_body_has_one_empty_frame():
    assert (frame_count(0), stored_size(0), len(seal(b""))) == (1, TAG_SIZE, TAG_SIZE)
    assert open_whole(KEY, seal(b""), 0) == b""
    with pytest.raises(DataCorrupt):
        open_whole(KEY, b"", 0)


def test_a_sealer_holds_one_frame_and_no_more():
    sealer = FrameSealer(KEY)
    given_back = 0
    for sent in range(1000, 10 * FRAME_SIZE, 1000):
        given_back += sum(len(frame) - TAG_SIZE for frame in sealer.update([bytes(1000)]))
        assert 0 < sent - given_back <= FRAME_SIZE


def test_a_key_does_not_show_its_secret():
    assert repr(KEY.secret)[2:-1] not in repr(KEY)
    assert KEY.secret.hex() not in repr(KEY)
