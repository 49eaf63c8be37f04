"""DescribeImageAttribute, ModifyImageAttribute, ResetImageAttribute. All are the owner's, as EC2 has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.errors import InvalidArgument
from nova_objectstore.images.ec2.documents import block_device_item, items
from nova_objectstore.images.ec2.faults import (
    DryRunOperation,
    InvalidAttributeItem,
    InvalidParameterCombination,
    UnsupportedOperation,
)
from nova_objectstore.images.ports import Image
from nova_objectstore.images.registry import (
    AUTHORISED_GROUP,
    DESCRIBE_ATTRIBUTE,
    MODIFY,
    RESET,
    Images,
    check_account_id,
    check_image_id,
)
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element
from nova_objectstore.query.faults import InvalidParameterValue, MissingParameter
from nova_objectstore.query.parameters import Parameters
from nova_objectstore.query.request import QueryRequest

_DONE = ("<return>true</return>",)


def _value(name: str, text: str) -> str:
    return f"<{name}>{element('value', text)}</{name}>" if text else f"<{name}/>"


def _launch_permission(image: Image) -> str:
    group = [element("group", AUTHORISED_GROUP)] if image.is_public else []
    return items("launchPermission", [*group, *(element("userId", account) for account in image.shared_with)])


ATTRIBUTES: Mapping[str, Callable[[Image], str]] = {
    "blockDeviceMapping": lambda image: items("blockDeviceMapping", map(block_device_item, image.block_devices)),
    "description": lambda image: _value("description", image.description),
    "kernel": lambda image: _value("kernel", image.kernel_id),
    "launchPermission": _launch_permission,
    "productCodes": lambda image: items("productCodes", (element("productCode", code) for code in image.product_codes)),
    "ramdisk": lambda image: _value("ramdisk", image.ramdisk_id),
}


class PermissionChange(NamedTuple):
    """What a ModifyImageAttribute asks of the launch permissions. ``is_public`` None leaves the group as it is."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    is_public: bool | None = None


class AttributeController:
    """Attributes of images."""

    def __init__(self, images: Images) -> None:
        self._images = images

    @action("DescribeImageAttribute")
    def describe_image_attribute(self, req: QueryRequest) -> Answer:
        """One attribute."""
        image_id = check_image_id(req.parameters.required("ImageId"))
        attribute = req.parameters.required("Attribute")
        render = ATTRIBUTES.get(attribute)
        if render is None:
            raise InvalidParameterValue(f"Value ( {attribute} ) for parameter attribute is invalid. Unknown attribute.")
        image = self._images.find_own(req.principal, image_id, DESCRIBE_ATTRIBUTE)
        if req.parameters.flag("DryRun"):
            raise DryRunOperation
        return element("imageId", image.image_id), render(image)

    @action("ModifyImageAttribute")
    def modify_image_attribute(self, req: QueryRequest) -> Answer:
        """Change the description or the launch permissions: one attribute a request, as EC2 has it."""
        parameters = req.parameters
        image_id = check_image_id(parameters.required("ImageId"))
        description = _read_description(parameters)
        permissions = _read_permissions(parameters)
        _refuse_product_codes(parameters)
        if description is not None and permissions is not None:
            raise InvalidParameterCombination("Only one attribute is changed at a time.")
        if description is None and permissions is None:
            raise MissingParameter("No attributes specified.")
        if parameters.flag("DryRun"):
            self._images.find_own(req.principal, image_id, MODIFY)
            raise DryRunOperation
        if permissions is None:
            self._images.edit(req.principal, image_id, description=description)
        else:
            self._images.share(
                req.principal,
                image_id,
                add=permissions.add,
                remove=permissions.remove,
                is_public=permissions.is_public,
            )
        return _DONE

    @action("ResetImageAttribute")
    def reset_image_attribute(self, req: QueryRequest) -> Answer:
        """Make the launch permissions the owner's alone; no other attribute has a default."""
        image_id = check_image_id(req.parameters.required("ImageId"))
        attribute = req.parameters.required("Attribute")
        if attribute != "launchPermission":
            raise InvalidParameterValue(f"Value ( {attribute} ) for parameter attribute is invalid: it is not reset.")
        if req.parameters.flag("DryRun"):
            self._images.find_own(req.principal, image_id, RESET)
            raise DryRunOperation
        self._images.reset_permissions(req.principal, image_id)
        return _DONE


# -- what ModifyImageAttribute asks ------------------------------------------------------------------------------------


def _read_description(parameters: Parameters) -> str | None:
    """``Description.Value=x``, or the older ``Attribute=description&Value=x``."""
    if parameters.text("Attribute") == "description":
        return parameters.text("Value")
    for name in ("Description.Value", "Description"):
        if parameters.optional(name) is not None:
            return parameters.text(name)
    return None


def _read_permissions(parameters: Parameters) -> PermissionChange | None:
    """``LaunchPermission.Add.1.UserId=x`` and its kin, or ``OperationType=add&UserId.1=x&UserGroup.1=all``."""
    attribute = parameters.text("Attribute")
    if attribute not in ("", "description", "launchPermission", "productCodes"):
        raise InvalidParameterValue(f"Value ( {attribute} ) for parameter attribute is invalid. Unknown attribute.")
    operation = parameters.choice("OperationType", ("add", "remove"))
    added = parameters.structures("LaunchPermission.Add")
    removed = parameters.structures("LaunchPermission.Remove")
    flat = [{"UserId": user} for user in parameters.values("UserId")]
    flat += [{"Group": group} for group in parameters.values("UserGroup")]
    if attribute == "launchPermission" and not operation and not added and not removed:
        raise MissingParameter("The request must contain the parameter OperationType")
    if flat and not operation:
        raise MissingParameter("The request must contain the parameter OperationType")
    added += flat if operation == "add" else []
    removed += flat if operation == "remove" else []
    if not added and not removed:
        if attribute == "launchPermission":
            raise MissingParameter("The request must contain a user or a group")
        return None
    return _permission_change(added, removed)


def _permission_change(added: Sequence[Mapping[str, str]], removed: Sequence[Mapping[str, str]]) -> PermissionChange:
    add, opens = _read_items(added)
    remove, closes = _read_items(removed)
    if (opens and closes) or set(add) & set(remove):
        raise InvalidParameterCombination("The same launch permission is added and removed.")
    is_public = True if opens else False if closes else None
    return PermissionChange(add, remove, is_public)


def _read_items(rows: Sequence[Mapping[str, str]]) -> tuple[tuple[str, ...], bool]:
    """Accounts, and whether the group of everybody is among them."""
    accounts: list[str] = []
    everybody = False
    for row in rows:
        if "Group" in row:
            if row["Group"] != AUTHORISED_GROUP:
                raise InvalidAttributeItem(f'Invalid attribute item value "{row["Group"]}" for userGroup item type.')
            everybody = True
        elif "UserId" in row:
            accounts.append(_account_id(row["UserId"]))
        else:
            raise UnsupportedOperation("A launch permission is for a UserId, or for the Group all.")
    return tuple(accounts), everybody


def _account_id(text: str) -> str:
    try:
        return check_account_id(text)
    except InvalidArgument:
        raise InvalidAttributeItem(f'Invalid attribute item value "{text}" for userId item type.') from None


def _refuse_product_codes(parameters: Parameters) -> None:
    if parameters.has("ProductCode") or parameters.text("Attribute") == "productCodes":
        raise UnsupportedOperation("Product codes come with the manifest and are not changed.")
