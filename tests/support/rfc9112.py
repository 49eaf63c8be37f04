"""A second reader of HTTP/1 requests: small, slow and plain, written from RFC 9112 for itself.

It decides for a whole byte string: which requests are in it, and how it ends. It has no limits and no network, and shares
no code with the server, so that each is a second opinion on the other. Where the RFC lets a recipient choose between mercy
and refusal it refuses, for mercy is where recipients differ; the two exceptions are one empty line before a request (section
2.2) and chunk extensions of any visible text (section 7.1.1: they are ignored).
"""

from __future__ import annotations

from typing import NamedTuple

TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DIGITS, HEXADECIMAL = b"0123456789", b"0123456789abcdefABCDEF"
OPEN, CLOSED, CUT, REFUSED = "open", "closed", "cut", "refused"

Fields = tuple[tuple[bytes, bytes], ...]


class Parsed(NamedTuple):
    """One request; the names of fields in lower case, in their order."""

    method: bytes
    target: bytes
    version: bytes
    fields: Fields
    body: bytes
    trailers: Fields


class Reading(NamedTuple):
    """The requests of a byte string, and its end: ``open`` for more, ``closed`` by the last request, ``cut`` inside one,
    ``refused``. What begins at ``at`` is in none of them."""

    requests: tuple[Parsed, ...]
    end: str
    at: int


class Cut(Exception):
    """More bytes would be needed."""


class Refused(Exception):
    """Not HTTP/1, or not unmistakably."""


def read(data: bytes) -> Reading:
    """Everything that is in a byte string."""
    requests: list[Parsed] = []
    at, persists = 0, True
    while persists and at < len(data):
        try:
            request, at, persists = _read_request(data, at)
        except Cut:
            return Reading(tuple(requests), CUT, at)
        except Refused:
            return Reading(tuple(requests), REFUSED, at)
        requests.append(request)
    return Reading(tuple(requests), OPEN if persists else CLOSED, at)


def _read_request(data: bytes, at: int) -> tuple[Parsed, int, bool]:
    if data[at : at + 2] == b"\r\n":
        at += 2
    end = data.find(b"\r\n\r\n", at)
    if data[at : at + 2] == b"\r\n":
        raise Refused
    if end < 0:
        raise Cut
    request_line, *lines = data[at:end].split(b"\r\n")
    method, target, version = _read_request_line(request_line)
    fields = tuple(_read_field(line) for line in lines)
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (version == b"HTTP/1.1" and not hosts):  # section 3.2
        raise Refused
    body, trailers, at = _read_body(data, end + 4, version, fields)
    return Parsed(method, target, version, fields, body, trailers), at, _persists(version, fields)


def _read_request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Section 3. A later minor version is spoken to as 1.1 (RFC 9110 section 2.5)."""
    words = line.split(b" ")
    if len(words) != 3:
        raise Refused
    method, target, version = words
    if not method or any(byte not in TOKEN for byte in method):
        raise Refused
    if not target or any(not 0x21 <= byte <= 0x7E for byte in target):
        raise Refused
    if len(version) != 8 or version[:7] != b"HTTP/1." or version[7] not in DIGITS:
        raise Refused
    return method, target, b"HTTP/1.0" if version == b"HTTP/1.0" else b"HTTP/1.1"


def _read_field(line: bytes) -> tuple[bytes, bytes]:
    """Section 5; a folded line (5.2) begins with a space, which is in no name."""
    name, colon, value = line.partition(b":")
    if not colon or not name or any(byte not in TOKEN for byte in name):
        raise Refused
    if any(_is_control(byte) for byte in value):
        raise Refused
    return name.lower(), value.strip(b" \t")


def _is_control(byte: int) -> bool:
    return (byte < 0x20 and byte != 9) or byte == 0x7F


def _read_body(data: bytes, at: int, version: bytes, fields: Fields) -> tuple[bytes, Fields, int]:
    """Section 6.3."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings:
        if lengths or version == b"HTTP/1.0" or [coding.lower() for coding in codings] != [b"chunked"]:
            raise Refused
        return _read_chunks(data, at)
    if not lengths:
        return b"", (), at
    if len(lengths) > 1 or not lengths[0] or any(byte not in DIGITS for byte in lengths[0]):
        raise Refused
    end = at + int(lengths[0])
    if end > len(data):
        raise Cut
    return data[at:end], (), end


def _read_chunks(data: bytes, at: int) -> tuple[bytes, Fields, int]:
    """Section 7.1."""
    body = b""
    while True:
        line, at = _take_line(data, at)
        size = _read_chunk_size(line)
        if not size:
            break
        end = at + size
        if end + 2 > len(data):
            raise Cut
        if data[end : end + 2] != b"\r\n":
            raise Refused
        body += data[at:end]
        at = end + 2
    lines: list[bytes] = []
    while True:
        line, at = _take_line(data, at)
        if not line:
            return body, tuple(_read_field(line) for line in lines), at
        lines.append(line)


def _read_chunk_size(line: bytes) -> int:
    digits, semicolon, _ = line.partition(b";")
    if semicolon:
        digits = digits.rstrip(b" \t")
    if not digits or any(byte not in HEXADECIMAL for byte in digits) or any(_is_control(byte) for byte in line):
        raise Refused
    return int(digits, 16)


def _take_line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Cut
    return data[at:end], end + 2


def _persists(version: bytes, fields: Fields) -> bool:
    """Section 9.3."""
    values = [value for name, value in fields if name == b"connection"]
    options = [option.strip(b" \t").lower() for value in values for option in value.split(b",")]
    return b"close" not in options and (version != b"HTTP/1.0" or b"keep-alive" in options)
