"""RegisterImage, DescribeImages, DeregisterImage."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Sequence

from nova_objectstore.errors import InvalidArgument
from nova_objectstore.images.ec2.documents import image_item, items
from nova_objectstore.images.ec2.faults import DryRunOperation, UnsupportedOperation
from nova_objectstore.images.ec2.filters import Matches, parse_filter
from nova_objectstore.images.limits import DESCRIBE_MAX, LISTED_MAX
from nova_objectstore.images.ports import Image
from nova_objectstore.images.registry import (
    DEREGISTER,
    Images,
    Registration,
    check_account_id,
    check_image_id,
    check_image_name,
    match_all,
)
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element, optional
from nova_objectstore.query.faults import InvalidParameterValue, QueryFault
from nova_objectstore.query.parameters import nested
from nova_objectstore.query.request import QueryRequest
from nova_objectstore.types import Principal

_architecture = re.compile(r"[a-z0-9_]{1,16}").fullmatch

# What RegisterImage takes for images on volumes, or for hardware that this service knows nothing of. Doing without would not
# be what was asked for.
NOT_OFFERED = (
    "BlockDeviceMapping", "RootDeviceName", "SriovNetSupport", "EnaSupport", "BillingProduct", "BootMode", "TpmSupport",
    "UefiData", "ImdsSupport", "TagSpecification",
)  # fmt: skip
VIRTUALIZATION_TYPES = ("hvm", "paravirtual")
OWNER_ALIASES = ("amazon", "aws-backup-vault", "aws-marketplace", "microsoft")  # nobody of these is here


class MissingImages(QueryFault):
    """Ids that are nobody's, or that the caller may not see."""

    code = "InvalidAMIID.NotFound"


class ImageController:
    """Images: registered, described, deregistered."""

    def __init__(self, images: Images) -> None:
        self._images = images

    @action("RegisterImage")
    def register_image(self, req: QueryRequest) -> Answer:
        """Register the bundle of ImageLocation; its image is pending until the job has made it."""
        parameters = req.parameters
        for name in NOT_OFFERED:
            if parameters.has(name):
                raise UnsupportedOperation(f"The parameter {name} is not supported: images come from bundles.")
        architecture = parameters.text("Architecture")
        if architecture and not _architecture(architecture):
            raise InvalidParameterValue(f"Value ( {architecture} ) for parameter Architecture is invalid.")
        name = parameters.text("Name")
        registration = Registration(
            location=parameters.required("ImageLocation"),
            name=check_image_name(name) if name else "",
            description=parameters.text("Description"),
            architecture=architecture,
            kernel_id=_optional_image_id(parameters.text("KernelId")),
            ramdisk_id=_optional_image_id(parameters.text("RamdiskId")),
            virtualization_type=parameters.choice("VirtualizationType", VIRTUALIZATION_TYPES),
        )
        if parameters.flag("DryRun"):
            self._images.examine(req.principal, registration)
            raise DryRunOperation
        image = self._images.register(req.principal, registration)
        return (element("imageId", image.image_id),)

    @action("DeregisterImage")
    def deregister_image(self, req: QueryRequest) -> Answer:
        """Remove an image."""
        image_id = check_image_id(req.parameters.required("ImageId"))
        if req.parameters.flag("DryRun"):
            self._images.find_own(req.principal, image_id, DEREGISTER)
            raise DryRunOperation
        self._images.deregister(req.principal, image_id)
        return ("<return>true</return>",)

    @action("DescribeImages")
    def describe_images(self, req: QueryRequest) -> Answer:
        """Images that the caller sees, by id, owner, launch permission and filters; a page of them."""
        parameters = req.parameters
        image_ids = [check_image_id(image_id) for image_id in parameters.values("ImageId")]
        matches = _all_of(
            [
                *_executable_by(parameters.values("ExecutableBy"), req.principal),
                *(
                    parse_filter(members.get("Name", ""), nested(members, "Value"))
                    for members in parameters.structures("Filter")
                ),
            ]
        )
        owner_ids = [_owner_id(owner, req.principal) for owner in parameters.values("Owner")]
        limit = parameters.number("MaxResults", LISTED_MAX, low=1, high=DESCRIBE_MAX)
        after = _read_token(parameters.text("NextToken"))
        if parameters.flag("DryRun"):
            raise DryRunOperation
        self._check_known(req.principal, image_ids)
        page = self._images.page(
            req.principal, owner_ids=owner_ids, image_ids=image_ids, matches=matches, after=after, limit=limit
        )
        token = _make_token(page.next_after) if page.next_after else ""
        return items("imagesSet", map(image_item, page.images)), optional("nextToken", token)

    def _check_known(self, principal: Principal, image_ids: Collection[str]) -> None:
        """A named image that is not there is an error, whatever the filters say."""
        if not image_ids:
            return
        wanted = dict.fromkeys(image_ids)
        found = {image.image_id for image in self._images.page(principal, image_ids=wanted, limit=len(wanted)).images}
        missing = [image_id for image_id in wanted if image_id not in found]
        if missing:
            noun, verb = ("id", "does") if len(missing) == 1 else ("ids", "do")
            raise MissingImages(f"The image {noun} '[{', '.join(missing)}]' {verb} not exist")


def _optional_image_id(image_id: str) -> str:
    return check_image_id(image_id) if image_id else ""


def _all_of(predicates: Sequence[Matches]) -> Matches:
    if not predicates:
        return match_all
    return lambda image: all(holds(image) for holds in predicates)


def _owner_id(owner: str, principal: Principal) -> str:
    if owner == "self":
        return principal.account_id
    if owner in OWNER_ALIASES:
        return owner
    try:
        return check_account_id(owner)
    except InvalidArgument:
        raise InvalidParameterValue(f"Value ( {owner} ) for parameter Owner is invalid.") from None


def _executable_by(users: Sequence[str], principal: Principal) -> list[Matches]:
    """Images with an explicit launch permission: for everybody (``all``), for the caller (``self``), for an account."""
    if not users:
        return []
    ids = {_owner_id(user, principal) for user in users if user != "all"}

    def holds(image: Image) -> bool:
        # Of whom another's image is shared with, the caller learns nothing but of itself.
        known = image.shared_with if image.owner_id == principal.account_id or principal.is_admin else ()
        shared = {*known, *(who for who in image.shared_with if who == principal.account_id)}
        return ("all" in users and image.is_public) or bool(ids & shared)

    return [holds]


# A token is where the next page begins. It is no secret and grants nothing: what it names is looked at like all else.


def _make_token(after: str) -> str:
    return urlsafe_b64encode(f"after:{after}".encode()).decode("ascii")


def _read_token(token: str) -> str:
    if not token:
        return ""
    try:
        word, _, after = urlsafe_b64decode(token.encode("ascii")).decode("ascii").partition(":")
    except ValueError:
        word, after = "", ""
    if word != "after":
        raise InvalidParameterValue("Unable to parse pagination token")
    return check_image_id(after)
