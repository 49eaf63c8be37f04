"""A bundle's files into a bucket of the store, and from there an image."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bundles import rsa_key
from support.images import ALICE, BOB, principal
from support.metadata import new_account

from nova_objectstore.assembly import Settings, Store, build_store
from nova_objectstore.assembly_images import build_image_job, build_images
from nova_objectstore.errors import AccessDenied, NoSuchBucket, NoSuchKey
from nova_objectstore.images.bundle import BundleKeys, BundleSpec, bundle_image
from nova_objectstore.images.errors import InvalidBundle, InvalidManifest
from nova_objectstore.images.keys import CloudKeys, make_certificate
from nova_objectstore.images.registry import Registration
from nova_objectstore.images.upload import StoredPut, upload_bundle
from nova_objectstore.limits import KiB, MiB


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = build_store(Settings(state_path=tmp_path / "state", sync="never"))
    made.open()
    made.meta.create_account(new_account(ALICE, "alice"), None)
    made.buckets.create("images", owner_id=ALICE)
    yield made
    made.close()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(2 * MiB))
    keys = BundleKeys(rsa_key().public_key())
    return bundle_image(image, tmp_path / "bundle", spec=BundleSpec("lucid"), keys=keys, part_size=700 * KiB)


def test_a_bundle_is_uploaded_registered_and_unbundled(store, manifest, tmp_path):
    told = []
    put = StoredPut(store.buckets, store.objects, bucket="images", owner_id=ALICE, prefix="10.04/")
    read = upload_bundle(manifest, put, progress=lambda *at: told.append(at))
    assert told[-1] == (read.bundled_size, read.bundled_size)
    assert len(told) == len(read.parts) == 3
    location = put.location(manifest)
    assert location == "images/10.04/lucid.manifest.xml"
    image_id = build_images(store).register(principal(ALICE), Registration(location)).image_id
    keys = CloudKeys(rsa_key(), make_certificate(rsa_key()))
    assert build_image_job(store, keys).run() == 1
    found = build_images(store).find_available(principal(ALICE), image_id)
    reader = store.data.open(found.ref)
    assert reader.read(0, found.size) == (tmp_path / "disk.img").read_bytes()
    reader.close()


def test_a_bundle_that_is_not_whole_is_not_uploaded(manifest):
    names = []
    part = manifest.parent / "lucid.part.01"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(InvalidBundle, match=r"part\.01"):
        upload_bundle(manifest, lambda name, *_: names.append(name))
    part.unlink()
    with pytest.raises(FileNotFoundError):
        upload_bundle(manifest, lambda name, *_: names.append(name))
    manifest.write_bytes(b"")
    with pytest.raises(InvalidManifest):
        upload_bundle(manifest, lambda name, *_: names.append(name))
    assert names == []


def test_the_manifest_goes_last(manifest):
    names = []
    upload_bundle(manifest, lambda name, *_: names.append(name))
    assert names == ["lucid.part.00", "lucid.part.01", "lucid.part.02", "lucid.manifest.xml"]


def test_another_accounts_bucket(store):
    with pytest.raises(AccessDenied):
        StoredPut(store.buckets, store.objects, bucket="images", owner_id=BOB)
    with pytest.raises(NoSuchBucket):
        StoredPut(store.buckets, store.objects, bucket="none", owner_id=ALICE)


def test_a_part_that_is_changed_after_it_was_checked_is_not_uploaded(store, manifest):
    parts = sorted(manifest.parent.glob("lucid.part.*"))
    put = StoredPut(store.buckets, store.objects, bucket="images", owner_id=ALICE)

    def exchange(*_: int) -> None:
        parts[1].write_bytes(b"what nobody checked")

    with pytest.raises(InvalidBundle, match="changed"):
        upload_bundle(manifest, put, progress=exchange)
    bucket = store.buckets.find("images")
    for name in (parts[1].name, manifest.name):
        with pytest.raises(NoSuchKey):
            store.objects.get(bucket, name, inline=True)


def test_a_part_that_is_a_link_is_not_followed(store, manifest, tmp_path):
    part = manifest.parent / "lucid.part.01"
    part.rename(tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    put = StoredPut(store.buckets, store.objects, bucket="images", owner_id=ALICE)
    with pytest.raises(OSError, match="symbolic"):
        upload_bundle(manifest, put)
