"""What a request's headers claim of its body, and the verdict: Content-MD5, x-amz-checksum-*, x-amz-content-sha256.

Strategy: the claims are parsed once, before the body; a :class:`BodyCheck` then holds every running digest that the body
needs, each once; whoever reads the body updates them, and ``verify`` compares at the end.

Source: AWS, "Checking object integrity in Amazon S3", and the header tables of PutObject, UploadPart and
CreateMultipartUpload.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from nova_objectstore.checksums import (
    ALGORITHMS,
    COMPOSITE,
    CRC64NVME,
    FULL_OBJECT,
    SHA256,
    Buffer,
    Digest,
    is_digest,
    new_digest,
    parse_base64,
)
from nova_objectstore.domain.bodies import Digests
from nova_objectstore.errors import (
    BadDigest,
    InvalidDigest,
    InvalidRequest,
    MalformedTrailerError,
    XAmzContentSHA256Mismatch,
)
from nova_objectstore.s3.usual_headers import USUAL_HEADERS
from nova_objectstore.types import Checksum, new_tuple

VALUE_PREFIX = "x-amz-checksum-"
_NOT_VALUES = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"})
VALUE_HEADERS = {VALUE_PREFIX + name.lower(): name for name in ALGORITHMS}
"""Header name to algorithm: ``x-amz-checksum-crc32`` to ``CRC32``."""

_SEVERAL = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."


class ChecksumClaim(NamedTuple):
    """The checksum a client says its body has. ``value`` is base64, or None when a trailer will bring it."""

    algorithm: str
    value: str | None

    @property
    def header(self) -> str:
        """The name of the header, or of the trailer, that carries the value."""
        return VALUE_PREFIX + self.algorithm.lower()


def read_content_md5(headers: Mapping[str, str]) -> bytes | None:
    """The 16 bytes of Content-MD5 (RFC 1864), None without one. Raises InvalidDigest."""
    text = headers.get("content-md5")
    if text is None:
        return None
    value = parse_base64(text.strip(), 16)
    if value is None:
        raise InvalidDigest(content_md5=text)
    return value


def announced_trailers(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The names in x-amz-trailer, lower-case. Raises InvalidRequest for one that S3 does not take."""
    if "x-amz-trailer" not in headers:
        return ()
    names = tuple(name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",") if name.strip())
    if any(name not in VALUE_HEADERS for name in names):
        raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
    return names


def read_claim(headers: Mapping[str, str]) -> ChecksumClaim | None:
    """The one checksum that the headers, or a trailer they announce, claim for the body; None without one.

    Raises InvalidRequest when there are several, or one that is malformed, unknown, or not the algorithm that
    x-amz-sdk-checksum-algorithm names.
    """
    if USUAL_HEADERS.issuperset(headers):
        return None  # PERF
    given = [name for name in headers if name.startswith(VALUE_PREFIX) and name not in _NOT_VALUES]
    trailers = announced_trailers(headers)
    if len(given) + len(trailers) > 1:
        raise InvalidRequest(_SEVERAL)
    claim = None
    if given:
        claim = _claim_in_header(given[0], headers[given[0]])
    elif trailers:
        claim = ChecksumClaim(VALUE_HEADERS[trailers[0]], None)
    _check_sdk_algorithm(headers.get("x-amz-sdk-checksum-algorithm"), claim)
    return claim


def _claim_in_header(name: str, value: str) -> ChecksumClaim:
    algorithm = VALUE_HEADERS.get(name)
    if algorithm is None:
        raise InvalidRequest("The algorithm type you specified in x-amz-checksum- header is invalid.")
    if not is_digest(algorithm, value.strip()):
        raise BadDigest(f"Value for {name} header is invalid.")  # no body has it
    return ChecksumClaim(algorithm, value.strip())


def _check_sdk_algorithm(said: str | None, claim: ChecksumClaim | None) -> None:
    if said is None:
        return
    algorithm = parse_algorithm(said)
    if claim is None:
        raise InvalidRequest(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
            "headers were found."
        )
    if claim.algorithm != algorithm:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")


def parse_algorithm(text: str) -> str:
    """The algorithm's name in S3's spelling, from any case. Raises InvalidRequest for one that is not offered."""
    name = text.strip().upper()
    if name not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise InvalidRequest(
            f"Checksum algorithm provided is unsupported. Please try again with any of the valid types: [{known}]"
        )
    return name


def read_upload_checksum(headers: Mapping[str, str]) -> tuple[str, str]:
    """(algorithm, type) of a CreateMultipartUpload; ``("", "")`` when none is asked for: CRC64NVME of the full object.

    Raises InvalidRequest for a type without an algorithm, or one that the algorithm cannot have.
    """
    said = headers.get("x-amz-checksum-algorithm")
    kind = headers.get("x-amz-checksum-type", "").strip().upper()
    if said is None:
        if kind:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return "", ""
    algorithm = parse_algorithm(said)
    return algorithm, check_type(algorithm, kind)


def check_type(algorithm: str, kind: str) -> str:
    """The checksum type for the algorithm: ``kind``, or the algorithm's default for ``""``. Raises InvalidRequest."""
    if kind not in ("", FULL_OBJECT, COMPOSITE):
        raise InvalidRequest("Value for x-amz-checksum-type header is invalid.")
    types = ALGORITHMS[algorithm].types
    if kind and kind not in types:
        raise InvalidRequest(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return kind or types[0]


def wants_checksum(headers: Mapping[str, str]) -> bool:
    """Whether a read asks for the stored checksum: ``x-amz-checksum-mode: ENABLED``."""
    return headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"


class Hasher(Protocol):
    """What takes the body's bytes."""

    def update(self, data: Buffer, /) -> None:
        """Take more bytes."""
        ...


class BodyCheck:
    """The digests of one body: those that are claimed, and those that are kept.

    ``hashers`` are to be updated with every byte, in order; then ``verify``; then ``digests`` hold. With
    ``algorithm`` (``""`` for none) a checksum is computed even when nothing is claimed; a claim decides before it.
    ``payload_hash`` is a signed x-amz-content-sha256 in hex, None where the body was not signed as a whole.
    """

    __slots__ = ("_algorithm", "_claim", "_content_md5", "_digest", "_md5", "_payload_hash", "_sha256", "hashers")

    def __init__(
        self,
        *,
        content_md5: bytes | None = None,
        claim: ChecksumClaim | None = None,
        payload_hash: str | None = None,
        algorithm: str = CRC64NVME,
    ) -> None:
        self._content_md5 = content_md5
        self._claim = claim
        self._payload_hash = payload_hash
        self._algorithm = claim.algorithm if claim else algorithm
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._digest: Digest | None = new_digest(self._algorithm) if self._algorithm else None
        self._sha256: Digest | hashlib._Hash | None = None
        self.hashers: list[Hasher] = [self._md5]
        if self._digest is not None:
            self.hashers.append(self._digest)
        if payload_hash is not None:
            # PERF: the checksum and the signed hash may be the same digest, computed once
            shared = self._algorithm == SHA256
            self._sha256 = self._digest if shared else hashlib.sha256()
            if not shared:
                self.hashers.append(self._sha256)  # type: ignore[arg-type]

    def update(self, data: Buffer) -> None:
        """Take more bytes of the body, in order."""
        for hasher in self.hashers:
            hasher.update(data)

    def verify(self, trailers: Mapping[str, str] | None = None) -> None:
        """Compare what is claimed with what came; ``trailers`` by lower-case name.

        Raises XAmzContentSHA256Mismatch, BadDigest, MalformedTrailerError (announced and absent), InvalidRequest (a
        trailer's value that is no digest).
        """
        if self._sha256 is not None:
            computed = self._sha256.digest().hex()
            if self._payload_hash is not None and computed != self._payload_hash.lower():
                raise XAmzContentSHA256Mismatch(
                    client_computed_content_sha256=self._payload_hash, s3_computed_content_sha256=computed
                )
        if self._content_md5 is not None and self._content_md5 != self._md5.digest():
            raise BadDigest(expected_digest=_base64(self._content_md5), calculated_digest=_base64(self._md5.digest()))
        if self._claim is not None and self._digest is not None:
            _check_claim(self._claim, self._digest, trailers or {})

    def digests(self) -> Digests:
        """The ETag of an object written in one piece, the MD5 in hex, and the checksum to store, that of the full object."""
        checksum = None
        if self._digest is not None:
            checksum = new_tuple(Checksum, (self._algorithm, FULL_OBJECT, self._digest.base64()))
        return new_tuple(Digests, (self._md5.hexdigest(), checksum))


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _check_claim(claim: ChecksumClaim, digest: Digest, trailers: Mapping[str, str]) -> None:
    value = claim.value
    if value is None:
        value = trailers.get(claim.header)
        if value is None:
            raise MalformedTrailerError()
        if not is_digest(claim.algorithm, value):
            raise InvalidRequest(f"Value for {claim.header} trailing header is invalid.")
    if value != digest.base64():
        raise BadDigest(f"The {claim.algorithm} you specified did not match the calculated checksum.")
