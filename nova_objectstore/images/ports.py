"""What the metadata engine keeps of images: the values, and the port ``ImageStore``.

Laws, for every engine (``tests/nova_objectstore/images`` runs one conformance suite on each):

- A verb is one whole transaction, as in ``meta/engine.py``: it happened and is durable when the verb returns, or nothing
  of it happened.
- Changes of a job are compare-and-set: on the states it may meet, and on the lease that it holds.
- The data of an image that is deregistered or replaced is queued as garbage in the same transaction, and ``known_refs``
  of the metadata engine knows the data of the others.
- ``now_us`` and its like come from the caller: an engine has no clock.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class ImageType(enum.StrEnum):
    """What a machine does with an image (EC2: image-type)."""

    MACHINE = "machine"
    KERNEL = "kernel"
    RAMDISK = "ramdisk"


class ImageState(enum.StrEnum):
    """Where an image stands. The first three are a registration's way, and ``failed`` has a reason."""

    PENDING = "pending"  # nothing read yet
    DECRYPTING = "decrypting"  # the manifest is read, parts come
    UNTARRING = "untarring"  # the image's own bytes come
    AVAILABLE = "available"
    FAILED = "failed"
    DEREGISTERED = "deregistered"  # its data is gone; told of for a while


UNFINISHED = frozenset((ImageState.PENDING, ImageState.DECRYPTING, ImageState.UNTARRING))
LIVING = frozenset(ImageState) - {ImageState.DEREGISTERED}


class BlockDevice(NamedTuple):
    """A row of the block device mapping: ``ami`` is ``sda1``, ``ephemeral0`` is ``sdb``."""

    virtual: str
    device: str


class Image(NamedTuple):
    """An image as everybody needs it. Its id is ``ami-``, ``aki-`` or ``ari-`` with what makes it unique."""

    image_id: str
    owner_id: str  # the account's 12 digits
    location: str  # bucket/key of the manifest
    image_type: ImageType
    architecture: str
    state: ImageState
    created_us: int
    kernel_id: str = ""
    ramdisk_id: str = ""
    name: str = ""
    description: str = ""
    is_public: bool = False
    shared_with: tuple[str, ...] = ()  # accounts that may see and launch it, ascending
    block_devices: tuple[BlockDevice, ...] = ()
    product_codes: tuple[str, ...] = ()
    virtualization_type: str = ""  # hvm | paravirtual, when somebody said so
    reason: str = ""  # why it failed: a sentence
    size: int = 0  # bytes of the image; what the manifest says until it is available
    etag: str = ""  # MD5 of the image, when it is available
    ref: str = ""  # the data engine's name for the bytes, when it is available
    changed_us: int = 0  # when the state last changed


class ImageChange(NamedTuple):
    """What an update sets; None leaves it. Accounts are shared with and unshared in the transaction, in this order.

    With ``share_only`` set, the image is shared with just those accounts.
    """

    state: ImageState | None = None
    reason: str | None = None
    changed_us: int | None = None
    name: str | None = None
    description: str | None = None
    is_public: bool | None = None
    share_only: Collection[str] | None = None
    share_with: Collection[str] = ()
    unshare: Collection[str] = ()
    architecture: str | None = None
    size: int | None = None
    etag: str | None = None
    ref: str | None = None


class ImageQuery(NamedTuple):
    """A page of images in the order of their ids, behind ``after``. Empty collections mean: any."""

    viewer_id: str | None = None  # an account: its own images, public ones, those shared with it. None sees all
    owner_ids: Collection[str] = ()
    image_ids: Collection[str] = ()
    states: Collection[ImageState] = LIVING
    after: str = ""
    limit: int = 1000


class Claim(NamedTuple):
    """An unfinished image, leased to one worker. ``attempts`` counts its claims, this one included."""

    image: Image
    lease: str
    attempts: int


class ImageStore(Protocol):
    """The verbs. Each is one transaction."""

    def create_image(self, image: Image) -> None:
        """Add an image; a deregistered one of the same id makes room.

        Raises ImageExists, ImageNameTaken (a living image of the owner has the name; the empty name is nobody's).
        """
        ...

    def get_image(self, image_id: str) -> Image:
        """The image of that id, deregistered ones included. Raises NoSuchImage."""
        ...

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """At most ``limit`` images in ascending order of their ids."""
        ...

    def update_image(
        self, image_id: str, change: ImageChange, *, states: Collection[ImageState] = LIVING, lease: str | None = None
    ) -> Image:
        """Change an image that is in one of ``states`` and, where ``lease`` is given, still leased under it.

        A finished image (one that leaves the unfinished states) is leased no more. A ``ref`` that is replaced becomes
        garbage. Raises NoSuchImage, ImageChanged (another state or lease), ImageNameTaken, TooManyPermissions.
        """
        ...

    def deregister_image(self, image_id: str, *, now_us: int) -> Image:
        """Make a living image deregistered, its data garbage and its lease void. Raises NoSuchImage, ImageChanged."""
        ...

    def forget_deregistered(self, *, before_us: int) -> int:
        """Remove what was deregistered before that time; answer how many."""
        ...

    def claim_pending(self, lease: str, *, now_us: int, until_us: int) -> Claim | None:
        """Lease the oldest unfinished image that nobody holds at ``now_us``, and make it pending again.

        None when there is none. ``lease`` is a fresh name; it holds until ``until_us``.
        """
        ...

    def renew_lease(self, image_id: str, lease: str, *, until_us: int) -> None:
        """Hold it longer. Raises ImageChanged when the lease is not the holder's any more, NoSuchImage."""
        ...

    def release_claim(self, image_id: str, lease: str, *, retry_at_us: int) -> None:
        """Make it pending and let anybody claim it from ``retry_at_us`` on. Raises as ``renew_lease``."""
        ...
