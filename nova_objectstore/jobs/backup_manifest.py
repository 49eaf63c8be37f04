"""The directory of a backup, and its manifest.

    DIR/manifest.json                       what the backup is: written last, replaced at once
    DIR/generations/<id>/metadata.sqlite    the metadata at one moment
    DIR/generations/<id>/data.list          the data files that they name: ref, size, CRC64NVME in hex or -
    DIR/generations/<id>/state/...          keyring, master key, credentials, the cloud's keys: as they are named in the state
    DIR/data/<engine>/<xx>/<ref>            the data files, shared by successive backups

Laws:

- A manifest names only what is whole and on the disk; what it does not name is left over from before, or half-way.
- Whoever reads a backup does not trust its names: a generation, a file or a ref that would lead out of its directory, in the
  backup or in the store that is made of it, is no backup's. Nor are symbolic links followed to a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
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

_generation = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}").fullmatch
# The name of an engine, and what the engine of files calls its files.
_ref = re.compile(r"(?:[A-Za-z0-9_-]{1,64}:)?[a-z2-7]{26}(?:[a-z2-7]{13})?").fullmatch
_digest = re.compile(r"-|[0-9a-f]{16}").fullmatch


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
            files = [_check_file(SavedFile(*file)) for file in facts.pop("files")]
            made = cls(files=files, **facts)
            if not _generation(made.generation):
                raise NotABackup(f"{made.generation!r}: not the name of a generation")
            return made
        except (KeyError, TypeError, ValueError) as error:
            raise NotABackup(f"{MANIFEST_NAME} is not one: {error}") from None


def _check_file(file: SavedFile) -> SavedFile:
    """A file whose name stays below its generation, and whose size and mode are numbers. Raises NotABackup."""
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or str(path) != file.path or "\0" in file.path:
        raise NotABackup(f"{file.path!r}: not a name of a file in a backup")
    if not (isinstance(file.size, int) and isinstance(file.mode, int) and isinstance(file.sha256, str)):
        raise NotABackup(f"{file.path!r}: not described as a file is")
    return file._replace(mode=file.mode & 0o777)


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
    """The data files of a generation. Raises NotABackup."""
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            ref, size, digest, *more = (*line.split(), "", "", "")
            if not (_ref(ref) and size.isascii() and size.isdigit() and _digest(digest)) or any(more):
                raise NotABackup(f"{path}: not a list of data files")
            yield SavedData(ref, int(size), digest)


def sync_path(path: Path) -> None:
    """Wait until a file, or a directory's entries, are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def copy_private(source: Path, target: Path, *, mode: int) -> str:
    """Copy a file durably, with just these permissions; answer the SHA-256 of what was copied, in hex.

    Raises OSError, with ELOOP where ``source`` is a symbolic link.
    """
    digest = hashlib.sha256()
    with open(source, "rb", opener=_no_link) as reader, open(target, "xb", opener=_private) as writer:
        while piece := reader.read(_DIGEST_STEP):
            digest.update(piece)
            writer.write(piece)
        writer.flush()
        os.fchmod(writer.fileno(), mode)
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
