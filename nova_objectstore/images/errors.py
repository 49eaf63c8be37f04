"""What can go wrong with images, as facts: the part of ``nova_objectstore.errors`` that only images need.

    StoreError
      MissingError      NoSuchImage
      ConflictError     ImageExists ImageNameTaken ImageNotAvailable ImageChanged
      RequestFault      InvalidImageId InvalidImageName InvalidLocation InvalidManifest InvalidBundle TooManyPermissions

``InvalidManifest`` and ``InvalidBundle`` carry a whole sentence: it becomes the reason of an image that failed.
"""

from __future__ import annotations

from nova_objectstore.errors import ConflictError, MissingError, RequestFault


class NoSuchImage(MissingError):
    """``image_id``: no such image, or none that the asking account may see."""


class ImageExists(ConflictError):
    """``image_id``: there is an image of that id."""


class ImageNameTaken(ConflictError):
    """``name``, ``image_id``: another image of the account has the name."""


class ImageNotAvailable(ConflictError):
    """``image_id``, ``state``: it is not, or no longer, an image with bytes."""


class ImageChanged(ConflictError):
    """``image_id``: its state, or the lease on it, is not what the writer thought."""


class InvalidImageId(RequestFault):
    """``image_id``: not the id of an image."""


class InvalidImageName(RequestFault):
    """``name``: EC2 takes no such name."""


class InvalidLocation(RequestFault):
    """``location``: not the place of a manifest, ``bucket/key``."""


class InvalidManifest(RequestFault):
    """The manifest is not one; the message says why."""


class InvalidBundle(RequestFault):
    """The parts are not what the manifest says, or hold what no image may; the message says why."""


class TooManyPermissions(RequestFault):
    """``image_id``, ``permissions_max``: more accounts than one image may be shared with."""
