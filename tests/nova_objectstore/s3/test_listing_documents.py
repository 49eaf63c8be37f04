"""Documents of listings: what a page looks at once comes out as if every key had been looked at."""

from __future__ import annotations

import time
from xml.etree import ElementTree

from hypothesis import example, given
from hypothesis import strategies as st

from nova_objectstore.s3.dates import iso_date
from nova_objectstore.s3.listing_documents import ListingStyle, render_contents, render_keys, render_listing_v2
from nova_objectstore.s3.render import Encode, plain, url_encode
from nova_objectstore.s3.xml import escape
from nova_objectstore.types import Listed, ListedRow, ListPage, ListQuery

ODD = "&<>'\"\t\n\r\x01\x1f\x7f\x85\u2028\ufffe\uffff\U0010ffffüé€ %+/*-._~abZ09"
characters = st.one_of(st.sampled_from(ODD), st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))
keys = st.text(characters, min_size=1, max_size=8)
encodings = st.sampled_from([plain, url_encode])
rows = st.builds(
    lambda *facts: (1, *facts[:6], *facts[6], *facts[7]),
    keys,
    st.integers(1, 3),
    st.integers(0, 5 << 40),
    st.just("e" * 32),
    st.integers(0, 4_000_000_000_000_000),
    st.sampled_from(["1", "2"]),
    st.sampled_from([(None,), ("GLACIER",)]),
    st.sampled_from([(None, None), ("CRC32", "FULL_OBJECT"), ("CRC32", "COMPOSITE"), ("SHA256", "FULL_OBJECT")]),
)


def contents_of(row: ListedRow, encode: Encode, restored: dict[tuple[str, int], str]) -> str:
    """One object's Contents: the slow twin."""
    shown = Listed(*row)
    seconds, micros = divmod(shown.modified_us, 1_000_000)
    modified = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{micros // 1000:03d}Z"
    checksum = (
        f"<ChecksumAlgorithm>{shown.checksum_algorithm}</ChecksumAlgorithm>"
        f"<ChecksumType>{shown.checksum_type}</ChecksumType>"
    )
    return (
        f"<Contents><Key>{escape(encode(shown.key))}</Key><LastModified>{modified}</LastModified>"
        f"<ETag>&quot;{shown.etag}&quot;</ETag>{checksum if shown.checksum_algorithm else ''}<Size>{shown.size}</Size>"
        f"<Owner>{shown.owner_id}</Owner>{restored.get((shown.key, shown.sequence), '')}"
        f"<StorageClass>{shown.storage_class or 'STANDARD'}</StorageClass></Contents>"
    )


@given(st.lists(keys, max_size=6), encodings)
@example(["a%00b", "a%2500", "%", "%0", "0"], url_encode)
@example(["a", "\ud800", "b"], plain)
def test_keys_are_encoded_and_escaped_as_one_by_one(names, encode):
    assert list(render_keys(names, encode)) == [escape(encode(name)) for name in names]


@given(st.lists(rows, max_size=6), encodings, st.booleans())
def test_contents_are_those_of_the_twin(page, encode, asks_for_restores):
    restored = {(row[1], row[2]): "<RestoreStatus/>" for row in page[::2]} if asks_for_restores else {}
    made = render_contents(page, ListingStyle("", encode, "<Owner>{}</Owner>".format, restored))
    assert made == "".join(contents_of(row, encode, restored) for row in page)


def test_an_owner_is_asked_for_once_while_it_stays_the_same():
    asked = []

    def owner(account_id: str) -> str:
        asked.append(account_id)
        return ""

    page = [(1, f"k{number}", 1, 0, "e", 0, "abb"[number // 100], None, None, None) for number in range(300)]
    render_contents(page, ListingStyle("", plain, owner))
    assert asked == ["a", "b"]


def test_a_whole_page_is_xml():
    row = (1, "<a>&\x01", 1, 5, "e", 1_700_000_000_123_456, "1", "STANDARD", "CRC32", "FULL_OBJECT")
    document = render_listing_v2(
        "box", ListQuery(), ListPage([row], ["b&/"], "<a>"), ListingStyle("url", url_encode, lambda _: ""),
        start_after="", token=None, next_token="t",
    )  # fmt: skip
    namespace = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
    root = ElementTree.fromstring(document)
    found = {name: root.findtext(f".//s3:{name}", namespaces=namespace) for name in ("Key", "LastModified", "KeyCount")}
    assert found == {"Key": "%3Ca%3E%26%01", "LastModified": "2023-11-14T22:13:20.123Z", "KeyCount": "2"}


@given(st.integers(0, 253_402_300_799_999_999))
def test_times_are_those_of_strftime(moment_us):
    expected = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment_us // 1_000_000))
    assert iso_date(moment_us) == f"{expected}.{moment_us // 1000 % 1000:03d}Z"
