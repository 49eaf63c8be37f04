"""A backup is the store at one moment; what is made of it is that store, byte for byte, or an error."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.encrypted import CUSTOMER
from support.watched import Watched, flip

from nova_objectstore.assembly import Settings, build_store
from nova_objectstore.assembly_integrity import build_backup, build_restore
from nova_objectstore.domain.storage_classes import StorageClassSettings
from nova_objectstore.errors import SchemaTooNew, StorageFailed
from nova_objectstore.jobs.backup_manifest import NotABackup, read_manifest
from nova_wsgi.errors import ConfigError
from nova_wsgi.testing import wait_until


@pytest.fixture
def place(tmp_path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "state", collect_delay_s=-1)  # what is replaced is garbage at once
    watched.fill()
    yield watched
    watched.close()


def restore(backup: Path, target: Path, *, link: bool = False, **settings) -> Settings:
    made = Settings(state_path=target, **settings)
    build_restore(made).run(backup, link=link)
    return made


def read_all(settings: Settings, keys) -> dict[str, bytes]:
    """What a store has, read as a client would."""
    store = build_store(settings)
    store.open()
    try:
        bucket = store.buckets.find("photos")
        read = {}
        for key in keys:
            customer = CUSTOMER if key.startswith("4-") else None
            read[key] = b"".join(store.egress.read(store.objects.get(bucket, key, inline=True), customer=customer))
        return read
    finally:
        store.close()


@pytest.mark.parametrize("link", [True, False], ids=["linked", "copied"])
def test_a_restored_store_has_everything(place, tmp_path, link):
    saved = place.backup.run(tmp_path / "backup", link=link)
    settings = restore(tmp_path / "backup", tmp_path / "again", link=link)

    assert saved.manifest.data_files == len(place.files())
    assert read_all(settings, place.bodies) == place.bodies
    for name in ("keyring", "master-key"):
        copy = tmp_path / "again" / name
        assert copy.read_bytes() == (place.path / name).read_bytes()
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "again").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700


def test_a_backup_is_renewed_with_what_is_new(place, tmp_path):
    backup = tmp_path / "backup"
    first = place.backup.run(backup, link=False)
    place.add("new", os.urandom(100_000))
    place.add("0-300000", b"replaced" * 10_000)
    second = place.backup.run(backup, link=False)

    assert (second.copied_files, second.copied_bytes) == (2, 180_000)
    assert second.manifest.generation != first.manifest.generation
    assert [path.name for path in (backup / "generations").iterdir()] == [second.manifest.generation]
    assert len([path for path in (backup / "data").rglob("*") if path.is_file()]) == second.manifest.data_files
    assert read_all(restore(backup, tmp_path / "again"), place.bodies) == place.bodies


def test_what_is_overwritten_while_a_backup_is_made_is_in_it(place, tmp_path):
    """The collector runs between every two steps: nothing that the snapshot names is collected."""
    before = dict(place.bodies)

    def meddle(_done: int) -> None:
        for key in before:
            if key.startswith("0-") and not key.endswith("parts"):
                place.add(key, os.urandom(200_000))
        place.store.collector.run()

    place.backup.run(tmp_path / "backup", link=False, progress=meddle)

    manifest = read_manifest(tmp_path / "backup")
    assert manifest.damaged == []
    assert read_all(restore(tmp_path / "backup", tmp_path / "again"), before) == before
    place.store.collector.run()
    assert place.check() == [], "and when it is over they are"
    assert len(place.files()) == len([body for body in place.bodies.values() if len(body) > 100_000])


def test_a_hold_that_ran_out_fails_the_backup_and_keeps_the_former(place, tmp_path):
    first = place.backup.run(tmp_path / "backup", link=False)
    late = build_backup(place.store, place.settings, hold_s=0.0)

    with pytest.raises(StorageFailed, match="held up"):
        late.run(tmp_path / "backup", link=False)
    assert read_manifest(tmp_path / "backup") == first.manifest
    assert not place.watch.is_held(now_us=0)


def test_a_hold_is_renewed_while_a_backup_takes_longer(place, tmp_path):
    backup = build_backup(place.store, place.settings, hold_s=0.3)
    begun_s = time.monotonic()

    def dawdle(_done: int) -> None:
        wait_until(lambda: time.monotonic() > begun_s + 1.0, 10)  # the time that much data takes

    backup.run(tmp_path / "backup", link=False, progress=dawdle)

    assert read_all(restore(tmp_path / "backup", tmp_path / "again"), place.bodies) == place.bodies


def test_what_the_store_lost_since_stays_in_the_backup(place, tmp_path):
    backup = tmp_path / "backup"
    place.backup.run(backup, link=False)
    place.flip("0-300000")
    place.data_file("1-300000").unlink()
    assert place.scrubber().run_now().damages == 2

    again = place.backup.run(backup, link=False)

    assert again.manifest.damaged == []
    assert read_all(restore(backup, tmp_path / "again"), place.bodies) == place.bodies


def test_what_is_damaged_is_not_in_a_first_backup_and_told(place, tmp_path):
    path = place.flip("0-300000")
    place.scrubber().run_now()

    saved = place.backup.run(tmp_path / "backup", link=False)

    assert saved.manifest.damaged == [path.name]
    kept = {key: body for key, body in place.bodies.items() if key != "0-300000"}
    assert read_all(restore(tmp_path / "backup", tmp_path / "again"), kept) == kept


def test_a_backup_of_damage_that_nobody_has_found_finds_it(place, tmp_path):
    path = place.flip("0-300000")

    assert place.backup.run(tmp_path / "backup", link=False).manifest.damaged == [path.name]


@pytest.mark.parametrize("what", ["data", "metadata.sqlite", "keyring", "data.list"])
def test_a_damaged_backup_is_not_restored(place, tmp_path, what):
    place.backup.run(tmp_path / "backup", link=False)
    root = tmp_path / "backup" / ("data" if what == "data" else "generations")
    (path, *_) = sorted(path for path in root.rglob("*" if what == "data" else what) if path.is_file())
    flip(path)

    with pytest.raises(NotABackup, match="not what was saved"):
        restore(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again" / "metadata.sqlite").exists(), "nothing takes it for a store"


def test_a_file_that_is_missing_is_told(place, tmp_path):
    place.backup.run(tmp_path / "backup", link=False)
    next(path for path in (tmp_path / "backup" / "data").rglob("*") if path.is_file()).unlink()

    with pytest.raises(NotABackup, match="missing"):
        restore(tmp_path / "backup", tmp_path / "again")


def test_a_place_that_is_not_empty_is_left_alone(place, tmp_path):
    place.backup.run(tmp_path / "backup", link=False)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "file").write_text("mine")

    with pytest.raises(ConfigError, match="not empty"):
        restore(tmp_path / "backup", tmp_path / "again")
    with pytest.raises(NotABackup):
        restore(tmp_path / "again", tmp_path / "third")


def test_a_later_release_s_backup_is_refused(place, tmp_path):
    place.backup.run(tmp_path / "backup", link=False)
    manifest = tmp_path / "backup" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema": "0', '"schema": "9'))

    with pytest.raises(SchemaTooNew):
        restore(tmp_path / "backup", tmp_path / "again")


def test_a_backup_does_not_go_into_the_store(place):
    with pytest.raises(ConfigError, match="own directory"):
        place.backup.run(place.path / "backup", link=True)


def test_storage_classes_with_places_of_their_own_come_along(tmp_path):
    def classes(directory: str):
        return (StorageClassSettings("COLD", data_url=f"file://{tmp_path}/{directory}", inline_size_max=0),)

    place = Watched(tmp_path / "state", storage_classes=classes("cold"))
    place.add("warm", os.urandom(100_000))
    version = place.get("warm")
    moved = place.store.mover.move(place.find_bucket(), version, "COLD")
    assert moved is not None
    assert moved.content.ref.startswith("COLD:")
    place.backup.run(tmp_path / "backup", link=True)
    place.close()

    with pytest.raises(ConfigError, match="name a place"):
        restore(tmp_path / "backup", tmp_path / "again")
    settings = restore(tmp_path / "backup", tmp_path / "again", storage_classes=classes("cold-again"))
    assert read_all(settings, place.bodies) == place.bodies
