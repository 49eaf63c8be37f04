"""The bundle manifest, ``*.manifest.xml`` of ec2-bundle-image and euca2ools: read and written. Pure.

Strategy: expat under defusedxml feeds a tree whose builder counts, so that a hostile document ends while it is read.

Laws:

- No document type, so no entities. Bytes, depth, elements and parts are bounded.
- A part's file name is one name: no ``/``, no ``..``, no control character ever reaches a key or a path.
- Parts are numbered from 0 without a gap (EC2 numbers them so; ``count`` must agree).
- Two ways to say what an image is: EC2's ``image/type``, and ``true`` as kernel or ramdisk id, which Eucalyptus and nova
  understand; the second wins, since its tools write ``machine`` beside it.

Source: the version 2007-10-10 documents that these tools write and read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from nova_objectstore.images.errors import InvalidManifest
from nova_objectstore.images.limits import (
    BLOCK_DEVICES_MAX,
    IMAGE_SIZE_MAX,
    MANIFEST_BYTES_MAX,
    MANIFEST_DEPTH_MAX,
    MANIFEST_ELEMENTS_MAX,
    PART_NAME_BYTES_MAX,
    PARTS_MAX,
    PRODUCT_CODES_MAX,
    RSA_HEX_CHARS_MAX,
    TEXT_CHARS_MAX,
)
from nova_objectstore.images.ports import BlockDevice, ImageType

MANIFEST_VERSION = "2007-10-10"
MANIFEST_SUFFIX = ".manifest.xml"
DIGEST_ALGORITHM = "SHA1"
CIPHER = "AES-128-CBC"
UNSIGNED = "UNSIGNED"  # the signature of a manifest that nobody signed: EC2 refuses an empty one

_TRUE = "true"
_architecture = re.compile(r"[a-z0-9_]{1,16}").fullmatch
_sha1 = re.compile(r"[0-9a-f]{40}").fullmatch
_hex = re.compile(r"(?:[0-9a-f]{2})*").fullmatch
_number = re.compile(r"[0-9]{1,15}").fullmatch
_control = re.compile(r"[\x00-\x1f\x7f]").search


class ManifestPart(NamedTuple):
    """One part: its place in the bundle (from 0), the name of its file, and its SHA-1 in hex."""

    number: int
    filename: str
    digest: str


class EncryptedSecret(NamedTuple):
    """The bundle's key and IV, each as hex, encrypted with one RSA public key; in hex again. Empty when not there."""

    key: str = ""
    iv: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a manifest says. Sizes are bytes; ``digest`` is the SHA-1 (hex) of the tar, before gzip."""

    name: str
    user: str
    image_type: ImageType
    architecture: str
    digest: str
    size: int
    bundled_size: int
    ec2_secret: EncryptedSecret
    user_secret: EncryptedSecret
    parts: tuple[ManifestPart, ...]
    kernel_id: str = ""
    ramdisk_id: str = ""
    block_devices: tuple[BlockDevice, ...] = ()
    product_codes: tuple[str, ...] = ()
    bundler: str = ""
    bundler_version: str = ""
    signature: str = ""


def check_part_name(name: str) -> str:
    """A part's file name, when it is one plain name. Raises InvalidManifest."""
    if not name or name in (".", "..") or "/" in name or "\\" in name or _control(name):
        raise InvalidManifest("A part's file name is not a plain name.", filename=name[:TEXT_CHARS_MAX])
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidManifest("A part's file name is not text.") from None
    if size > PART_NAME_BYTES_MAX:
        raise InvalidManifest(f"A part's file name is longer than {PART_NAME_BYTES_MAX} bytes.")
    return name


# -- reading ---------------------------------------------------------------------------------------------------------


def read_manifest(body: bytes) -> Manifest:
    """Parse a manifest. Raises InvalidManifest, whose message says what is wrong."""
    root = _parse(body)
    if _local(root) != "manifest":
        raise InvalidManifest("The document is not a manifest.")
    image = _required(root, "image")
    machine = _required(root, "machine_configuration")
    kernel_id, ramdisk_id = _optional_text(machine, "kernel_id"), _optional_text(machine, "ramdisk_id")
    bundler = _child(root, "bundler")
    return Manifest(
        name=_text(image, "name"),
        user=_optional_text(image, "user"),
        image_type=_read_type(image, kernel_id, ramdisk_id),
        architecture=_read_architecture(machine),
        digest=_read_digest(image),
        size=_read_size(image, "size"),
        bundled_size=_read_size(image, "bundled_size"),
        ec2_secret=_read_secret(image, "ec2"),
        user_secret=_read_secret(image, "user"),
        parts=_read_parts(image),
        kernel_id="" if kernel_id == _TRUE else kernel_id,
        ramdisk_id="" if ramdisk_id == _TRUE else ramdisk_id,
        block_devices=_read_block_devices(machine),
        product_codes=_read_product_codes(machine),
        bundler="" if bundler is None else _optional_text(bundler, "name"),
        bundler_version="" if bundler is None else _optional_text(bundler, "version"),
        signature=_optional_text(root, "signature", chars_max=RSA_HEX_CHARS_MAX),
    )


_NOTHING = Element("nothing")  # what the builder's type wants answered; nobody looks at it


class _BoundedBuilder(TreeBuilder):
    """A tree builder that counts what it builds."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        """An element begins."""
        self._depth += 1
        self._count += 1
        if self._depth > MANIFEST_DEPTH_MAX:
            raise InvalidManifest("The manifest is nested too deep.")
        if self._count > MANIFEST_ELEMENTS_MAX:
            raise InvalidManifest(f"The manifest has more than {MANIFEST_ELEMENTS_MAX} elements.")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        """An element ends."""
        self._depth -= 1
        return super().end(tag)

    # Left out without a look: the builder would join all of the text before each to what it has, which is quadratic.

    def comment(self, text: str | None, /) -> Element:
        """A comment says nothing."""
        return _NOTHING

    def pi(self, target: str, text: str | None = None, /) -> Element:
        """A processing instruction says nothing."""
        return _NOTHING


def _parse(body: bytes) -> Element:
    if len(body) > MANIFEST_BYTES_MAX:
        raise InvalidManifest(f"The manifest is larger than {MANIFEST_BYTES_MAX} bytes.")
    parser = DefusedXMLParser(target=_BoundedBuilder(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(body)
        root: Element = parser.close()
    except DefusedXmlException:
        raise InvalidManifest("The manifest has a document type, which is not allowed.") from None
    except (ParseError, LookupError, ValueError) as error:  # malformed; an encoding that is none, or that expat lacks
        raise InvalidManifest(f"The manifest is not well-formed XML: {str(error)[:TEXT_CHARS_MAX]}.") from None
    return root


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _children(parent: Element, name: str) -> list[Element]:
    return [element for element in parent if _local(element) == name]


def _child(parent: Element, name: str) -> Element | None:
    found = _children(parent, name)
    if len(found) > 1:
        raise InvalidManifest(f"The manifest gives {name} more than once.")
    return found[0] if found else None


def _required(parent: Element, name: str) -> Element:
    found = _child(parent, name)
    if found is None:
        raise InvalidManifest(f"The manifest has no {name}.")
    return found


def _own_text(element: Element, *, chars_max: int = TEXT_CHARS_MAX) -> str:
    text = (element.text or "").strip()
    if len(text) > chars_max or _control(text):
        raise InvalidManifest(f"The manifest's {_local(element)} is too long or has control characters.")
    return text


def _optional_text(parent: Element, name: str, *, chars_max: int = TEXT_CHARS_MAX) -> str:
    found = _child(parent, name)
    return "" if found is None else _own_text(found, chars_max=chars_max)


def _text(parent: Element, name: str) -> str:
    text = _own_text(_required(parent, name))
    if not text:
        raise InvalidManifest(f"The manifest's {name} is empty.")
    return text


def _read_type(image: Element, kernel_id: str, ramdisk_id: str) -> ImageType:
    if kernel_id == _TRUE:
        return ImageType.KERNEL
    if ramdisk_id == _TRUE:
        return ImageType.RAMDISK
    text = _optional_text(image, "type") or ImageType.MACHINE
    try:
        return ImageType(text)
    except ValueError:
        raise InvalidManifest("The manifest's type is none of machine, kernel and ramdisk.") from None


def _read_architecture(machine: Element) -> str:
    text = _text(machine, "architecture")
    if not _architecture(text):
        raise InvalidManifest("The manifest's architecture is not the name of one.")
    return text


def _read_digest(parent: Element) -> str:
    found = _required(parent, "digest")
    algorithm = found.get("algorithm", DIGEST_ALGORITHM).upper().replace("-", "")
    if algorithm != DIGEST_ALGORITHM:
        raise InvalidManifest("The manifest has a digest that is not a SHA1.")
    digest = _own_text(found).lower()
    if not _sha1(digest):
        raise InvalidManifest("The manifest has a digest that is not 40 hexadecimal digits.")
    return digest


def _read_size(image: Element, name: str) -> int:
    text = _text(image, name)
    if not _number(text) or int(text) > IMAGE_SIZE_MAX:
        raise InvalidManifest(f"The manifest's {name} is not a number of bytes up to {IMAGE_SIZE_MAX}.")
    return int(text)


def _read_secret(image: Element, whose: str) -> EncryptedSecret:
    values = []
    for what in ("key", "iv"):
        name = f"{whose}_encrypted_{what}"
        text = _optional_text(image, name, chars_max=RSA_HEX_CHARS_MAX).lower()
        if not _hex(text):
            raise InvalidManifest(f"The manifest's {name} is not hexadecimal.")
        values.append(text)
    return EncryptedSecret(*values)


def _read_parts(image: Element) -> tuple[ManifestPart, ...]:
    found = _required(image, "parts")
    elements = _children(found, "part")
    if not 1 <= len(elements) <= PARTS_MAX:
        raise InvalidManifest(f"The manifest has {len(elements)} parts; it may have 1 to {PARTS_MAX}.")
    if found.get("count", str(len(elements))) != str(len(elements)):
        raise InvalidManifest("The manifest's count of parts is not the number of its parts.")
    parts = sorted(_read_part(element) for element in elements)
    if [part.number for part in parts] != list(range(len(parts))):
        raise InvalidManifest("The manifest's parts are not numbered from 0 without a gap.")
    return tuple(parts)


def _read_part(element: Element) -> ManifestPart:
    index = element.get("index", "")
    if not _number(index):
        raise InvalidManifest("A part of the manifest has no index.")
    name = _required(element, "filename").text or ""
    return ManifestPart(int(index), check_part_name(name.strip(" \t\r\n")), _read_digest(element))


def _read_block_devices(machine: Element) -> tuple[BlockDevice, ...]:
    """``block_device_mapping/mapping`` (EC2's), or ``block_device_mappings/block_device_mapping``."""
    rows: list[Element] = []
    for outer, inner in (("block_device_mapping", "mapping"), ("block_device_mappings", "block_device_mapping")):
        found = _child(machine, outer)
        rows.extend(() if found is None else _children(found, inner))
    if len(rows) > BLOCK_DEVICES_MAX:
        raise InvalidManifest(f"The manifest maps more than {BLOCK_DEVICES_MAX} block devices.")
    return tuple(BlockDevice(_text(row, "virtual"), _text(row, "device")) for row in rows)


def _read_product_codes(machine: Element) -> tuple[str, ...]:
    rows: list[Element] = []
    for outer in ("product_codes", "productcodes"):
        found = _child(machine, outer)
        rows.extend(() if found is None else _children(found, "product_code"))
    if len(rows) > PRODUCT_CODES_MAX:
        raise InvalidManifest(f"The manifest has more than {PRODUCT_CODES_MAX} product codes.")
    return tuple(_own_text(row) for row in rows)


# -- writing ---------------------------------------------------------------------------------------------------------


def write_manifest(manifest: Manifest, sign: Callable[[bytes], str] | None = None) -> bytes:
    """The manifest's document, as EC2's tools read it.

    ``sign`` makes a signature (hex) of bytes: those of ``signed_bytes``. Without it, ``manifest.signature`` is written,
    or UNSIGNED.
    """
    machine, image = _machine_element(manifest), _image_element(manifest)
    signed = f"{machine}{image}"
    signature = sign(signed.encode("utf-8")) if sign is not None else manifest.signature or UNSIGNED
    bundler = _element("name", manifest.bundler) + _element("version", manifest.bundler_version)
    return (
        f'<?xml version="1.0"?>\n<manifest>{_element("version", MANIFEST_VERSION)}'
        f"<bundler>{bundler}<release>0</release></bundler>{signed}{_element('signature', signature)}</manifest>\n"
    ).encode()


def signed_bytes(document: bytes) -> bytes:
    """What a manifest's signature signs: its machine_configuration and image elements as they are written.

    Raises InvalidManifest when they are not found in that order.
    """
    pieces = []
    position = 0
    for name in (b"machine_configuration", b"image"):
        start = document.find(b"<" + name + b">", position)
        end = document.find(b"</" + name + b">", start)
        if start < 0 or end < 0:
            raise InvalidManifest("The manifest's signed elements are not found.")
        position = end + len(name) + 3
        pieces.append(document[start:position])
    return b"".join(pieces)


def _element(name: str, text: str | int, attributes: str = "") -> str:
    return f"<{name}{attributes}>{escape(str(text))}</{name}>"


def _machine_element(manifest: Manifest) -> str:
    content = [_element("architecture", manifest.architecture)]
    if manifest.block_devices:
        rows = (f"{_element('virtual', row.virtual)}{_element('device', row.device)}" for row in manifest.block_devices)
        content.append(_wrap("block_device_mapping", (f"<mapping>{row}</mapping>" for row in rows)))
    if manifest.product_codes:
        content.append(_wrap("product_codes", (_element("product_code", code) for code in manifest.product_codes)))
    # "true" tells Eucalyptus and nova what EC2 is told by image/type.
    kernel_id = _TRUE if manifest.image_type is ImageType.KERNEL else manifest.kernel_id
    ramdisk_id = _TRUE if manifest.image_type is ImageType.RAMDISK else manifest.ramdisk_id
    ids = (("kernel_id", kernel_id), ("ramdisk_id", ramdisk_id))
    content.extend(_element(name, value) for name, value in ids if value)
    return _wrap("machine_configuration", content)


def _image_element(manifest: Manifest) -> str:
    algorithm, digest = f' algorithm="{CIPHER}"', f' algorithm="{DIGEST_ALGORITHM}"'
    parts = (
        f'<part index="{part.number}">{_element("filename", part.filename)}'
        f"{_element('digest', part.digest, digest)}</part>"
        for part in manifest.parts
    )
    # EC2 wants the type right behind the user.
    content = [
        _element("name", manifest.name),
        _element("user", manifest.user),
        _element("type", manifest.image_type),
        _element("digest", manifest.digest, digest),
        _element("size", manifest.size),
        _element("bundled_size", manifest.bundled_size),
        _element("ec2_encrypted_key", manifest.ec2_secret.key, algorithm),
        _element("user_encrypted_key", manifest.user_secret.key, algorithm),
        _element("ec2_encrypted_iv", manifest.ec2_secret.iv),
        _element("user_encrypted_iv", manifest.user_secret.iv),
        f'<parts count="{len(manifest.parts)}">{"".join(parts)}</parts>',
    ]
    return _wrap("image", content)


def _wrap(name: str, content: Iterable[str]) -> str:
    return f"<{name}>{''.join(content)}</{name}>"
