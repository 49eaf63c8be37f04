"""Images without a database or buckets: the port in memory, a source of bundles in memory, accounts, a clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from support.bundles import Bundle

from nova_objectstore.errors import AccessDenied, NoSuchBucket, NoSuchKey
from nova_objectstore.images.errors import ImageChanged, ImageExists, ImageNameTaken, NoSuchImage, TooManyPermissions
from nova_objectstore.images.limits import PERMISSIONS_MAX
from nova_objectstore.images.ports import (
    LIVING,
    UNFINISHED,
    Claim,
    Image,
    ImageChange,
    ImageQuery,
    ImageState,
    ImageType,
)
from nova_objectstore.images.source import StoredObject
from nova_objectstore.limits import KiB
from nova_objectstore.types import Principal

ALICE, BOB, CAROL = "111111111111", "222222222222", "333333333333"


def principal(account_id: str, *, is_admin: bool = False) -> Principal:
    return Principal(account_id=account_id, arn=f"arn:aws:iam::{account_id}:root", is_admin=is_admin)


ADMIN = principal("999999999999", is_admin=True)


class Clock:
    """Microseconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += int(seconds * 1_000_000)


def image(image_id: str = "ami-00000001", **fields: object) -> Image:
    """An image of Alice's."""
    made = Image(
        image_id=image_id,
        owner_id=ALICE,
        location="images/disk.img.manifest.xml",
        image_type=ImageType.MACHINE,
        architecture="x86_64",
        state=ImageState.PENDING,
        created_us=1_700_000_000_000_000,
        changed_us=1_700_000_000_000_000,
        size=100,
    )
    return made._replace(**fields)


class _Row:
    def __init__(self, made: Image) -> None:
        self.image = made
        self.lease = ""
        self.lease_until_us = 0
        self.attempts = 0


class MemoryImageStore:
    """The port in memory. ``garbage`` lists the refs that would be queued; ``before`` sees each verb's name."""

    def __init__(self, before: Callable[[str], None] | None = None) -> None:
        self._rows: dict[str, _Row] = {}
        self._before = before
        self.garbage: list[str] = []

    def _step(self, verb: str) -> None:
        if self._before is not None:
            self._before(verb)

    def _row(self, image_id: str) -> _Row:
        try:
            return self._rows[image_id]
        except KeyError:
            raise NoSuchImage(image_id=image_id) from None

    def _check_name(self, made: Image) -> None:
        for row in self._rows.values():
            other = row.image
            if (
                made.name
                and other.name == made.name
                and other.owner_id == made.owner_id
                and other.image_id != made.image_id
                and other.state in LIVING
            ):
                raise ImageNameTaken(name=made.name, image_id=other.image_id)

    def create_image(self, made: Image) -> None:
        self._step("create_image")
        row = self._rows.get(made.image_id)
        if row is not None and row.image.state in LIVING:
            raise ImageExists(image_id=made.image_id)
        self._check_name(made)
        self._rows[made.image_id] = _Row(made)

    def get_image(self, image_id: str) -> Image:
        self._step("get_image")
        return self._row(image_id).image

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        self._step("list_images")
        found = []
        for image_id in sorted(self._rows):
            made = self._rows[image_id].image
            visible = query.viewer_id is None or (
                made.is_public or made.owner_id == query.viewer_id or query.viewer_id in made.shared_with
            )
            if (
                visible
                and image_id > query.after
                and made.state in query.states
                and (not query.owner_ids or made.owner_id in query.owner_ids)
                and (not query.image_ids or image_id in query.image_ids)
            ):
                found.append(made)
        return found[: query.limit]

    def update_image(
        self, image_id: str, change: ImageChange, *, states: Collection[ImageState] = LIVING, lease: str | None = None
    ) -> Image:
        self._step("update_image" if change.state is None else f"update_image {change.state}")
        row = self._row(image_id)
        self._check(row, states, lease)
        shared = set(row.image.shared_with if change.share_only is None else change.share_only)
        shared = (shared | set(change.share_with)) - set(change.unshare)
        if len(shared) > PERMISSIONS_MAX:
            raise TooManyPermissions(image_id=image_id, permissions_max=PERMISSIONS_MAX)
        kept = {
            name: value
            for name, value in change._asdict().items()
            if value is not None and name not in ("share_only", "share_with", "unshare")
        }
        changed = row.image._replace(**kept, shared_with=tuple(sorted(shared)))
        self._check_name(changed)
        if change.ref is not None and row.image.ref and row.image.ref != change.ref:
            self.garbage.append(row.image.ref)
        row.image = changed
        if changed.state not in UNFINISHED:
            row.lease, row.lease_until_us = "", 0
        return changed

    def _check(self, row: _Row, states: Collection[ImageState], lease: str | None) -> None:
        if row.image.state not in states or (lease is not None and row.lease != lease):
            raise ImageChanged(image_id=row.image.image_id)

    def deregister_image(self, image_id: str, *, now_us: int) -> Image:
        self._step("deregister_image")
        row = self._row(image_id)
        self._check(row, LIVING, None)
        if row.image.ref:
            self.garbage.append(row.image.ref)
        row.lease, row.lease_until_us = "", 0
        row.image = row.image._replace(state=ImageState.DEREGISTERED, ref="", etag="", changed_us=now_us)
        return row.image

    def forget_deregistered(self, *, before_us: int) -> int:
        self._step("forget_deregistered")
        gone = [
            image_id
            for image_id, row in self._rows.items()
            if row.image.state is ImageState.DEREGISTERED and row.image.changed_us < before_us
        ]
        for image_id in gone:
            del self._rows[image_id]
        return len(gone)

    def claim_pending(self, lease: str, *, now_us: int, until_us: int) -> Claim | None:
        self._step("claim_pending")
        far_us = until_us + 600_000_000  # a lease from before the clock was set back
        free = [row for row in self._rows.values() if row.lease_until_us <= now_us or row.lease_until_us > far_us]
        waiting = [row for row in free if row.image.state in UNFINISHED]
        if not waiting:
            return None
        row = min(waiting, key=lambda row: (row.image.created_us, row.image.image_id))
        row.lease, row.lease_until_us = lease, until_us
        row.attempts += 1
        row.image = row.image._replace(state=ImageState.PENDING, changed_us=now_us)
        return Claim(row.image, lease, row.attempts)

    def renew_lease(self, image_id: str, lease: str, *, until_us: int) -> None:
        self._step("renew_lease")
        row = self._row(image_id)
        self._check(row, UNFINISHED, lease)
        row.lease_until_us = until_us

    def release_claim(self, image_id: str, lease: str, *, retry_at_us: int) -> None:
        self._step("release_claim")
        row = self._row(image_id)
        self._check(row, UNFINISHED, lease)
        row.lease, row.lease_until_us = "", retry_at_us
        row.image = row.image._replace(state=ImageState.PENDING)


class MemorySource:
    """Bundles by bucket and key, each readable by its owner; ``before`` sees each key that is opened."""

    def __init__(self, before: Callable[[str], None] | None = None) -> None:
        self.objects: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._before = before
        self.open_count = 0

    def put(self, bucket: str, key: str, body: bytes, *, owner: str = ALICE) -> None:
        self.objects[bucket, key] = owner, body

    def put_bundle(self, made: Bundle, *, bucket: str = "images", prefix: str = "", owner: str = ALICE) -> str:
        """Store a bundle; its manifest's location."""
        for filename, body in made.parts.items():
            self.put(bucket, prefix + filename, body, owner=owner)
        key = f"{prefix}{made.manifest.name}.manifest.xml"
        self.put(bucket, key, made.document, owner=owner)
        return f"{bucket}/{key}"

    def open(self, who: Principal, bucket: str, key: str) -> StoredObject:
        if self._before is not None:
            self._before(key)
        if not any(known == bucket for known, _ in self.objects):
            raise NoSuchBucket(bucket_name=bucket)
        if (bucket, key) not in self.objects:
            raise NoSuchKey(key=key)
        owner, body = self.objects[bucket, key]
        if owner != who.account_id:
            raise AccessDenied(action="s3:GetObject")
        return StoredObject(len(body), self._pieces(body))

    def _pieces(self, body: bytes):
        self.open_count += 1
        try:
            for position in range(0, len(body), 64 * KiB):
                yield body[position : position + 64 * KiB]
        finally:
            self.open_count -= 1

    def owner(self, account_id: str) -> Principal:
        return principal(account_id)
