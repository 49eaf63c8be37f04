"""Bundles made and undone: round trips, the historical tools on either side, and bundles that lie."""

import gzip
import hashlib
import io
import os
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bundles import Bundle, MemorySink, bundle, rsa_key, tool
from support.tars import END, entry, gnu_sparse, header, python_tar

from nova_objectstore.errors import InvalidArgument
from nova_objectstore.images import limits
from nova_objectstore.images.bundle import BundleKeys, BundleSpec, DirectorySink, bundle_image, make_bundle
from nova_objectstore.images.cipher import BundleSecret, decrypt_secret, encrypt_secret
from nova_objectstore.images.errors import InvalidBundle, InvalidManifest
from nova_objectstore.images.keys import make_certificate
from nova_objectstore.images.manifest import EncryptedSecret, Manifest, ManifestPart, read_manifest, write_manifest
from nova_objectstore.images.ports import BlockDevice, ImageType
from nova_objectstore.images.unbundle import UnbundleLimits, unbundle
from nova_objectstore.limits import STREAM_BUFFER, KiB, MiB

SECRET = BundleSecret(bytes(range(16)), bytes(range(16, 32)))


def seal(
    packed: bytes, *, size: int, digest: str = "", part_size: int = 100 * KiB, secret: BundleSecret = SECRET
) -> Bundle:
    """A bundle whose gzip is ``packed``, with a manifest that fits what can be known of it."""
    padder = padding.PKCS7(128).padder()
    encryptor = secret.cipher().encryptor()
    encrypted = encryptor.update(padder.update(packed) + padder.finalize()) + encryptor.finalize()
    pieces = [encrypted[start : start + part_size] for start in range(0, len(encrypted), part_size)]
    parts = {f"x.part.{number:02}": piece for number, piece in enumerate(pieces)}
    manifest = Manifest(
        name="x",
        user="1",
        image_type=ImageType.MACHINE,
        architecture="x86_64",
        digest=digest or hashlib.sha1(zlib.decompress(packed, 31)).hexdigest(),
        size=size,
        bundled_size=len(encrypted),
        ec2_secret=encrypt_secret(secret, rsa_key().public_key()),
        user_secret=EncryptedSecret(),
        parts=tuple(
            ManifestPart(number, name, hashlib.sha1(piece).hexdigest())
            for number, (name, piece) in enumerate(parts.items())
        ),
    )
    return Bundle(manifest, parts, BundleKeys(rsa_key().public_key()))


def refusal(made: Bundle, **settings: object) -> str:
    with pytest.raises(InvalidBundle) as caught:
        made.undo(**settings)
    return caught.value.message


# -- round trips -------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=5000), st.integers(1, 3000))
@settings(max_examples=40, deadline=None)
def test_what_is_bundled_is_undone(image, part_size):
    assert bundle(image, part_size=max(part_size, len(image) // 50 + 1)).undo() == image


def test_the_manifest_tells_all():
    image = os.urandom(700 * KiB)
    made = bundle(
        image,
        image_type=ImageType.RAMDISK,
        architecture="i386",
        kernel_id="aki-12345678",
        block_devices=(BlockDevice("ami", "sda1"),),
        product_codes=("code",),
    )
    manifest = read_manifest(made.document)
    assert manifest == replace(made.manifest, signature=manifest.signature)
    assert manifest.size == len(image)
    assert manifest.bundled_size == sum(len(part) for part in made.parts.values())
    assert list(made.parts) == ["disk.img.part.00", "disk.img.part.01", "disk.img.part.02"]
    assert manifest.image_type is ImageType.RAMDISK
    assert made.undo() == image


def test_the_user_can_undo_it_too():
    made = bundle(b"image" * 1000)
    for_user = replace(made.manifest, ec2_secret=made.manifest.user_secret)
    assert Bundle(for_user, made.parts, made.keys).undo(rsa_key("user")) == b"image" * 1000


def test_no_two_bundles_share_a_secret():
    first, second = bundle(b"image"), bundle(b"image")
    assert first.parts != second.parts


def test_progress_is_told():
    told = []
    image = bytes(1_500_000)
    keys = BundleKeys(rsa_key().public_key())
    memory = MemorySink()
    manifest = make_bundle(
        io.BytesIO(image).read,
        len(image),
        spec=BundleSpec("a"),
        keys=keys,
        sink=memory,
        progress=lambda *at: told.append(at),
    )
    assert told[-1] == (len(image), len(image))
    assert told == sorted(told)
    told.clear()
    files = []
    secret = decrypt_secret(manifest.ec2_secret, rsa_key())
    made = Bundle(manifest, memory.parts, keys)
    unbundle(
        manifest,
        secret,
        made.open_part,
        lambda _: None,
        progress=lambda *at: told.append(at),
        on_file=lambda: files.append(1),
    )
    assert told[-1] == (manifest.bundled_size, manifest.bundled_size)
    assert files == [1]


@pytest.mark.parametrize("size", [0, -1, limits.IMAGE_SIZE_MAX + 1])
def test_sizes_that_no_image_has(size):
    with pytest.raises(InvalidArgument):
        make_bundle(
            io.BytesIO(b"").read, size, spec=BundleSpec("a"), keys=BundleKeys(rsa_key().public_key()), sink=None
        )


@pytest.mark.parametrize("size", [4, 6])
def test_an_image_of_another_size_than_was_said(size):
    with pytest.raises(InvalidArgument, match=r"image (ended|has more)"):
        make_bundle(
            io.BytesIO(b"12345").read,
            size,
            spec=BundleSpec("a"),
            keys=BundleKeys(rsa_key().public_key()),
            sink=MemorySink(),
        )


def test_too_many_parts():
    with pytest.raises(InvalidArgument, match="parts"):
        bundle(os.urandom(20_000), part_size=1)


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_bundle_of_files(tmp_path: Path):
    image = tmp_path / "image"
    image.write_bytes(os.urandom(300 * KiB))
    out = tmp_path / "out"
    keys = BundleKeys(rsa_key().public_key())
    path = bundle_image(image, out, spec=BundleSpec("lucid"), keys=keys, part_size=100 * KiB)
    assert path == out / "lucid.manifest.xml"
    assert sorted(os.listdir(out)) == ["lucid.manifest.xml", *(f"lucid.part.{number:02}" for number in range(4))]
    manifest = read_manifest(path.read_bytes())
    parts = {part.filename: (out / part.filename).read_bytes() for part in manifest.parts}
    assert Bundle(manifest, parts, keys).undo() == image.read_bytes()


def test_a_bundle_that_fails_leaves_nothing(tmp_path: Path):
    image = tmp_path / "image"
    image.write_bytes(os.urandom(300 * KiB))
    out = tmp_path / "out"
    out.mkdir()
    (out / "lucid.part.02").write_bytes(b"mine")
    keys = BundleKeys(rsa_key().public_key())
    with pytest.raises(FileExistsError):
        bundle_image(image, out, spec=BundleSpec("lucid"), keys=keys, part_size=100 * KiB)
    assert os.listdir(out) == ["lucid.part.02"]
    with pytest.raises(InvalidManifest):
        bundle_image(image, out, spec=BundleSpec("../lucid"), keys=keys)
    assert os.listdir(out) == ["lucid.part.02"]


# -- the historical tools ------------------------------------------------------------------------------------------------


@pytest.fixture
def pem(tmp_path: Path) -> tuple[str, str]:
    """The cloud's key and certificate as files."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    key.write_bytes(rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    certificate.write_bytes(make_certificate(rsa_key()))
    return str(key), str(certificate)


def test_what_openssl_gzip_and_tar_bundled(tmp_path: Path, pem):
    """As euca-bundle-image 1.x does it, with a sparse image and an empty last part."""
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(100_000) + bytes(3_000_000) + b"end")
    archive = tool("tar", "-c", "-S", "-C", str(tmp_path), "disk.img")
    key, iv = os.urandom(16).hex(), os.urandom(16).hex()
    packed = tool("gzip", "-c", stdin=archive)
    encrypted = tool("openssl", "enc", "-e", "-aes-128-cbc", "-K", key, "-iv", iv, stdin=packed)
    half = len(encrypted) // 2
    parts = {"a": encrypted[:half], "b": encrypted[half:], "c": b""}
    secret = EncryptedSecret(
        *(
            tool("openssl", "pkeyutl", "-encrypt", "-certin", "-inkey", pem[1], stdin=text.encode()).hex()
            for text in (key, iv)
        )
    )
    manifest = replace(
        bundle(b"x").manifest,
        digest=hashlib.sha1(archive).hexdigest(),
        size=image.stat().st_size,
        bundled_size=len(encrypted),
        ec2_secret=secret,
        parts=tuple(
            ManifestPart(n, name, hashlib.sha1(part).hexdigest()) for n, (name, part) in enumerate(parts.items())
        ),
    )
    manifest = read_manifest(write_manifest(manifest))
    assert Bundle(manifest, parts, BundleKeys(rsa_key().public_key())).undo() == image.read_bytes()


def test_what_is_made_here_openssl_gzip_and_tar_undo(tmp_path: Path, pem):
    image = os.urandom(50_000) + bytes(400_000)
    made = bundle(image, name="disk.img")
    manifest = read_manifest(made.document)
    key, iv = (
        tool("openssl", "pkeyutl", "-decrypt", "-inkey", pem[0], stdin=bytes.fromhex(text)).decode()
        for text in manifest.ec2_secret
    )
    encrypted = b"".join(made.parts[part.filename] for part in manifest.parts)
    packed = tool("openssl", "enc", "-d", "-aes-128-cbc", "-K", key, "-iv", iv, stdin=encrypted)
    archive = tool("gzip", "-dc", stdin=packed)
    assert hashlib.sha1(archive).hexdigest() == manifest.digest
    assert len(archive) % 10240 == 0
    assert tool("tar", "-xO", stdin=archive) == image


# -- bundles that lie ----------------------------------------------------------------------------------------------------


def test_a_sealed_tar_is_undone():
    archive = python_tar(b"image")
    assert seal(gzip.compress(archive), size=5).undo() == b"image"


def test_members_of_gzip_and_zeros_behind():
    archive = python_tar(b"image" * 1000)
    packed = gzip.compress(archive[:700]) + gzip.compress(archive[700:]) + bytes(100)
    assert seal(packed, size=5000, digest=hashlib.sha1(archive).hexdigest()).undo() == b"image" * 1000
    for tail in (b"x", b"xyz", b"\0x"):
        assert "gzip" in refusal(seal(packed + tail, size=5000, digest=hashlib.sha1(archive).hexdigest()))


def test_a_changed_part():
    made = bundle(os.urandom(600 * KiB))
    name = made.manifest.parts[1].filename
    made.parts[name] = made.parts[name][:-1] + bytes([made.parts[name][-1] ^ 1])
    assert "does not have its digest" in refusal(made) or "damaged" in refusal(made)


@pytest.mark.parametrize("change", [lambda part: part[:-16], lambda part: part + bytes(16)])
def test_a_part_that_is_longer_or_shorter(change):
    made = bundle(os.urandom(600 * KiB))
    name = made.manifest.parts[2].filename
    made.parts[name] = change(made.parts[name])
    assert refusal(made)


def test_parts_in_another_order():
    made = bundle(os.urandom(600 * KiB))
    first, second = (made.manifest.parts[n].filename for n in (0, 1))
    made.parts[first], made.parts[second] = made.parts[second], made.parts[first]
    assert refusal(made)


@pytest.mark.parametrize(
    "secret", [EncryptedSecret(), EncryptedSecret("00", "00"), EncryptedSecret("ff" * 256, "ff" * 256)]
)
def test_a_wrong_key_says_no_more_than_that(secret):
    made = bundle(b"image")
    broken = Bundle(replace(made.manifest, ec2_secret=secret), made.parts, made.keys)
    other = refusal(made, key=rsa_key("another"))
    assert refusal(broken) == other
    assert "could not be decrypted" in other


def test_a_key_that_is_no_hex_or_of_another_length():
    for text in (b"z" * 32, b"00" * 15, b"00" * 32, b"", b"\xff" * 8):
        wrapped = rsa_key().public_key().encrypt(text, PKCS1v15()).hex()
        secret = decrypt_secret(EncryptedSecret(wrapped, wrapped), rsa_key())
        assert len(secret.key) == len(secret.iv) == 16
        assert secret.key != secret.iv, "random, each"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": 6}, "its manifest says 6"),
        ({"digest": "0" * 40}, "digest"),
        ({"bundled_size": 10**6}, "fewer bytes"),
        ({"bundled_size": 10}, "more bytes"),
    ],
)
def test_a_manifest_that_does_not_fit(change, reason):
    made = seal(gzip.compress(python_tar(b"image")), size=5)
    assert reason in refusal(Bundle(replace(made.manifest, **change), made.parts, made.keys))


def test_a_smaller_size_than_the_file_has():
    assert "larger than 4 bytes" in refusal(seal(gzip.compress(python_tar(b"image")), size=4))


def test_truncated_gzip():
    packed = gzip.compress(python_tar(b"image"))[:-1]
    assert "truncated" in refusal(seal(packed, size=5, digest="0" * 40))


def test_hostile_tars_are_refused():
    for archive in (entry(b"", kind=b"2"), entry(b"x", name=b"/etc/passwd"), entry(b"x") + entry(b"y"), END, b""):
        assert refusal(seal(gzip.compress(archive + END), size=1))


# -- bombs -------------------------------------------------------------------------------------------------------------


class Counter:
    """Counts what is written and keeps none of it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        self.size += len(data)


def undo_counted(made: Bundle, **settings: object) -> tuple[str, int]:
    counter = Counter()
    secret = decrypt_secret(made.manifest.ec2_secret, rsa_key())
    with pytest.raises(InvalidBundle) as caught:
        unbundle(made.manifest, secret, made.open_part, counter.write, **settings)
    return caught.value.message, counter.size


def test_a_gzip_bomb_behind_a_small_image():
    bomb = seal(gzip.compress(entry(b"image") + bytes(200 * MiB)), size=5)
    tracemalloc.start()
    message, written = undo_counted(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "unpacks to more" in message
    assert written == 5
    assert peak < 8 * MiB


def test_a_bomb_in_a_pax_header():
    bomb = gzip.compress(header(size=100 * MiB, kind=b"x") + bytes(100 * MiB))
    message, written = undo_counted(seal(bomb, size=5))
    assert "unreasonable" in message
    assert written == 0


def test_a_hole_beyond_what_the_manifest_says():
    archive = gnu_sparse([(0, b"x")], 8 * 1024**3 - 1) + END
    message, written = undo_counted(seal(gzip.compress(archive), size=1000))
    assert "larger than 1000" in message
    assert written == 0


def test_images_that_are_too_many_times_their_bundle():
    size = 2 * MiB
    made = seal(gzip.compress(python_tar(bytes(size))), size=size)
    limits_ = UnbundleLimits(size_max=10 * MiB, expansion_free=1 * MiB, expansion_max=20)
    message, written = undo_counted(made, limits=limits_)
    assert "20 times" in message
    assert written == 0
    assert made.undo(limits=limits_._replace(expansion_max=2000)) == bytes(size)
    assert "may have 1000" in undo_counted(made, limits=limits_._replace(size_max=1000))[0]


def test_a_large_image_in_bounded_memory(tmp_path: Path):
    """200 MiB, a quarter of it random, bundled and undone; what Python allocates stays within a few buffers."""
    size, step = 200 * MiB, 1 * MiB
    rows = [os.urandom(step // 4) + bytes(step * 3 // 4) for _ in range(8)]
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        row = rows[position // step % len(rows)]
        piece = row[position % step : position % step + min(count, size - position)]
        position += len(piece)
        return piece

    def open_part(part: ManifestPart) -> Iterator[bytes]:
        with (tmp_path / part.filename).open("rb") as file:
            while data := file.read(STREAM_BUFFER):
                yield data

    written, expected = hashlib.sha1(), hashlib.sha1()
    for number in range(size // step):
        expected.update(rows[number % len(rows)])
    keys = BundleKeys(rsa_key().public_key())
    tracemalloc.start()
    sink = DirectorySink(tmp_path)
    manifest = make_bundle(read, size, spec=BundleSpec("big"), keys=keys, sink=sink, gzip_level=1)
    unbundle(manifest, decrypt_secret(manifest.ec2_secret, rsa_key()), open_part, written.update)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert written.hexdigest() == expected.hexdigest()
    assert len(manifest.parts) >= 5
    assert peak < 16 * MiB
