"""aws-chunked bodies: object data in chunks inside the HTTP body, each signed or none, with or without trailers.

Strategy: one buffer is read ahead and parsed in place; data leaves it as views, joined once into what the caller asked for.
A chunk larger than the buffer is read past it. Memory is the buffer and the caller's own, whatever sizes a client states.

Laws (AWS: "Signature calculations: transferring payload in multiple chunks", "... including trailing headers"):

- A chunk is ``hex-size[;chunk-signature=64-hex]CRLF data CRLF``; the last has size 0, and instead of data the trailers follow.
- Each signature covers the one before it, from the seed in the Authorization header on: chunks can't be dropped, added,
  swapped or taken from another request.
- Data is handed out before its chunk's signature can be checked. **Whoever reads must not commit before** ``finish``
  **has returned**: it reads to the end of the body and knows the verdict.
- The decoded data is exactly x-amz-decoded-content-length bytes. Every chunk but the last has at least 8 KiB.
- A trailer line may end with a bare LF before its CRLF: minio-go sends, and signs, it so.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple, Protocol

from nova_objectstore.errors import (
    IncompleteBody,
    InvalidChunkSizeError,
    MalformedTrailerError,
    MissingContentLength,
    SignatureDoesNotMatch,
)
from nova_objectstore.limits import CHUNK_HEADER_BYTES_MAX, CHUNK_SIZE_MIN, TRAILER_BYTES_MAX, KiB
from nova_objectstore.s3.auth.canonical import EMPTY_SHA256
from nova_objectstore.s3.auth.request import HASH, PayloadForm, SignedRequest
from nova_wsgi.errors import NovaError

READ_AHEAD = 128 * KiB  # two of the chunks that most SDKs send

_signed_header = re.compile(rb"([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})").fullmatch
_unsigned_header = re.compile(rb"([0-9a-fA-F]{1,16})").fullmatch
_trailer_line = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)[ \t]*"
).fullmatch
_hex_signature = re.compile(r"[0-9a-f]{64}").fullmatch

TRAILER_SIGNATURE = "x-amz-trailer-signature"
SIGNED_FORMS = frozenset((PayloadForm.SIGNED_CHUNKS, PayloadForm.SIGNED_CHUNKS_TRAILER))
CHUNKED_FORMS = SIGNED_FORMS | {PayloadForm.UNSIGNED_CHUNKS_TRAILER}


class Source(Protocol):
    """Where the encoded body comes from."""

    def read(self, size: int, /) -> bytes:
        """1 to ``size`` bytes, or none at the end."""
        ...


def is_chunked(headers: Mapping[str, str], payload: PayloadForm | None) -> bool:
    """Whether a body is aws-chunked: its payload form says so, or, where nobody signed it, the headers do.

    ``payload`` is None for an anonymous request. Clients also send ``Content-Encoding: aws-chunked`` with a plain body,
    which then has no x-amz-decoded-content-length.
    """
    if payload is HASH:
        return False
    if payload in CHUNKED_FORMS:
        return True
    if "x-amz-decoded-content-length" not in headers:
        return False
    return "aws-chunked" in headers.get("content-encoding", "") or headers.get("x-amz-content-sha256", "").startswith(
        "STREAMING-"
    )


def decoded_length(headers: Mapping[str, str]) -> int:
    """x-amz-decoded-content-length in bytes. Raises MissingContentLength when it is absent or no number."""
    text = headers.get("x-amz-decoded-content-length", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise MissingContentLength()
    return int(text)


class SignatureChain:
    """The signatures of one body's chunks, each over the one before; starts from a request's own."""

    __slots__ = ("_access_key", "_key", "_previous", "_scope")

    def __init__(self, signed: SignedRequest) -> None:
        self._key = signed.signing_key
        self._scope = f"{signed.timestamp}\n{signed.scope}"
        self._previous = signed.signature
        self._access_key = signed.access_key

    def check_chunk(self, data_hash: str, signature: str) -> None:
        """The next chunk's signature, over the SHA-256 of its data in hex. Raises SignatureDoesNotMatch."""
        self._check(
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self._scope}\n{self._previous}\n{EMPTY_SHA256}\n{data_hash}", signature
        )

    def check_trailers(self, canonical: bytes, signature: str) -> None:
        """The signature of the trailers, as ``name:value`` lines with their LF. Raises SignatureDoesNotMatch."""
        self._check(
            f"AWS4-HMAC-SHA256-TRAILER\n{self._scope}\n{self._previous}\n{sha256(canonical).hexdigest()}", signature
        )

    def _check(self, to_sign: str, signature: str) -> None:
        computed = self._key.sign(to_sign.encode())
        if not hmac.compare_digest(computed.encode(), signature.encode()):
            raise SignatureDoesNotMatch(
                aws_access_key_id=self._access_key, string_to_sign=to_sign, signature_provided=signature
            )
        self._previous = signature


class _ChunkHeader(NamedTuple):
    size: int
    signature: str


class ChunkedReader:
    """Decodes one body. ``trailers`` (by lower-case name, without the signature) are there once ``finish`` has returned.

    ``chain`` is None for unsigned chunks; ``trailer_names`` are those that x-amz-trailer announced; ``size`` is the
    decoded length in bytes. After an error, every further call raises it again.
    """

    __slots__ = (
        "_chain", "_chunk", "_chunk_hash", "_chunk_left", "_chunk_number", "_decoded_left", "_ended", "_error", "_position",
        "_rest", "_source", "_trailer_names", "size", "trailers",
    )  # fmt: skip

    def __init__(
        self, source: Source, *, size: int, chain: SignatureChain | None, trailer_names: tuple[str, ...] = ()
    ) -> None:
        self._source = source
        self._chain = chain
        self._trailer_names = trailer_names
        self.size = size
        self.trailers: dict[str, str] = {}
        self._decoded_left = size
        self._rest = b""  # read ahead
        self._position = 0  # of the first byte in it that was not consumed
        self._chunk: _ChunkHeader | None = None
        self._chunk_left = 0
        self._chunk_number = 0
        self._chunk_hash = sha256()
        self._ended = False
        self._error: NovaError | None = None

    # -- what the reader of the object sees ------------------------------------------------------------------------

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` decoded bytes, fewer only at the end; all of them for -1.

        Raises IncompleteBody (truncated, malformed, or not of the stated length), SignatureDoesNotMatch,
        InvalidChunkSizeError, MalformedTrailerError, and what the source raises.
        """
        self._reraise()
        wanted = self._decoded_left if size < 0 else min(size, self._decoded_left)
        pieces: list[bytes | memoryview] = []
        while wanted > 0:
            piece = self._take(wanted)
            pieces.append(piece)
            wanted -= len(piece)
        if len(pieces) == 1 and isinstance(pieces[0], bytes):
            return pieces[0]  # PERF: a large chunk, read past the buffer
        return b"".join(pieces)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill ``buffer`` as ``read`` would answer; how many bytes."""
        self._reraise()
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and self._decoded_left > 0:
            piece = self._take(min(len(view) - filled, self._decoded_left))
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def finish(self) -> dict[str, str]:
        """Read the end of the body and give the verdict on all of it; answers the trailers.

        Raises as ``read``; IncompleteBody too when the decoded data was not read to its end.
        """
        self._reraise()
        if self._decoded_left:
            raise self._fail(IncompleteBody())
        if not self._ended:
            try:
                self._read_end()
            except NovaError as error:
                raise self._fail(error) from None
            self._ended = True
        return self.trailers

    # -- chunks ------------------------------------------------------------------------------------------------------

    def _reraise(self) -> None:
        if self._error is not None:
            raise self._error

    def _fail(self, error: NovaError) -> NovaError:
        self._error = error
        return error

    def _take(self, limit: int) -> bytes | memoryview:
        """1 to ``limit`` bytes of data, of one chunk."""
        try:
            if self._chunk_left == 0:
                self._open_chunk()
            piece = self._read_data(min(limit, self._chunk_left))
            if self._chain is not None:
                self._chunk_hash.update(piece)
            self._chunk_left -= len(piece)
            self._decoded_left -= len(piece)
            if self._chunk_left == 0:
                self._close_chunk()
        except NovaError as error:
            raise self._fail(error) from None
        return piece

    def _open_chunk(self) -> None:
        """The next chunk, which must bring data."""
        header = self._read_header()
        if header.size == 0 or header.size > self._decoded_left:
            raise IncompleteBody()  # less, or more, than x-amz-decoded-content-length
        if self._chunk is not None and self._chunk.size < CHUNK_SIZE_MIN:
            raise InvalidChunkSizeError(
                f"Only the last chunk is allowed to have a size less than {CHUNK_SIZE_MIN} bytes",
                chunk=self._chunk_number,
                bad_chunk_size=self._chunk.size,
            )
        self._chunk_number += 1
        self._chunk = header
        self._chunk_left = header.size
        self._chunk_hash = sha256()

    def _close_chunk(self) -> None:
        """The data's CRLF, and the chunk's signature."""
        self._expect_crlf()
        if self._chain is not None and self._chunk is not None:
            self._chain.check_chunk(self._chunk_hash.hexdigest(), self._chunk.signature)

    def _read_header(self) -> _ChunkHeader:
        line = self._read_line(CHUNK_HEADER_BYTES_MAX)
        match = _unsigned_header(line) if self._chain is None else _signed_header(line)
        if match is None:
            raise IncompleteBody()
        return _ChunkHeader(int(match[1], 16), "" if self._chain is None else match[2].decode("ascii"))

    # -- the end -----------------------------------------------------------------------------------------------------

    def _read_end(self) -> None:
        """The chunk of size 0, the trailers, and nothing behind them."""
        header = self._read_header()
        if header.size:
            raise IncompleteBody()
        if self._chain is not None:
            self._chain.check_chunk(EMPTY_SHA256, header.signature)
        self._read_trailers()
        if self._position < len(self._rest) or self._source.read(1):
            raise IncompleteBody()

    def _read_trailers(self) -> None:
        """Lines up to an empty one; signed as lines that end with LF alone."""
        signed = []
        budget = TRAILER_BYTES_MAX
        signature = ""
        while True:
            line, budget = self._read_trailer_line(budget)
            if not line:
                break
            if signature:
                raise MalformedTrailerError()  # the signature is the last of the trailers
            name, value = _parse_trailer(line)
            if name == TRAILER_SIGNATURE and self._chain is not None:
                signature = value
                continue
            if name not in self._trailer_names or name in self.trailers:
                raise MalformedTrailerError()
            self.trailers[name] = value
            signed.append(f"{name}:{value}\n")
        self._check_trailers("".join(signed), signature)

    def _check_trailers(self, canonical: str, signature: str) -> None:
        if len(self.trailers) != len(self._trailer_names):
            raise MalformedTrailerError()
        if self._chain is None or not (signature or self.trailers):
            return
        if not _hex_signature(signature):
            raise MalformedTrailerError()
        self._chain.check_trailers(canonical.encode("ascii"), signature)

    def _read_trailer_line(self, budget: int) -> tuple[bytes, int]:
        """A trailer line without its end, and what is left of the budget in bytes."""
        end = self._find(b"\n", budget)
        line = self._rest[self._position : end]
        self._position = end + 1
        budget -= len(line) + 1
        if line.endswith(b"\r"):
            return line[:-1], budget
        if not line:
            raise MalformedTrailerError()
        if self._peek(2) == b"\r\n":
            self._position += 2  # minio-go: LF, then the CRLF of the line
        return line, budget

    # -- bytes -------------------------------------------------------------------------------------------------------

    def _read_data(self, limit: int) -> bytes | memoryview:
        available = len(self._rest) - self._position
        if available == 0:
            if limit >= READ_AHEAD:
                data = self._source.read(limit)
                if not data:
                    raise IncompleteBody()
                return data
            self._fill()
            available = len(self._rest)
        count = min(limit, available)
        start = self._position
        self._position += count
        return memoryview(self._rest)[start : start + count]

    def _fill(self) -> None:
        """Read more behind what is left of the buffer."""
        data = self._source.read(READ_AHEAD)
        if not data:
            raise IncompleteBody()
        self._rest = self._rest[self._position :] + data if self._position < len(self._rest) else data
        self._position = 0

    def _find(self, mark: bytes, limit: int) -> int:
        """Where ``mark`` begins in the buffer, at most ``limit`` bytes on."""
        while True:
            end = self._rest.find(mark, self._position, self._position + limit)
            if end >= 0:
                return end
            if len(self._rest) - self._position >= limit:
                raise IncompleteBody()
            self._fill()

    def _read_line(self, limit: int) -> bytes:
        end = self._find(b"\r\n", limit)
        line = self._rest[self._position : end]
        self._position = end + 2
        return line

    def _peek(self, count: int) -> bytes:
        while len(self._rest) - self._position < count:
            self._fill()
        return self._rest[self._position : self._position + count]

    def _expect_crlf(self) -> None:
        if self._peek(2) != b"\r\n":
            raise IncompleteBody()
        self._position += 2


def _parse_trailer(line: bytes) -> tuple[str, str]:
    match = _trailer_line(line)
    if match is None:
        raise MalformedTrailerError()
    return match[1].decode("ascii").lower(), match[2].decode("ascii")


def open_chunked(
    source: Source, headers: Mapping[str, str], *, signed: SignedRequest | None, trailer_names: tuple[str, ...] = ()
) -> ChunkedReader:
    """The decoder that a request's headers and signature ask for; ``signed`` is None for an anonymous request.

    ``trailer_names`` are ``checksums.announced_trailers``. Raises MissingContentLength, MalformedTrailerError when trailers
    are announced for the form that has none.
    """
    size = decoded_length(headers)
    payload = signed.payload if signed is not None else PayloadForm.UNSIGNED
    if payload is PayloadForm.SIGNED_CHUNKS and trailer_names:
        raise MalformedTrailerError()
    chain = SignatureChain(signed) if signed is not None and payload in SIGNED_FORMS else None
    return ChunkedReader(source, size=size, chain=chain, trailer_names=trailer_names)
