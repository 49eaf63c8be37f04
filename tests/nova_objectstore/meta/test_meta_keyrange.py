"""Ranges of keys: the bounds of prefixes and groups, against the sort order of UTF-8 bytes."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nova_objectstore.limits import KEY_BYTES_MAX
from nova_objectstore.meta.sql import keyrange

# Where the arithmetic of code points could go wrong.
EDGES = "\x01/ab\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffe\uffff\U00010000\U0001f600\U0010fffe\U0010ffff"
keys = st.text(st.sampled_from(EDGES), min_size=1, max_size=6)
prefixes = st.text(st.sampled_from(EDGES + "\0"), max_size=4)


@given(keys, prefixes)
def test_the_bounds_of_a_prefix_hold_its_keys_and_no_others(key, prefix):
    inside = keyrange.before_prefix(prefix) < key < keyrange.after_prefix(prefix)

    assert inside == key.startswith(prefix)


@given(keys, keys)
def test_behind_a_group_are_all_keys_that_sort_behind_it(key, group):
    assert (key > keyrange.behind_group(group)) == (key > group and not key.startswith(group))


@given(keys, keys)
def test_strings_compare_as_their_utf_8_does(one, other):
    assert (one < other) == (one.encode() < other.encode())


@pytest.mark.parametrize("last", ["\U0010ffff", "a", "\ud7ff"])
def test_bounds_hold_for_the_longest_keys(last):
    size = len(last.encode())
    key = "\U0010ffff" * ((KEY_BYTES_MAX - size) // 4) + last
    assert KEY_BYTES_MAX - 3 <= len(key.encode()) <= KEY_BYTES_MAX

    assert "" < key < keyrange.END
    assert keyrange.before_prefix(key) < key < keyrange.after_prefix(key)
    assert key < keyrange.behind_group(key)
    assert key < keyrange.behind_group(key[0])


@given(keys, prefixes, st.text(st.sampled_from("/ab"), min_size=1, max_size=3))
def test_a_group_ends_with_the_first_delimiter_behind_the_prefix(key, prefix, delimiter):
    assume(key.startswith(prefix))
    group = keyrange.group_of(key, prefix, delimiter)

    head, found, _ = key[len(prefix) :].partition(delimiter)
    assert group == (prefix + head + delimiter if found else None)
    assert keyrange.group_of(key, prefix, "") is None
