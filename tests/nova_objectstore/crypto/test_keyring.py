"""The master key and the keyring: made when they are needed, refused when others could read them, seen by all at once."""

import base64
import json
import os
import stat
import subprocess
import sys

import pytest

from nova_objectstore.crypto.keyring import KEYRING_NAME, STORE_KEY, Keyring
from nova_objectstore.crypto.master import MASTER_KEY_NAME, MASTER_KEY_VARIABLE, MasterKey, MasterKeyPlace
from nova_objectstore.crypto.private import read_private
from nova_objectstore.errors import (
    DataCorrupt,
    InvalidArgument,
    InvalidRequest,
    KmsKeyDisabled,
    KmsKeyExists,
    NoSuchKmsKey,
)
from nova_wsgi.errors import ConfigError

NOW_US = 1_700_000_000_000_000
MASTER = "0123456789abcdef" * 4


def open_keyring(path, *, file=None, environ=None) -> Keyring:
    """What another process of the same store has."""
    return Keyring(path, MasterKeyPlace.of(path, file=file, environ=environ or {}), now_us=lambda: NOW_US)


@pytest.fixture
def path(tmp_path):
    return tmp_path


@pytest.fixture
def keyring(path):
    return open_keyring(path)


# -- the master key ----------------------------------------------------------------------------------------------------


def test_nothing_is_made_by_looking(path, keyring):
    keyring.check()
    assert keyring.list() == []
    with pytest.raises(NoSuchKmsKey):
        keyring.current("aws/s3")
    assert os.listdir(path) == []


def test_keyring_and_master_key_are_made_at_first_use_for_their_owner_alone(path, keyring):
    keyring.create("one")

    for name in (KEYRING_NAME, MASTER_KEY_NAME):
        assert stat.S_IMODE(os.stat(path / name).st_mode) == 0o600
    assert len((path / MASTER_KEY_NAME).read_text()) == 65


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o620])
@pytest.mark.parametrize("name", [KEYRING_NAME, MASTER_KEY_NAME])
def test_files_with_looser_permissions_are_refused(path, keyring, name, mode):
    keyring.create("one")
    os.chmod(path / name, mode)
    again = open_keyring(path)

    with pytest.raises(ConfigError, match="chmod 600"):
        again.check()
    with pytest.raises(ConfigError):
        again.current("one")
    with pytest.raises(ConfigError):
        again.create("two")


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_what_is_no_regular_file_is_no_key(path, kind):
    place = path / MASTER_KEY_NAME
    if kind == "link":
        (path / "elsewhere").write_text(MASTER)
        os.chmod(path / "elsewhere", 0o600)
        place.symlink_to(path / "elsewhere")
    elif kind == "directory":
        place.mkdir(mode=0o700)
    else:
        os.mkfifo(place, 0o600)

    with pytest.raises(ConfigError):
        open_keyring(path).create("one")


@pytest.mark.parametrize("text", [MASTER, MASTER.upper(), base64.b64encode(bytes.fromhex(MASTER)).decode()])
def test_the_environment_s_key_comes_first_and_no_file_is_made(path, text):
    open_keyring(path, environ={MASTER_KEY_VARIABLE: text}).create("one")

    assert not (path / MASTER_KEY_NAME).exists()
    assert open_keyring(path, environ={MASTER_KEY_VARIABLE: MASTER}).current("one").number == 1


@pytest.mark.parametrize(
    "text", ["secret", MASTER[:-1], MASTER + "0", "Zm9v", "é" * 64, base64.b64encode(bytes(31)).decode()]
)
def test_what_is_no_key_is_refused_and_not_repeated(path, text):
    with pytest.raises(ConfigError) as refused:
        MasterKeyPlace.of(path, environ={MASTER_KEY_VARIABLE: text})
    assert text not in str(refused.value)

    (path / MASTER_KEY_NAME).write_text(text)
    os.chmod(path / MASTER_KEY_NAME, 0o600)
    with pytest.raises(ConfigError):
        open_keyring(path).create("one")


def test_a_file_that_an_option_names_must_be_there(path):
    named = path / "elsewhere" / "key"
    with pytest.raises(ConfigError, match="does not exist"):
        open_keyring(path, file=named).create("one")

    named.parent.mkdir()
    named.write_text(MASTER)
    os.chmod(named, 0o600)
    open_keyring(path, file=named).create("one")
    assert not (path / MASTER_KEY_NAME).exists()


def test_a_keyring_without_its_master_key_is_an_error_and_stays_as_it_is(path, keyring):
    keyring.create("one")
    before = (path / KEYRING_NAME).read_bytes()
    (path / MASTER_KEY_NAME).unlink()

    for environ in ({}, {MASTER_KEY_VARIABLE: MASTER}):
        again = open_keyring(path, environ=environ)
        for use, *arguments in ((again.check,), (again.current, "one"), (again.create, "two"), (again.rotate, "one")):
            with pytest.raises(ConfigError):
                use(*arguments)
    assert (path / KEYRING_NAME).read_bytes() == before
    assert not (path / MASTER_KEY_NAME).exists()


def test_no_secret_lies_in_the_keyring(path, keyring):
    keyring.create("one")
    secret = keyring.current("one").secret
    text = (path / KEYRING_NAME).read_bytes()

    assert secret not in text
    assert secret.hex().encode() not in text
    assert base64.b64encode(secret) not in text
    assert "secret" not in repr(keyring.current("one"))


# -- keys --------------------------------------------------------------------------------------------------------------


def test_create_list_and_find(keyring):
    for key_id in ("b", "a/b-c_d.e", "A"):
        keyring.create(key_id)

    assert [key.id for key in keyring.list()] == ["A", "a/b-c_d.e", "b"]
    found = keyring.find("b")
    assert (found.enabled, found.created_us, found.newest.number) == (True, NOW_US, 1)
    with pytest.raises(KmsKeyExists):
        keyring.create("b")
    with pytest.raises(NoSuchKmsKey):
        keyring.find("c")


@pytest.mark.parametrize("key_id", ["", "/a", "a/", "a//b", "a b", "a:b", "é", "a\n", "x" * 129])
def test_ids_are_aws_s(keyring, key_id):
    with pytest.raises(InvalidArgument):
        keyring.create(key_id)


def test_a_rotated_key_seals_under_its_newest_version_and_opens_all(keyring):
    keyring.create("one")
    first = keyring.current("one")
    rotated = keyring.rotate("one")
    second = keyring.current("one")

    assert [version.number for version in rotated.versions] == [1, 2]
    assert (second.number, second.secret != first.secret) == (2, True)
    assert keyring.version("one", 1) == first
    assert keyring.version("one", 2) == second
    with pytest.raises(NoSuchKmsKey):
        keyring.version("one", 3)
    with pytest.raises(NoSuchKmsKey):
        keyring.rotate("two")


def test_a_disabled_key_neither_seals_nor_opens(keyring):
    keyring.create("one")
    before = keyring.current("one")
    assert keyring.set_enabled("one", False).enabled is False
    for use in (lambda: keyring.current("one"), lambda: keyring.version("one", 1)):
        with pytest.raises(KmsKeyDisabled):
            use()

    keyring.set_enabled("one", True)
    assert keyring.current("one") == before


def test_the_store_s_key_is_made_by_its_use_and_cannot_be_disabled(keyring):
    made = keyring.ensure(STORE_KEY)
    assert keyring.ensure(STORE_KEY) == made
    assert keyring.rotate(STORE_KEY).newest.number == 2
    with pytest.raises(InvalidRequest):
        keyring.set_enabled(STORE_KEY, False)


def test_a_version_that_was_damaged_takes_no_other_key_with_it(path, keyring):
    keyring.create("one")
    keyring.create("two")
    document = json.loads((path / KEYRING_NAME).read_text())
    sealed = bytearray(base64.b64decode(document["keys"][0]["versions"][0]["sealed"]))
    sealed[20] ^= 1
    document["keys"][0]["versions"][0]["sealed"] = base64.b64encode(sealed).decode()
    (path / KEYRING_NAME).write_text(json.dumps(document))
    again = open_keyring(path)

    with pytest.raises(DataCorrupt):
        again.current("one")
    assert again.current("two") == keyring.current("two")


def test_a_version_does_not_open_in_another_key_s_place(path, keyring):
    keyring.create("one")
    keyring.create("two")
    document = json.loads((path / KEYRING_NAME).read_text())
    document["keys"][0]["versions"], document["keys"][1]["versions"] = (
        document["keys"][1]["versions"],
        document["keys"][0]["versions"],
    )
    (path / KEYRING_NAME).write_text(json.dumps(document))

    with pytest.raises(DataCorrupt):
        open_keyring(path).current("one")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 1, "master_key": "", "keys": [{}]}', '{"version": 2}', "\0"]
)
def test_what_is_no_keyring_is_refused(path, text):
    (path / KEYRING_NAME).write_text(text)
    os.chmod(path / KEYRING_NAME, 0o600)

    with pytest.raises(ConfigError):
        open_keyring(path).check()
    assert (path / KEYRING_NAME).read_text() == text


def test_a_keyring_is_sealed_anew_under_another_master_key(path, keyring):
    keyring.create("one")
    keyring.rotate("one")
    keyring.create("off")
    keyring.set_enabled("off", False)
    before = [keyring.version("one", number) for number in (1, 2)]
    keyring.reseal(MasterKey(bytes.fromhex(MASTER)))

    with pytest.raises(ConfigError, match="another master key"):
        open_keyring(path).current("one")
    with pytest.raises(ConfigError):
        keyring.current("one")
    again = open_keyring(path, environ={MASTER_KEY_VARIABLE: MASTER})
    assert [again.version("one", number) for number in (1, 2)] == before
    assert [(key.id, key.enabled) for key in again.list()] == [("off", False), ("one", True)]
    again.rotate("one")
    with pytest.raises(ConfigError):  # only who has the old one may
        open_keyring(path).reseal(MasterKey(bytes(32)))


# -- several processes -------------------------------------------------------------------------------------------------


def test_changes_are_seen_by_the_others_at_once(path, keyring):
    other = open_keyring(path)
    keyring.create("one")
    assert other.current("one") == keyring.current("one")
    for number in range(2, 30):
        keyring.rotate("one")
        assert other.current("one").number == number
    for enabled in (False, True) * 10:
        keyring.set_enabled("one", enabled)
        assert other.find("one").enabled is enabled


def test_the_time_of_modification_goes_forward_when_the_clock_does_not(path, keyring):
    keyring.create("one")
    os.utime(path / KEYRING_NAME, ns=(1 << 62, 1 << 62))
    other = open_keyring(path)
    assert other.current("one").number == 1

    keyring.rotate("one")
    assert os.stat(path / KEYRING_NAME).st_mtime_ns == (1 << 62) + 1
    assert other.current("one").number == 2


PROGRAM = """
import sys
from pathlib import Path
from nova_wsgi import green

green.patch()

from nova_objectstore.crypto.keyring import STORE_KEY, Keyring
from nova_objectstore.crypto.master import MasterKeyPlace

path, number = Path(sys.argv[1]), sys.argv[2]
keyring = Keyring(path, MasterKeyPlace.of(path, environ={}), now_us=lambda: 1)
keyring.ensure(STORE_KEY)
keyring.create(f"of-{number}")
for _ in range(5):
    keyring.rotate(STORE_KEY)
"""


def test_processes_that_start_at_once_lose_nothing_of_each_other(path):
    started = [subprocess.Popen([sys.executable, "-c", PROGRAM, path, str(number)]) for number in range(4)]
    assert [process.wait(60) for process in started] == [0] * 4

    keyring = open_keyring(path)
    assert [key.id for key in keyring.list()] == [STORE_KEY, *(f"of-{number}" for number in range(4))]
    assert [version.number for version in keyring.find(STORE_KEY).versions] == list(range(1, 22))
    for number in range(1, 22):
        keyring.version(STORE_KEY, number)
    assert sorted(os.listdir(path)) == [".keyring.lock", KEYRING_NAME, MASTER_KEY_NAME]


def test_a_private_file_is_bounded(path):
    (path / "large").write_bytes(bytes(100))
    os.chmod(path / "large", 0o600)

    assert read_private(path / "large", size_max=100) == bytes(100)
    with pytest.raises(ConfigError, match="larger"):
        read_private(path / "large", size_max=99)
    assert read_private(path / "none", size_max=1) is None
