"""Running digests, and those of a whole from those of its parts."""

import hashlib
import subprocess
import sys
import zlib
from base64 import b64decode, b64encode

import pytest
from awscrt import checksums as crt
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.checksums import (
    ALGORITHMS,
    COMPOSITE,
    CRC32,
    CRC32C,
    CRC64NVME,
    FULL_OBJECT,
    SHA1,
    SHA256,
    combine,
    compose,
    is_digest,
    new_digest,
    parse_base64,
)

# The check values of "123456789" (CRC catalogue; FIPS 180-4).
CHECKS = {
    CRC32: bytes.fromhex("cbf43926"),
    CRC32C: bytes.fromhex("e3069283"),
    CRC64NVME: bytes.fromhex("ae8b14860a799888"),
    SHA1: hashlib.sha1(b"123456789").digest(),
    SHA256: hashlib.sha256(b"123456789").digest(),
}
ONE_SHOT = {CRC32: zlib.crc32, CRC32C: crt.crc32c, CRC64NVME: crt.crc64nvme}


def value_of(algorithm, *pieces):
    digest = new_digest(algorithm)
    for piece in pieces:
        digest.update(piece)
    return digest.base64()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digests(algorithm):
    assert value_of(algorithm, b"123456789") == b64encode(CHECKS[algorithm]).decode()
    assert value_of(algorithm, b"1234", bytearray(b"56"), memoryview(b"789")) == value_of(algorithm, b"123456789")
    assert len(new_digest(algorithm).digest()) == ALGORITHMS[algorithm].digest_size


@pytest.mark.parametrize("algorithm", ONE_SHOT)
@given(parts=st.lists(st.binary(max_size=200), max_size=6))
@settings(max_examples=100, deadline=None, database=None)
def test_crcs_of_parts_make_that_of_the_whole(algorithm, parts):
    whole = value_of(algorithm, *parts)
    assert combine(algorithm, [(value_of(algorithm, part), len(part)) for part in parts]) == whole


@pytest.mark.parametrize("algorithm", ONE_SHOT)
def test_parts_of_any_size(algorithm):
    """A part of 5 TiB: its CRC is made of halves, down to a mebibyte that is computed."""
    size = 1 << 20
    value = value_of(algorithm, bytes(size))
    while size < 5 << 40:
        value = combine(algorithm, [(value, size), (value, size)])
        size *= 2
    again = combine(algorithm, [(value_of(algorithm, b""), 0), (value, size)])
    assert again == value
    assert combine(algorithm, []) == value_of(algorithm)


@pytest.mark.parametrize("algorithm", [SHA1, SHA256])
def test_nothing_but_the_bytes_tells_the_sha_of_a_whole(algorithm):
    with pytest.raises(ValueError, match="parts"):
        combine(algorithm, [])


@pytest.mark.parametrize("algorithm", [CRC32, CRC32C, SHA1, SHA256])
def test_composite_checksums(algorithm):
    values = [value_of(algorithm, part) for part in (b"one", b"two", b"three")]
    expected = value_of(algorithm, *(b64decode(value) for value in values))
    assert compose(algorithm, values) == f"{expected}-3"


def test_which_types_an_algorithm_may_have():
    assert {name: row.types for name, row in ALGORITHMS.items()} == {
        CRC32: (COMPOSITE, FULL_OBJECT),
        CRC32C: (COMPOSITE, FULL_OBJECT),
        CRC64NVME: (FULL_OBJECT,),
        SHA1: (COMPOSITE,),
        SHA256: (COMPOSITE,),
    }


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None, database=None)
def test_base64_is_exact(text):
    value = parse_base64(text, 4)
    assert value is None or b64encode(value).decode() == text or text.endswith("==")


def test_values():
    assert is_digest(CRC32, "NhCmhg==")
    assert not is_digest(CRC32, "NhCmhg==\n")
    assert not is_digest(CRC32, "NhCmhg")
    assert not is_digest(SHA1, "NhCmhg==")
    assert not is_digest("CRC9", "NhCmhg==")
    assert parse_base64("A" * 100_000, 4) is None


def test_the_heavy_library_waits_for_its_first_use():
    code = (
        "import sys; from nova_objectstore.checksums import new_digest; new_digest('SHA256'); new_digest('CRC32');"
        "assert '_awscrt' not in sys.modules; new_digest('CRC32C'); assert '_awscrt' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
