"""The administrator's account and key pair: there from the first start on, and no built-in secret anywhere.

The pair comes from NOVA_ROOT_ACCESS_KEY and NOVA_ROOT_SECRET_KEY, else a random one is made. It is kept, by its owner
alone to read, in ``<state-path>/root-credentials``, which the SDKs take as AWS_SHARED_CREDENTIALS_FILE. Whoever has
taken it from there may delete the file: it is not made again.

Laws:

- The *root pair* is the key of the administrator's account that is as old as the account. Another pair in the
  environment takes its place, and the old one is nobody's from then on; keys that were added otherwise stay.
- The file is written before the database: killed in between, the next start finishes with the same pair.
- Processes take turns under a lock: of many that start at once, one makes the pair and the others find it.
"""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nova_objectstore.domain.accounts import ROOT_ACCOUNT_NAME, Accounts, KeyPair, check_key_pair, new_key_pair
from nova_objectstore.errors import InvalidArgument, NoSuchAccessKey, NoSuchAccount
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.state_directory import make_state_directory
from nova_objectstore.types import AccessKey, Account
from nova_wsgi import green
from nova_wsgi.errors import ConfigError

CREDENTIALS_NAME = "root-credentials"
ACCESS_KEY_VARIABLE = "NOVA_ROOT_ACCESS_KEY"
SECRET_KEY_VARIABLE = "NOVA_ROOT_SECRET_KEY"  # noqa: S105  the variable's name
_LOCK_NAME = ".root-credentials.lock"
_PROFILE = "default"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What was found or done. ``pair`` is None when an administrator exists whose pair is kept nowhere any more."""

    account: Account
    pair: KeyPair | None
    path: Path
    made: bool  # the account was made by this call
    replaced: bool  # the environment's pair took the place of another


def ensure_root(
    meta: MetadataEngine,
    state_path: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> Bootstrap:
    """Make sure that the administrator's account exists and has the pair it should have. Idempotent.

    Raises ConfigError when the environment names half a pair or an unusable one, when the credentials file is
    readable by others or broken, and when the access key belongs to another account.
    """
    given = _given_pair(environ)
    path = state_path / CREDENTIALS_NAME
    accounts = Accounts(meta, now_us=now_us)
    with _turn(state_path):
        stored = read_credentials(path)
        try:
            account = accounts.find(ROOT_ACCOUNT_NAME)
        except NoSuchAccount:
            return _make(meta, accounts, given or stored or new_key_pair(), stored, path)
        return _keep(meta, account, given, stored, path)


def _make(meta: MetadataEngine, accounts: Accounts, pair: KeyPair, stored: KeyPair | None, path: Path) -> Bootstrap:
    _refuse_taken(meta, pair, account_id="")
    if pair != stored:
        write_credentials(path, pair)
    account, _ = accounts.create(ROOT_ACCOUNT_NAME, pair=pair)
    return Bootstrap(account, pair, path, made=True, replaced=False)


def _keep(
    meta: MetadataEngine, account: Account, given: KeyPair | None, stored: KeyPair | None, path: Path
) -> Bootstrap:
    keys = meta.list_access_keys(account.id)
    pairs = [_pair(key) for key in keys if _is_root_pair(key, account)]
    if given is None and stored not in pairs:  # the file was taken away, or is not of this database
        current = pairs[0] if pairs else None
        if stored is not None and current is not None:
            write_credentials(path, current)
        return Bootstrap(account, current, path, made=False, replaced=False)
    wanted = given or stored
    assert wanted is not None
    _refuse_taken(meta, wanted, account_id=account.id)
    if stored is not None and stored != wanted:
        write_credentials(path, wanted)
    replaced = pairs != [wanted]
    if replaced:
        _replace(meta, account, keys, wanted)
    if given is not None and not meta.find_access_key(given.access_key).active:
        meta.set_access_key_active(given.access_key, True)
    return Bootstrap(account, wanted, path, made=False, replaced=replaced)


def _replace(meta: MetadataEngine, account: Account, keys: Sequence[AccessKey], wanted: KeyPair) -> None:
    """Make ``wanted`` the one root pair.

    The new one comes before the old ones go: killed in between there are both, and the next start knows from the file.
    """
    old = [key.access_key for key in keys if _is_root_pair(key, account) and key.access_key != wanted.access_key]
    same = next((key for key in keys if key.access_key == wanted.access_key), None)
    if same is None or _pair(same) != wanted or not _is_root_pair(same, account):
        if same is not None:  # the same name with another secret, or added by hand
            meta.delete_access_key(wanted.access_key)
        meta.create_access_key(
            AccessKey(*wanted, account_id=account.id, user_name=None, active=True, created_us=account.created_us)
        )
    for access_key in old:
        meta.delete_access_key(access_key)


def _pair(key: AccessKey) -> KeyPair:
    return KeyPair(key.access_key, key.secret_key)


def _is_root_pair(key: AccessKey, account: Account) -> bool:
    return key.user_name is None and key.created_us == account.created_us


def _given_pair(environ: Mapping[str, str]) -> KeyPair | None:
    access_key, secret_key = environ.get(ACCESS_KEY_VARIABLE, ""), environ.get(SECRET_KEY_VARIABLE, "")
    if not access_key and not secret_key:
        return None
    if not access_key or not secret_key:
        raise ConfigError(f"{ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE} go together: one of them is not set")
    pair = KeyPair(access_key, secret_key)
    try:
        check_key_pair(pair)
    except InvalidArgument as error:
        raise ConfigError(f"{ACCESS_KEY_VARIABLE}, {SECRET_KEY_VARIABLE}: {error}") from None
    return pair


def _refuse_taken(meta: MetadataEngine, pair: KeyPair, *, account_id: str) -> None:
    """Before anything is written: the access key must be nobody's, or a root's of that account."""
    try:
        key = meta.find_access_key(pair.access_key)
    except NoSuchAccessKey:
        return
    if key.account_id != account_id or key.user_name is not None:
        raise ConfigError(f"access key {pair.access_key} belongs to another account or user already")


# -- the file ------------------------------------------------------------------------------------------------------


def read_credentials(path: Path) -> KeyPair | None:
    """The pair in the file; None when there is no file.

    Raises ConfigError when others may read or write it, or when it is not what :func:`write_credentials` writes.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    with open(fd, encoding="utf-8", errors="replace") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: not a regular file")
        if status.st_mode & 0o077:
            raise ConfigError(f"{path}: others than its owner may read or write it; run: chmod 600 {path}")
        return _parse(file.read(), path)


def _parse(text: str, path: Path) -> KeyPair:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
        pair = KeyPair(parser[_PROFILE]["aws_access_key_id"], parser[_PROFILE]["aws_secret_access_key"])
        check_key_pair(pair)
    except (configparser.Error, KeyError, InvalidArgument):
        raise ConfigError(f"{path}: not a credentials file with a usable key pair under [{_PROFILE}]") from None
    return pair


def write_credentials(path: Path, pair: KeyPair) -> None:
    """Write the file durably and at once: there is never half a file, nor one that others may read."""
    text = (
        "# The administrator's key pair of the object store beside this file; for AWS_SHARED_CREDENTIALS_FILE.\n"
        f"[{_PROFILE}]\naws_access_key_id = {pair.access_key}\naws_secret_access_key = {pair.secret_key}\n"
    )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigError(f"{path}: {error.strerror}") from error


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _turn(state_path: Path) -> Iterator[None]:
    """Wait until no other process is at it."""
    try:
        make_state_directory(state_path)
        fd = os.open(state_path / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"{state_path}: {error.strerror}") from None
    try:
        green.run_native(fcntl.flock, fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
