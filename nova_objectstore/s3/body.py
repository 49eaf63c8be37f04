"""Request bodies: documents read whole, streams handed on with the means to judge them at their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nova_objectstore.checksums import CRC64NVME
from nova_objectstore.domain.ingest import update_all
from nova_objectstore.errors import (
    EntityTooLarge,
    IncompleteBody,
    InvalidRequest,
    MalformedXML,
    MissingContentLength,
)
from nova_objectstore.limits import PUT_SIZE_MAX, STREAM_BUFFER, XML_BODY_MAX
from nova_objectstore.s3.auth.chunked import ChunkedReader, is_chunked, open_chunked
from nova_objectstore.s3.auth.request import HASH
from nova_objectstore.s3.checksums import BodyCheck, Hasher, announced_trailers, read_claim, read_content_md5
from nova_objectstore.s3.request import S3Request


class Input(Protocol):
    """``wsgi.input``."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, empty at the end."""
        ...


class RequestBody:
    """A streamed body, decoded: the domain reads it, updates ``hashers``, and asks ``finish`` for the verdict."""

    __slots__ = ("_check", "_chunked", "digests", "hashers", "read", "size")

    def __init__(self, source: Input, size: int | None, check: BodyCheck) -> None:
        self._check = check
        self._chunked = source if isinstance(source, ChunkedReader) else None
        self.hashers: Sequence[Hasher] = check.hashers
        self.read = source.read
        self.digests = check.digests
        self.size = size

    def finish(self) -> None:
        """Check chunk signatures, trailers and every claimed digest. Raises BadDigest and its like."""
        trailers = self._chunked.finish() if self._chunked is not None else None
        self._check.verify(trailers)


def open_body(req: S3Request, *, algorithm: str = CRC64NVME, size_max: int = PUT_SIZE_MAX) -> RequestBody:
    """The body of an object or part. ``algorithm``: the checksum to keep when the client claims none.

    Raises EntityTooLarge, InvalidDigest, InvalidRequest, MissingContentLength (S3: an object is never empty unsaid).
    """
    if "content-length" not in req.headers and "transfer-encoding" not in req.headers:
        raise MissingContentLength
    return _open(req, algorithm, size_max=size_max, claimed=True)


def _open(req: S3Request, algorithm: str, *, size_max: int, claimed: bool) -> RequestBody:
    headers = req.headers
    auth = req.auth
    payload = None if auth is None else auth.payload
    check = BodyCheck(
        content_md5=read_content_md5(headers),
        claim=read_claim(headers) if claimed else None,
        payload_hash=auth.payload_hash if payload is HASH else None,
        algorithm=algorithm,
    )
    source: Input = req.environ["wsgi.input"]
    size = req.content_length
    if is_chunked(headers, payload):
        source = open_chunked(source, headers, signed=auth, trailer_names=announced_trailers(headers))
        size = source.size
    if size is not None and size > size_max:
        raise EntityTooLarge(proposed_size=size, max_size_allowed=size_max)
    return RequestBody(source, size, check)


def read_document(req: S3Request, *, size_max: int = XML_BODY_MAX, claimed: bool = True) -> bytes:
    """A body that is a document, whole, its digests verified. Raises MalformedXML when it is too large, BadDigest, ...

    ``claimed`` is False where x-amz-checksum-* speak of an object and not of this body (CompleteMultipartUpload).
    """
    length = req.content_length
    if length is not None and length > size_max:
        raise MalformedXML(reason="too large")
    body = _open(req, "", size_max=PUT_SIZE_MAX, claimed=claimed)
    pieces = []
    total = 0
    while piece := body.read(min(STREAM_BUFFER, size_max + 1 - total)):
        pieces.append(piece)
        total += len(piece)
        if total > size_max:
            raise MalformedXML(reason="too large")
    if body.size is not None and total != body.size:
        raise IncompleteBody
    document = b"".join(pieces)
    update_all(body.hashers, [document], total)
    body.finish()
    return document


def skip_body(req: S3Request) -> None:
    """A body where the operation takes none: small ones are verified and dropped. Raises InvalidRequest for larger ones."""
    headers = req.headers
    length = headers.get("content-length")  # PERF: not by the property: every GET comes here
    if (length is None or not int(length)) and "transfer-encoding" not in headers:
        return
    try:
        read_document(req, size_max=STREAM_BUFFER)
    except MalformedXML:
        raise InvalidRequest("This operation takes no request body") from None
