"""Backup: a consistent copy of the store, made while it is in use.

The order: a hold, so that nothing is collected; the metadata at one moment; the data that they name, linked or copied; the
files of the state directory (keys only ever gain versions, so later ones open what is older); the manifest. Then the hold is
dropped, and what former backups left is removed.

Laws:

- Everything that the snapshot names was named when the hold stood already, so it cannot be collected before the hold ends.
  A hold that ran out (this process was stopped for too long) fails the backup.
- Until the manifest is replaced the former backup is whole, and it stays the one that a restore finds.
- What is there already, of the same name and size, is not copied again: data never change under a name.
- What the store has lost or put into quarantine since is kept as the former backup has it, if it is what was written.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.domain.walk import walk
from nova_objectstore.errors import DataCorrupt, DataMissing, EngineError, StorageFailed
from nova_objectstore.jobs.backup_manifest import (
    DATA,
    DATA_LIST,
    DATABASE,
    GENERATIONS,
    MANIFEST_NAME,
    STATE,
    Manifest,
    SavedData,
    SavedFile,
    copy_private,
    crc64nvme_of,
    describe_file,
    path_of_data,
    read_data_list,
    read_manifest,
    sync_path,
    write_manifest,
)
from nova_objectstore.meta.integrity_port import IntegrityStore
from nova_objectstore.types import ContentKind
from nova_objectstore.version import VERSION
from nova_wsgi import green
from nova_wsgi.errors import ConfigError

HOLD_S = 120.0  # how long a backup that died keeps garbage; renewed in every third of it
BATCH = 50  # data files linked, or copied, in one native job
_LEFT_OUT = ("metadata.sqlite", "services.sqlite", "data", "rpc", ".")  # what names in the state directory begin with
_S = 1_000_000


class Snapshot(Protocol):
    """The metadata at one moment, in a file of their own."""

    schema: str

    @property
    def store(self) -> IntegrityStore:
        """What they name."""
        ...

    def list_places(self) -> dict[str, str]:
        """The marks of storage classes' places."""
        ...


class Saved(NamedTuple):
    """What a backup came to."""

    manifest: Manifest
    copied_files: int  # data files that were not there from a former backup
    copied_bytes: int


class Backup:
    """Makes backups. ``snapshot`` copies the metadata into a file that does not exist, and opens the copy."""

    def __init__(
        self,
        store: IntegrityStore,
        data: DataEngine,
        state_path: Path,
        *,
        snapshot: Callable[[Path], contextlib.AbstractContextManager[Snapshot]],
        now_us: Callable[[], int],
        hold_s: float = HOLD_S,
    ) -> None:
        self._store = store
        self._data = data
        self._state_path = state_path
        self._snapshot = snapshot
        self._now_us = now_us
        self._hold_s = hold_s

    def run(self, directory: Path, *, link: bool, progress: Callable[[int], None] = lambda _: None) -> Saved:
        """Make or renew the backup in ``directory``. ``progress`` is told the bytes of data so far.

        Raises ConfigError (the directory cannot be used), StorageFull, StorageFailed, OSError.
        """
        if directory.resolve().is_relative_to(self._state_path.resolve()):
            raise ConfigError(f"{directory}: a backup does not belong into the store's own directory")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_shared(directory)
        with _lock(directory), self._hold() as hold:
            saved = self._save(directory, hold, link=link, progress=progress)
        green.run_native(_remove_left_over, directory, saved.manifest.generation)
        return saved

    def _save(self, directory: Path, hold: _Hold, *, link: bool, progress: Callable[[int], None]) -> Saved:
        former = _find_former(directory)
        generation = (
            directory / GENERATIONS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"
        )
        generation.mkdir(mode=0o700, parents=True)
        try:
            load = _Load(self._data, directory, link=link, former=former)
            with self._snapshot(generation / DATABASE) as snapshot:
                schema, places = snapshot.schema, snapshot.list_places()
                with open(generation / DATA_LIST, "x", encoding="ascii") as listing:
                    for batch in _batches(snapshot.store):
                        listing.writelines(
                            f"{one.ref} {one.size} {one.digest}\n" for one in green.run_native(load.bring, batch)
                        )
                        progress(load.bytes)
            hold.renew()  # from here on the backup has names of its own for all of it
            files = green.run_native(self._save_state, generation)
            green.run_native(os.sync)  # every file and every directory's entry, of data linked and copied
        except BaseException:  # whatever it was, a generation that no manifest names is of no use
            shutil.rmtree(generation, ignore_errors=True)
            raise
        manifest = Manifest(
            generation=generation.name,
            created_us=self._now_us(),
            schema=schema,
            release=VERSION,
            files=files,
            data_files=load.files,
            data_bytes=load.bytes,
            places=places,
            damaged=load.damaged,
        )
        green.run_native(write_manifest, directory, manifest)
        return Saved(manifest, load.copied_files, load.copied_bytes)

    def _save_state(self, generation: Path) -> Sequence[SavedFile]:
        """Copy the state directory's own files, with their permissions."""
        for source in _state_files(self._state_path):
            target = generation / STATE / source.relative_to(self._state_path)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # replaced or removed just now
                copy_private(source, target, mode=stat.S_IMODE(source.stat().st_mode))
        paths = sorted(path for path in generation.rglob("*") if path.is_file())
        return [describe_file(generation, path) for path in paths]

    @contextlib.contextmanager
    def _hold(self) -> Iterator[_Hold]:
        hold = _Hold(self._store, f"backup-{secrets.token_hex(8)}", self._hold_s, self._now_us)
        renewing = green.spawn(hold.keep_renewing)  # copying the metadata alone may take minutes
        try:
            yield hold
        finally:
            renewing.kill()
            hold.drop()


class _Hold:
    """Keeps garbage while it is renewed."""

    def __init__(self, store: IntegrityStore, name: str, hold_s: float, now_us: Callable[[], int]) -> None:
        self._store = store
        self._name = name
        self._hold_s = hold_s
        self._now_us = now_us
        store.put_hold(name, until_us=self._until_us())

    def _until_us(self) -> int:
        return self._now_us() + int(self._hold_s * _S)

    def keep_renewing(self) -> None:
        """Until it is killed, or the hold has ended."""
        with contextlib.suppress(EngineError):  # whoever holds finds out when it asks
            while True:
                green.sleep(self._hold_s / 3)
                self.renew()

    def renew(self) -> None:
        """Raises StorageFailed when it ended meanwhile: what was named may be gone."""
        if not self._store.renew_hold(self._name, now_us=self._now_us(), until_us=self._until_us()):
            raise StorageFailed("the backup was held up for too long: data may have been collected meanwhile")

    def drop(self) -> None:
        """Let garbage be collected."""
        self._store.drop_hold(self._name)


def _find_former(directory: Path) -> Path | None:
    """The list of the data of the backup that is there. Raises NotABackup for what is none."""
    if not (directory / MANIFEST_NAME).exists():
        return None
    return directory / GENERATIONS / read_manifest(directory).generation / DATA_LIST


def _batches(store: IntegrityStore) -> Iterator[list[str]]:
    refs = (found.content.ref for found in walk(store) if found.content.kind is ContentKind.DATA)
    while batch := list(islice(refs, BATCH)):
        yield batch


class _Load:
    """Data files on their way into a backup; its calls run in native threads, one at a time."""

    def __init__(self, data: DataEngine, directory: Path, *, link: bool, former: Path | None) -> None:
        self._former = former  # the former backup's list
        self._known: dict[str, SavedData] | None = None  # what it has, once it was asked for
        self._data = data
        self._directory = directory
        self._link = link
        self.files = self.bytes = self.copied_files = self.copied_bytes = 0
        self.damaged: list[str] = []

    def bring(self, refs: Sequence[str]) -> list[SavedData]:
        """Link or copy those that are not there; what is missing or damaged in the store is left out and noted."""
        saved = []
        for ref in refs:
            try:
                saved.append(self._bring_one(ref))
            except (DataMissing, DataCorrupt):
                former = self._find_former(ref)
                if former is None:
                    self.damaged.append(ref)
                else:
                    saved.append(former)
        return saved

    def _find_former(self, ref: str) -> SavedData | None:
        """What a former backup has of a ref, if it is sound."""
        if self._known is None:
            self._known = {} if self._former is None else {saved.ref: saved for saved in read_data_list(self._former)}
        path, saved = path_of_data(self._directory, ref), self._known.get(ref)
        if saved is None or not path.exists() or crc64nvme_of(path).hex() != saved.digest:
            return None
        return self._count(saved)

    def _count(self, saved: SavedData) -> SavedData:
        self.files += 1
        self.bytes += saved.size
        return saved

    def _bring_one(self, ref: str) -> SavedData:
        target = path_of_data(self._directory, ref)
        reader = self._data.open(ref)
        try:
            size, digest = reader.size, "-" if reader.digest is None else reader.digest.hex()
        finally:
            reader.close()
        if not target.exists() or target.stat().st_size != size:
            target.unlink(missing_ok=True)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.copied_bytes += self._data.export(ref, str(target), link=self._link)
            self.copied_files += 1
        return self._count(SavedData(ref, size, digest))


def _state_files(state_path: Path) -> Iterator[Path]:
    """The files of the state directory that are neither data nor metadata nor of the moment."""
    for root, folders, names in os.walk(state_path):
        folders[:] = [name for name in folders if not name.startswith(_LEFT_OUT)]
        for name in names:
            path = Path(root) / name
            if not name.startswith(_LEFT_OUT) and not name.endswith(".lock") and stat.S_ISREG(path.lstat().st_mode):
                yield path


def _refuse_shared(directory: Path) -> None:
    """A backup has keys in it, and what it does not name is removed: nobody else may put anything there. Raises ConfigError."""
    if directory.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{directory}: others may write there; a backup is its owner's alone (chmod go-w)")


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """One backup at a time. Raises ConfigError."""
    fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{directory}: another backup is being made there") from None
        yield
    finally:
        os.close(fd)


def _remove_left_over(directory: Path, generation: str) -> None:
    """Remove former generations, and the data files that this one does not name."""
    for former in (directory / GENERATIONS).iterdir():
        if former.name != generation:
            shutil.rmtree(former, ignore_errors=True)
    with open(directory / GENERATIONS / generation / DATA_LIST, encoding="ascii") as listing:
        named = {str(path_of_data(directory, line.split(" ", 1)[0])) for line in listing}
    for root, _, names in os.walk(directory / DATA):
        for name in names:
            path = os.path.join(root, name)
            if path not in named:
                os.unlink(path)
    sync_path(directory / GENERATIONS)
