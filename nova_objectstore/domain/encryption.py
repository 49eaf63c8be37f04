"""Server-side encryption: how a new object is sealed, and what opens it again (AWS: "Protecting data with encryption").

Strategy: every object has a random key of its own, which seals its bytes in frames (``crypto/frames.py``) and is itself
sealed under the key of its scheme: SSE-S3 the store's key, SSE-KMS a key of the keyring, SSE-C one derived from the
customer's. In a multipart object the object's key seals nothing itself: each part has a key derived from it.

What an object needs to be opened again stands in its ``extra``:

    sse                 AES256 | aws:kms | SSE-C
    sse-key             the key, sealed (base64 of an envelope)
    sse-under           the keyring's key that it is sealed under, and sse-under-version its version
    sse-key-name        the name that the client knows that key by, where it is another than its id
    sse-context         the encryption context (SSE-KMS), as JSON
    sse-bucket-key      "true" where the object asked for a bucket key
    sse-check           SSE-C: a salt, and what the customer's key makes of it (base64)
    sse-part            in a part's extra: the id of the part's key (base64)

Laws:

- A customer's key is neither stored nor logged. What is stored of it, a salted HMAC, tells a right key from a wrong one.
- Bytes of an encrypted object are not read without its key: who forgets it gets an error, not ciphertext.
- Sizes, ETags and checksums of the metadata are those of the plaintext. The ETag is the MD5 with SSE-S3 alone: an MD5
  of what SSE-KMS and SSE-C hide would tell about it (AWS: "Common response headers", ETag).
"""

from __future__ import annotations

import base64
import hmac
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from nova_objectstore.crypto.envelope import derive, new_data_key, open_key, part_key, seal_key
from nova_objectstore.crypto.frames import KEY_ID_SIZE, DataKey
from nova_objectstore.crypto.keyring import SESSIONS_KEY, STORE_KEY, Keyring, KeyVersion
from nova_objectstore.domain.bucket_encryption import (
    SSE_C,
    SSE_KMS,
    SSE_S3,
    BucketEncryptions,
    CustomerKey,
    Scheme,
)
from nova_objectstore.errors import DataCorrupt, InvalidRequest, NoSuchKmsKey
from nova_objectstore.types import Bucket, Upload

MANAGED_KEY = "aws/s3"  # what SSE-KMS uses when no key is named (AWS: the AWS managed key); the administrator makes it

_SSE, _KEY, _UNDER, _UNDER_VERSION = "sse", "sse-key", "sse-under", "sse-under-version"
_KEY_NAME, _CONTEXT, _BUCKET_KEY, _CHECK, _PART = (
    "sse-key-name",
    "sse-context",
    "sse-bucket-key",
    "sse-check",
    "sse-part",
)
_SALT_SIZE = 16
_CUSTOMER_SEAL, _CUSTOMER_CHECK, _ETAG = b"nova sse-c seal", b"nova sse-c check", b"nova etag"

_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]*):[0-9]*:(?:key|alias)/(?P<id>.+)")

_NOT_APPLICABLE = "The encryption parameters are not applicable to this object."
_KEY_MISSING = (
    "The object was stored using a form of Server Side Encryption. "
    "The correct parameters must be provided to retrieve the object."
)
_OTHER_KEY = "The provided encryption parameters did not match the ones used originally."
_PART_KEY_MISSING = (
    "The multipart upload initiate requested encryption. "
    "Subsequent part requests must include the appropriate encryption parameters."
)
_PART_NOT_APPLICABLE = (
    "The multipart upload initiate did not request encryption. "
    "Please resend the request without sending encryption parameters."
)


class Protection(NamedTuple):
    """The key that a body is sealed with, and the facts to store that open it again.

    ``etag_key`` hides the MD5 in the ETag, the object's own key for all of its parts; None shows it.
    """

    key: DataKey
    extra: Mapping[str, str]
    etag_key: DataKey | None

    def etag(self, md5: str) -> str:
        """The ETag of a body with that MD5 (hex): a part that is sent twice has the same, another object has another."""
        if self.etag_key is None:
            return md5
        return derive(self.etag_key.secret, _ETAG, bytes.fromhex(md5))[:16].hex()


class Description(NamedTuple):
    """What may be told of an object's encryption. ``key_name`` and ``bucket_key`` are SSE-KMS's."""

    algorithm: str  # SSE_S3 | SSE_KMS | SSE_C
    key_name: str
    bucket_key: bool


def describe(extra: Mapping[str, str]) -> Description | None:
    """The encryption of an object or upload; None of one that is not encrypted."""
    if _SSE not in extra:
        return None
    key_name = extra.get(_KEY_NAME) or extra.get(_UNDER, "")
    return Description(extra[_SSE], key_name, _BUCKET_KEY in extra)


def check_customer(extra: Mapping[str, str], customer: CustomerKey | None) -> None:
    """Make sure that a read brings the customer's key exactly where it is needed, and the right one.

    Raises InvalidRequest.
    """
    _check_customer(extra, customer, missing=_KEY_MISSING, not_applicable=_NOT_APPLICABLE)


def check_upload_customer(extra: Mapping[str, str], customer: CustomerKey | None) -> None:
    """The same for the parts of an upload, and its completion. Raises InvalidRequest."""
    _check_customer(extra, customer, missing=_PART_KEY_MISSING, not_applicable=_PART_NOT_APPLICABLE)


def _check_customer(
    extra: Mapping[str, str], customer: CustomerKey | None, *, missing: str, not_applicable: str
) -> None:
    if extra.get(_SSE) != SSE_C:
        if customer is not None:
            raise InvalidRequest(not_applicable)
        return
    if customer is None:
        raise InvalidRequest(missing)
    salt, check = _split_check(extra)
    if not hmac.compare_digest(check, derive(customer.secret, _CUSTOMER_CHECK, salt)):
        raise InvalidRequest(_OTHER_KEY)


def _split_check(extra: Mapping[str, str]) -> tuple[bytes, bytes]:
    stored = _decode(extra, _CHECK)
    return stored[:_SALT_SIZE], stored[_SALT_SIZE:]


def key_of_part(object_key: DataKey, extra: Mapping[str, str]) -> DataKey:
    """The key of a part of a multipart object. Raises DataCorrupt for a part that was not encrypted."""
    part_id = _decode(extra, _PART)
    if len(part_id) != KEY_ID_SIZE:
        raise DataCorrupt("a part's key has not the length of one")
    return part_key(object_key, part_id)


class Encryption:
    """Seals and opens objects' keys."""

    def __init__(self, keyring: Keyring, buckets: BucketEncryptions, *, region: str) -> None:
        self._keyring = keyring
        self._region = region
        self.buckets = buckets

    # -- writing -------------------------------------------------------------------------------------------------------

    def protect(self, bucket: Bucket, asked: Scheme | None) -> Protection | None:
        """A fresh key for a new object; None when it is stored as it is.

        Raises NoSuchKmsKey, KmsKeyDisabled, AccessDenied (see ``BucketEncryptions.choose``).
        """
        scheme = self.buckets.choose(bucket, asked)
        return None if scheme is None else self.begin(scheme)

    def begin(self, scheme: Scheme) -> Protection:
        """A fresh key under a chosen scheme. Raises NoSuchKmsKey, KmsKeyDisabled."""
        key = new_data_key()
        if scheme.customer is not None:
            return _begin_with_customer(key, scheme.customer)
        under = self._under(scheme)
        sealed = seal_key(under.secret, key, _seal_context(scheme.algorithm, under, scheme.context))
        return Protection(
            key, _facts(scheme, under, _encode(sealed)), etag_key=None if scheme.algorithm == SSE_S3 else key
        )

    def protect_part(self, upload: Upload, customer: CustomerKey | None) -> Protection | None:
        """A fresh key for a part; None when the upload is not encrypted.

        Raises InvalidRequest for a customer's key that is missing, wrong or too much; NoSuchKmsKey, KmsKeyDisabled.
        """
        check_upload_customer(upload.extra, customer)
        object_key = self.open(upload.extra, customer)
        if object_key is None:
            return None
        part_id = os.urandom(KEY_ID_SIZE)
        key = part_key(object_key, part_id)
        return Protection(key, {_PART: _encode(part_id)}, etag_key=None if upload.extra[_SSE] == SSE_S3 else object_key)

    def share(self, source: Mapping[str, str], scheme: Scheme | None) -> Mapping[str, str] | None:
        """The facts of a copy that has its source's very bytes; None when it must have bytes of its own.

        A copy made after the key was rotated is sealed anew: that is what such copies are made for. ``source`` is the
        ``extra`` of an object that is no multipart one. Raises NoSuchKmsKey, KmsKeyDisabled.
        """
        if scheme is None:
            return None if _SSE in source else {}
        if scheme.algorithm == SSE_C or source.get(_SSE) != scheme.algorithm:
            return None
        under = self._under(scheme)
        same = (source[_UNDER], source[_UNDER_VERSION], source.get(_CONTEXT, ""))
        if same != (under.id, str(under.number), scheme.context):
            return None
        return _facts(scheme, under, source[_KEY])

    def _under(self, scheme: Scheme) -> KeyVersion:
        """The key to seal under."""
        if scheme.algorithm == SSE_S3:
            return self._keyring.ensure(STORE_KEY)
        key_id = self._resolve(scheme.key_name)
        if key_id in (STORE_KEY, SESSIONS_KEY):
            raise NoSuchKmsKey(key_id=scheme.key_name)
        return self._keyring.current(key_id)

    def _resolve(self, key_name: str) -> str:
        """The keyring's id for what AWS takes: a key id, an alias, the ARN of either; empty is the managed key."""
        if key_name.startswith("arn:"):
            match = _ARN.fullmatch(key_name)
            if match is None or match["region"] != self._region:
                raise NoSuchKmsKey(f"Invalid arn {match['region'] if match else key_name}", key_id=key_name)
            return match["id"]
        return key_name.removeprefix("alias/") or MANAGED_KEY

    # -- reading -------------------------------------------------------------------------------------------------------

    def open(self, extra: Mapping[str, str], customer: CustomerKey | None) -> DataKey | None:
        """The key of an object or upload; None of one that is not encrypted.

        Raises InvalidRequest for a customer's key that is missing, wrong or too much; NoSuchKmsKey, KmsKeyDisabled;
        DataCorrupt.
        """
        check_customer(extra, customer)
        algorithm = extra.get(_SSE)
        if algorithm is None:
            return None
        if customer is not None:
            outer = derive(customer.secret, _CUSTOMER_SEAL, _split_check(extra)[0])
            return open_key(outer, _decode(extra, _KEY), SSE_C.encode())
        under = self._find(extra)
        context = _seal_context(algorithm, under, extra.get(_CONTEXT, ""))
        return open_key(under.secret, _decode(extra, _KEY), context)

    def _find(self, extra: Mapping[str, str]) -> KeyVersion:
        key_id = extra[_UNDER]
        try:
            return self._keyring.version(key_id, int(extra[_UNDER_VERSION]))
        except NoSuchKmsKey as error:
            if key_id == STORE_KEY:  # nobody named it: the client has done nothing wrong
                raise DataCorrupt(f"the keyring has lost the store's key: {error}") from error
            raise


def _begin_with_customer(key: DataKey, customer: CustomerKey) -> Protection:
    salt = os.urandom(_SALT_SIZE)
    sealed = seal_key(derive(customer.secret, _CUSTOMER_SEAL, salt), key, SSE_C.encode())
    check = salt + derive(customer.secret, _CUSTOMER_CHECK, salt)
    return Protection(key, {_SSE: SSE_C, _KEY: _encode(sealed), _CHECK: _encode(check)}, etag_key=key)


def _seal_context(algorithm: str, under: KeyVersion, context: str) -> bytes:
    """What an object's sealed key is bound to."""
    return f"{algorithm} {under.id} {under.number} {context}".encode()


def _facts(scheme: Scheme, under: KeyVersion, sealed: str) -> dict[str, str]:
    facts = {_SSE: scheme.algorithm, _KEY: sealed, _UNDER: under.id, _UNDER_VERSION: str(under.number)}
    if scheme.algorithm == SSE_KMS:
        if scheme.key_name not in ("", under.id):
            facts[_KEY_NAME] = scheme.key_name
        if scheme.context:
            facts[_CONTEXT] = scheme.context
        if scheme.bucket_key:
            facts[_BUCKET_KEY] = "true"
    return facts


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _decode(extra: Mapping[str, str], name: str) -> bytes:
    try:
        return base64.b64decode(extra[name], validate=True)
    except (KeyError, ValueError):
        raise DataCorrupt(f"the fact {name} of an encrypted object is missing or damaged") from None
