"""A bucket's default encryption: what is done to objects that ask for nothing (AWS: "Setting default server-side
encryption behavior for Amazon S3 buckets")."""

from __future__ import annotations

import json
from typing import NamedTuple

from nova_objectstore.errors import AccessDenied, NoSuchDocument
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import Bucket

SSE_S3, SSE_KMS, SSE_C = "AES256", "aws:kms", "SSE-C"  # the last is ours: AWS's header for it says AES256 too
DOCUMENT = "encryption"

_RULES_CACHED_MAX = 10_000  # as many as buckets


class CustomerKey(NamedTuple):
    """A customer's AES-256 key: 32 bytes, known for the length of a request and never stored (SSE-C)."""

    secret: bytes

    def __repr__(self) -> str:
        return "CustomerKey(...)"


class Scheme(NamedTuple):
    """How a new object is to be encrypted.

    An empty ``algorithm`` is the bucket's default, of which ``bucket_key`` alone is said otherwise. ``key_name`` names the
    key of SSE_KMS as the client did; empty is the managed one. ``context`` is its encryption context, as JSON with
    sorted keys.
    """

    algorithm: str
    key_name: str = ""
    context: str = ""
    bucket_key: bool | None = None
    customer: CustomerKey | None = None


class BucketEncryption(NamedTuple):
    """A stored default. ``algorithm`` is empty where the document sets none."""

    algorithm: str
    key_name: str = ""
    bucket_key: bool = False
    blocks_customer_keys: bool = False  # AWS: BlockedEncryptionTypes


class _Rule(NamedTuple):
    """What a bucket's documents come down to, at a revision of the bucket."""

    revision: int
    default: Scheme | None
    blocks_customer_keys: bool


class BucketEncryptions:
    """The rules of default encryption. ``always``: every bucket without a default of its own has SSE-S3, as at AWS."""

    def __init__(self, meta: MetadataEngine, *, always: bool) -> None:
        self._meta = meta
        self._always = always
        self._rules: dict[int, _Rule] = {}

    def get(self, bucket: Bucket) -> BucketEncryption | None:
        """The default as it is in force: stored, or everybody's; None without any."""
        stored = self._stored(bucket)
        if self._always and (stored is None or not stored.algorithm):
            return (stored or BucketEncryption(""))._replace(algorithm=SSE_S3)
        return stored

    def put(self, bucket: Bucket, default: BucketEncryption) -> None:
        """Set the default; objects that are there stay as they are. Raises NoSuchBucket."""
        self._meta.put_document(bucket.id, DOCUMENT, json.dumps(default).encode())

    def delete(self, bucket: Bucket) -> None:
        """Drop the default, if there is one. Raises NoSuchBucket."""
        self._meta.delete_document(bucket.id, DOCUMENT)

    def choose(self, bucket: Bucket, asked: Scheme | None) -> Scheme | None:
        """What becomes of a new object: what was asked for, over the bucket's default; None: it is stored as it is.

        Raises AccessDenied for a customer's key where the bucket takes none.
        """
        # PERF: the caller's bucket is of this moment, so its revision tells whether the rule is
        rule = self._rules.get(bucket.id)
        if rule is None or rule.revision != bucket.revision:
            rule = self._load(bucket)
        if asked is None:
            return rule.default
        if asked.customer is not None and rule.blocks_customer_keys:
            raise AccessDenied("The bucket does not take objects encrypted with customer-provided keys (SSE-C).")
        if asked.algorithm:
            return asked
        return None if rule.default is None else rule.default._replace(bucket_key=asked.bucket_key)

    def _load(self, bucket: Bucket) -> _Rule:
        if len(self._rules) >= _RULES_CACHED_MAX:
            self._rules.clear()
        found = self.get(bucket)
        if found is None or not found.algorithm:
            default = None
        else:
            default = Scheme(found.algorithm, found.key_name, bucket_key=found.bucket_key)
        rule = _Rule(bucket.revision, default, found is not None and found.blocks_customer_keys)
        self._rules[bucket.id] = rule
        return rule

    def _stored(self, bucket: Bucket) -> BucketEncryption | None:
        try:
            return BucketEncryption(*json.loads(self._meta.get_document(bucket.id, DOCUMENT)))
        except NoSuchDocument:
            return None
