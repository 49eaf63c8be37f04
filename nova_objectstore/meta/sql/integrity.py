"""Walks, damage, counters and holds: the verbs of ``meta/integrity_port.py``, where it stands what they promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nova_objectstore.errors import NoSuchBucket
from nova_objectstore.meta.integrity_port import Damage, Position, Scrub, Stage, Stored, Usage
from nova_objectstore.meta.sql.rows import Row, decode_mapping, decode_part, decode_version
from nova_objectstore.meta.sql.statements import integrity as q
from nova_objectstore.meta.sql.statements.quotas import insert_part_usage, sum_account_use
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import Content, ContentKind, Part

_LAST_BUCKET = (1 << 63) - 1
_LOWEST = -(1 << 63)

# -- the walk ----------------------------------------------------------------------------------------------------------


def list_stored(
    tx: Transaction, after: Position, *, bucket_id: int | None = None, limit: int = 100
) -> Sequence[Stored]:
    """What comes behind a position in its stage."""
    return _STAGES[Stage(after.stage)](tx, after, bucket_id, limit)


def _list_current(tx: Transaction, after: Position, bucket_id: int | None, limit: int) -> Sequence[Stored]:
    begin = (bucket_id, after.key) if bucket_id is not None else (after.bucket_id, after.key)
    last = _LAST_BUCKET if bucket_id is None else bucket_id
    return [_of_version(Stage.CURRENT, row) for row in tx.all(q.walk_current, *begin, last, limit)]


def _list_hidden(tx: Transaction, after: Position, bucket_id: int | None, limit: int) -> Sequence[Stored]:
    begin = after.bucket_id if bucket_id is None else bucket_id
    last = _LAST_BUCKET if bucket_id is None else bucket_id
    number = after.number or _LOWEST
    return [_of_version(Stage.HIDDEN, row) for row in tx.all(q.walk_hidden, begin, after.key, number, last, limit)]


def _of_version(stage: Stage, row: Row) -> Stored:
    version = decode_version(row, is_latest=stage is Stage.CURRENT)
    number = -version.sequence if stage is Stage.HIDDEN else 0
    return Stored(
        Position(stage, version.bucket_id, version.key, number),
        version.bucket_id,
        version.key,
        version.version_id,
        version.size,
        version.etag,
        version.checksum,
        version.content,
        version.extra,
    )


def _buckets(bucket_id: int | None) -> tuple[int, int]:
    return (0, _LAST_BUCKET) if bucket_id is None else (bucket_id, bucket_id)


def _list_uploads(tx: Transaction, after: Position, bucket_id: int | None, limit: int) -> Sequence[Stored]:
    found = tx.all(q.walk_uploads, after.number, *_buckets(bucket_id), limit)
    return [
        Stored(
            Position(Stage.UPLOADS, number=number),
            owner,
            key,
            upload_id,
            -1,
            "",
            None,
            Content(ContentKind.PARTS, str(number)),
            decode_mapping(extra),
        )
        for number, owner, key, upload_id, extra in found
    ]


def _list_restores(tx: Transaction, after: Position, bucket_id: int | None, limit: int) -> Sequence[Stored]:
    found = tx.all(q.walk_restores, after.number, *_buckets(bucket_id), limit)
    made = []
    for number, owner, key, version_id, kind, ref in found:
        content = Content(ContentKind.NOTHING)  # the version's own bytes are it
        if kind == ContentKind.DATA:
            content = Content(ContentKind.DATA, ref)
        elif kind == ContentKind.PARTS:
            content = Content(ContentKind.PARTS, str(-number))
        position = Position(Stage.RESTORES, number=number)
        made.append(Stored(position, owner, key, version_id, -1, "", None, content, {}))
    return made


def _list_images(tx: Transaction, after: Position, bucket_id: int | None, limit: int) -> Sequence[Stored]:
    if bucket_id is not None:
        return []
    return [
        Stored(
            Position(Stage.IMAGES, key=image_id), 0, image_id, "", size, etag, None, Content(ContentKind.DATA, ref), {}
        )
        for image_id, size, etag, ref in tx.all(q.walk_images, after.key, limit)
    ]


_STAGES: dict[Stage, Callable[[Transaction, Position, int | None, int], Sequence[Stored]]] = {
    Stage.CURRENT: _list_current,
    Stage.HIDDEN: _list_hidden,
    Stage.UPLOADS: _list_uploads,
    Stage.RESTORES: _list_restores,
    Stage.IMAGES: _list_images,
}


def list_stored_parts(tx: Transaction, content: Content, *, after: int = 0, limit: int = 100) -> Sequence[Part]:
    """The parts of what has parts."""
    assert content.kind is ContentKind.PARTS, content
    return [decode_part(row) for row in tx.all(q.walk_parts, int(content.ref), after, limit)]


def live_refs(tx: Transaction, refs: Sequence[str]) -> Sequence[str]:
    """Those that something names which can be read."""
    return [ref for ref in refs if tx.one(q.find_live_ref, ref) is not None]


# -- damage ------------------------------------------------------------------------------------------------------------


def record_damage(tx: Transaction, damage: Damage) -> bool:
    """Keep a record, one of each place."""
    place = (int(damage.stage), damage.bucket_id, damage.key, damage.version_id, damage.part)
    if tx.one(q.find_damage, *place) is not None:
        return False
    tx.insert(q.insert_damage, *place, damage.ref, damage.size, damage.reason, damage.found_us)
    return True


def list_damages(tx: Transaction) -> Sequence[Damage]:
    """All records."""
    return [
        Damage(number, Stage(stage), bucket_id, name or "", *facts)
        for number, stage, bucket_id, *facts, name in tx.all(q.list_damages)
    ]


def forget_damage(tx: Transaction, damage_id: int) -> bool:
    """Drop a record."""
    return tx.run(q.delete_damage, damage_id) > 0


def get_scrub(tx: Transaction) -> Scrub:
    """How far the scrubber is."""
    row = tx.one(q.get_scrub_row)
    return Scrub() if row is None else Scrub(*row)


def put_scrub(tx: Transaction, scrub: Scrub) -> None:
    """Keep how far it is."""
    if not tx.run(q.update_scrub, *scrub):
        tx.run(q.insert_scrub, *scrub)


# -- counters ----------------------------------------------------------------------------------------------------------


def compare_usage(tx: Transaction, bucket_id: int) -> tuple[Usage, Usage]:
    """As kept, and as counted."""
    row = tx.one(q.read_counters, bucket_id)
    if row is None:
        raise NoSuchBucket(bucket_id=bucket_id)
    return Usage(*row), _count(tx, bucket_id)


def _count(tx: Transaction, bucket_id: int) -> Usage:
    current = tx.one(q.count_current, bucket_id)
    hidden = tx.one(q.count_hidden, bucket_id)
    parts = tx.one(q.count_part_bytes, bucket_id)
    assert current is not None, "a count is a row"
    assert hidden is not None, "a count is a row"
    assert parts is not None, "a count is a row"
    return Usage(current[0] + hidden[0], current[1] + hidden[1], parts[0])


def rewrite_usage(tx: Transaction, bucket_id: int) -> None:
    """Count again. What this transaction has counted so far is written at its end, on top of the rows."""
    row = tx.one(q.find_owner, bucket_id)
    if row is None:
        raise NoSuchBucket(bucket_id=bucket_id)
    counted = _count(tx, bucket_id)
    objects, size, part_bytes = tx.usage.get(bucket_id, (0, 0, 0))
    tx.run(q.set_usage, bucket_id, counted.objects - objects, counted.bytes - size)
    if not tx.run(q.set_part_usage, bucket_id, counted.part_bytes - part_bytes) and counted.part_bytes != part_bytes:
        tx.run(insert_part_usage, bucket_id, counted.part_bytes - part_bytes)
    account = tx.one(sum_account_use, row[0])
    assert account is not None, "a sum is a row"
    tx.run(q.set_account_use, row[0], *account)
    tx.recorded.pop(bucket_id, None)
    tx.recorded.pop(row[0], None)


# -- holds -------------------------------------------------------------------------------------------------------------


def put_hold(tx: Transaction, name: str, *, until_us: int) -> None:
    """Keep garbage from being collected."""
    if not tx.run(q.set_hold, name, until_us):
        tx.run(q.insert_hold, name, until_us)


def renew_hold(tx: Transaction, name: str, *, now_us: int, until_us: int) -> bool:
    """Hold longer."""
    if tx.one(q.find_hold, name, now_us) is None:
        return False
    tx.run(q.set_hold, name, until_us)
    return True


def drop_hold(tx: Transaction, name: str) -> None:
    """Let it be collected."""
    tx.run(q.delete_hold, name)


def is_held(tx: Transaction, *, now_us: int) -> bool:
    """Whether anybody holds it."""
    return tx.one(q.find_any_hold, now_us) is not None
