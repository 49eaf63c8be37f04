"""The store's own keys: a file, sealed under the master key, that all processes of the store read.

    {"version": 1, "master_key": "<id>", "keys": [
        {"id": "...", "enabled": true, "created_us": ..., "versions": [
            {"number": 1, "created_us": ..., "sealed": "<base64 of an envelope>"}, ...]}, ...]}

A key has versions: the newest seals, all of them open. A version never goes away, for something may be sealed under it.

Laws:

- A change is a new file in the old one's place, durable when the verb returns. Writers take turns under a lock.
- Readers look at the file's time of modification before each use, which every change moves forward: a change holds for
  all processes from the moment it was made.
- Nothing is made while something is only read: no keyring, no master key.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nova_objectstore.crypto.envelope import new_data_key, open_key, seal_key
from nova_objectstore.crypto.master import MasterKey, MasterKeyPlace
from nova_objectstore.crypto.private import read_private, replace_private
from nova_objectstore.errors import InvalidArgument, InvalidRequest, KmsKeyDisabled, KmsKeyExists, NoSuchKmsKey
from nova_wsgi import green
from nova_wsgi.errors import ConfigError

os = green.original("os")  # called in native threads, too: the patched os.open would give each of them a hub

KEYRING_NAME = "keyring"
STORE_KEY = "nova/sse-s3"  # what SSE-S3 seals under: made at its first use, and nobody's to name
SESSIONS_KEY = "nova/sts"  # what session tokens are sealed under, the same; while it is disabled there are no sessions
ACCESS_KEYS_KEY = "nova/access-keys"  # what secret keys in the database are sealed under, the same
_INDISPENSABLE = {STORE_KEY: "no object of SSE-S3 could be read", ACCESS_KEYS_KEY: "nobody could sign a request"}
_LOCK_NAME = ".keyring.lock"
_FORM = 1
_FILE_BYTES_MAX = 64 * 1024 * 1024  # 200,000 versions of keys

# Names as aliases of AWS's keys have them ("aws/s3"), uuids, and what people type.
_ID = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")


class KeyVersion(NamedTuple):
    """A key at one of its versions, open."""

    id: str
    number: int
    secret: bytes

    def __repr__(self) -> str:
        return f"KeyVersion(id={self.id!r}, number={self.number})"


class StoredVersion(NamedTuple):
    """A version as the file has it."""

    number: int
    created_us: int
    sealed: bytes


class StoredKey(NamedTuple):
    """A key as the file has it: its versions in ascending order."""

    id: str
    enabled: bool
    created_us: int
    versions: Sequence[StoredVersion]

    @property
    def newest(self) -> StoredVersion:
        """The version that seals."""
        return self.versions[-1]


class _Contents(NamedTuple):
    """A file as it was read, and what tells it from the one that comes after it."""

    mark: tuple[int, int]  # inode and time of modification in nanoseconds; (0, 0): no file
    master_key_id: str
    keys: dict[str, StoredKey]
    opened: dict[tuple[str, int], KeyVersion]  # filled when they are used


_NOTHING = _Contents((0, 0), "", {}, {})


class Keyring:
    """The keys by id. ``now_us``: microseconds since 1970."""

    def __init__(self, directory: Path, master: MasterKeyPlace, *, now_us: Callable[[], int]) -> None:
        self._path = directory / KEYRING_NAME
        self._lock_path = directory / _LOCK_NAME
        self._master = master
        self._now_us = now_us
        self._contents = _NOTHING

    # -- reading -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Make sure, where there is a keyring, that its master key is here. Raises ConfigError."""
        if self._read().keys:
            self._master_key()

    def list(self) -> Sequence[StoredKey]:
        """All keys by id."""
        return sorted(self._read().keys.values())

    def find(self, key_id: str) -> StoredKey:
        """The key of that id. Raises NoSuchKmsKey."""
        key = self._read().keys.get(key_id)
        if key is None:
            raise NoSuchKmsKey(key_id=key_id)
        return key

    def current(self, key_id: str) -> KeyVersion:
        """The version to seal under. Raises NoSuchKmsKey, KmsKeyDisabled."""
        return self._open(self._usable(key_id), number=None)

    def version(self, key_id: str, number: int) -> KeyVersion:
        """The version that something was sealed under. Raises NoSuchKmsKey (that key or version), KmsKeyDisabled."""
        return self._open(self._usable(key_id), number)

    def _usable(self, key_id: str) -> StoredKey:
        key = self.find(key_id)
        if not key.enabled:
            raise KmsKeyDisabled(key_id=key_id)
        return key

    def _open(self, key: StoredKey, number: int | None) -> KeyVersion:
        wanted = key.newest.number if number is None else number
        opened = self._contents.opened.get((key.id, wanted))
        if opened is None:
            stored = next((version for version in key.versions if version.number == wanted), None)
            if stored is None:
                raise NoSuchKmsKey(key_id=key.id, version=wanted)
            secret = open_key(self._master_key().secret, stored.sealed, _context(key.id, wanted)).secret
            opened = self._contents.opened[(key.id, wanted)] = KeyVersion(key.id, wanted, secret)
        return opened

    def _master_key(self) -> MasterKey:
        """The master key of the keyring that was read. Raises ConfigError."""
        master = self._master.find()
        if master is None:
            raise ConfigError(f"{self._path} is here, but its master key {self._master.path} is not")
        if master.id != self._contents.master_key_id:
            raise ConfigError(f"{self._path} was sealed under another master key than the one that was given")
        return master

    def _read(self) -> _Contents:
        """The file's contents, read again when it has changed. Raises ConfigError."""
        # PERF: a stat is all that a use costs, 1.5 us
        mark = _mark(self._path)
        if mark != self._contents.mark:
            content = read_private(self._path, size_max=_FILE_BYTES_MAX)
            self._contents = _NOTHING if content is None else _parse(content, mark, self._path)
        return self._contents

    # -- changing ------------------------------------------------------------------------------------------------------

    def create(self, key_id: str) -> StoredKey:
        """Make a key. Raises KmsKeyExists, InvalidArgument for an id that is none. Blocking."""
        if not _ID.fullmatch(key_id):
            raise InvalidArgument(
                f"{key_id!r} is no key id: 1 to 128 letters, digits, . _ and -, and single / between",
                argument_name="key id",
                argument_value=key_id,
            )
        with self._turn() as keys:
            if key_id in keys:
                raise KmsKeyExists(key_id=key_id)
            keys[key_id] = self._new(key_id)
        return self.find(key_id)

    def ensure(self, key_id: str) -> KeyVersion:
        """The version of that key to seal under; a key that is not there is made. Raises KmsKeyDisabled. Blocking."""
        try:
            return self.current(key_id)
        except NoSuchKmsKey:
            with contextlib.suppress(KmsKeyExists):
                self.create(key_id)
            return self.current(key_id)

    def rotate(self, key_id: str) -> StoredKey:
        """Give a key a new version, which seals from now on. Raises NoSuchKmsKey. Blocking."""
        with self._turn() as keys:
            key = _existing(keys, key_id)
            added = self._new_version(key_id, key.newest.number + 1)
            keys[key_id] = key._replace(versions=(*key.versions, added))
        return self.find(key_id)

    def set_enabled(self, key_id: str, enabled: bool) -> StoredKey:
        """Let a key be used, or neither seal nor open any more. Raises NoSuchKmsKey, InvalidRequest. Blocking."""
        if key_id in _INDISPENSABLE and not enabled:
            raise InvalidRequest(f"{key_id} is the store's own key: without it {_INDISPENSABLE[key_id]}")
        with self._turn() as keys:
            keys[key_id] = _existing(keys, key_id)._replace(enabled=enabled)
        return self.find(key_id)

    def reseal(self, master: MasterKey) -> None:
        """Seal all keys under another master key, which from now on is the one to give. Raises ConfigError, DataCorrupt.

        Blocking.
        """
        with _locked(self._lock_path):
            before = self._read()
            keys = {key.id: self._resealed(key, master) for key in before.keys.values()}
            self._store(before, master, keys)

    def _resealed(self, key: StoredKey, master: MasterKey) -> StoredKey:
        outer = self._master_key().secret
        versions = []
        for version in key.versions:
            context = _context(key.id, version.number)
            opened = open_key(outer, version.sealed, context)
            versions.append(version._replace(sealed=seal_key(master.secret, opened, context)))
        return key._replace(versions=tuple(versions))

    def _new(self, key_id: str) -> StoredKey:
        version = self._new_version(key_id, 1)
        return StoredKey(key_id, True, version.created_us, (version,))

    def _new_version(self, key_id: str, number: int) -> StoredVersion:
        sealed = seal_key(self._master.obtain().secret, new_data_key(), _context(key_id, number))
        return StoredVersion(number, self._now_us(), sealed)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[dict[str, StoredKey]]:
        """Wait until no other process changes the keyring; store what the block makes of its keys."""
        with _locked(self._lock_path):
            before = self._read()
            if before.keys:
                self._master_key()
            keys = dict(before.keys)
            yield keys
            self._store(before, self._master.obtain(), keys)

    def _store(self, before: _Contents, master: MasterKey, keys: dict[str, StoredKey]) -> None:
        # The clock may stand still or go back between two changes; the time of modification does not.
        modified_ns = max(time.time_ns(), before.mark[1] + 1)
        replace_private(self._path, _render(master.id, keys), modified_ns=modified_ns)


def _existing(keys: dict[str, StoredKey], key_id: str) -> StoredKey:
    if key_id not in keys:
        raise NoSuchKmsKey(key_id=key_id)
    return keys[key_id]


def _context(key_id: str, number: int) -> bytes:
    """What a sealed version is bound to."""
    return f"keyring {key_id} {number}".encode()


# -- the file ------------------------------------------------------------------------------------------------------------


def _mark(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    return status.st_ino, status.st_mtime_ns


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    try:
        green.run_native(fcntl.flock, fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _render(master_key_id: str, keys: dict[str, StoredKey]) -> bytes:
    document = {
        "version": _FORM,
        "master_key": master_key_id,
        "keys": [
            {
                "id": key.id,
                "enabled": key.enabled,
                "created_us": key.created_us,
                "versions": [
                    {
                        "number": version.number,
                        "created_us": version.created_us,
                        "sealed": base64.b64encode(version.sealed).decode(),
                    }
                    for version in key.versions
                ],
            }
            for key in sorted(keys.values())
        ],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _parse(content: bytes, mark: tuple[int, int], path: Path) -> _Contents:
    try:
        document: dict[str, Any] = json.loads(content)
        if document["version"] != _FORM:
            raise ConfigError(f"{path}: a keyring of form {document['version']}, written by a later release")
        keys = [_parse_key(entry) for entry in document["keys"]]
        return _Contents(mark, str(document["master_key"]), {key.id: key for key in keys}, {})
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ConfigError(f"{path}: not a keyring: {error}") from None


def _parse_key(entry: dict[str, Any]) -> StoredKey:
    versions = tuple(
        StoredVersion(int(version["number"]), int(version["created_us"]), base64.b64decode(version["sealed"]))
        for version in entry["versions"]
    )
    if not versions:
        raise ValueError("a key without versions")
    return StoredKey(str(entry["id"]), bool(entry["enabled"]), int(entry["created_us"]), versions)
