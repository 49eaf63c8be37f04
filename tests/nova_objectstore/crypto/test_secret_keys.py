"""Sealed secret keys: opened beside their own access key, with their own keyring, unchanged; or not at all."""

import base64
import re
import sqlite3
from pathlib import Path

import pytest
from support.metadata import sqlite_metadata

from nova_objectstore.assembly import DATABASE_NAME, Settings, open_metadata
from nova_objectstore.crypto.keyring import ACCESS_KEYS_KEY, Keyring
from nova_objectstore.crypto.master import MASTER_KEY_NAME, MasterKeyPlace
from nova_objectstore.crypto.secret_keys import SecretKeys
from nova_objectstore.domain.accounts import Accounts, KeyPair
from nova_objectstore.errors import DataCorrupt, InvalidRequest
from nova_wsgi.errors import ConfigError

NOW_US = 1_700_000_000_000_000
SECRET = "a/secret+key.of.40.characters.0123456789"


def open_keyring(path: Path) -> Keyring:
    return Keyring(path, MasterKeyPlace.of(path, environ={}), now_us=lambda: NOW_US)


@pytest.fixture
def secret_keys(tmp_path):
    return SecretKeys(open_keyring(tmp_path))


def test_what_is_sealed_opens_again_and_in_other_processes(tmp_path, secret_keys):
    sealed = secret_keys.seal("AKIAONE", SECRET)
    assert re.fullmatch(r"nova1 1 [A-Za-z0-9+/=]+", sealed)
    assert SECRET not in sealed
    assert SECRET.encode() not in base64.b64decode(sealed.split()[2])
    assert secret_keys.open("AKIAONE", sealed) == SecretKeys(open_keyring(tmp_path)).open("AKIAONE", sealed) == SECRET


def test_the_same_secret_is_never_sealed_the_same(secret_keys):
    assert secret_keys.seal("AKIAONE", SECRET) != secret_keys.seal("AKIAONE", SECRET)


def test_what_was_sealed_before_a_rotation_opens_still(tmp_path, secret_keys):
    before = secret_keys.seal("AKIAONE", SECRET)
    open_keyring(tmp_path).rotate(ACCESS_KEYS_KEY)
    after = secret_keys.seal("AKIAONE", SECRET)
    assert after.startswith("nova1 2 ")
    assert secret_keys.open("AKIAONE", before) == secret_keys.open("AKIAONE", after) == SECRET


def test_a_sealed_secret_opens_beside_its_own_access_key_alone(secret_keys):
    with pytest.raises(DataCorrupt, match="AKIATWO"):
        secret_keys.open("AKIATWO", secret_keys.seal("AKIAONE", SECRET))


@pytest.mark.parametrize(
    "text", ["", SECRET, "nova1", "nova1 1", "nova1 1 ?", "nova1 x AAAA", "nova2 1 AAAA", "nova1 1 AAAA"]
)
def test_what_was_not_sealed_here_does_not_open(secret_keys, text):
    secret_keys.seal("AKIAONE", SECRET)
    with pytest.raises(DataCorrupt):
        secret_keys.open("AKIAONE", text)


def test_a_flipped_bit_does_not_open(secret_keys):
    form, number, text = secret_keys.seal("AKIAONE", SECRET).split()
    raw = bytearray(base64.b64decode(text))
    for index in range(len(raw)):
        raw[index] ^= 1
        with pytest.raises(DataCorrupt):
            secret_keys.open("AKIAONE", f"{form} {number} {base64.b64encode(raw).decode()}")
        raw[index] ^= 1


def test_without_the_keyring_or_the_master_key_nothing_opens(tmp_path, secret_keys):
    sealed = secret_keys.seal("AKIAONE", SECRET)
    other = SecretKeys(open_keyring(tmp_path / "other"))
    with pytest.raises(ConfigError, match="keyring has not the version 1"):
        other.open("AKIAONE", sealed)
    (tmp_path / MASTER_KEY_NAME).unlink()
    with pytest.raises(ConfigError, match="its master key"):
        SecretKeys(open_keyring(tmp_path)).open("AKIAONE", sealed)


def test_the_key_that_secret_keys_are_sealed_under_cannot_be_disabled(tmp_path, secret_keys):
    secret_keys.seal("AKIAONE", SECRET)
    with pytest.raises(InvalidRequest, match="nobody could sign"):
        open_keyring(tmp_path).set_enabled(ACCESS_KEYS_KEY, False)


# -- in the database ---------------------------------------------------------------------------------------------------


def stored(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path / DATABASE_NAME)
    try:
        return dict(connection.execute("SELECT access_key, secret_key FROM access_keys"))
    finally:
        connection.close()


def bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.iterdir() if file.is_file())


def test_the_database_has_secret_keys_sealed(tmp_path):
    meta = open_metadata(Settings(state_path=tmp_path))
    meta.open()
    Accounts(meta, now_us=lambda: NOW_US).create("acme", pair=KeyPair("AKIAONE", SECRET))
    assert meta.find_access_key("AKIAONE").secret_key == SECRET
    assert SECRET.encode() not in bytes_of(tmp_path)
    meta.close()

    assert stored(tmp_path)["AKIAONE"].startswith("nova1 1 ")
    assert SECRET.encode() not in bytes_of(tmp_path)


def test_secret_keys_of_an_earlier_release_are_sealed_when_the_database_is_opened(tmp_path):
    with sqlite_metadata(tmp_path) as made:  # an engine without a seal keeps them as they are
        accounts = Accounts(made.engine, now_us=lambda: NOW_US)
        for number in range(200):  # rows of many pages
            accounts.create(f"acme-{number}", pair=KeyPair(f"AKIA{number}", f"{SECRET}-{number}"))
    assert SECRET.encode() in bytes_of(tmp_path)

    meta = open_metadata(Settings(state_path=tmp_path))
    meta.open()
    try:
        assert SECRET.encode() not in bytes_of(tmp_path), "nor in what was free, nor in the WAL"
        assert all(meta.find_access_key(f"AKIA{n}").secret_key == f"{SECRET}-{n}" for n in range(200))
    finally:
        meta.close()
    sealed = stored(tmp_path)
    again = open_metadata(Settings(state_path=tmp_path))
    again.open()
    again.close()
    assert stored(tmp_path) == sealed, "once"


def test_a_store_whose_keyring_was_lost_says_so(tmp_path):
    meta = open_metadata(Settings(state_path=tmp_path))
    meta.open()
    Accounts(meta, now_us=lambda: NOW_US).create("acme", pair=KeyPair("AKIAONE", SECRET))
    (tmp_path / "keyring").unlink()
    with pytest.raises(ConfigError, match="was lost"):
        meta.find_access_key("AKIAONE")
    meta.close()
