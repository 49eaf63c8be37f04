"""A bundle's files into a bucket: what ``nova-manage image upload`` does. The manifest goes last: what it names is there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.objects import Objects, ObjectSpec
from nova_objectstore.errors import AccessDenied
from nova_objectstore.images.errors import InvalidBundle
from nova_objectstore.images.local_files import LocalBody
from nova_objectstore.images.manifest import Manifest, read_manifest
from nova_objectstore.images.rooted_files import open_below
from nova_objectstore.images.unbundle import Progress
from nova_objectstore.limits import STREAM_BUFFER

Put = Callable[[str, Path, str], None]
"""Stores a file under the name of its object (without the prefix), if its bytes have this SHA-1 (hex)."""


def upload_bundle(manifest_path: Path, put: Put, *, progress: Progress | None = None) -> Manifest:
    """Put a bundle's parts, and then its manifest; the parts are read from the manifest's directory.

    What is put is what was checked: a part is read twice, and must be the same. No symbolic link is followed to a part.

    ``progress`` is called with the bytes of parts done and those there are. Raises InvalidManifest, InvalidBundle (a part
    that is not as the manifest says; nothing was put then), OSError, and what ``put`` raises.
    """
    document = manifest_path.read_bytes()
    manifest = read_manifest(document)
    paths = [manifest_path.parent / part.filename for part in manifest.parts]
    for part, path in zip(manifest.parts, paths, strict=True):
        if _sha1(path) != part.digest:
            raise InvalidBundle(f"{path} does not have the digest that the manifest says.")
    done = 0
    for part, path in zip(manifest.parts, paths, strict=True):
        put(path.name, path, part.digest)
        done += path.stat().st_size
        if progress is not None:
            progress(done, manifest.bundled_size)
    put(manifest_path.name, manifest_path, hashlib.sha1(document, usedforsecurity=False).hexdigest())
    return manifest


def _open(path: Path) -> BinaryIO:
    return open_below(path.parent, Path(path.name))


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with _open(path) as file:
        while data := file.read(STREAM_BUFFER):
            digest.update(data)
    return digest.hexdigest()


class StoredPut:
    """:data:`Put` into a bucket of the store itself, as its owner."""

    def __init__(self, buckets: Buckets, objects: Objects, *, bucket: str, owner_id: str, prefix: str = "") -> None:
        """Raises NoSuchBucket, AccessDenied when the bucket is not the owner's."""
        self._bucket = buckets.find(bucket)
        if self._bucket.owner_id != owner_id:
            raise AccessDenied(bucket_name=bucket)
        self._objects = objects
        self._prefix = prefix

    def __call__(self, name: str, path: Path, sha1: str) -> None:
        """Store the file under prefix and name. Raises InvalidBundle (another SHA-1), OSError, StorageFull, StorageFailed."""
        spec = ObjectSpec(
            self._prefix + name, self._bucket.owner_id, headers={"Content-Type": "application/octet-stream"}
        )
        with _open(path) as file:
            size = os.fstat(file.fileno()).st_size
            self._objects.put(self._bucket, spec, LocalBody(file, size, sha1=sha1))

    def location(self, manifest_path: Path) -> str:
        """Where the manifest is afterwards: what to register."""
        return f"{self._bucket.name}/{self._prefix}{manifest_path.name}"
