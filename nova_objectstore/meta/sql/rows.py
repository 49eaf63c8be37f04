"""Rows of the database <-> the values of ``nova_objectstore.types``.

PERF: a listing builds 1,000 Versions, a GET one; so a row is unpacked once, the tuple made without ``__new__``'s argument
parsing, and JSON that repeats from object to object (headers, tags) decoded once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from nova_objectstore.types import (
    DATA,
    INLINE,
    MARKER,
    NO_LOCK,
    NOTHING,
    PARTS,
    AccessKey,
    Account,
    Bucket,
    Checksum,
    Content,
    Lock,
    Part,
    Upload,
    Version,
    Versioning,
)

Row = tuple[Any, ...]

STANDARD = "STANDARD"
NO_MAPPING: Mapping[str, str] = MappingProxyType({})
INLINE_NOT_READ = Content(INLINE)
_MAPPINGS_KEPT = 1024  # distinct header sets, tag sets, extras: at most a few MB

_INLINE, _DATA, _PARTS = int(INLINE), int(DATA), int(PARTS)
_VERSIONING = {str(state): state for state in Versioning}
_new = tuple.__new__


class VersionRow(NamedTuple):
    """A row of ``objects`` or ``hidden_versions`` as every statement selects it; ``inline`` is NULL unless asked for."""

    bucket_id: int
    key: str
    sequence: int
    version_id: str
    size: int
    etag: str
    modified_us: int
    owner_id: str
    storage_class: str | None
    headers: str | None
    checksum_algorithm: str | None
    checksum_type: str | None
    checksum_value: str | None
    parts_count: int
    kind: int
    ref: str | None
    content_id: int | None
    tags: str | None
    lock_mode: str | None
    retain_until_us: int
    legal_hold: int
    extra: str | None
    inline: bytes | None = None

    @property
    def is_marker(self) -> bool:
        """Whether this is a delete marker."""
        return self.kind == MARKER

    @property
    def lock(self) -> Lock:
        """Retention and legal hold."""
        return decode_lock(self.lock_mode, self.retain_until_us, self.legal_hold)


VERSION_COLUMNS = VersionRow._fields[:-1]  # what is stored
VERSION_FACTS = VERSION_COLUMNS[3:]  # behind the columns of the keys


class PriorRow(NamedTuple):
    """What a write must know of the current object that it replaces or hides: half of a VersionRow.

    PERF: every column that sqlite3 fetches costs a description and two calls for the interpreter's lock: 0.2 us.
    """

    bucket_id: int
    key: str
    sequence: int
    version_id: str
    size: int
    etag: str
    modified_us: int
    storage_class: str | None
    kind: int
    ref: str | None
    content_id: int | None
    lock_mode: str | None
    retain_until_us: int
    legal_hold: int


PRIOR_COLUMNS = PriorRow._fields[2:]  # behind the key, which who asks has already

AnyRow = VersionRow | PriorRow


# -- pieces ------------------------------------------------------------------------------------------------------------

_encode_json = json.JSONEncoder(separators=(",", ":")).encode


def encode_mapping(mapping: Mapping[str, str]) -> str | None:
    """JSON, or NULL for an empty mapping."""
    if not mapping:
        return None
    if len(mapping) == 1:  # PERF: nothing but a Content-Type, nearly always one of a few
        ((name, value),) = mapping.items()
        if len(value) <= _PAIR_CHARS_MAX and len(name) <= _PAIR_CHARS_MAX:
            return _encode_pair(name, value)
    return _encode_json(dict(mapping))


_PAIR_CHARS_MAX = 128


@lru_cache(_MAPPINGS_KEPT)
def _encode_pair(name: str, value: str) -> str:
    return _encode_json({name: value})


@lru_cache(_MAPPINGS_KEPT)
def _decode_json(text: str) -> Mapping[str, str]:
    return MappingProxyType(json.loads(text))


def decode_mapping(text: str | None) -> Mapping[str, str]:
    """A read-only mapping, shared between all rows with the same text."""
    return NO_MAPPING if text is None else _decode_json(text)


def encode_lock(lock: Lock) -> tuple[str | None, int, int]:
    """The three columns of a lock; lock_mode is '' for a legal hold without a retention, NULL for no lock at all."""
    if lock is NO_LOCK or lock == NO_LOCK:
        return None, 0, 0
    return lock.mode, lock.retain_until_us, int(lock.legal_hold)


def decode_lock(mode: str | None, retain_until_us: int, legal_hold: int) -> Lock:
    """A lock from its three columns."""
    return NO_LOCK if mode is None else Lock(mode, retain_until_us, bool(legal_hold))


def _decode_checksum(algorithm: str | None, type_: str, value: str) -> Checksum | None:
    return None if algorithm is None else Checksum(algorithm, type_, value)


# -- versions ----------------------------------------------------------------------------------------------------------


def version_row(row: Row) -> VersionRow:
    """Names for the columns of a selected version."""
    return _new(VersionRow, row)


def prior_row(bucket_id: int, key: str, row: Row) -> PriorRow:
    """Names for the columns of ``get_prior``."""
    return _new(PriorRow, (bucket_id, key, *row))


def decode_version(row: Row, *, is_latest: bool) -> Version:
    """A Version from a selected row."""
    # fmt: off
    (bucket_id, key, sequence, version_id, size, etag, modified_us, owner_id, storage_class, headers, algorithm,
     checksum_type, checksum_value, parts_count, kind, ref, content_id, tags, lock_mode, retain_until_us, legal_hold,
     extra, inline) = row
    # fmt: on
    if kind == _INLINE:
        content = INLINE_NOT_READ if inline is None else _new(Content, (INLINE, "", inline))
    elif kind == _DATA:
        content = _new(Content, (DATA, ref, None))
    elif kind == _PARTS:
        content = _new(Content, (PARTS, str(content_id), None))
    else:
        content = NOTHING
    return _new(
        Version,
        (
            bucket_id,
            key,
            version_id,
            sequence,
            is_latest,
            size,
            etag,
            modified_us,
            owner_id,
            STANDARD if storage_class is None else storage_class,
            NO_MAPPING if headers is None else _decode_json(headers),
            None if algorithm is None else _new(Checksum, (algorithm, checksum_type, checksum_value)),
            parts_count,
            content,
            NO_MAPPING if tags is None else _decode_json(tags),
            NO_LOCK if lock_mode is None else Lock(lock_mode, retain_until_us, bool(legal_hold)),
            NO_MAPPING if extra is None else _decode_json(extra),
        ),
    )


# -- the rest ----------------------------------------------------------------------------------------------------------


def decode_account(row: Row) -> Account:
    """An Account from (id, canonical_id, name, email, created_us)."""
    return Account(*row)


def decode_access_key(row: Row) -> AccessKey:
    """An AccessKey from (access_key, secret_key, account_id, user_name, active, created_us)."""
    access_key, secret_key, account_id, user_name, active, created_us = row
    return AccessKey(access_key, secret_key, account_id, user_name, bool(active), created_us)


def decode_bucket(row: Row) -> Bucket:
    """A Bucket from (id, name, owner_id, region, created_us, versioning, object_lock, revision)."""
    id_, name, owner_id, region, created_us, versioning, object_lock, revision = row
    return Bucket(id_, name, owner_id, region, created_us, _VERSIONING[versioning], bool(object_lock), revision)


def encode_upload(upload: Upload) -> Row:
    """The columns of ``uploads`` behind its id."""
    return (
        upload.bucket_id,
        upload.key,
        upload.upload_id,
        upload.initiated_us,
        upload.owner_id,
        upload.initiator,
        None if upload.storage_class == STANDARD else upload.storage_class,
        encode_mapping(upload.headers),
        upload.checksum_algorithm,
        upload.checksum_type,
        encode_mapping(upload.tags),
        *encode_lock(upload.lock),
        encode_mapping(upload.extra),
    )


def decode_upload(row: Row) -> Upload:
    """An Upload from the columns of ``uploads`` behind its id."""
    # fmt: off
    (bucket_id, key, upload_id, initiated_us, owner_id, initiator, storage_class, headers, algorithm, checksum_type,
     tags, lock_mode, retain_until_us, legal_hold, extra) = row
    # fmt: on
    return Upload(
        bucket_id,
        key,
        upload_id,
        initiated_us,
        owner_id,
        initiator,
        storage_class or STANDARD,
        decode_mapping(headers),
        algorithm,
        checksum_type,
        decode_mapping(tags),
        decode_lock(lock_mode, retain_until_us, legal_hold),
        decode_mapping(extra),
    )


def decode_part(row: Row) -> Part:
    """A Part from (number, offset, size, etag, modified_us, checksum x 3, kind, ref, blob_id, extra, inline)."""
    number, offset, size, etag, modified_us, algorithm, type_, value, kind, ref, _, extra, inline = row
    if kind == _INLINE:
        content = Content(INLINE, inline=inline)
    else:
        content = Content(DATA, ref)
    checksum = _decode_checksum(algorithm, type_, value)
    return Part(number, size, etag, modified_us, checksum, content, offset or 0, decode_mapping(extra))
