"""Conditions of a write, checked against what is there, inside the transaction that writes. Pure: no database.

AWS: "How to prevent object overwrites with conditional writes", "Conditional deletes".
"""

from __future__ import annotations

from nova_objectstore.errors import NoSuchKey, PreconditionFailed
from nova_objectstore.meta.sql.rows import AnyRow
from nova_objectstore.types import MARKER, UNCONDITIONAL, WriteCondition

_SECOND_US = 1_000_000


def check_condition(condition: WriteCondition, key: str, found: AnyRow | None) -> None:
    """Raise unless ``condition`` holds for the version that is ``found`` under ``key``; a delete marker is none.

    Raises PreconditionFailed, or NoSuchKey when If-Match meets no object.
    """
    if condition is UNCONDITIONAL or condition == UNCONDITIONAL:
        return
    if found is None or found.kind == MARKER:
        if condition.if_match is not None:
            raise NoSuchKey(key=key)
        return
    failed = _failed_header(condition, found)
    if failed is not None:
        raise PreconditionFailed(condition=failed)


def check_delete_condition(condition: WriteCondition, newest: AnyRow | None) -> None:
    """Raise PreconditionFailed unless ``condition`` holds for what a DELETE is about: a version, or a delete marker.

    Where there is nothing, none is asked: deleting it succeeds (AWS: DeleteObject, "if the object doesn't exist, the
    operation will return a 204").
    """
    if newest is None or condition == UNCONDITIONAL:
        return
    failed = _failed_header(condition, newest)
    if failed is not None:
        raise PreconditionFailed(condition=failed)


def _failed_header(condition: WriteCondition, found: AnyRow) -> str | None:
    if condition.if_none_match or condition.if_none_match_etag == found.etag:
        return "If-None-Match"
    if condition.if_match not in (None, "*", found.etag):
        return "If-Match"
    if condition.size not in (None, found.size):
        return "x-amz-if-match-size"
    asked = condition.modified_us
    if asked is not None and asked // _SECOND_US != found.modified_us // _SECOND_US:
        return "x-amz-if-match-last-modified-time"
    return None
