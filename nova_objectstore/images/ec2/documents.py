"""XML in EC2's form: ``<ActionResponse>`` with a requestId, lists as ``<item>`` elements; and the error document."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from nova_objectstore.images.ports import UNFINISHED, BlockDevice, Image, ImageState
from nova_objectstore.query.documents import DECLARATION, element, flag, optional

_ROOT_DEVICES = ("root", "ami")  # the virtual names under which manifests give the root device


def items(name: str, rows: Iterable[str]) -> str:
    """A list: ``<name><item>...</item></name>``."""
    return f"<{name}>{''.join(f'<item>{row}</item>' for row in rows)}</{name}>"


def response(action: str, version: str, request_id: str, *content: str) -> bytes:
    """The document of an answered action, in the namespace of the request's version."""
    return (
        f'{DECLARATION}<{action}Response xmlns="http://ec2.amazonaws.com/doc/{version}/">'
        f"{element('requestId', request_id)}{''.join(content)}</{action}Response>"
    ).encode()


def error_document(code: str, message: str, request_id: str) -> bytes:
    """The document of an error."""
    return (
        f"{DECLARATION}<Response><Errors><Error>{element('Code', code)}{element('Message', message)}</Error></Errors>"
        f"{element('RequestID', request_id)}</Response>"
    ).encode()


# -- images ----------------------------------------------------------------------------------------------------------


def creation_date(image: Image) -> str:
    """``2010-05-14T00:00:00.000Z``."""
    second, micros = divmod(image.created_us, 1_000_000)
    return f"{datetime.fromtimestamp(second, UTC).strftime('%Y-%m-%dT%H:%M:%S')}.{micros // 1000:03}Z"


def ec2_state(image: Image) -> str:
    """EC2 knows no steps of a registration: they are all ``pending``, which clients wait on."""
    return ImageState.PENDING.value if image.state in UNFINISHED else image.state.value


def virtualization_type(image: Image) -> str:
    """``hvm`` or ``paravirtual``, which is EC2's default."""
    return image.virtualization_type or "paravirtual"


def root_device_name(image: Image) -> str:
    """The device of the root, empty when the manifest gives none."""
    devices = dict(image.block_devices)
    return next((devices[name] for name in _ROOT_DEVICES if name in devices), "")


def state_reason(image: Image) -> tuple[str, str]:
    """Code and message of why the state is what it is; empty when there is nothing to say."""
    if image.state is ImageState.FAILED:
        return "Client.InvalidManifest", image.reason
    if image.state in (ImageState.DECRYPTING, ImageState.UNTARRING):
        return "pending", image.state.value
    return "", ""


def block_device_item(device: BlockDevice) -> str:
    """A row of a blockDeviceMapping."""
    return element("deviceName", device.device) + element("virtualName", device.virtual)


def image_item(image: Image) -> str:
    """An image as DescribeImages tells it."""
    code, reason = state_reason(image)
    return "".join(
        (
            element("imageId", image.image_id),
            element("imageLocation", image.location),
            element("imageState", ec2_state(image)),
            element("imageOwnerId", image.owner_id),
            element("creationDate", creation_date(image)),
            flag("isPublic", image.is_public),
            items("productCodes", (element("productCode", text) for text in image.product_codes)),
            element("architecture", image.architecture),
            element("imageType", image.image_type),
            optional("kernelId", image.kernel_id),
            optional("ramdiskId", image.ramdisk_id),
            f"<stateReason>{element('code', code)}{element('message', reason)}</stateReason>" if reason else "",
            optional("name", image.name),
            optional("description", image.description),
            element("rootDeviceType", "instance-store"),
            optional("rootDeviceName", root_device_name(image)),
            items("blockDeviceMapping", map(block_device_item, image.block_devices)),
            element("virtualizationType", virtualization_type(image)),
            "<tagSet/>",
            element("hypervisor", "xen"),
        )
    )
