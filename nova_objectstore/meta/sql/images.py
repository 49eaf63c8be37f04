"""Images: the verbs of ``images.ports.ImageStore``."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from nova_objectstore.images.errors import (
    ImageChanged,
    ImageExists,
    ImageNameTaken,
    NoSuchImage,
    TooManyPermissions,
)
from nova_objectstore.images.limits import LIST_BATCH, PERMISSIONS_MAX
from nova_objectstore.images.ports import (
    LIVING,
    UNFINISHED,
    BlockDevice,
    Claim,
    Image,
    ImageChange,
    ImageQuery,
    ImageState,
    ImageType,
)
from nova_objectstore.meta.sql.rows import Row
from nova_objectstore.meta.sql.statements import images as q
from nova_objectstore.meta.sql.statements.garbage import insert_garbage
from nova_objectstore.meta.sql.statements.leases import FAR_US
from nova_objectstore.meta.sql.transaction import Transaction

# -- rows ------------------------------------------------------------------------------------------------------------


def decode_image(row: Row, shared_with: tuple[str, ...]) -> Image:
    """A row of ``images`` as every statement selects it, and the accounts of its permissions."""
    values: dict[str, Any] = dict(zip(q.COLUMNS, row, strict=True))
    values["image_type"] = ImageType(values["image_type"])
    values["state"] = ImageState(values["state"])
    values["is_public"] = bool(values["is_public"])
    values["block_devices"] = tuple(BlockDevice(*pair) for pair in json.loads(values["block_devices"] or "[]"))
    values["product_codes"] = tuple(json.loads(values["product_codes"] or "[]"))
    values["ref"] = values["ref"] or ""
    return Image(shared_with=shared_with, **values)


def encode_image(image: Image) -> dict[str, Any]:
    """The columns of an image, its permissions apart."""
    values = image._asdict()
    del values["shared_with"]
    values["image_type"], values["state"] = str(image.image_type), str(image.state)
    values["is_public"] = int(image.is_public)
    values["block_devices"] = json.dumps(image.block_devices) if image.block_devices else None
    values["product_codes"] = json.dumps(image.product_codes) if image.product_codes else None
    values["ref"] = image.ref or None
    return values


def _decode(tx: Transaction, row: Row) -> Image:
    return decode_image(row, tuple(account for (account,) in tx.all(q.list_image_permissions, row[0])))


def _find(tx: Transaction, image_id: str) -> Image:
    row = tx.one(q.find_image, image_id)
    if row is None:
        raise NoSuchImage(image_id=image_id)
    return _decode(tx, row)


def _check_name(tx: Transaction, image: Image) -> None:
    if not image.name:
        return
    row = tx.one(q.find_image_by_name, image.owner_id, image.name)
    if row is not None and row[0] != image.image_id:
        raise ImageNameTaken(name=image.name, image_id=row[0])


# -- made, seen ------------------------------------------------------------------------------------------------------


def create_image(tx: Transaction, image: Image) -> None:
    """Add an image; a deregistered one of the same id makes room."""
    row = tx.one(q.find_image, image.image_id)
    if row is not None and decode_image(row, ()).state in LIVING:
        raise ImageExists(image_id=image.image_id)
    _check_name(tx, image)
    if row is not None:
        _forget(tx, image.image_id)
    values = encode_image(image)
    tx.run(q.insert_image, *(values[name] for name in q.COLUMNS))
    for account_id in image.shared_with:
        tx.run(q.insert_image_permission, image.image_id, account_id)


def get_image(tx: Transaction, image_id: str) -> Image:
    """The image of that id."""
    return _find(tx, image_id)


def list_images(tx: Transaction, query: ImageQuery) -> Sequence[Image]:
    """At most ``limit`` images in ascending order of their ids."""
    rows = _named_rows(tx, query) if query.image_ids else _all_rows(tx, query)
    found: list[Image] = []
    for row in rows:
        image = _decode(tx, row)
        if image.state in query.states and (not query.owner_ids or image.owner_id in query.owner_ids):
            found.append(image)
            if len(found) >= query.limit:
                break
    return found


def _named_rows(tx: Transaction, query: ImageQuery) -> Iterator[Row]:
    for image_id in sorted(set(query.image_ids)):
        row = tx.one(q.find_image, image_id) if image_id > query.after else None
        if row is not None and _is_visible(tx, row, query.viewer_id):
            yield row


def _is_visible(tx: Transaction, row: Row, viewer_id: str | None) -> bool:
    if viewer_id is None:
        return True
    image = _decode(tx, row)
    return image.is_public or viewer_id == image.owner_id or viewer_id in image.shared_with


def _all_rows(tx: Transaction, query: ImageQuery) -> Iterator[Row]:
    """Rows behind ``after`` that the viewer sees, in batches: whoever reads stops when there are enough."""
    after = query.after
    while True:
        batch = _read_batch(tx, query, after)
        yield from batch
        if len(batch) < LIST_BATCH:
            return
        after = batch[-1][0]


def _read_batch(tx: Transaction, query: ImageQuery, after: str) -> list[Row]:
    if query.viewer_id is not None and set(query.owner_ids) == {query.viewer_id}:  # "my images", the usual question
        return tx.all(q.list_images_of, query.viewer_id, after, LIST_BATCH)
    if query.viewer_id is not None:
        return tx.all(q.list_images_seen, query.viewer_id, after, LIST_BATCH)
    return tx.all(q.list_images, after, LIST_BATCH)


# -- changed ---------------------------------------------------------------------------------------------------------


def update_image(
    tx: Transaction,
    image_id: str,
    change: ImageChange,
    *,
    states: Collection[ImageState] = LIVING,
    lease: str | None = None,
) -> Image:
    """Change an image that is in one of ``states`` and, where ``lease`` is given, still leased under it."""
    image = _find(tx, image_id)
    _check_held(tx, image, states, lease)
    shared_with = _changed_permissions(image, change)
    kept = ("share_only", "share_with", "unshare")
    values = {name: value for name, value in change._asdict().items() if value is not None and name not in kept}
    changed = image._replace(**values, shared_with=shared_with)
    _check_name(tx, changed)
    _write(tx, image, changed)
    return changed


def _check_held(tx: Transaction, image: Image, states: Collection[ImageState], lease: str | None) -> None:
    if image.state not in states:
        raise ImageChanged(image_id=image.image_id, state=image.state)
    if lease is not None and _lease(tx, image.image_id)[0] != lease:
        raise ImageChanged(image_id=image.image_id)


def _lease(tx: Transaction, image_id: str) -> tuple[str, int]:
    row = tx.one(q.read_image_lease, image_id)
    if row is None:
        raise NoSuchImage(image_id=image_id)
    return row[1], row[2]


def _changed_permissions(image: Image, change: ImageChange) -> tuple[str, ...]:
    shared = set(image.shared_with if change.share_only is None else change.share_only)
    shared = (shared | set(change.share_with)) - set(change.unshare)
    if len(shared) > PERMISSIONS_MAX:
        raise TooManyPermissions(image_id=image.image_id, permissions_max=PERMISSIONS_MAX)
    return tuple(sorted(shared))


def _write(tx: Transaction, image: Image, changed: Image) -> None:
    values = encode_image(changed)
    tx.run(q.update_image_row, *(values[name] for name in q.CHANGING), image.image_id)
    for account_id in sorted(set(image.shared_with) - set(changed.shared_with)):
        tx.run(q.delete_image_permission, image.image_id, account_id)
    for account_id in sorted(set(changed.shared_with) - set(image.shared_with)):
        tx.run(q.insert_image_permission, image.image_id, account_id)
    if image.ref and image.ref != changed.ref:
        tx.run(insert_garbage, image.ref, changed.changed_us)
    if changed.state not in UNFINISHED:
        tx.run(q.set_image_lease, "", 0, image.image_id)


def deregister_image(tx: Transaction, image_id: str, *, now_us: int) -> Image:
    """Make a living image deregistered, its data garbage and its lease void."""
    image = _find(tx, image_id)
    _check_held(tx, image, LIVING, None)
    changed = image._replace(state=ImageState.DEREGISTERED, ref="", etag="", changed_us=now_us)
    _write(tx, image, changed)
    return changed


def forget_deregistered(tx: Transaction, *, before_us: int) -> int:
    """Remove what was deregistered before that time."""
    gone = tx.all(q.list_gone_images, before_us)
    for (image_id,) in gone:
        _forget(tx, image_id)
    return len(gone)


def _forget(tx: Transaction, image_id: str) -> None:
    tx.run(q.delete_image_permissions, image_id)
    tx.run(q.delete_image, image_id)


# -- leased ----------------------------------------------------------------------------------------------------------


def claim_pending(tx: Transaction, lease: str, *, now_us: int, until_us: int) -> Claim | None:
    """Lease the oldest unfinished image that nobody holds, and make it pending again."""
    row = tx.one(q.find_claimable_image, now_us, until_us + FAR_US)
    if row is None:
        return None
    tx.run(q.claim_image, lease, until_us, now_us, row[0])
    return Claim(_find(tx, row[0]), lease, _lease(tx, row[0])[1])


def renew_lease(tx: Transaction, image_id: str, lease: str, *, until_us: int) -> None:
    """Hold it longer."""
    _check_held(tx, _find(tx, image_id), UNFINISHED, lease)
    tx.run(q.set_image_lease, lease, until_us, image_id)


def release_claim(tx: Transaction, image_id: str, lease: str, *, retry_at_us: int) -> None:
    """Make it pending and let anybody claim it from ``retry_at_us`` on."""
    _check_held(tx, _find(tx, image_id), UNFINISHED, lease)
    tx.run(q.release_image, retry_at_us, image_id)
