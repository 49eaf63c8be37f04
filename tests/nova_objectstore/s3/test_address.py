"""Buckets and keys from hosts and raw paths."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.errors import InvalidBucketName, InvalidURI, KeyTooLongError, StoreError
from nova_objectstore.s3.address import AddressParser, check_bucket_name, check_key, decode_path, is_bucket_name

PATH_STYLE = AddressParser()
DOMAINS = AddressParser(["s3.example.com", "example.com", ".Store.Test.", ""])


@pytest.mark.parametrize(
    ("path", "bucket", "key"),
    [
        ("/", "", ""),
        ("/b", "b", ""),
        ("/b/", "b", ""),
        ("/b/k", "b", "k"),
        ("/b//x", "b", "/x"),
        ("/b/dir/", "b", "dir/"),
        ("/b/a//b", "b", "a//b"),
        ("/b/../k", "b", "../k"),
        ("/b/./k", "b", "./k"),
        ("/b/.", "b", "."),
        ("//k", "", "k"),
        ("/b/a+b", "b", "a+b"),
        ("/b/a%2Bb%20c", "b", "a+b c"),
        ("/b/a%2Fb", "b", "a/b"),
        ("/b%2Fk", "b/k", ""),
        ("/b/%0A%09", "b", "\n\t"),
        ("/b/caf%C3%A9", "b", "café"),
        ("/b/caf%c3%a9", "b", "café"),
        ("/b/cafÃ©", "b", "café"),
        ("/b/%2525", "b", "%25"),
        ("/b/k?x", "b", "k?x"),
    ],
)
def test_path_style(path, bucket, key):
    assert PATH_STYLE.parse("127.0.0.1:3333", path) == (bucket, key, False)


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("bucket.s3.example.com", "/", ("bucket", "", True)),
        ("bucket.s3.example.com", "/k", ("bucket", "k", True)),
        ("bucket.s3.example.com", "//k", ("bucket", "/k", True)),
        ("bucket.s3.example.com:3333", "/dir/", ("bucket", "dir/", True)),
        ("BUCKET.S3.Example.COM.", "/k", ("bucket", "k", True)),
        ("my.dotted.bucket.s3.example.com", "/k", ("my.dotted.bucket", "k", True)),
        ("other.example.com", "/k", ("other", "k", True)),
        ("b.store.test", "/b/k", ("b", "b/k", True)),
        ("s3.example.com", "/b/k", ("b", "k", False)),
        ("example.com", "/b/k", ("b", "k", False)),
        ("notexample.com", "/b/k", ("b", "k", False)),
        ("127.0.0.1:3333", "/b/k", ("b", "k", False)),
        ("[::1]:3333", "/b/k", ("b", "k", False)),
        ("", "/b/k", ("b", "k", False)),
    ],
)
def test_virtual_host_style(host, path, expected):
    assert DOMAINS.parse(host, path) == expected


@pytest.mark.parametrize(
    "path", ["", "*", "b/k", "/b/%", "/b/%2", "/b/%zz", "/b/%ff", "/b/%C0%AF", "/b/\ud800", "/b/%00", "/%ff/k"]
)
def test_paths_that_mean_nothing(path):
    with pytest.raises(InvalidURI):
        PATH_STYLE.parse("h", path)


def test_keys_have_at_most_1024_bytes():
    check_key("k" * 1024)
    check_key("é" * 512)
    for key, size in (("k" * 1025, 1025), ("é" * 513, 1026), ("😀" * 300, 1200)):
        with pytest.raises(KeyTooLongError) as caught:
            PATH_STYLE.parse("h", "/b/" + quote(key))
        assert caught.value.facts == {"size": size, "max_size_allowed": 1024}


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=60))
@settings(max_examples=300, deadline=None, database=None)
def test_every_key_survives_its_escapes(key):
    path = "/bucket/" + quote(key, safe="/~")
    assert PATH_STYLE.parse("h", path) == ("bucket", key, False)
    assert DOMAINS.parse("bucket.example.com", "/" + quote(key, safe="")) == ("bucket", key, True)
    raw = key.encode().decode("latin-1").replace("%", "%25")
    assert decode_path(raw) == key


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=30))
@settings(max_examples=300, deadline=None, database=None)
def test_any_path_is_an_address_or_an_error_of_the_store(path):
    try:
        bucket, key, _ = PATH_STYLE.parse("h", "/" + path)
    except StoreError:
        return
    assert "\0" not in key
    assert (bucket + key).encode().decode() == bucket + key


# -- bucket names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["abc", "a-b", "a.b", "a1b", "0ab", "abc0", "aaa.111", "a" * 63, "a--b", "1.2.3", "192.168.5", "192.168.5.4a"],
)
def test_names_that_buckets_may_have(name):
    assert is_bucket_name(name)
    check_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "a", "ab", "a" * 64, "Abc", "a_b", "a b", "a/b", "abcé", "abc\n", "-abc", "abc-", ".abc", "abc.", "a..b", "a.-b",
        "a-.b", "192.168.5.4", "1.2.3.4", "xn--abc", "sthree-abc", "sthree-configurator", "amzn-s3-demo-abc", "abc-s3alias",
        "abc--ol-s3", "abc.mrap", "abc--x-s3", "abc--table-s3", "..", "...", "٣٣٣",
    ],
)  # fmt: skip
def test_names_that_buckets_may_not_have(name):
    with pytest.raises(InvalidBucketName) as caught:
        check_bucket_name(name)
    assert caught.value.facts == {"bucket_name": name}


def test_a_hostile_name_costs_no_more_than_its_length():
    assert not is_bucket_name("a-" * 100_000)
