"""x-amz-copy-source and x-amz-rename-source."""

import contextlib
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.errors import InvalidArgument, KeyTooLongError, NotOffered, StoreError
from nova_objectstore.s3.copy_source import parse_copy_source, parse_rename_source


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bucket/key", ("bucket", "key", None)),
        ("/bucket/key", ("bucket", "key", None)),
        ("%2Fbucket%2Fkey", ("bucket", "key", None)),
        ("bucket//key", ("bucket", "/key", None)),
        ("bucket/dir/", ("bucket", "dir/", None)),
        ("bucket/a%20b%2Bc+d", ("bucket", "a b+c d", None)),
        ("bucket/caf%C3%A9", ("bucket", "café", None)),
        ("bucket/cafÃ©", ("bucket", "café", None)),
        ("bucket/key?versionId=abc", ("bucket", "key", "abc")),
        ("bucket/key?versionId=null", ("bucket", "key", "null")),
        ("bucket/key?versionId=a%2Fb", ("bucket", "key", "a/b")),
        ("bucket/%3FversionId%3Dabc", ("bucket", "?versionId=abc", None)),
        ("bucket/a?b", ("bucket", "a?b", None)),
        ("bucket/a?versionId=1?versionId=2", ("bucket", "a?versionId=1", "2")),
    ],
)
def test_sources(value, expected):
    assert parse_copy_source(value) == expected


@pytest.mark.parametrize("value", ["", "/", "bucket", "bucket/", "/bucket", "//key", "bucket/%ff", "bucket/a%00b"])
def test_texts_that_are_no_sources(value):
    with pytest.raises(InvalidArgument) as caught:
        parse_copy_source(value)
    assert caught.value.facts["argument_name"] == "x-amz-copy-source"


def test_a_version_is_not_empty():
    with pytest.raises(InvalidArgument, match="Version id"):
        parse_copy_source("bucket/key?versionId=")


def test_keys_are_keys():
    with pytest.raises(KeyTooLongError):
        parse_copy_source("bucket/" + "k" * 1025)


@pytest.mark.parametrize(
    "value",
    [
        "arn:aws:s3:us-east-1:123456789012:accesspoint/point/object/key",
        quote("arn:aws:s3-outposts:us-east-1:123456789012:outpost/o/object/key"),
    ],
)
def test_access_points_are_not_offered(value):
    with pytest.raises(NotOffered):
        parse_copy_source(value)


keys = st.text(
    alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1, max_size=40
)


@given(keys, st.none() | st.from_regex(r"\A[A-Za-z0-9._-]{1,32}\Z"))
@settings(max_examples=300, deadline=None, database=None)
def test_every_key_survives_its_escapes(key, version_id):
    suffix = "" if version_id is None else f"?versionId={version_id}"
    for encoded in (quote(key, safe="/~"), quote(key, safe=""), quote_plus(key)):
        assert parse_copy_source(f"/bucket/{encoded}{suffix}") == ("bucket", key, version_id)


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None, database=None)
def test_any_text_is_a_source_or_an_error_of_the_store(value):
    for parse in (parse_copy_source, lambda text: parse_rename_source(text, bucket="bucket")):
        with contextlib.suppress(StoreError):
            parse(value)


@pytest.mark.parametrize("value", ["/bucket/a%20b", "bucket/a%20b", "a%20b"])
def test_sources_of_renames(value):
    assert parse_rename_source(value, bucket="bucket") == "a b"


@pytest.mark.parametrize(
    "value", ["", "/", "/other/key", "bucket/", "/bucket/", "bucket/key?versionId=1", "bucket/%ff"]
)
def test_texts_that_are_no_sources_of_renames(value):
    with pytest.raises(InvalidArgument):
        parse_rename_source(value, bucket="bucket")
