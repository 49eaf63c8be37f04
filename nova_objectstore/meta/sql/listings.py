"""Listings of keys, of versions and of uploads: the verbs, and the walk that they share.

A walk reads rows in order from a position and rolls those with the delimiter behind the prefix up into common prefixes. It
leaves a common prefix by seeking behind it, so a page costs what it returns: with ten common prefixes over a million keys it
reads some hundred rows. How many rows it asks for at a time follows what it meets (few while groups are large).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nova_objectstore.meta.sql import keyrange
from nova_objectstore.meta.sql.rows import Row, VersionRow, decode_upload, decode_version, version_row
from nova_objectstore.meta.sql.statements import uploads as uploads_q
from nova_objectstore.meta.sql.statements import versions as q
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.meta.sql.version_ids import sequence_of
from nova_objectstore.meta.sql.versions import find_current, find_hidden, find_newest_hidden
from nova_objectstore.types import (
    NULL_VERSION,
    ListPage,
    ListQuery,
    UploadsPage,
    UploadsQuery,
    Version,
    VersionsPage,
    VersionsQuery,
)

_KEY = 1  # every listed row is (bucket_id, key, ...)
_CHUNK_MIN = 2  # rows read where groups are met: one tells the group, the other whether the next key is in it too
_CHUNK_FIRST = 8
_LAST_NUMBER = (1 << 63) - 1

Position = tuple[Any, ...]  # (key, what orders the rows of one key ...): rows behind it are still to come


class Walked(NamedTuple):
    """A page's rows and common prefixes; ``last`` is the one that was emitted last, None when nothing follows it."""

    rows: list[Row]
    common_prefixes: list[str]
    last: Row | str | None


class Source(NamedTuple):
    """Where a walk's rows come from."""

    read: Callable[[Position, int], list[Row]]  # up to that many rows behind a position, in order
    position_of: Callable[[Row], Position]
    behind_key: Callable[[str], Position]  # the position behind every row of that key


def walk(source: Source, position: Position, *, prefix: str, delimiter: str, limit: int) -> Walked:
    """A page of at most ``limit`` rows and common prefixes together. All rows behind ``position`` begin with ``prefix``."""
    if limit <= 0:
        return Walked([], [], None)
    if not delimiter:
        read = source.read(position, limit + 1)
        return Walked(read[:limit], [], read[limit - 1] if len(read) > limit else None)
    rows: list[Row] = []
    groups: list[str] = []
    last: Row | str | None = None
    group: str | None = None
    chunk = min(_CHUNK_FIRST, limit + 1)
    while True:
        read = source.read(position, chunk)
        emitted = len(rows) + len(groups)
        for row in read:
            key = row[_KEY]
            if group is not None and key.startswith(group):
                continue
            if len(rows) + len(groups) == limit:
                return Walked(rows, groups, last)
            group = keyrange.group_of(key, prefix, delimiter)
            if group is None:
                rows.append(row)
                last = row
            else:
                groups.append(group)
                last = group
        if len(read) < chunk:
            return Walked(rows, groups, None)
        position = source.position_of(read[-1]) if group is None else source.behind_key(keyrange.behind_group(group))
        emitted = len(rows) + len(groups) - emitted
        chunk = _next_chunk(chunk, emitted, limit + 1 - len(rows) - len(groups))


def _next_chunk(chunk: int, emitted: int, wanted: int) -> int:
    """Read more at a time while most rows are of use, few while most are skipped."""
    better = chunk * 2 if emitted * 4 > chunk else emitted * 2
    return max(_CHUNK_MIN, min(better, wanted))


def _start_key(prefix: str, delimiter: str, after: str) -> str:
    """The key behind which a page begins; ``after`` may be a common prefix, whose whole group has been seen."""
    if after.startswith(prefix) and keyrange.group_of(after, prefix, delimiter) == after:
        return keyrange.behind_group(after)
    return max(after, keyrange.before_prefix(prefix))


# -- keys --------------------------------------------------------------------------------------------------------------


def list_objects(tx: Transaction, bucket_id: int, query: ListQuery) -> ListPage:
    """A page of current objects."""
    high = keyrange.after_prefix(query.prefix)
    source = Source(
        read=lambda position, limit: tx.all(q.list_shown, bucket_id, position[0], high, limit),
        position_of=lambda row: (row[_KEY],),
        behind_key=lambda key: (key,),
    )
    start = _start_key(query.prefix, query.delimiter, query.after)
    walked = walk(source, (start,), prefix=query.prefix, delimiter=query.delimiter, limit=query.limit)
    last = walked.last
    next_after = last if last is None or isinstance(last, str) else last[_KEY]
    return ListPage(walked.rows, walked.common_prefixes, next_after)


# -- versions ----------------------------------------------------------------------------------------------------------


def list_versions(tx: Transaction, bucket_id: int, query: VersionsQuery) -> VersionsPage:
    """A page of all versions and markers: both tables, merged."""
    high = keyrange.after_prefix(query.prefix)

    def read(position: Position, limit: int) -> list[Row]:
        key, neg_sequence = position
        if neg_sequence == _LAST_NUMBER:
            current = tx.all(q.list_current, bucket_id, key, high, limit)
        else:  # inside a key: its current object is still to come when it was promoted since the last page
            current = tx.all(q.list_current, bucket_id, keyrange.before_prefix(key), high, limit + 1)
            current = [row for row in current if _version_position(row) > position]
        hidden = tx.all(q.list_hidden, bucket_id, key, neg_sequence, high, limit)
        return sorted(current + hidden, key=_version_position)[:limit]

    source = Source(read=read, position_of=_version_position, behind_key=lambda key: (key, _LAST_NUMBER))
    start = _start_version(tx, bucket_id, query)
    walked = walk(source, start, prefix=query.prefix, delimiter=query.delimiter, limit=query.limit)
    versions = _mark_latest(tx, bucket_id, walked.rows, began_inside=query.after)
    last = walked.last
    if last is None:
        return VersionsPage(versions, walked.common_prefixes, None, None)
    if isinstance(last, str):
        return VersionsPage(versions, walked.common_prefixes, last, "")
    return VersionsPage(versions, walked.common_prefixes, last[_KEY], version_row(last).version_id)


def _version_position(row: Row) -> Position:
    return row[_KEY], -row[2]


def _start_version(tx: Transaction, bucket_id: int, query: VersionsQuery) -> Position:
    if not query.version_id_after or query.after < query.prefix:
        return _start_key(query.prefix, query.delimiter, query.after), _LAST_NUMBER
    sequence = _sequence_of(tx, bucket_id, query.after, query.version_id_after)
    if sequence is None:  # a null version that is gone, or no id of ours: rather a version twice than one left out
        return keyrange.before_prefix(query.after), _LAST_NUMBER
    return query.after, -sequence


def _sequence_of(tx: Transaction, bucket_id: int, key: str, version_id: str) -> int | None:
    if version_id != NULL_VERSION:
        return sequence_of(version_id)
    current = find_current(tx, bucket_id, key)
    if current is not None and current.version_id == NULL_VERSION:
        return current.sequence
    hidden = find_hidden(tx, bucket_id, key, NULL_VERSION)
    return None if hidden is None else hidden.sequence


def _mark_latest(tx: Transaction, bucket_id: int, rows: list[Row], *, began_inside: str) -> list[Version]:
    """A key's first row is its latest version; only where the page begins inside a key must that be looked up."""
    versions: list[Version] = []
    key = None
    for row in rows:
        latest = row[_KEY] != key
        key = row[_KEY]
        if latest and key == began_inside:
            latest = _is_newest(tx, bucket_id, version_row(row))
        versions.append(decode_version(row, is_latest=latest))
    return versions


def _is_newest(tx: Transaction, bucket_id: int, row: VersionRow) -> bool:
    newest = find_current(tx, bucket_id, row.key) or find_newest_hidden(tx, bucket_id, row.key)
    return newest is not None and newest.sequence == row.sequence


# -- uploads -----------------------------------------------------------------------------------------------------------


def list_uploads(tx: Transaction, bucket_id: int, query: UploadsQuery) -> UploadsPage:
    """A page of uploads in progress, by key and then by time of initiation."""
    high = keyrange.after_prefix(query.prefix)
    source = Source(
        read=lambda position, limit: tx.all(uploads_q.list_uploads, bucket_id, *position, high, limit),
        position_of=_upload_position,
        behind_key=lambda key: (key, _LAST_NUMBER, ""),
    )
    start = _start_upload(tx, bucket_id, query)
    walked = walk(source, start, prefix=query.prefix, delimiter=query.delimiter, limit=query.limit)
    uploads = [decode_upload(row) for row in walked.rows]
    last = walked.last
    if last is None:
        return UploadsPage(uploads, walked.common_prefixes, None, None)
    if isinstance(last, str):
        return UploadsPage(uploads, walked.common_prefixes, last, "")
    return UploadsPage(uploads, walked.common_prefixes, last[_KEY], decode_upload(last).upload_id)


def _upload_position(row: Row) -> Position:
    return row[_KEY], row[3], row[2]


def _start_upload(tx: Transaction, bucket_id: int, query: UploadsQuery) -> Position:
    if not query.upload_id_after or query.key_after < query.prefix:
        return _start_key(query.prefix, query.delimiter, query.key_after), _LAST_NUMBER, ""
    row = tx.one(uploads_q.find_upload, bucket_id, query.key_after, query.upload_id_after)
    if row is None:  # completed or aborted meanwhile: the key's other uploads are listed, rather twice than not
        return keyrange.before_prefix(query.key_after), _LAST_NUMBER, ""
    return _upload_position(row[1:])
