"""Smuggling vectors of HTTP/2, which a front turns into HTTP/1.1 for the store.

A vector is a file in tests/vectors/smuggling_http2: blocks, each of which becomes a frame of one stream. ``HEADERS`` has a
field a line (``name: value``, with the escapes of tests/vectors/http; a colon in a name is ``\\x3a``), ``DATA`` a piece of
the body; the last block ends the stream. MARKED and the names behind it are those of :mod:`support.smuggling`; a field that
must not come into being is called ``x-injected``. Whether a front refuses a vector is its own affair; ``served: first next``
names what must have reached the store.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from support import http_vectors
from support.fronts import Front
from support.http2_client import Block, Field, Http2Client, head_of
from support.smuggling import BUCKET, PATIENCE_S, Exchange

FOLDER = Path(__file__).parent.parent / "vectors" / "smuggling_http2"
ALLOWED = frozenset(("first", "next"))

_PLACEHOLDER = b"MARKED"
_BLOCK = re.compile(r"^(HEADERS|DATA)\n((?:(?!HEADERS\n|DATA\n).*\n)*)", re.MULTILINE)
_FIELD = re.compile(r"(:?[^:]*): ?(.*)")
_INJECTED = re.compile(rb"[\r\n\0]x-injected", re.IGNORECASE)


@dataclass(frozen=True)
class Http2Vector:
    """One stream to smuggle with; see the module's text."""

    name: str
    blocks: tuple[Block, ...]
    served: frozenset[str]

    def __str__(self) -> str:
        return self.name

    def marked(self, mark: str) -> list[Block]:
        """The blocks to send."""
        return [_mark(block, mark.encode()) for block in self.blocks]


def _mark(block: Block, mark: bytes) -> Block:
    if isinstance(block, bytes):
        return block.replace(_PLACEHOLDER, mark)
    return [(name.replace(_PLACEHOLDER, mark), value.replace(_PLACEHOLDER, mark)) for name, value in block]


def read_all() -> list[Http2Vector]:
    """All vectors, by name."""
    return [_read(path) for path in sorted(FOLDER.glob("*.txt"))]


def _read(path: Path) -> Http2Vector:
    head, _, text = path.read_text("utf-8").partition("---\n")
    keys = dict(line.split(": ", 1) for line in head.splitlines() if not line.startswith("#"))
    served = frozenset(keys.pop("served", "").split())
    assert not keys, path
    blocks = tuple(_decode(match[1], match[2]) for match in _BLOCK.finditer(text))
    assert "".join(match[0] for match in _BLOCK.finditer(text)) == text, path
    return Http2Vector(path.stem, blocks, served)


def _decode(kind: str, text: str) -> Block:
    if kind == "DATA":
        return http_vectors.decode(text)
    return tuple(_decode_field(line) for line in text.splitlines())


def _decode_field(line: str) -> Field:
    match = _FIELD.fullmatch(line)
    assert match is not None, line
    return http_vectors.decode(match[1]), http_vectors.decode(match[2])


def send(front: Front, vector: Http2Vector, exchange: Exchange) -> None:
    """Send a vector, and then what any client may ask for on the same connection."""
    with Http2Client(front.tls_port, front.authority.client_context()) as client:
        client.send(vector.marked(exchange.mark))
        client.sock.settimeout(PATIENCE_S)
        try:
            client.wait()
            if not client.is_over:
                client.begin(head_of("GET", "s3.test", f"/{BUCKET}/{exchange.mark}-next"))
                client.wait()
        except TimeoutError:
            exchange.gave_up = True  # a front may wait for what never comes
        exchange.received = b"\n".join(answer.body for answer in client.answers.values())


def find_injected(sent: bytes) -> list[bytes]:
    """The fields that came into being between a client and the store."""
    return [sent[max(0, match.start() - 200) : match.end() + 50] for match in _INJECTED.finditer(sent)]
