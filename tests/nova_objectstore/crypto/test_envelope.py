"""Keys sealed under keys."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_objectstore.crypto.envelope import ENVELOPE_SIZE, derive, new_data_key, open_key, part_key, seal_key
from nova_objectstore.errors import DataCorrupt

OUTER = os.urandom(32)


def test_a_sealed_key_opens_under_its_outer_key_and_context_alone():
    key = new_data_key()
    sealed = seal_key(OUTER, key, b"context")

    assert len(sealed) == ENVELOPE_SIZE
    assert key.secret not in sealed
    assert open_key(OUTER, sealed, b"context") == key
    for outer, context in ((os.urandom(32), b"context"), (OUTER, b"another"), (OUTER, b"")):
        with pytest.raises(DataCorrupt):
            open_key(outer, sealed, context)


@given(st.integers(0, 8 * ENVELOPE_SIZE - 1))
def test_a_flipped_bit_of_a_sealed_key_is_an_error(bit):
    sealed = bytearray(seal_key(OUTER, new_data_key(), b"context"))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(DataCorrupt):
        open_key(OUTER, bytes(sealed), b"context")


@pytest.mark.parametrize("length", [0, 1, ENVELOPE_SIZE - 1, ENVELOPE_SIZE + 1])
def test_an_envelope_of_another_length_is_an_error(length):
    with pytest.raises(DataCorrupt):
        open_key(OUTER, bytes(length), b"")


def test_keys_are_fresh():
    keys = [new_data_key() for _ in range(100)]

    assert len({key.id for key in keys}) == len({key.secret for key in keys}) == 100


def test_parts_of_an_object_have_keys_of_their_own():
    key, ids = new_data_key(), [os.urandom(16) for _ in range(3)]
    parts = [part_key(key, part_id) for part_id in ids]

    assert len({part.secret for part in (key, *parts)}) == 4
    assert [part.id for part in parts] == ids
    assert part_key(key, ids[0]) == parts[0]


def test_what_is_derived_for_one_purpose_is_not_what_is_derived_for_another():
    derived = {derive(OUTER, label, salt) for label in (b"a", b"b") for salt in (b"", b"1", b"2")}

    assert len(derived) == 6
    assert {len(key) for key in derived} == {32}
