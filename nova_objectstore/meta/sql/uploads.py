"""Multipart uploads: the verbs. See ``parts.py`` for the parts of completed objects.

An upload's number (``uploads.id``) becomes the ``content_id`` of the object: its parts stay where they are, and get the offset
at which they stand in the object.
"""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.errors import InvalidPart, NoSuchUpload
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.meta.sql import agenda
from nova_objectstore.meta.sql.bucket_states import read_state
from nova_objectstore.meta.sql.conditions import check_condition
from nova_objectstore.meta.sql.contents import Place, erase_part, erase_parts, store_content
from nova_objectstore.meta.sql.quotas import check_quota
from nova_objectstore.meta.sql.rows import (
    Row,
    decode_part,
    decode_upload,
    decode_version,
    encode_mapping,
    encode_upload,
)
from nova_objectstore.meta.sql.statements import uploads as q
from nova_objectstore.meta.sql.statements.quotas import sum_parts
from nova_objectstore.meta.sql.transaction import BucketState, Transaction
from nova_objectstore.meta.sql.versions import (
    Slot,
    check_slot,
    date_of,
    find_version,
    growth,
    make_room,
    open_slot,
    write_current,
    written_version,
)
from nova_objectstore.types import (
    UNCONDITIONAL,
    Bucket,
    Content,
    ContentKind,
    NewVersion,
    Part,
    Upload,
    Version,
    WriteCondition,
)

COMPLETED_KEPT_US = 24 * 3600 * 1_000_000  # a client that retries a complete does so within minutes
_PRUNED_AT_ONCE = 10  # more than the one that each completion adds, few enough to cost nothing


def begin_upload(tx: Transaction, bucket: Bucket, upload: Upload) -> None:
    """Record an upload."""
    state = read_state(tx, bucket.id)
    assert upload.bucket_id == bucket.id
    number = tx.insert(q.insert_upload, *encode_upload(upload))
    if state.plan is not None:
        agenda.upload_began(tx, state.plan, bucket.id, upload.key, number, upload.initiated_us)


def get_upload(tx: Transaction, bucket_id: int, key: str, upload_id: str) -> Upload:
    """An upload in progress."""
    row = tx.one(q.find_upload, bucket_id, key, upload_id)
    if row is None:
        raise NoSuchUpload(upload_id=upload_id)
    return decode_upload(row[1:])


def _find_number(tx: Transaction, bucket_id: int, key: str, upload_id: str) -> int:
    row = tx.one(q.find_upload_number, bucket_id, key, upload_id)
    if row is None:
        raise NoSuchUpload(upload_id=upload_id)
    return int(row[0])


def put_part(tx: Transaction, bucket_id: int, key: str, upload_id: str, part: Part) -> None:
    """Add or replace a part."""
    number = _find_number(tx, bucket_id, key, upload_id)
    quotas = read_state(tx, bucket_id).quotas
    if quotas is not None:
        replaced = tx.one(q.find_part_content, number, part.number)
        check_quota(tx, quotas, bucket_id, 0, part.size - (0 if replaced is None else replaced[2]))
    erased = erase_part(tx, number, part.number, part.modified_us)
    tx.count_parts(bucket_id, part.size - erased)
    place = store_content(tx, part.content)
    tx.run(
        q.insert_part,
        number,
        part.number,
        part.size,
        part.etag,
        part.modified_us,
        *((None, None, None) if part.checksum is None else part.checksum),
        *place,
        encode_mapping(part.extra),
    )


def list_parts(
    tx: Transaction, bucket_id: int, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
) -> Sequence[Part]:
    """Parts with numbers above ``after``, ascending."""
    number = _find_number(tx, bucket_id, key, upload_id)
    return [decode_part(row) for row in tx.all(q.list_parts, number, after, limit)]


def abort_upload(tx: Transaction, bucket_id: int, key: str, upload_id: str, *, now_us: int = 0) -> None:
    """End the upload; its parts become garbage."""
    number = _find_number(tx, bucket_id, key, upload_id)
    drop_upload(tx, read_state(tx, bucket_id), bucket_id, key, number, now_us)


def drop_upload(tx: Transaction, state: BucketState, bucket_id: int, key: str, number: int, now_us: int) -> None:
    """End the upload of that number, its parts garbage."""
    counted = tx.one(sum_parts, number)
    assert counted is not None, "a sum is a row"
    tx.count_parts(bucket_id, -counted[0])
    _drop(tx, number, now_us)
    if state.plan is not None:
        agenda.forget(tx, bucket_id, key, -number)


def drop_uploads_of(tx: Transaction, bucket_id: int, now_us: int) -> None:
    """The bucket goes: end its uploads, forget its completed ones."""
    for (number,) in tx.all(q.list_upload_numbers, bucket_id):
        _drop(tx, number, now_us)
    tx.run(q.delete_completed_uploads_of, bucket_id)


def _drop(tx: Transaction, number: int, now_us: int) -> None:
    erase_parts(tx, number, now_us)
    tx.run(q.delete_upload, number)


# -- completion --------------------------------------------------------------------------------------------------------


def complete_upload(
    tx: Transaction, bucket: Bucket, assembly: Assembly, condition: WriteCondition = UNCONDITIONAL
) -> Version:
    """Turn chosen parts into the key's current object."""
    state = read_state(tx, bucket.id)
    new = assembly.version
    row = tx.one(q.find_upload_number, bucket.id, new.key, assembly.upload_id)
    if row is None:
        return _find_completed(tx, bucket.id, assembly)
    number = int(row[0])
    facts = {part: (size, etag) for part, size, etag in tx.all(q.list_part_facts, number)}
    slot = open_slot(tx, state, bucket.id, new.key, new.modified_us)
    check_condition(condition, new.key, slot.current)
    check_slot(slot, new.modified_us)
    offsets, size = _place_parts(assembly, facts)
    counted = sum(size for size, _ in facts.values())
    if state.quotas is not None:
        objects, more = growth(slot, size)
        check_quota(tx, state.quotas, bucket.id, objects, more - counted)

    for unused in facts.keys() - offsets.keys():
        erase_part(tx, number, unused, new.modified_us)
    for part, offset in offsets.items():
        tx.run(q.set_part_offset, number, part, offset)
    make_room(tx, slot, new.modified_us)
    modified_us = date_of(slot, new.modified_us)
    new = new._replace(size=size, content=Content(ContentKind.PARTS, str(number)), modified_us=modified_us)
    write_current(tx, slot, new, Place(int(ContentKind.PARTS), None, number), len(offsets))
    tx.count_parts(bucket.id, -counted)
    tx.run(q.delete_upload, number)
    if state.plan is not None:
        agenda.forget(tx, bucket.id, new.key, -number)
    _remember_completed(tx, assembly.upload_id, slot, new)
    return written_version(slot, new, new.content, len(offsets))


def _place_parts(assembly: Assembly, facts: dict[int, tuple[int, str]]) -> tuple[dict[int, int], int]:
    """Each chosen part's offset, and the size of them all. Raises InvalidPart for one that is not there any more."""
    offsets: dict[int, int] = {}
    end = 0
    for part in assembly.parts:
        size, etag = facts.get(part.number, (0, None))
        if etag != part.etag:
            raise InvalidPart(upload_id=assembly.upload_id, part_number=part.number, etag=part.etag)
        offsets[part.number] = end
        end += size
    return offsets, end


def _remember_completed(tx: Transaction, upload_id: str, slot: Slot, new: NewVersion) -> None:
    now_us = new.modified_us
    tx.run(q.prune_completed_uploads, now_us - COMPLETED_KEPT_US, _PRUNED_AT_ONCE)
    tx.run(
        q.insert_completed_upload,
        upload_id,
        slot.bucket_id,
        slot.key,
        slot.version_id,
        slot.sequence,
        new.etag,
        now_us,
    )


def _find_completed(tx: Transaction, bucket_id: int, assembly: Assembly) -> Version:
    """The version that this upload has become, when it is still there and the same completion asks for it again."""
    key = assembly.version.key
    done: Row | None = tx.one(q.find_completed_upload, assembly.upload_id, bucket_id, key)
    if done is None:
        raise NoSuchUpload(upload_id=assembly.upload_id)
    version_id, sequence, etag = done
    found = find_version(tx, bucket_id, key, version_id)
    if found is None or found.row.sequence != sequence or etag != assembly.version.etag:
        raise NoSuchUpload(upload_id=assembly.upload_id)
    return decode_version(found.row, is_latest=found.is_current)
