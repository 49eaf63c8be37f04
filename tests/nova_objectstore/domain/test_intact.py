"""Damaged bytes are never sent as if they were an object: whatever reads them, as far as it reads them whole."""

import hashlib
import os
from base64 import b64encode
from pathlib import Path

import pytest
from support.shelf import Shelf

from nova_objectstore.checksums import ALGORITHMS, new_digest
from nova_objectstore.domain.carrying import Carrier
from nova_objectstore.domain.intact import Expected, check_body
from nova_objectstore.errors import DataCorrupt
from nova_objectstore.types import Checksum, Content, ContentKind, Part

BODY = os.urandom(10_000)


def flip(path: Path, offset: int) -> None:
    """Change one bit of a file, as a disk may."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(bytes(data))


def damaged(shelf: Shelf, tmp_path: Path, *, offset: int = 5000):
    content = shelf.data(BODY)
    flip(tmp_path / content.ref[:2] / content.ref, offset)
    return shelf.version(content, len(BODY))


def checksum_of(algorithm: str, body: bytes) -> Checksum:
    digest = new_digest(algorithm)
    digest.update(body)
    return Checksum(algorithm, "FULL_OBJECT", digest.base64())


def part_of(body: bytes, checksum: Checksum | None, etag: str = "etag") -> Part:
    return Part(1, len(body), etag, 0, checksum, Content(ContentKind.INLINE, inline=body))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_body_is_compared_with_its_checksum(algorithm):
    part = part_of(BODY, checksum_of(algorithm, BODY))

    check_body(BODY, part)
    with pytest.raises(DataCorrupt):
        check_body(BODY[:-1] + bytes([BODY[-1] ^ 1]), part)
    expected = Expected.of(part)
    assert expected is not None
    expected.update(BODY)
    assert expected.is_met()


def test_a_body_without_a_checksum_is_compared_with_its_etag():
    part = part_of(BODY, None, hashlib.md5(BODY).hexdigest())

    check_body(BODY, part)
    with pytest.raises(DataCorrupt):
        check_body(b"x" + BODY[1:], part)
    expected = Expected.of(part)
    assert expected is not None
    expected.update(BODY[:-1])
    assert not expected.is_met()


def test_a_body_of_another_length_is_damaged_whatever_is_known_of_it():
    with pytest.raises(DataCorrupt):
        check_body(BODY[:-1], part_of(BODY, None))


def test_a_composite_checksum_tells_nothing_of_the_bytes():
    composite = Checksum("CRC32", "COMPOSITE", b64encode(b"1234").decode() + "-2")

    check_body(BODY, part_of(BODY, composite))
    assert Expected.of(part_of(BODY, composite)) is None


@pytest.mark.parametrize("first", [0, 3])
def test_a_damaged_small_body_is_an_error(tmp_path, first):
    shelf = Shelf(tmp_path, files=True)
    version = shelf.version(Content(ContentKind.INLINE, inline=b"bytez"), 5)
    version = version._replace(checksum=checksum_of("CRC64NVME", b"bytes"))

    with pytest.raises(DataCorrupt):
        shelf.egress.open_body(version, first)
    with pytest.raises(DataCorrupt):
        list(shelf.egress.read(version, first))


def test_a_damaged_small_part_is_an_error(tmp_path):
    shelf = Shelf(tmp_path, files=True)
    version = shelf.multipart([BODY, b"small"])
    shelf.rows.parts[1] = shelf.rows.parts[1]._replace(checksum=checksum_of("CRC32", b"other"))

    with pytest.raises(DataCorrupt):
        shelf.egress.open_body(version)


@pytest.mark.parametrize("offset", [0, 5000, 9999])
def test_a_copy_of_damaged_data_fails_before_its_last_bytes(tmp_path, offset):
    shelf = Shelf(tmp_path, files=True)
    version = damaged(shelf, tmp_path, offset=offset)
    got: list[bytes] = []

    with pytest.raises(DataCorrupt):
        got.extend(shelf.egress.read(version))
    assert len(b"".join(got)) < len(BODY)


def test_data_without_a_descriptor_are_checked_too(tmp_path):
    shelf = Shelf(tmp_path, files=False)
    body = shelf.egress.open_body(damaged(shelf, tmp_path))

    with pytest.raises(DataCorrupt):
        b"".join(body)


def test_a_store_that_verifies_reads_sends_no_damaged_object(tmp_path):
    shelf = Shelf(tmp_path, files=True, verifies=True)
    version = damaged(shelf, tmp_path)
    body = shelf.egress.open_body(version)
    got: list[bytes] = []

    with pytest.raises(DataCorrupt):
        got.extend(body)
    assert len(b"".join(got)) < len(BODY)


def test_a_store_that_verifies_reads_refuses_what_one_buffer_holds_before_it_answers(tmp_path):
    shelf = Shelf(tmp_path, files=True, verifies=True)
    content = shelf.data(BODY[:4096])
    flip(tmp_path / content.ref[:2] / content.ref, 17)

    with pytest.raises(DataCorrupt):
        shelf.egress.open_body(shelf.version(content, 4096))


@pytest.mark.parametrize("files", [True, False])
def test_a_store_that_verifies_reads_sends_what_is_sound(tmp_path, files):
    shelf = Shelf(tmp_path, files=files, verifies=True)
    version = shelf.multipart([BODY, b"small", BODY[::-1]])

    assert b"".join(shelf.egress.open_body(version)) == BODY + b"small" + BODY[::-1]
    assert b"".join(shelf.egress.open_body(version, 9_000, 10_010)) == (BODY + b"small" + BODY[::-1])[9_000:10_011]


def test_damaged_data_are_not_carried_on(tmp_path):
    shelf = Shelf(tmp_path, files=True)
    version = damaged(shelf, tmp_path)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())

    with pytest.raises(DataCorrupt):
        Carrier(shelf.engine).carry(version.content, shelf.engine)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before
