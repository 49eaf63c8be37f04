"""Version ids tell their sequence, to the engine alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_objectstore.meta.sql.version_ids import make_version_id, sequence_of


@given(st.integers(0, (1 << 63) - 1), st.binary(min_size=16, max_size=16))
def test_an_id_tells_its_sequence_and_needs_no_escaping(sequence, random):
    version_id = make_version_id(sequence, random)

    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", version_id)
    assert sequence_of(version_id) == sequence


def test_ids_of_one_sequence_differ():
    assert make_version_id(5, b"a" * 16) != make_version_id(5, b"b" * 16)


@pytest.mark.parametrize("foreign", ["", "null", "x" * 31, "x" * 33, "é" * 32, "!" * 32, "=" * 32, "_" + "w" * 31])
def test_what_is_no_id_of_ours_tells_nothing_or_a_sequence_in_range(foreign):
    sequence = sequence_of(foreign)

    assert sequence is None or 0 <= sequence < 1 << 63


@given(st.text(max_size=40))
def test_no_string_is_too_strange(text):
    sequence = sequence_of(text)

    assert sequence is None or 0 <= sequence < 1 << 63
