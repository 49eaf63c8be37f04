"""Restore: a backup becomes a store again, in an empty place.

The order: the data, then the files of the state directory, the metadata last: a restore that was interrupted has no
metadata, so nothing takes it for a store. Every byte is compared with the manifest on its way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from nova_objectstore.errors import SchemaTooNew
from nova_objectstore.jobs.backup_manifest import (
    DATA_LIST,
    DATABASE,
    GENERATIONS,
    STATE,
    Manifest,
    NotABackup,
    SavedData,
    SavedFile,
    copy_private,
    path_of_data,
    read_data_list,
    read_manifest,
    sha256_of,
    sync_path,
)
from nova_objectstore.state_directory import make_state_directory
from nova_wsgi import green
from nova_wsgi.errors import ConfigError

BATCH = 50  # data files in one native job


class Damaged(NotABackup):
    """A file of the backup is missing, or is not what was saved."""


class Place(Protocol):
    """Where the data of an engine lie."""

    @property
    def directory(self) -> Path:
        """Empty before a restore."""
        ...

    def bring(self, source: Path, ref: str, *, size: int, digest: bytes | None, link: bool) -> bool:
        """Give a file its place, durably but for the directory; False when it is not what was saved. Blocking.

        Raises FileNotFoundError, OSError.
        """
        ...

    def write_mark(self, mark: str) -> None:
        """Make the place the one that the metadata know."""
        ...


class Restored(NamedTuple):
    """What a restore came to."""

    manifest: Manifest
    data_files: int
    data_bytes: int


class BackupRestore:
    """Restores into ``state_path``. ``places``: those of every data engine by its name, "" for the default one."""

    def __init__(
        self,
        state_path: Path,
        places: Mapping[str, Place],
        *,
        check_database: Callable[[Path], None],
        is_newer: Callable[[str], bool],
    ) -> None:
        self._state_path = state_path
        self._places = places
        self._check_database = check_database
        self._is_newer = is_newer

    def run(
        self, directory: Path, *, link: bool, progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> Restored:
        """Restore the backup in ``directory``. ``link``: link data files where they can be, else every one is copied.

        ``progress`` is told the bytes of data so far, and those there are.

        Raises NotABackup, Damaged, ConfigError (a place that is not empty, or not configured), SchemaTooNew, OSError.
        """
        manifest = read_manifest(directory)
        if self._is_newer(manifest.schema):
            raise SchemaTooNew(f"the backup's metadata are of a later release ({manifest.schema})")
        self._check_places(manifest)
        generation = directory / GENERATIONS / manifest.generation
        green.run_native(_check_files, generation, manifest)
        green.run_native(self._check_database, generation / DATABASE)
        make_state_directory(self._state_path)
        size = count = 0
        listing = read_data_list(generation / DATA_LIST)
        while batch := list(islice(listing, BATCH)):
            size += green.run_native(self._bring, directory, batch, link)
            count += len(batch)
            progress(size, manifest.data_bytes)
        green.run_native(self._finish, generation, manifest)
        return Restored(manifest, count, size)

    def _check_places(self, manifest: Manifest) -> None:
        if self._state_path.exists() and any(self._state_path.iterdir()):
            raise ConfigError(f"{self._state_path}: not empty (see --state-path)")
        for name in manifest.places:
            if name not in self._places:
                raise ConfigError(
                    f"[storage_class:{name}] data: the backup has data of this class; name a place for them"
                )
            place = self._places[name].directory
            if place.exists() and any(place.iterdir()):
                raise ConfigError(f"[storage_class:{name}] data: {place} is not empty")

    # -- in native threads -------------------------------------------------------------------------------------------

    def _bring(self, directory: Path, batch: list[SavedData], link: bool) -> int:
        size = 0
        for saved in batch:
            self._bring_one(path_of_data(directory, saved.ref), saved, link)
            size += saved.size
        return size

    def _bring_one(self, source: Path, saved: SavedData, link: bool) -> None:
        engine, _, own = saved.ref.rpartition(":")
        digest = None if saved.digest == "-" else bytes.fromhex(saved.digest)
        try:
            place = self._places[engine]
            is_sound = place.bring(source, own, size=saved.size, digest=digest, link=link)
        except KeyError:
            raise Damaged(f"{saved.ref}: of a storage class that the backup does not name") from None
        except FileNotFoundError:
            raise Damaged(f"{source}: missing") from None
        if not is_sound:
            raise Damaged(f"{source}: not what was saved")

    def _finish(self, generation: Path, manifest: Manifest) -> None:
        for name, mark in manifest.places.items():
            self._places[name].write_mark(mark)
        prefix = f"{STATE}/"
        for file in manifest.files:
            if file.path.startswith(prefix):
                target = self._state_path / file.path.removeprefix(prefix)
                _make_private(target.parent)
                _copy(generation, file, target, mode=file.mode)
        os.sync()  # data and all directories
        (database,) = (file for file in manifest.files if file.path == DATABASE)
        _copy(generation, database, self._state_path / DATABASE, mode=0o600)
        sync_path(self._state_path)


def _copy(generation: Path, file: SavedFile, target: Path, *, mode: int) -> None:
    """Copy a file; what is copied is what was saved, whoever has exchanged it since it was checked."""
    if copy_private(generation / file.path, target, mode=mode) != file.sha256:
        target.unlink()
        raise Damaged(f"{generation / file.path}: not what was saved")


def _check_files(generation: Path, manifest: Manifest) -> None:
    if [file.path for file in manifest.files].count(DATABASE) != 1:
        raise Damaged(f"{generation / DATABASE}: missing")
    for file in manifest.files:
        path = generation / file.path
        if path.is_symlink() or not path.is_file() or sha256_of(path) != file.sha256:
            raise Damaged(f"{path}: missing, or not what was saved")


def _make_private(directory: Path) -> None:
    """Make a directory and what is missing above it, their owner's alone."""
    if not directory.is_dir():
        _make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
