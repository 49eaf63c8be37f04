"""A bundle made of an image file, as ec2-bundle-image and euca2ools make it: tar, gzip, AES-128-CBC, parts, a manifest.

Strategy: the image is read once, in steps of ``STREAM_BUFFER``; what comes out of each stage goes into the next, and the
last one cuts parts. Memory is bounded by a few steps, whatever the image's size.

Facts: the tar holds one file; the digest is the SHA-1 of the tar; key and IV are encrypted for the cloud, and for the user
where there is a public key of the user's; the manifest is signed (RSA, SHA-1, PKCS#1 v1.5) where there is a private one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from nova_objectstore.errors import InvalidArgument
from nova_objectstore.images.cipher import BLOCK_BITS, BundleSecret, encrypt_secret, new_secret
from nova_objectstore.images.limits import GZIP_LEVEL, IMAGE_SIZE_MAX, PART_SIZE, PARTS_MAX
from nova_objectstore.images.manifest import (
    MANIFEST_SUFFIX,
    EncryptedSecret,
    Manifest,
    ManifestPart,
    check_part_name,
    write_manifest,
)
from nova_objectstore.images.ports import BlockDevice, ImageType
from nova_objectstore.images.unbundle import Progress
from nova_objectstore.limits import STREAM_BUFFER
from nova_objectstore.version import VERSION

BUNDLER = "nova_objectstore"


class BundleSpec(NamedTuple):
    """What a manifest says beside the image. ``name`` is the bundle's: its parts are ``NAME.part.00`` and so on."""

    name: str
    user: str = ""
    image_type: ImageType = ImageType.MACHINE
    architecture: str = "x86_64"
    kernel_id: str = ""
    ramdisk_id: str = ""
    block_devices: tuple[BlockDevice, ...] = ()
    product_codes: tuple[str, ...] = ()


class BundleKeys(NamedTuple):
    """Whom a bundle is encrypted for (the cloud, and the user), and who signs its manifest."""

    cloud: RSAPublicKey
    user: RSAPublicKey | None = None
    signer: RSAPrivateKey | None = None


class PartFile(Protocol):
    """One part on its way out."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append."""
        ...

    def close(self) -> None:
        """It is whole."""
        ...


class PartSink(Protocol):
    """Where the parts go."""

    def create(self, filename: str) -> PartFile:
        """Begin a part."""
        ...


# -- the stages ------------------------------------------------------------------------------------------------------


class _Splitter:
    """Cuts a stream into parts of ``part_size`` bytes."""

    def __init__(self, sink: PartSink, name: str, part_size: int) -> None:
        self.parts: list[ManifestPart] = []
        self.size = 0
        self._sink = sink
        self._name = name
        self._part_size = part_size
        self._file: PartFile | None = None
        self._filename = ""
        self._left = 0
        self._digest = hashlib.sha1(usedforsecurity=False)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._file is None:
                self._begin()
            assert self._file is not None
            piece, view = view[: self._left], view[self._left :]
            self._file.write(piece)
            self._digest.update(piece)
            self._left -= len(piece)
            self.size += len(piece)
            if not self._left:
                self.close()

    def _begin(self) -> None:
        if len(self.parts) == PARTS_MAX:
            raise InvalidArgument(f"The bundle would have more than {PARTS_MAX} parts: choose larger ones.")
        self._filename = check_part_name(f"{self._name}.part.{len(self.parts):02}")
        self._file = self._sink.create(self._filename)
        self._left = self._part_size
        self._digest = hashlib.sha1(usedforsecurity=False)

    def close(self) -> None:
        """End the part that is being written, if one is."""
        if self._file is None:
            return
        file, self._file = self._file, None
        file.close()
        self.parts.append(ManifestPart(len(self.parts), self._filename, self._digest.hexdigest()))


class _Pipe:
    """Tar's bytes in; digest, gzip, padding, AES; parts out."""

    def __init__(self, secret: BundleSecret, splitter: _Splitter, gzip_level: int) -> None:
        self.digest = hashlib.sha1(usedforsecurity=False)
        self._gzip = zlib.compressobj(gzip_level, zlib.DEFLATED, 31)
        self._padder = padding.PKCS7(BLOCK_BITS).padder()
        self._encryptor = secret.cipher().encryptor()
        self._splitter = splitter

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self._encrypt(self._gzip.compress(data))

    def _encrypt(self, data: bytes) -> None:
        if data:
            self._splitter.write(self._encryptor.update(self._padder.update(data)))

    def close(self) -> None:
        self._encrypt(self._gzip.flush())
        self._splitter.write(self._encryptor.update(self._padder.finalize()) + self._encryptor.finalize())
        self._splitter.close()


def _tar_stream(read: Callable[[int], bytes], name: str, size: int, progress: Progress | None) -> Iterator[bytes]:
    """A tar of one file in GNU's format (sizes beyond 8 GiB fit), padded to records of 10 KiB."""
    header = tarfile.TarInfo(name)
    header.size = size
    header.mode = 0o644
    head = header.tobuf(tarfile.GNU_FORMAT)
    yield head
    done = 0
    while done < size:
        data = read(min(STREAM_BUFFER, size - done))
        if not data:
            raise InvalidArgument(f"The image ended after {done} of {size} bytes.")
        yield data
        done += len(data)
        if progress is not None:
            progress(done, size)
    if read(1):
        raise InvalidArgument(f"The image has more than the {size} bytes it was said to have.")
    end = -size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE
    yield bytes(end + -(len(head) + size + end) % tarfile.RECORDSIZE)


# -- a bundle --------------------------------------------------------------------------------------------------------


def make_bundle(
    read: Callable[[int], bytes],
    size: int,
    *,
    spec: BundleSpec,
    keys: BundleKeys,
    sink: PartSink,
    part_size: int = PART_SIZE,
    gzip_level: int = GZIP_LEVEL,
    secret: BundleSecret | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Bundle the ``size`` bytes that ``read(n)`` gives; the parts go to ``sink``. Blocking, and computes.

    ``progress`` is called with the bytes of the image done and ``size``. Raises InvalidArgument (an image of another size
    than it was said to have, or too large; too many parts), InvalidManifest (a name that no part can have).
    """
    if not 0 < size <= IMAGE_SIZE_MAX:
        raise InvalidArgument(f"An image has 1 to {IMAGE_SIZE_MAX} bytes, not {size}.")
    if part_size < 1:
        raise InvalidArgument("A part has at least one byte.")
    secret = secret or new_secret()
    splitter = _Splitter(sink, spec.name, part_size)
    pipe = _Pipe(secret, splitter, gzip_level)
    try:
        for piece in _tar_stream(read, spec.name, size, progress):
            pipe.write(piece)
        pipe.close()
    finally:
        splitter.close()  # after a failure: the part that is open, so that nothing stays so
    return Manifest(
        name=spec.name,
        user=spec.user,
        image_type=spec.image_type,
        architecture=spec.architecture,
        digest=pipe.digest.hexdigest(),
        size=size,
        bundled_size=splitter.size,
        ec2_secret=encrypt_secret(secret, keys.cloud),
        user_secret=EncryptedSecret() if keys.user is None else encrypt_secret(secret, keys.user),
        parts=tuple(splitter.parts),
        kernel_id=spec.kernel_id,
        ramdisk_id=spec.ramdisk_id,
        block_devices=spec.block_devices,
        product_codes=spec.product_codes,
        bundler=BUNDLER,
        bundler_version=VERSION,
    )


def manifest_document(manifest: Manifest, keys: BundleKeys) -> bytes:
    """The manifest's document, signed where ``keys`` has a signer."""
    signer = keys.signer
    if signer is None:
        return write_manifest(manifest)
    # SHA-1 is what the format has; EC2's own tools check nothing else.
    return write_manifest(manifest, lambda body: signer.sign(body, rsa_padding.PKCS1v15(), hashes.SHA1()).hex())  # noqa: S303


class DirectorySink:
    """Parts as files of a directory. A file that is there is an error, never overwritten."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.created: list[Path] = []

    def create(self, filename: str) -> BinaryIO:
        """Begin a part. Raises FileExistsError and other OSErrors."""
        path = self._directory / check_part_name(filename)
        file = path.open("xb")
        self.created.append(path)
        return file

    def remove(self, more: Iterable[Path] = ()) -> None:
        """Remove what was made: a bundle that failed leaves nothing."""
        for path in (*self.created, *more):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def bundle_image(
    image: Path,
    directory: Path,
    *,
    spec: BundleSpec,
    keys: BundleKeys,
    part_size: int = PART_SIZE,
    progress: Progress | None = None,
) -> Path:
    """Bundle an image file into a directory, and answer the manifest's path. What ``nova-manage image bundle`` does.

    A failure leaves none of the bundle's files. Raises as ``make_bundle``, and OSError. Blocking.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / check_part_name(f"{spec.name}{MANIFEST_SUFFIX}")
    sink = DirectorySink(directory)
    try:
        with image.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            manifest = make_bundle(
                file.read, size, spec=spec, keys=keys, sink=sink, part_size=part_size, progress=progress
            )
        with target.open("xb") as document:
            sink.created.append(target)
            document.write(manifest_document(manifest, keys))
    except BaseException:  # an interrupt too: half a bundle is of no use
        sink.remove()
        raise
    return target
