"""Statements of images, whom they are shared with, and the leases on them."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement, statement_of
from nova_objectstore.meta.sql.statements.leases import is_lease_over

COLUMNS = (
    "image_id", "owner_id", "location", "image_type", "architecture", "state", "created_us", "kernel_id", "ramdisk_id",
    "name", "description", "is_public", "block_devices", "product_codes", "virtualization_type", "reason", "size", "etag",
    "ref", "changed_us",
)  # fmt: skip
CHANGING = ("architecture", "state", "name", "description", "is_public", "reason", "size", "etag", "ref", "changed_us")


def _columns() -> list[Core]:
    return [t.images.c[name] for name in COLUMNS]


@statement_of(COLUMNS)
def insert_image(values: dict[str, Param]) -> Core:
    return sa.insert(t.images).values(**values, lease="", lease_until_us=0, attempts=0)


@statement_of((*CHANGING, "image_id"))
def update_image_row(values: dict[str, Param]) -> Core:
    changes = {name: values[name] for name in CHANGING}
    return sa.update(t.images).where(t.images.c.image_id == values["image_id"]).values(**changes)


@statement
def delete_image(image_id: Param) -> Core:
    return sa.delete(t.images).where(t.images.c.image_id == image_id)


@statement
def find_image(image_id: Param) -> Core:
    return sa.select(*_columns()).where(t.images.c.image_id == image_id)


@statement
def find_image_by_name(owner_id: Param, name: Param) -> Core:
    images = t.images.c
    return sa.select(images.image_id).where(
        images.owner_id == owner_id, images.name == name, t.IMAGE_IS_LIVING, sa.literal_column("name <> ''")
    )


@statement
def find_any_image_of(owner_id: Param) -> Core:
    images = t.images.c
    return sa.select(images.image_id).where(images.owner_id == owner_id, t.IMAGE_IS_LIVING).limit(1)


# -- lists -----------------------------------------------------------------------------------------------------------


def _visible_to(viewer_id: Param) -> Core:
    images, permissions = t.images.c, t.image_permissions.c
    shared = sa.exists().where(permissions.image_id == images.image_id, permissions.account_id == viewer_id)
    return sa.or_(images.owner_id == viewer_id, images.is_public == 1, shared)


@statement
def list_images(after: Param, limit: Param) -> Core:
    images = t.images.c
    return sa.select(*_columns()).where(images.image_id > after).order_by(images.image_id).limit(limit)


@statement
def list_images_seen(viewer_id: Param, after: Param, limit: Param) -> Core:
    images = t.images.c
    return (
        sa.select(*_columns())
        .where(images.image_id > after, _visible_to(viewer_id))
        .order_by(images.image_id)
        .limit(limit)
    )


@statement
def list_images_of(owner_id: Param, after: Param, limit: Param) -> Core:
    images = t.images.c
    return (
        sa.select(*_columns())
        .where(images.owner_id == owner_id, images.image_id > after)
        .order_by(images.image_id)
        .limit(limit)
    )


# -- permissions -----------------------------------------------------------------------------------------------------


@statement
def list_image_permissions(image_id: Param) -> Core:
    permissions = t.image_permissions.c
    return sa.select(permissions.account_id).where(permissions.image_id == image_id).order_by(permissions.account_id)


@statement
def insert_image_permission(image_id: Param, account_id: Param) -> Core:
    return sa.insert(t.image_permissions).values(image_id=image_id, account_id=account_id)


@statement
def delete_image_permission(image_id: Param, account_id: Param) -> Core:
    permissions = t.image_permissions.c
    return sa.delete(t.image_permissions).where(permissions.image_id == image_id, permissions.account_id == account_id)


@statement
def delete_image_permissions(image_id: Param) -> Core:
    return sa.delete(t.image_permissions).where(t.image_permissions.c.image_id == image_id)


# -- leases ----------------------------------------------------------------------------------------------------------


@statement
def find_claimable_image(now_us: Param, far_us: Param) -> Core:
    images = t.images.c
    is_free = is_lease_over(images.lease_until_us, now_us, far_us)
    # The first bound is always true: it makes the partial index, which has the unfinished images alone, a range to go through.
    return (
        sa.select(images.image_id)
        .where(images.created_us >= 0, t.IMAGE_IS_UNFINISHED, is_free)
        .order_by(images.created_us, images.image_id)
        .limit(1)
    )


@statement
def read_image_lease(image_id: Param) -> Core:
    images = t.images.c
    return sa.select(images.state, images.lease, images.attempts).where(images.image_id == image_id)


@statement
def claim_image(lease: Param, until_us: Param, now_us: Param, image_id: Param) -> Core:
    images = t.images
    return (
        sa.update(images)
        .where(images.c.image_id == image_id)
        .values(
            state="pending",
            lease=lease,
            lease_until_us=until_us,
            changed_us=now_us,
            attempts=images.c.attempts + 1,
        )
    )


@statement
def set_image_lease(lease: Param, until_us: Param, image_id: Param) -> Core:
    return sa.update(t.images).where(t.images.c.image_id == image_id).values(lease=lease, lease_until_us=until_us)


@statement
def release_image(retry_at_us: Param, image_id: Param) -> Core:
    images = t.images
    return (
        sa.update(images)
        .where(images.c.image_id == image_id)
        .values(state="pending", lease="", lease_until_us=retry_at_us)
    )


@statement
def list_gone_images(before_us: Param) -> Core:
    images = t.images.c
    return sa.select(images.image_id).where(t.IMAGE_IS_GONE, images.changed_us < before_us)
