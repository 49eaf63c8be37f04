"""Server-side encryption on the wire: what headers ask for, and what answers tell (AWS: "Specifying server-side
encryption", for each of SSE-S3, SSE-KMS and SSE-C).

The functions take headers by lower-case name; the fields of a browser's form fit as well.

Laws:

- Each of the three ways excludes the others, and half of one is refused: nothing is stored less protected than was asked.
- A read carries a customer's key or nothing. Headers of the other two ways are for writes; AWS refuses them too.
- On the parts of an upload they mean nothing: what was said when it was begun holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping

from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_KMS, SSE_S3, CustomerKey, Scheme
from nova_objectstore.domain.encryption import describe
from nova_objectstore.errors import InvalidArgument, InvalidRequest, NotOffered
from nova_objectstore.limits import ENCRYPTION_CONTEXT_BYTES_MAX
from nova_objectstore.s3.answer import Headers
from nova_objectstore.s3.faults import InvalidEncryptionAlgorithm

SSE = "x-amz-server-side-encryption"
KMS_KEY_ID = f"{SSE}-aws-kms-key-id"
CONTEXT = f"{SSE}-context"
BUCKET_KEY = f"{SSE}-bucket-key-enabled"

CUSTOMER = f"{SSE}-customer"
COPY_SOURCE_CUSTOMER = "x-amz-copy-source-server-side-encryption-customer"

KEY_BYTES = 32
DSSE = "aws:kms:dsse"

_CUSTOMER_HEADERS = frozenset(f"{CUSTOMER}-{part}" for part in ("algorithm", "key", "key-md5"))
_COPY_SOURCE_HEADERS = frozenset(f"{COPY_SOURCE_CUSTOMER}-{part}" for part in ("algorithm", "key", "key-md5"))
_WRITE_HEADERS = frozenset((SSE, KMS_KEY_ID, CONTEXT, BUCKET_KEY))
_ALL_HEADERS = _CUSTOMER_HEADERS | _WRITE_HEADERS

_CUSTOMER_MUST = "Requests specifying Server Side Encryption with Customer provided keys must "


# -- what is asked for ---------------------------------------------------------------------------------------------------


def read_encryption(headers: Mapping[str, str]) -> Scheme | None:
    """What a write asks for; None leaves it to the bucket's default.

    Raises InvalidArgument, InvalidEncryptionAlgorithm, NotOffered.
    """
    # PERF: most requests have none of them
    if _ALL_HEADERS.isdisjoint(headers):
        return None
    customer = read_customer_key(headers)
    if customer is not None:
        return _customer_scheme(headers, customer)
    algorithm = headers.get(SSE, "")
    if algorithm == SSE_KMS:
        return Scheme(SSE_KMS, headers.get(KMS_KEY_ID, ""), _read_context(headers), _read_bucket_key(headers))
    _check_algorithm(algorithm, headers)
    for name in (KMS_KEY_ID, CONTEXT):
        if name in headers:
            raise _refusal(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
                SSE,
                algorithm,
            )
    return Scheme(algorithm, bucket_key=_read_bucket_key(headers))


def _customer_scheme(headers: Mapping[str, str], customer: CustomerKey) -> Scheme:
    for name in (SSE, KMS_KEY_ID, CONTEXT):
        if name in headers:
            raise _refusal(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
                name,
                headers[name],
            )
    return Scheme(SSE_C, customer=customer)


def _check_algorithm(algorithm: str, headers: Mapping[str, str]) -> None:
    if algorithm == DSSE:
        raise NotOffered(
            "Dual-layer server-side encryption (aws:kms:dsse) is not offered; aws:kms encrypts once.", header=SSE
        )
    if algorithm != SSE_S3 and SSE in headers:
        raise _refusal("The encryption method specified is not supported", SSE, algorithm)


def _read_bucket_key(headers: Mapping[str, str]) -> bool | None:
    text = headers.get(BUCKET_KEY)
    if text is None:
        return None
    if text.lower() not in ("true", "false"):
        raise _refusal("The value of the bucket key header is neither true nor false", BUCKET_KEY, text)
    return text.lower() == "true"


def _read_context(headers: Mapping[str, str]) -> str:
    """The encryption context as JSON with sorted keys; empty for none."""
    text = headers.get(CONTEXT, "")
    if not text:
        return ""
    try:
        context = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, RecursionError):  # bad base64, UTF-8 or JSON
        context = None
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        raise _refusal("The encryption context is not base64 of a JSON object of strings", CONTEXT, text)
    canonical = json.dumps(context, sort_keys=True, separators=(",", ":"))
    if len(canonical) > ENCRYPTION_CONTEXT_BYTES_MAX:
        raise InvalidArgument("The encryption context is too large", argument_name=CONTEXT)
    return canonical


def read_customer_key(headers: Mapping[str, str], *, prefix: str = CUSTOMER) -> CustomerKey | None:
    """The customer's key that a request carries; ``prefix`` is that of its three headers.

    Raises InvalidArgument where a part is missing or they do not fit together, InvalidEncryptionAlgorithm.
    """
    algorithm, key, digest = (headers.get(f"{prefix}-{part}") for part in ("algorithm", "key", "key-md5"))
    if algorithm is None and key is None and digest is None:
        return None
    if algorithm is None:
        raise _refusal(_CUSTOMER_MUST + "provide a valid encryption algorithm.", f"{prefix}-algorithm", None)
    if algorithm != "AES256":
        raise InvalidEncryptionAlgorithm(argument_name=f"{prefix}-algorithm", argument_value=algorithm)
    if key is None:
        raise _refusal(_CUSTOMER_MUST + "provide an appropriate secret key.", f"{prefix}-key", None)
    if digest is None:
        raise _refusal(
            _CUSTOMER_MUST + "provide the client calculated MD5 of the secret key.", f"{prefix}-key-MD5", None
        )
    secret = _decode(key)
    if len(secret) != KEY_BYTES:  # its value is a secret: it does not go into the answer
        raise _refusal("The secret key was invalid for the specified algorithm.", f"{prefix}-key", None)
    if not hmac.compare_digest(_decode(digest), hashlib.md5(secret, usedforsecurity=False).digest()):
        raise _refusal(
            "The calculated MD5 hash of the key did not match the hash that was provided.", f"{prefix}-key-MD5", digest
        )
    return CustomerKey(secret)


def read_reader_key(headers: Mapping[str, str]) -> CustomerKey | None:
    """The customer's key of a read. Raises InvalidArgument, also for what only a write may ask for."""
    # PERF: most requests have none of them
    if _ALL_HEADERS.isdisjoint(headers):
        return None
    for name in _WRITE_HEADERS:
        if name in headers:
            raise _refusal(f"{name} header is not supported for this operation.", name, headers[name])
    return read_customer_key(headers)


def read_source_key(headers: Mapping[str, str]) -> CustomerKey | None:
    """The customer's key of a copy's source. Raises InvalidArgument, InvalidEncryptionAlgorithm."""
    if _COPY_SOURCE_HEADERS.isdisjoint(headers):
        return None
    return read_customer_key(headers, prefix=COPY_SOURCE_CUSTOMER)


def asks_for_encryption(headers: Mapping[str, str]) -> bool:
    """Whether a write says anything of encryption: a copy of an object onto itself may, to change just that."""
    return not _ALL_HEADERS.isdisjoint(headers)


def refuse_unsigned(extra: Mapping[str, str]) -> None:
    """Whoever does not say who asks gets nothing opened under a key of the keyring, public or not (AWS: SSE-KMS).

    Raises InvalidArgument.
    """
    description = describe(extra)
    if description is not None and description.algorithm == SSE_KMS:
        raise InvalidArgument(
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
            argument_name="Authorization",
        )


def refuse_customer_keys_in_the_open(headers: Mapping[str, str]) -> None:
    """A request that came over plain HTTP must not carry a customer's key (AWS: SSE-C). Raises InvalidRequest."""
    if not (_CUSTOMER_HEADERS.isdisjoint(headers) and _COPY_SOURCE_HEADERS.isdisjoint(headers)):
        raise InvalidRequest(_CUSTOMER_MUST + "be made over a secure connection.")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _refusal(message: str, name: str, value: str | None) -> InvalidArgument:
    return InvalidArgument(message, argument_name=name, argument_value=value)


# -- what is told --------------------------------------------------------------------------------------------------------


def encryption_headers(extra: Mapping[str, str], headers: Mapping[str, str]) -> Headers:
    """What answers tell of an object's or upload's encryption; ``headers`` are those of the request, whose key was checked."""
    description = describe(extra)
    if description is None:
        return []
    if description.algorithm == SSE_C:
        digest = headers.get(f"{CUSTOMER}-key-md5")
        told = [(f"{CUSTOMER}-algorithm", "AES256")]
        return told if digest is None else [*told, (f"{CUSTOMER}-key-MD5", digest)]
    told = [(SSE, description.algorithm)]
    if description.algorithm == SSE_KMS:
        told.append((KMS_KEY_ID, description.key_name))
        if description.bucket_key:
            told.append((BUCKET_KEY, "true"))
    return told


def written_headers(extra: Mapping[str, str], headers: Mapping[str, str]) -> Headers:
    """What the answer to a write tells: the same, and the encryption context that was given."""
    told = encryption_headers(extra, headers)
    if told and CONTEXT in headers:
        told.append((CONTEXT, headers[CONTEXT]))
    return told
