"""Bodies on their way out: exactly the bytes asked for, one open file at a time."""

import os
import random

import pytest
from support.shelf import Shelf, open_files

from nova_objectstore.errors import DataCorrupt, DataMissing
from nova_objectstore.types import Content, ContentKind
from nova_wsgi.response import FileBody, FileSegment


@pytest.fixture(params=[True, False], ids=["files", "no files"])
def shelf(request, tmp_path):
    open_before = open_files()
    shelf = Shelf(tmp_path / "data", files=request.param)
    yield shelf
    shelf.engine.stop()
    assert open_files() <= open_before + 1  # the bridge of native threads, made once


def read(body) -> bytes:
    content = b"".join(body)
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return content


RANGES = [(0, None), (0, 0), (5, 5), (0, 9_999), (3, 9_000), (9_999, 9_999)]


@pytest.mark.parametrize(("first", "last"), RANGES)
def test_ranges_of_one_file(shelf, first, last):
    content = os.urandom(10_000)
    version = shelf.version(shelf.data(content), len(content))
    expected = content[first : None if last is None else last + 1]
    body = shelf.egress.open_body(version, first, last)

    assert isinstance(body, FileBody)
    assert body.length == len(expected)
    assert read(body) == expected
    assert b"".join(shelf.egress.read(version, first, last)) == expected


@pytest.mark.parametrize(("first", "last"), RANGES)
def test_ranges_of_bytes_in_the_metadata(shelf, first, last):
    content = os.urandom(10_000)
    version = shelf.version(Content(ContentKind.INLINE, inline=content), len(content))
    expected = content[first : None if last is None else last + 1]

    assert shelf.egress.open_body(version, first, last) == (expected,)
    assert b"".join(shelf.egress.read(version, first, last)) == expected


def test_an_empty_object_has_an_empty_body(shelf):
    version = shelf.version(Content(ContentKind.INLINE, inline=b""), 0)

    assert shelf.egress.open_body(version) == ()
    assert shelf.egress.open_body(version, 0, -1) == ()
    assert list(shelf.egress.read(version)) == []


def test_ranges_of_parts(shelf):
    contents = [os.urandom(size) for size in (5000, 5000, 50, 7777, 1)]
    version = shelf.multipart(contents)
    whole = b"".join(contents)
    rng = random.Random(1)
    edges = [0, 1, 4999, 5000, 5001, 9999, 10_000, 10_049, 10_050, len(whole) - 2, len(whole) - 1]
    for _ in range(60):
        first, last = sorted(rng.choices(edges, k=2))
        body = shelf.egress.open_body(version, first, last)
        assert (body.length if isinstance(body, FileBody) else len(body[0])) == last - first + 1
        assert read(body) == whole[first : last + 1]
        assert b"".join(shelf.egress.read(version, first, last)) == whole[first : last + 1]


def test_only_one_file_is_open_at_a_time(shelf):
    version = shelf.multipart([os.urandom(200) for _ in range(300)])
    before = open_files()
    body = shelf.egress.open_body(version)
    assert open_files() == before + 1
    for segment in body.segments:
        assert isinstance(segment, FileSegment | bytes)
        assert open_files() <= before + 1
    assert open_files() == before
    body.close()


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_body_given_up_closes_its_file(shelf, taken):
    version = shelf.multipart([os.urandom(10_000) for _ in range(3)])
    before = open_files()
    body = shelf.egress.open_body(version)
    pieces = iter(body)
    for _ in range(taken):
        next(pieces)
    assert open_files() == before + 1
    body.close()
    body.close()
    assert open_files() == before


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_reading_given_up_closes_its_file(shelf, taken):
    version = shelf.multipart([os.urandom(10_000) for _ in range(3)])
    before = open_files()
    chunks = shelf.egress.read(version)
    for _ in range(taken):
        next(chunks)
    chunks.close()
    assert open_files() == before


def test_data_that_is_gone_is_missing_before_the_answer_begins(shelf):
    version = shelf.version(shelf.data(b"x" * 1000), 1000)
    shelf.engine.delete(version.content.ref)

    with pytest.raises(DataMissing):
        shelf.egress.open_body(version)
    with pytest.raises(DataMissing):
        next(shelf.egress.read(version))


def test_a_later_part_that_is_gone_breaks_the_body(shelf):
    version = shelf.multipart([os.urandom(1000) for _ in range(3)])
    shelf.engine.delete(shelf.rows.parts[1].content.ref)
    before = open_files()
    body = shelf.egress.open_body(version)

    with pytest.raises(DataMissing):
        list(body)
    body.close()
    assert open_files() == before


def test_data_shorter_than_the_metadata_says_is_corrupt(shelf):
    version = shelf.version(shelf.data(b"x" * 999), 1000)

    with pytest.raises(DataCorrupt):
        shelf.egress.open_body(version)
    assert read(shelf.egress.open_body(version, 0, 998)) == b"x" * 999


def test_parts_replaced_between_two_reads_of_the_metadata_are_missing(shelf):
    version = shelf.multipart([os.urandom(1000) for _ in range(3)])
    del shelf.rows.parts[1]

    with pytest.raises(DataMissing):
        shelf.egress.open_body(version)
    assert len(read(shelf.egress.open_body(version, 0, 999))) == 1000


def test_bytes_in_the_metadata_are_fetched_when_they_did_not_come_along(shelf):
    version = shelf.version(Content(ContentKind.INLINE), 5)
    shelf.rows.versions["key"] = version._replace(content=Content(ContentKind.INLINE, inline=b"bytes"))
    assert shelf.egress.open_body(version, 1, 3) == (b"yte",)
    assert b"".join(shelf.egress.read(version)) == b"bytes"

    shelf.rows.versions["key"] = shelf.rows.versions["key"]._replace(sequence=8)
    with pytest.raises(DataMissing):
        shelf.egress.open_body(version)
