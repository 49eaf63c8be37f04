"""Where a copy or a rename comes from: x-amz-copy-source and x-amz-rename-source.

Laws (AWS: CopyObject, UploadPartCopy, RenameObject):

- ``bucket/key`` or ``/bucket/key``, URL-encoded, ``+`` being a space; ``?versionId=`` may follow, and is looked for before
  anything is decoded.
- Access points and outposts, named by ARN, are not offered.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from nova_objectstore.errors import InvalidArgument, KeyTooLongError, NotOffered, StoreError
from nova_objectstore.s3.address import check_key

COPY_SOURCE = "x-amz-copy-source"
RENAME_SOURCE = "x-amz-rename-source"

_version = re.compile(r"\?versionId=([^&?]*)$")


class CopySource(NamedTuple):
    """A source object; ``version_id`` is None for the current version."""

    bucket: str
    key: str
    version_id: str | None = None


def parse_copy_source(value: str, *, header: str = COPY_SOURCE) -> CopySource:
    """The object that the header's value names. Raises InvalidArgument, NotOffered, KeyTooLongError."""
    path, version_id = _split_version(value.strip(), header)
    decoded = _decode(path, header).removeprefix("/")
    if decoded.startswith("arn:"):
        raise NotOffered(header=header)
    bucket, slash, key = decoded.partition("/")
    if not bucket:
        raise _refusal("Invalid copy source bucket name", header, value)
    if not slash or not key:
        raise _refusal("Invalid copy source object key", header, value)
    try:
        check_key(key)
    except KeyTooLongError:
        raise
    except StoreError:
        raise _refusal("Invalid copy source object key", header, value) from None
    return CopySource(bucket, key, version_id)


def parse_rename_source(value: str, *, bucket: str) -> str:
    """The key that a rename inside ``bucket`` moves. Raises InvalidArgument for another bucket, or a version.

    The value is ``bucket/key``, ``/bucket/key``, or the key alone: AWS's page has the first, its SDKs send each.
    """
    path, version_id = _split_version(value.strip(), RENAME_SOURCE)
    if version_id is not None:
        raise _refusal("A version cannot be renamed", RENAME_SOURCE, value)
    decoded = _decode(path, RENAME_SOURCE)
    prefix = f"/{bucket}/" if decoded.startswith("/") else f"{bucket}/"
    key = decoded.removeprefix(prefix)
    if decoded.startswith("/") and key == decoded:
        raise _refusal("The source of a rename is in the same bucket", RENAME_SOURCE, value)
    if not key:
        raise _refusal("Invalid rename source object key", RENAME_SOURCE, value)
    check_key(key)
    return key


def _split_version(value: str, header: str) -> tuple[str, str | None]:
    match = _version.search(value)
    if match is None:
        return value, None
    version_id = _decode(match[1], header)
    if not version_id:
        raise InvalidArgument(
            "Version id cannot be the empty string", argument_name="versionId", argument_value=version_id
        )
    return value[: match.start()], version_id


def _decode(text: str, header: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise _refusal("Invalid copy source encoding", header, text) from None


def _refusal(message: str, header: str, value: str) -> InvalidArgument:
    return InvalidArgument(message, argument_name=header, argument_value=value)
