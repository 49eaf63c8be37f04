"""THE RULES of images: who sees and changes which, how one is registered, shared and removed.

Laws:

- An image is seen by its owner, by the accounts it is shared with, by everybody when it is public, and by the administrator;
  a deregistered one by owner and administrator alone. Who may not see it is told that it does not exist.
- It is changed by its owner and by the administrator.
- Before all that, the caller's own policies must allow the action (``permit``): an IAM user is not its account.
- Registering reads the manifest with the permissions of who asks, so that what cannot become an image is refused at once;
  the bytes are the job's (``job.py``), and the row that asks for it is committed before the answer.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from nova_objectstore.errors import AccessDenied, InvalidArgument
from nova_objectstore.images.errors import (
    ImageNotAvailable,
    InvalidImageId,
    InvalidImageName,
    NoSuchImage,
    TooManyPermissions,
)
from nova_objectstore.images.limits import (
    DESCRIPTION_CHARS_MAX,
    LIST_BATCH,
    NAME_CHARS_MAX,
    NAME_CHARS_MIN,
    PERMISSIONS_MAX,
)
from nova_objectstore.images.manifest import Manifest
from nova_objectstore.images.ports import LIVING, Image, ImageChange, ImageQuery, ImageState, ImageStore, ImageType
from nova_objectstore.images.source import BundleSource, Location, read_source_manifest
from nova_objectstore.images.unbundle import DEFAULT_LIMITS, UnbundleLimits, check_sizes
from nova_objectstore.types import Principal

_PREFIXES = {ImageType.MACHINE: "ami", ImageType.KERNEL: "aki", ImageType.RAMDISK: "ari"}
# AWS's have 8 or 17 hex digits; nova's of 2010 had 8 of these, and its first images were called ami-tiny and the like.
_image_id = re.compile(r"a[mkr]i-[0-9a-z]{1,32}").fullmatch
_account_id = re.compile(r"[0-9]{12}").fullmatch
_image_name = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]*").fullmatch  # EC2: RegisterImage, Name
_control = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]").search

AUTHORISED_GROUP = "all"

# IAM's actions (AWS: "Actions, resources, and condition keys for Amazon EC2").
REGISTER, DEREGISTER, DESCRIBE = "ec2:RegisterImage", "ec2:DeregisterImage", "ec2:DescribeImages"
DESCRIBE_ATTRIBUTE, MODIFY, RESET = (
    "ec2:DescribeImageAttribute", "ec2:ModifyImageAttribute", "ec2:ResetImageAttribute",
)  # fmt: skip
DOWNLOAD = "ec2:ExportImage"  # the one of AWS's that gives an image's bytes away

Permit = Callable[[Principal, str], object]
"""Whether the principal's own policies allow an action on images. Raises AccessDenied."""


def new_image_id(image_type: ImageType) -> str:
    """A fresh id of AWS's long form."""
    return f"{_PREFIXES[image_type]}-{secrets.token_hex(9)[:17]}"


def check_image_id(image_id: str) -> str:
    """The id, when it may be one. Raises InvalidImageId."""
    if not _image_id(image_id):
        raise InvalidImageId(image_id=image_id)
    return image_id


def check_account_id(account_id: str) -> str:
    """The id, when it may be an account's; EC2 takes it with dashes too. Raises InvalidArgument."""
    plain = account_id.replace("-", "")
    if not _account_id(plain):
        raise InvalidArgument("An account id has 12 digits.", argument_name="UserId", argument_value=account_id)
    return plain


def check_image_name(name: str) -> str:
    """The name, when EC2 takes it. Raises InvalidImageName."""
    if not NAME_CHARS_MIN <= len(name) <= NAME_CHARS_MAX or not _image_name(name):
        raise InvalidImageName(
            f"Names have {NAME_CHARS_MIN} to {NAME_CHARS_MAX} letters, digits, spaces and ()[]./-'@_", name=name
        )
    return name


def check_text(what: str, text: str) -> str:
    """A name or description that somebody wrote. Raises InvalidArgument."""
    if len(text) > DESCRIPTION_CHARS_MAX or _control(text):
        raise InvalidArgument(
            f"The {what} has at most {DESCRIPTION_CHARS_MAX} characters and none of them is a control.",
            argument_name=what,
            argument_value=text[:DESCRIPTION_CHARS_MAX],
        )
    return text


def may_see(principal: Principal, image: Image) -> bool:
    """Whether the image exists, for this principal."""
    if may_change(principal, image):
        return True
    if not principal.account_id or image.state is ImageState.DEREGISTERED:
        return False
    return image.is_public or principal.account_id in image.shared_with


def may_change(principal: Principal, image: Image) -> bool:
    """Whether the principal may change it."""
    return principal.is_admin or (bool(principal.account_id) and principal.account_id == image.owner_id)


class Registration(NamedTuple):
    """What RegisterImage asks. What is empty comes from the manifest, the id from chance."""

    location: str
    image_id: str = ""
    name: str = ""
    description: str = ""
    architecture: str = ""
    kernel_id: str = ""
    ramdisk_id: str = ""
    virtualization_type: str = ""


class ImagesPage(NamedTuple):
    """Images in the order of their ids; ``next_after`` is None on the last page."""

    images: Sequence[Image]
    next_after: str | None


def permit_all(_principal: Principal, _action: str) -> None:
    """The permission of a store whose only principals are roots of accounts."""


def match_all(_image: Image) -> bool:
    """The filter that filters nothing."""
    return True


class Images:
    """The rules. ``announce`` is told of each image that waits for the job: a hint, which may be lost."""

    def __init__(
        self,
        store: ImageStore,
        source: BundleSource,
        *,
        now_us: Callable[[], int],
        announce: Callable[[Image], None] | None = None,
        permit: Permit = permit_all,
        limits: UnbundleLimits = DEFAULT_LIMITS,
    ) -> None:
        self._store = store
        self._source = source
        self._now_us = now_us
        self._announce = announce
        self._permit = permit
        self._limits = limits

    # -- seeing ------------------------------------------------------------------------------------------------------

    def find(self, principal: Principal, image_id: str, action: str = DESCRIBE) -> Image:
        """An image that the principal may see, for an action. Raises NoSuchImage, InvalidImageId, AccessDenied."""
        self._permit(principal, action)
        image = self._store.get_image(check_image_id(image_id))
        if not may_see(principal, image):
            raise NoSuchImage(image_id=image_id)
        return image

    def find_available(self, principal: Principal, image_id: str) -> Image:
        """An image whose bytes the principal may read. Raises ImageNotAvailable too, when there are none (yet)."""
        image = self.find(principal, image_id, DOWNLOAD)
        if image.state is ImageState.DEREGISTERED:
            raise NoSuchImage(image_id=image_id)
        if image.state is not ImageState.AVAILABLE:
            raise ImageNotAvailable(image_id=image_id, state=image.state)
        return image

    def page(
        self,
        principal: Principal,
        *,
        owner_ids: Collection[str] = (),
        image_ids: Collection[str] = (),
        matches: Callable[[Image], bool] = match_all,
        after: str = "",
        limit: int,
    ) -> ImagesPage:
        """Visible images behind ``after`` that match, ``limit`` at most; a named one that is deregistered is among them."""
        self._permit(principal, DESCRIBE)
        query = ImageQuery(
            viewer_id=None if principal.is_admin else principal.account_id,
            owner_ids=owner_ids,
            image_ids=image_ids,
            states=frozenset(ImageState) if image_ids else LIVING,
            after=after,
            limit=max(LIST_BATCH, 1),
        )
        found: list[Image] = []
        while len(found) <= limit:
            batch = self._store.list_images(query)
            found.extend(image for image in batch if may_see(principal, image) and matches(image))
            if len(batch) < query.limit:
                break
            query = query._replace(after=batch[-1].image_id)
        page = found[:limit]
        return ImagesPage(page, page[-1].image_id if page and len(found) > limit else None)

    # -- registering -------------------------------------------------------------------------------------------------

    def register(self, principal: Principal, registration: Registration) -> Image:
        """Take an image in: its manifest is read now, its bytes by the job. Durable when it returns.

        Raises AccessDenied, InvalidLocation, NoSuchBucket, NoSuchKey, InvalidManifest, InvalidBundle (too large),
        InvalidImageId, ImageExists, ImageNameTaken, InvalidArgument.
        """
        image = self.examine(principal, registration)
        self._store.create_image(image)
        if self._announce is not None:
            self._announce(image)
        return image

    def examine(self, principal: Principal, registration: Registration) -> Image:
        """The image that ``register`` would make, and make nothing. Raises as it does, but for what is taken already."""
        if not principal.account_id:
            raise AccessDenied(action=REGISTER)
        self._permit(principal, REGISTER)
        if registration.image_id:
            check_image_id(registration.image_id)
        for what, text in (("name", registration.name), ("description", registration.description)):
            check_text(what, text)
        location = Location.parse(registration.location)
        manifest = read_source_manifest(self._source, principal, location)
        check_sizes(manifest, self._limits)
        return self._new_image(principal, registration, manifest)

    def _new_image(self, principal: Principal, registration: Registration, manifest: Manifest) -> Image:
        now_us = self._now_us()
        return Image(
            image_id=registration.image_id or new_image_id(manifest.image_type),
            owner_id=principal.account_id,
            location=registration.location,
            image_type=manifest.image_type,
            architecture=registration.architecture or manifest.architecture,
            state=ImageState.PENDING,
            created_us=now_us,
            kernel_id=registration.kernel_id or manifest.kernel_id,
            ramdisk_id=registration.ramdisk_id or manifest.ramdisk_id,
            name=registration.name,
            description=registration.description,
            block_devices=manifest.block_devices,
            product_codes=manifest.product_codes,
            virtualization_type=registration.virtualization_type,
            size=manifest.size,
            changed_us=now_us,
        )

    # -- changing ----------------------------------------------------------------------------------------------------

    def find_own(self, principal: Principal, image_id: str, action: str) -> Image:
        """An image that the principal may change. Raises NoSuchImage, AccessDenied (it is seen, and another's)."""
        image = self.find(principal, image_id, action)
        if not may_change(principal, image):
            raise AccessDenied(action=action)
        return image

    def deregister(self, principal: Principal, image_id: str) -> None:
        """Remove an image and its bytes; a registration that goes on stops. Raises NoSuchImage, AccessDenied."""
        image = self.find_own(principal, image_id, DEREGISTER)
        if image.state is ImageState.DEREGISTERED:
            raise NoSuchImage(image_id=image_id)
        self._store.deregister_image(image_id, now_us=self._now_us())

    def set_public(self, principal: Principal, image_id: str, is_public: bool) -> Image:
        """Let everybody see it, or no longer. Raises NoSuchImage, AccessDenied."""
        return self._change(principal, image_id, ImageChange(is_public=is_public))

    def edit(
        self, principal: Principal, image_id: str, *, name: str | None = None, description: str | None = None
    ) -> Image:
        """Change what people read of it. Raises NoSuchImage, AccessDenied, ImageNameTaken, InvalidArgument."""
        if name is not None:
            check_text("name", name)
        if description is not None:
            check_text("description", description)
        return self._change(principal, image_id, ImageChange(name=name, description=description))

    def share(
        self,
        principal: Principal,
        image_id: str,
        *,
        add: Collection[str] = (),
        remove: Collection[str] = (),
        is_public: bool | None = None,
    ) -> Image:
        """Add accounts to its launch permissions and remove others; both at once. Raises TooManyPermissions."""
        if len(add) > PERMISSIONS_MAX:
            raise TooManyPermissions(image_id=image_id, permissions_max=PERMISSIONS_MAX)
        change = ImageChange(is_public=is_public, share_with=tuple(add), unshare=tuple(remove))
        return self._change(principal, image_id, change)

    def reset_permissions(self, principal: Principal, image_id: str) -> Image:
        """Make it its owner's alone. Raises NoSuchImage, AccessDenied."""
        return self._change(principal, image_id, ImageChange(is_public=False, share_only=()), RESET)

    def _change(self, principal: Principal, image_id: str, change: ImageChange, action: str = MODIFY) -> Image:
        image = self.find_own(principal, image_id, action)
        if image.state is ImageState.DEREGISTERED:
            raise NoSuchImage(image_id=image_id)
        return self._store.update_image(image_id, change)
