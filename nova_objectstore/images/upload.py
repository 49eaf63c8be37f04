"""A bundle's files into a bucket: what ``nova-manage image upload`` does. The manifest goes last: what it names is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.objects import Objects, ObjectSpec
from nova_objectstore.errors import AccessDenied
from nova_objectstore.images.errors import InvalidBundle
from nova_objectstore.images.local_files import LocalBody
from nova_objectstore.images.manifest import Manifest, read_manifest
from nova_objectstore.images.unbundle import Progress
from nova_objectstore.limits import STREAM_BUFFER

Put = Callable[[str, Path], None]
"""Stores a file under the name of its object (without the prefix)."""


def upload_bundle(manifest_path: Path, put: Put, *, progress: Progress | None = None) -> Manifest:
    """Put a bundle's parts, and then its manifest; the parts are read from the manifest's directory.

    ``progress`` is called with the bytes of parts done and those there are. Raises InvalidManifest, InvalidBundle (a part
    that is not as the manifest says; nothing was put then), OSError, and what ``put`` raises.
    """
    manifest = read_manifest(manifest_path.read_bytes())
    paths = [manifest_path.parent / part.filename for part in manifest.parts]
    for part, path in zip(manifest.parts, paths, strict=True):
        if _sha1(path) != part.digest:
            raise InvalidBundle(f"{path} does not have the digest that the manifest says.")
    done = 0
    for path in paths:
        put(path.name, path)
        done += path.stat().st_size
        if progress is not None:
            progress(done, manifest.bundled_size)
    put(manifest_path.name, manifest_path)
    return manifest


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
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

    def __call__(self, name: str, path: Path) -> None:
        """Store the file under prefix and name. Raises OSError, StorageFull, StorageFailed."""
        spec = ObjectSpec(
            self._prefix + name, self._bucket.owner_id, headers={"Content-Type": "application/octet-stream"}
        )
        with path.open("rb") as file:
            self._objects.put(self._bucket, spec, LocalBody(file, path.stat().st_size))

    def location(self, manifest_path: Path) -> str:
        """Where the manifest is afterwards: what to register."""
        return f"{self._bucket.name}/{self._prefix}{manifest_path.name}"
