"""The directory of a backup, and its manifest.

    DIR/manifest.json                       what the backup is: written last, replaced at once
    DIR/generations/<id>/metadata.sqlite    the metadata at one moment
    DIR/generations/<id>/data.list          the data files that they name: ref, size, CRC64NVME in hex or -
    DIR/generations/<id>/state/...          keyring, master key, credentials, the cloud's keys: as they are named in the state
    DIR/data/<engine>/<xx>/<ref>            the data files, shared by successive backups

Law: a manifest names only what is whole and on the disk; what it does not name is left over from before, or half-way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from nova_objectstore.checksums import CRC64NVME, new_digest
from nova_wsgi.errors import ConfigError

FORM = 1
MANIFEST_NAME = "manifest.json"
GENERATIONS = "generations"
DATABASE = "metadata.sqlite"
DATA_LIST = "data.list"
STATE = "state"
DATA = "data"
DEFAULT_ENGINE = "default"
_DIGEST_STEP = 1024 * 1024


class NotABackup(ConfigError):
    """The directory holds no backup that this release can restore."""


class SavedFile(NamedTuple):
    """A file of a generation. ``path`` is relative to it."""

    path: str
    size: int
    sha256: str
    mode: int  # permission bits


class SavedData(NamedTuple):
    """A data file, in all engines."""

    ref: str
    size: int
    digest: str  # CRC64NVME in hex; "-" where it is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is."""

    generation: str
    created_us: int
    schema: str
    release: str
    files: Sequence[SavedFile]
    data_files: int
    data_bytes: int
    places: Mapping[str, str]  # the marks of storage classes' places
    damaged: Sequence[str]  # refs of what was in quarantine or missing, and is not in the backup

    def encode(self) -> str:
        """As JSON."""
        return json.dumps({"form": FORM, **asdict(self)}, indent=1)

    @classmethod
    def decode(cls, text: str) -> Manifest:
        """From JSON. Raises NotABackup."""
        try:
            facts = json.loads(text)
            if facts.pop("form") != FORM:
                raise NotABackup("the backup was made by a later release")
            files = [SavedFile(*file) for file in facts.pop("files")]
            return cls(files=files, **facts)
        except (KeyError, TypeError, ValueError) as error:
            raise NotABackup(f"{MANIFEST_NAME} is not one: {error}") from None


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup. Raises NotABackup."""
    try:
        return Manifest.decode((directory / MANIFEST_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotABackup(f"{directory}: no backup, or none that came to its end") from None


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest at once and durably."""
    staged = directory / f".{MANIFEST_NAME}"
    with open(staged, "w", encoding="utf-8", opener=_private) as file:
        file.write(manifest.encode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, directory / MANIFEST_NAME)
    sync_path(directory)


def describe_file(generation: Path, path: Path) -> SavedFile:
    """A file as the manifest has it."""
    status = path.stat()
    return SavedFile(str(path.relative_to(generation)), status.st_size, sha256_of(path), status.st_mode & 0o777)


def sha256_of(path: Path) -> str:
    """The digest of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(_DIGEST_STEP):
            digest.update(piece)
    return digest.hexdigest()


def crc64nvme_of(path: Path) -> bytes:
    """The digest of a data file, as its ref has it."""
    digest = new_digest(CRC64NVME)
    with open(path, "rb") as file:
        while piece := file.read(_DIGEST_STEP):
            digest.update(piece)
    return digest.digest()


def path_of_data(directory: Path, ref: str) -> Path:
    """Where the data of a ref lie in a backup."""
    engine, _, own = ref.rpartition(":")
    return directory / DATA / (engine or DEFAULT_ENGINE) / own[:2] / own


def read_data_list(path: Path) -> Iterator[SavedData]:
    """The data files of a generation."""
    with open(path, encoding="ascii") as file:
        for line in file:
            ref, size, digest = line.split()
            yield SavedData(ref, int(size), digest)


def sync_path(path: Path) -> None:
    """Wait until a file, or a directory's entries, are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def copy_private(source: Path, target: Path, *, mode: int) -> None:
    """Copy a file durably, with just these permissions."""
    with open(source, "rb") as reader, open(target, "xb", opener=_private) as writer:
        while piece := reader.read(_DIGEST_STEP):
            writer.write(piece)
        writer.flush()
        os.fchmod(writer.fileno(), mode)
        os.fsync(writer.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
