"""Bundles for tests: keys made once, bundles in memory, and bundles made the historical way, by openssl, gzip and tar."""

from __future__ import annotations

import functools
import io
import subprocess
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import rsa

from nova_objectstore.images.bundle import BundleKeys, BundleSpec, make_bundle, manifest_document
from nova_objectstore.images.cipher import decrypt_secret
from nova_objectstore.images.manifest import Manifest, ManifestPart
from nova_objectstore.images.unbundle import DEFAULT_LIMITS, UnbundleLimits, unbundle
from nova_objectstore.limits import KiB

PIECE = 64 * KiB


@functools.cache
def rsa_key(name: str = "cloud") -> rsa.RSAPrivateKey:
    """The key of that name: made once a run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class MemoryFile(io.BytesIO):
    """A part on its way into a MemorySink."""

    def __init__(self, parts: dict[str, bytes], filename: str) -> None:
        super().__init__()
        self._parts = parts
        self._filename = filename

    def close(self) -> None:
        if not self.closed:
            self._parts[self._filename] = self.getvalue()
        super().close()


class MemorySink:
    """Parts by file name."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}

    def create(self, filename: str) -> MemoryFile:
        assert filename not in self.parts
        return MemoryFile(self.parts, filename)


class Bundle:
    """A bundle in memory, and how to undo it."""

    def __init__(self, manifest: Manifest, parts: dict[str, bytes], keys: BundleKeys) -> None:
        self.manifest = manifest
        self.parts = parts
        self.keys = keys

    @property
    def document(self) -> bytes:
        return manifest_document(self.manifest, self.keys)

    def open_part(self, part: ManifestPart) -> Iterator[bytes]:
        data = self.parts[part.filename]
        for position in range(0, len(data), PIECE):
            yield data[position : position + PIECE]

    def undo(self, key: rsa.RSAPrivateKey | None = None, *, limits: UnbundleLimits = DEFAULT_LIMITS) -> bytes:
        """The image's bytes."""
        image = io.BytesIO()
        secret = decrypt_secret(self.manifest.ec2_secret, key or rsa_key())
        unbundle(self.manifest, secret, self.open_part, image.write, limits=limits)
        return image.getvalue()


def bundle(image: bytes, *, part_size: int = 256 * KiB, name: str = "disk.img", **spec: object) -> Bundle:
    """A bundle of these bytes for the key ``cloud``."""
    sink = MemorySink()
    keys = BundleKeys(rsa_key().public_key(), rsa_key("user").public_key(), rsa_key("user"))
    manifest = make_bundle(
        io.BytesIO(image).read,
        len(image),
        spec=BundleSpec(name, user="111122223333", **spec),
        keys=keys,
        sink=sink,
        part_size=part_size,
    )
    return Bundle(manifest, sink.parts, keys)


def tool(*command: str, stdin: bytes = b"") -> bytes:
    """The output of a program; what it says on stderr fails the test with it."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
