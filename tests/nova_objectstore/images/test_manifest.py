"""Manifests: what the tools of the time write is read, what is written is read again, and nothing hostile gets in."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st
from support.bundles import bundle, rsa_key

from nova_objectstore.images.errors import InvalidManifest
from nova_objectstore.images.limits import MANIFEST_BYTES_MAX, PARTS_MAX
from nova_objectstore.images.manifest import (
    UNSIGNED,
    EncryptedSecret,
    Manifest,
    ManifestPart,
    check_part_name,
    read_manifest,
    signed_bytes,
    write_manifest,
)
from nova_objectstore.images.ports import BlockDevice, ImageType

VECTORS = Path(__file__).parents[2] / "vectors" / "images"

PART = '<part index="0"><filename>a.part.00</filename><digest algorithm="SHA1">' + "a" * 40 + "</digest></part>"


def document(
    *,
    machine: str = "<architecture>x86_64</architecture>",
    name: str = "<name>a</name>",
    kind: str = "<type>machine</type>",
    sizes: str = "<size>10</size><bundled_size>20</bundled_size>",
    digest: str = '<digest algorithm="SHA1">' + "b" * 40 + "</digest>",
    secret: str = "<ec2_encrypted_key>00</ec2_encrypted_key><ec2_encrypted_iv>00</ec2_encrypted_iv>",
    parts: str = f'<parts count="1">{PART}</parts>',
    before: str = "",
) -> bytes:
    return (
        f'<?xml version="1.0"?>{before}<manifest><version>2007-10-10</version><machine_configuration>{machine}'
        f"</machine_configuration><image>{name}<user>1</user>{kind}{digest}{sizes}{secret}{parts}</image></manifest>"
    ).encode()


def refusal(body: bytes) -> str:
    with pytest.raises(InvalidManifest) as caught:
        read_manifest(body)
    return caught.value.message


# -- what the tools write ----------------------------------------------------------------------------------------------


def test_a_manifest_in_the_form_of_ec2_bundle_image():
    manifest = read_manifest((VECTORS / "machine.manifest.xml").read_bytes())
    assert manifest.name == "lucid.img"
    assert manifest.user == "111122223333"
    assert manifest.image_type is ImageType.MACHINE
    assert manifest.architecture == "i386"
    assert (manifest.kernel_id, manifest.ramdisk_id) == ("aki-1a2b3c4d", "ari-1a2b3c4d")
    assert manifest.block_devices == (BlockDevice("ami", "sda1"), BlockDevice("ephemeral0", "sdb"))
    assert manifest.product_codes == ("774F4FF8",)
    assert (manifest.size, manifest.bundled_size) == (20971520, 12582928)
    assert manifest.digest == "2" * 40
    assert [part.filename for part in manifest.parts] == ["lucid.img.part.0", "lucid.img.part.1"]
    assert manifest.ec2_secret == EncryptedSecret("ab12", "cd34")
    assert manifest.user_secret == EncryptedSecret("ef56", "0a78")
    assert (manifest.bundler, manifest.bundler_version) == ("ec2-ami-tools", "1.3")


def test_a_kernel_in_the_form_of_eucalyptus_and_nova():
    manifest = read_manifest((VECTORS / "kernel.manifest.xml").read_bytes())
    assert manifest.image_type is ImageType.KERNEL
    assert manifest.kernel_id == ""
    assert manifest.user_secret == EncryptedSecret()
    assert manifest.signature == UNSIGNED


def test_the_other_form_of_block_devices():
    machine = (
        "<architecture>x86_64</architecture><block_device_mappings><block_device_mapping><virtual>root</virtual>"
        "<device>/dev/sda1</device></block_device_mapping></block_device_mappings>"
    )
    assert read_manifest(document(machine=machine)).block_devices == (BlockDevice("root", "/dev/sda1"),)


def test_parts_are_ordered_by_their_index():
    second = PART.replace('index="0"', 'index="1"').replace("part.00", "part.01")
    manifest = read_manifest(document(parts=f"<parts>{second}{PART}</parts>"))
    assert [part.filename for part in manifest.parts] == ["a.part.00", "a.part.01"]


# -- what is written ---------------------------------------------------------------------------------------------------

names = st.text(
    st.characters(categories=("L", "N", "P", "S"), exclude_characters="/\\"), min_size=1, max_size=30
).filter(lambda name: name not in (".", ".."))
hexes = st.binary(max_size=40).map(bytes.hex)
digests = st.binary(min_size=20, max_size=20).map(bytes.hex)
image_ids = st.one_of(st.just(""), st.from_regex(r"a[kr]i-[0-9a-f]{8}", fullmatch=True))
manifests = st.builds(
    Manifest,
    name=names,
    user=st.one_of(st.just(""), names),
    image_type=st.sampled_from(ImageType),
    architecture=st.sampled_from(("i386", "x86_64", "arm64")),
    digest=digests,
    size=st.integers(0, 2**36),
    bundled_size=st.integers(0, 2**36),
    ec2_secret=st.builds(EncryptedSecret, hexes, hexes),
    user_secret=st.builds(EncryptedSecret, hexes, hexes),
    parts=st.lists(st.tuples(names, digests), min_size=1, max_size=5).map(
        lambda rows: tuple(ManifestPart(number, *row) for number, row in enumerate(rows))
    ),
    kernel_id=image_ids,
    ramdisk_id=image_ids,
    block_devices=st.lists(st.builds(BlockDevice, names, names), max_size=3).map(tuple),
    product_codes=st.lists(names, max_size=2).map(tuple),
    bundler=names,
    bundler_version=names,
    signature=st.one_of(st.just(UNSIGNED), hexes.filter(bool)),
)


@given(manifests)
def test_what_is_written_is_read(manifest):
    expected = manifest
    if manifest.image_type is ImageType.KERNEL:
        expected = replace(manifest, kernel_id="")
    elif manifest.image_type is ImageType.RAMDISK:
        expected = replace(manifest, ramdisk_id="")
    assert read_manifest(write_manifest(manifest)) == expected


def test_the_signature_is_the_users_over_both_elements():
    made = bundle(b"image")
    written = made.document
    signature = bytes.fromhex(read_manifest(written).signature)
    body = signed_bytes(written)
    assert body.startswith(b"<machine_configuration><architecture>")
    assert body.endswith(b"</parts></image>")
    rsa_key("user").public_key().verify(signature, body, padding.PKCS1v15(), hashes.SHA1())


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", "x" * 256, "\ud800"]
)
def test_names_that_no_part_may_have(name):
    with pytest.raises(InvalidManifest):
        check_part_name(name)


@pytest.mark.parametrize("name", ["../secret", "a/b", "..", "", " "])
def test_a_part_that_leaves_its_place(name):
    part = PART.replace("a.part.00", name)
    assert "plain name" in refusal(document(parts=f"<parts>{part}</parts>"))


@pytest.mark.parametrize(
    "before",
    [
        '<!DOCTYPE manifest [<!ENTITY a "aaaa">]>',
        '<!DOCTYPE manifest SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE m [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>',
        "<!DOCTYPE manifest>",
    ],
)
def test_document_types_are_refused(before):
    assert "document type" in refusal(document(before=before))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": ""}, "no name"),
        ({"name": "<name> </name>"}, "name is empty"),
        ({"name": "<name>a</name><name>b</name>"}, "more than once"),
        ({"name": f"<name>{'x' * 256}</name>"}, "too long"),
        ({"kind": "<type>floppy</type>"}, "type is none of"),
        ({"machine": ""}, "no architecture"),
        ({"machine": "<architecture>../x</architecture>"}, "architecture"),
        ({"digest": "<digest>abc</digest>"}, "40 hexadecimal"),
        ({"digest": '<digest algorithm="MD5">abc</digest>'}, "not a SHA1"),
        ({"sizes": "<size>-1</size><bundled_size>1</bundled_size>"}, "size is not a number"),
        ({"sizes": "<size>1</size><bundled_size>1e9</bundled_size>"}, "bundled_size is not a number"),
        ({"sizes": f"<size>{2**60}</size><bundled_size>1</bundled_size>"}, "size is not a number"),
        ({"secret": "<ec2_encrypted_key>xyz</ec2_encrypted_key>"}, "not hexadecimal"),
        ({"secret": f"<ec2_encrypted_key>{'0' * 5000}</ec2_encrypted_key>"}, "too long"),
        ({"parts": ""}, "no parts"),
        ({"parts": "<parts></parts>"}, "0 parts"),
        ({"parts": f'<parts count="2">{PART}</parts>'}, "count of parts"),
        ({"parts": f"<parts>{PART}{PART}</parts>"}, "without a gap"),
        ({"parts": f"<parts>{PART.replace('0', '1', 1)}</parts>"}, "without a gap"),
        ({"parts": f"<parts>{PART.replace('index', 'no')}</parts>"}, "no index"),
        ({"parts": f"<parts>{PART * (PARTS_MAX + 1)}</parts>"}, "it may have 1 to"),
    ],
)
def test_what_a_manifest_must_have(change, reason):
    assert reason in refusal(document(**change))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "well-formed"),
        (b"\0\0\0", "well-formed"),
        (b"<manifest>", "well-formed"),
        (b'<?xml version="1.0" encoding="no-such"?><manifest/>', "well-formed"),
        (b"<a/>", "not a manifest"),
        (b"<manifest/>", "no image"),
        (b"<manifest>" + b"<a>" * 100 + b"</a>" * 100 + b"</manifest>", "nested too deep"),
        (b"<manifest>" + b"<a/>" * 200_000 + b"</manifest>", "elements"),
        (b" " * (MANIFEST_BYTES_MAX + 1), "larger than"),
    ],
)
def test_what_is_no_manifest(body, reason):
    assert reason in refusal(body)


def test_comments_and_instructions_say_nothing():
    plain = document()
    name = plain.partition(b"<name>")[2].partition(b"</name>")[0]
    commented = plain.replace(b"<name>" + name, b"<name>" + name[:2] + b"<!-- x --><?y z?>" + name[2:], 1)
    assert commented != plain
    assert read_manifest(commented) == read_manifest(plain)


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else(garbage):
    with pytest.raises(InvalidManifest):
        read_manifest(garbage)


def test_signed_elements_that_are_not_there():
    with pytest.raises(InvalidManifest):
        signed_bytes(b"<manifest><image>")
