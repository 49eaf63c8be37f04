"""Range headers against a slow twin, and S3's own table."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.errors import InvalidArgument, InvalidRange
from nova_objectstore.s3.ranges import ByteRange, parse_copy_range, parse_range, range_applies

WHOLE = None
NOTHING = "InvalidRange"


def slow_range(header, size):
    """RFC 9110 section 14.1.2, byte by byte: which bytes of the object does the header select?"""
    match = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", header)
    if not match or match.groups() == ("", ""):
        return WHOLE
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return WHOLE
    positions = range(size)
    if not first:
        chosen = [p for p in positions if p >= size - int(last)]
    else:
        chosen = [p for p in positions if p >= int(first) and (not last or p <= int(last))]
    return (chosen[0], chosen[-1]) if chosen else NOTHING


def fast_range(header, size):
    try:
        return parse_range(header, size)
    except InvalidRange:
        return NOTHING


bounds = st.sampled_from(["", *(str(number) for number in range(14)), "007", "99999999999999999999", "9" * 30])


@given(first=bounds, last=bounds, size=st.integers(0, 12))
@settings(max_examples=500, deadline=None, database=None)
def test_a_range_selects_what_the_rfc_says(first, last, size):
    assert fast_range(f"bytes={first}-{last}", size) == slow_range(f"bytes={first}-{last}", size)


@given(st.text(alphabet="bytes=0123-, x", max_size=16), st.integers(0, 12))
@settings(max_examples=500, deadline=None, database=None)
def test_garbage_selects_the_whole_object(header, size):
    assert fast_range(header, size) == slow_range(header.strip(" "), size)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, WHOLE),
        ("", WHOLE),
        ("bytes=0-9", (0, 9)),
        ("Bytes=0-9", (0, 9)),
        (" bytes=0-9 ", (0, 9)),
        ("bytes=90-", (90, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=0-999999", (0, 99)),
        ("bytes=00-01", (0, 1)),
        ("bytes=99-99", (99, 99)),
        ("bytes=100-", NOTHING),
        ("bytes=100-110", NOTHING),
        ("bytes=-0", NOTHING),
        ("bytes=0-0,1-2", WHOLE),
        ("bytes=10-5", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=,", WHOLE),
        ("bytes= -1", WHOLE),
        ("bytes=0 -1", WHOLE),
        ("bytes=--1", WHOLE),
        ("bytes=a-z", WHOLE),
        ("bytes=0-x", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=1_0-20", WHOLE),
        ("bytes=٣-٤", WHOLE),
        ("items=0-1", WHOLE),
        ("0-1", WHOLE),
        ("bytes=" + "9" * 5000 + "-", WHOLE),
    ],
)
def test_ranges_of_a_hundred_bytes(header, expected):
    assert fast_range(header, 100) == expected


def test_a_range_tells_its_size_and_its_header():
    chosen = parse_range("bytes=5-8", 100)
    assert chosen == ByteRange(5, 8)
    assert chosen.size == 4
    assert chosen.content_range(100) == "bytes 5-8/100"


def test_a_range_of_nothing_tells_what_there_was():
    with pytest.raises(InvalidRange) as caught:
        parse_range("bytes=5-", 5)
    assert caught.value.facts == {"range_requested": "bytes=5-", "actual_object_size": 5}


def test_five_tebibytes():
    size = 5 << 40
    assert parse_range(f"bytes={size - 1}-", size) == (size - 1, size - 1)
    assert parse_range("bytes=-1", size) == (size - 1, size - 1)


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        (None, True),
        ("", True),
        ('"abc"', True),
        ("abc", True),
        ('"other"', False),
        ('W/"abc"', False),
        ("Thu, 01 Jan 1970 00:16:40 GMT", True),
        ("Thu, 01 Jan 1970 00:16:41 GMT", False),
        ("Thu, 01 Jan 1970 00:16:39 GMT", False),
        ("yesterday", False),
    ],
)
def test_if_range(if_range, applies):
    assert range_applies(if_range, etag="abc", modified_s=1000) is applies


def test_copy_ranges():
    assert parse_copy_range("bytes=0-9", 10) == (0, 9)
    assert parse_copy_range("bytes=3-3", 10) == (3, 3)
    with pytest.raises(InvalidRange):
        parse_copy_range("bytes=0-10", 10)


@pytest.mark.parametrize(
    "header",
    [
        "0-2",
        "bytes=0",
        "bytes=hello-world",
        "bytes=0-bar",
        "bytes=0-",
        "bytes=-1",
        "bytes=0-2,3-5",
        "bytes=2-1",
        "bytes=",
        "",
    ],
)
def test_copy_ranges_have_one_form(header):
    with pytest.raises(InvalidArgument) as caught:
        parse_copy_range(header, 10)
    assert caught.value.facts["argument_value"] == header
