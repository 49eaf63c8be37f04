"""Conditional headers against a slow twin of RFC 9110 section 13.2.2."""

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.errors import InvalidArgument, NotOffered, PreconditionFailed, StoreError
from nova_objectstore.s3.conditions import (
    NO_CONDITIONS,
    ReadConditions,
    copy_conditions,
    delete_condition,
    object_condition,
    parse_etags,
    parse_http_date,
    read_conditions,
    rename_conditions,
    unquote_etag,
    write_condition,
)
from nova_objectstore.types import UNCONDITIONAL, WriteCondition

MODIFIED_S = 1_000_000
NOW_S = 2_000_000.5
BEFORE = "Mon, 12 Jan 1970 13:46:39 GMT"
SAME = "Mon, 12 Jan 1970 13:46:40 GMT"
AFTER = "Mon, 12 Jan 1970 13:46:41 GMT"
FUTURE = "Tue, 01 Jan 2030 00:00:00 GMT"
SECONDS = {BEFORE: MODIFIED_S - 1, SAME: MODIFIED_S, AFTER: MODIFIED_S + 1, FUTURE: 1_893_456_000, "garbage": None}

GO_ON, NOT_MODIFIED, FAILED = "go on", "304", "412"

MATCHES = {
    None: None,
    '"etag"': True,
    "etag": True,
    "*": True,
    '"other"': False,
    '"a", "etag"': True,
    'W/"etag"': "weakly",
}


def slow_read(if_match, if_none_match, modified_since, unmodified_since):
    """The five steps of RFC 9110 section 13.2.2."""
    step_1 = MATCHES[if_match]
    if step_1 is not None and step_1 is not True:
        return FAILED
    since = SECONDS.get(unmodified_since)
    if step_1 is None and since is not None and since < MODIFIED_S:  # step 2
        return FAILED
    step_3 = MATCHES[if_none_match]
    if step_3:
        return NOT_MODIFIED
    since = SECONDS.get(modified_since)
    if step_3 is None and since is not None and since <= NOW_S and since >= MODIFIED_S:  # step 4
        return NOT_MODIFIED
    return GO_ON


def fast_read(conditions):
    try:
        return NOT_MODIFIED if conditions.check(etag="etag", modified_s=MODIFIED_S, now_s=NOW_S) else GO_ON
    except PreconditionFailed:
        return FAILED


def test_every_combination_of_a_reads_conditions():
    dates = (None, *SECONDS)
    for values in itertools.product(MATCHES, MATCHES, dates, dates):
        assert fast_read(ReadConditions(*values)) == slow_read(*values), values


def test_copies_say_412_where_reads_say_304():
    dates = (None, *SECONDS)
    for values in itertools.product(MATCHES, MATCHES, dates, dates):
        assert may_copy(ReadConditions(*values)) is (slow_read(*values) == GO_ON), values


def may_copy(conditions):
    try:
        conditions.check_copy(etag="etag", modified_s=MODIFIED_S, now_s=NOW_S)
    except PreconditionFailed:
        return False
    return True


def test_a_failed_condition_is_named():
    with pytest.raises(PreconditionFailed) as caught:
        ReadConditions(if_match='"x"').check(etag="y", modified_s=0, now_s=NOW_S)
    assert caught.value.facts == {"condition": "If-Match"}
    with pytest.raises(PreconditionFailed) as caught:
        ReadConditions(if_unmodified_since=BEFORE).check(etag="y", modified_s=MODIFIED_S, now_s=NOW_S)
    assert caught.value.facts == {"condition": "If-Unmodified-Since"}
    with pytest.raises(PreconditionFailed) as caught:
        ReadConditions(if_none_match="*").check_copy(etag="y", modified_s=0, now_s=NOW_S)
    assert caught.value.facts == {"condition": "x-amz-copy-source-If-None-Match"}


def test_where_conditions_are_read_from():
    headers = {
        "if-match": "1", "if-none-match": "2", "if-modified-since": "3", "if-unmodified-since": "4",
        "x-amz-copy-source-if-match": "5", "x-amz-copy-source-if-none-match": "6",
        "x-amz-copy-source-if-modified-since": "7", "x-amz-copy-source-if-unmodified-since": "8",
        "x-amz-rename-source-if-match": "9",
    }  # fmt: skip
    assert read_conditions(headers) == ("1", "2", "3", "4")
    assert copy_conditions(headers) == ("5", "6", "7", "8")
    assert rename_conditions(headers) == ("9", None, None, None)
    assert read_conditions({"host": "h"}) is NO_CONDITIONS


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('"a"', [("a", False)]),
        ("a", [("a", False)]),
        ('W/"a"', [("a", True)]),
        (' "a" , W/"b",c ', [("a", False), ("b", True), ("c", False)]),
        ('"a,b"', [("a,b", False)]),
        ('""', [("", False)]),
        ('"a', [('"a', False)]),
        ('"a" "b"', [('"a" "b"', False)]),
        (",", [(",", False)]),
        ("", []),
    ],
)
def test_lists_of_etags(text, tags):
    assert list(parse_etags(text).tags) == tags


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None, database=None)
def test_any_text_is_some_list_of_etags(text):
    made = parse_etags(text)
    assert made.any is (text.strip() in ("*", '"*"'))


def test_etags_are_unquoted():
    assert [unquote_etag(text) for text in ('"a"', "a", ' "a" ', '"', '""')] == ["a", "a", "a", '"', ""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SAME, MODIFIED_S),
        ("Monday, 12-Jan-70 13:46:40 GMT", MODIFIED_S),
        ("Mon Jan 12 13:46:40 1970", MODIFIED_S),
        ("Mon, 12 Jan 1970 13:46:40 +0000", MODIFIED_S),
        ("Mon, 12 Jan 1970 15:46:40 +0200", MODIFIED_S),
        ("1970-01-12T13:46:40Z", MODIFIED_S),
        ("1970-01-12T13:46:40.999Z", MODIFIED_S),
        ("1970-01-12T13:46:40+00:00", MODIFIED_S),
        ("", None),
        ("Bad Date", None),
        ("1970-01-12", None),
        ("Mon, 99 Jan 1970 13:46:40 GMT", None),
        ("1970-13-12T13:46:40Z", None),
        ("12345", None),
        ("x" * 10_000, None),
    ],
)
def test_dates(text, expected):
    assert parse_http_date(text) == expected


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None, database=None)
def test_any_text_is_a_date_or_none(text):
    assert parse_http_date(text) is None or isinstance(parse_http_date(text), int)


# -- writes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, UNCONDITIONAL),
        ({"if-none-match": "*"}, WriteCondition(if_none_match=True)),
        ({"if-none-match": '"abc"'}, WriteCondition(if_none_match_etag="abc")),
        ({"if-none-match": 'W/"abc"'}, WriteCondition(if_none_match_etag="abc")),
        ({"if-match": '"abc"'}, WriteCondition(if_match="abc")),
        ({"if-match": "abc"}, WriteCondition(if_match="abc")),
        ({"if-match": "*"}, WriteCondition(if_match="*")),
        ({"if-match": 'W/"abc"'}, WriteCondition(if_match="W/abc")),
    ],
)
def test_conditions_of_writes(headers, expected):
    assert write_condition(headers) == expected


@pytest.mark.parametrize(
    ("headers", "header"),
    [
        ({"if-none-match": '"a","b"'}, "If-None-Match"),
        ({"if-none-match": ""}, "If-None-Match"),
        ({"if-match": '"a","b"'}, "If-Match"),
        ({"if-match": ""}, "If-Match"),
        ({"if-match": '"a"', "if-none-match": "*"}, "If-Match,If-None-Match"),
    ],
)
def test_conditions_that_writes_do_not_take(headers, header):
    with pytest.raises(NotOffered) as caught:
        write_condition(headers)
    assert caught.value.facts["header"] == header


def test_conditions_of_deletes():
    assert delete_condition({}) == UNCONDITIONAL
    assert delete_condition({"if-match": "*"}) == WriteCondition(if_match="*")
    headers = {
        "if-match": '"abc"',
        "x-amz-if-match-size": "12",
        "x-amz-if-match-last-modified-time": "Mon, 12 Jan 1970 13:46:40 GMT",
    }
    assert delete_condition(headers) == WriteCondition("abc", False, 12, MODIFIED_S * 1_000_000)
    assert object_condition(None, None, None) == UNCONDITIONAL
    assert object_condition("abc", "0", "1970-01-12T13:46:40.000Z") == WriteCondition(
        "abc", False, 0, MODIFIED_S * 1_000_000
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-if-match-size": "abc"},
        {"x-amz-if-match-size": "-1"},
        {"x-amz-if-match-size": "9" * 30},
        {"x-amz-if-match-last-modified-time": "yesterday"},
    ],
)
def test_conditions_that_deletes_do_not_take(headers):
    with pytest.raises(InvalidArgument):
        delete_condition(headers)


@given(st.dictionaries(st.sampled_from(["if-match", "if-none-match", "x-amz-if-match-size"]), st.text(max_size=12)))
@settings(max_examples=200, deadline=None, database=None)
def test_any_headers_are_a_condition_or_an_error_of_the_store(headers):
    for read in (write_condition, delete_condition):
        with contextlib.suppress(StoreError):
            read(headers)
