"""DescribeImages' filters. Pure.

Laws (EC2: "Filter your resources"): the values of one filter are alternatives, several filters all hold; values are compared
with case; ``*`` stands for any characters, ``?`` for one, and a backslash takes their meaning away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nova_objectstore.images.ec2.documents import (
    creation_date,
    ec2_state,
    root_device_name,
    state_reason,
    virtualization_type,
)
from nova_objectstore.images.ports import Image
from nova_objectstore.query.faults import InvalidParameterValue

Matches = Callable[[Image], bool]
Pattern = Sequence[str | None]  # characters to be met; ONE for any single one, MANY for any number

ONE, MANY = "", None

FILTERS: Mapping[str, Callable[[Image], Sequence[str]]] = {
    "architecture": lambda image: (image.architecture,),
    "block-device-mapping.device-name": lambda image: [row.device for row in image.block_devices],
    "block-device-mapping.virtual-name": lambda image: [row.virtual for row in image.block_devices],
    "creation-date": lambda image: (creation_date(image),),
    "description": lambda image: (image.description,),
    "hypervisor": lambda _: ("xen",),
    "image-id": lambda image: (image.image_id,),
    "image-type": lambda image: (image.image_type,),
    "is-public": lambda image: ("true" if image.is_public else "false",),
    "kernel-id": lambda image: (image.kernel_id,),
    "manifest-location": lambda image: (image.location,),
    "name": lambda image: (image.name,),
    "owner-alias": lambda _: (),  # amazon and the like: no image here is theirs
    "owner-id": lambda image: (image.owner_id,),
    "platform": lambda _: (),  # windows, or nothing
    "product-code": lambda image: image.product_codes,
    "ramdisk-id": lambda image: (image.ramdisk_id,),
    "root-device-name": lambda image: (root_device_name(image),),
    "root-device-type": lambda _: ("instance-store",),
    "state": lambda image: (ec2_state(image),),
    "state-reason-code": lambda image: (state_reason(image)[0],),
    "state-reason-message": lambda image: (state_reason(image)[1],),
    "tag-key": lambda _: (),  # images have no tags
    "virtualization-type": lambda image: (virtualization_type(image),),
}


def parse_filter(name: str, values: Sequence[str]) -> Matches:
    """A filter as a predicate. Raises InvalidParameterValue for a name that EC2 or this service does not have."""
    if name.startswith("tag:"):
        return lambda _: False  # images have no tags
    read = FILTERS.get(name)
    if read is None:
        raise InvalidParameterValue(f"The filter '{name}' is invalid")
    if not values:
        raise InvalidParameterValue(f"The filter '{name}' has no value")
    patterns = [parse_pattern(value) for value in values]
    return lambda image: any(matches(pattern, text) for text in read(image) for pattern in patterns)


def parse_pattern(text: str) -> Pattern:
    """A value with wildcards."""
    pattern: list[str | None] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            pattern.append(next(characters, "\\"))
        elif character == "*":
            if pattern[-1:] != [MANY]:
                pattern.append(MANY)
        else:
            pattern.append(ONE if character == "?" else character)
    return pattern


def matches(pattern: Pattern, text: str) -> bool:
    """Whether all of ``text`` is as the pattern says.

    By going back to the last ``*`` only: what a regular expression may take exponential time for takes at most the product
    of both lengths.
    """
    at = position = 0
    star = retry = -1
    while position < len(text):
        wanted = pattern[at] if at < len(pattern) else "end"
        if wanted is MANY:
            star, retry = at, position
            at += 1
        elif wanted in (ONE, text[position]):
            at += 1
            position += 1
        elif star >= 0:
            retry += 1
            at, position = star + 1, retry
        else:
            return False
    return all(rest is MANY for rest in pattern[at:])
