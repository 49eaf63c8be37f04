"""The administrator's key pair: made once, kept safely, replaced from the environment."""

import configparser
import json
import os
import stat
import subprocess
import sys

import pytest

from nova_objectstore.bootstrap import CREDENTIALS_NAME, ensure_root, write_credentials
from nova_objectstore.domain.accounts import Accounts, KeyPair
from nova_objectstore.meta.sqlite import SqliteEngine
from nova_wsgi.errors import ConfigError

FIRST = {"NOVA_ROOT_ACCESS_KEY": "first-access", "NOVA_ROOT_SECRET_KEY": "first-secret"}
SECOND = {"NOVA_ROOT_ACCESS_KEY": "second-access", "NOVA_ROOT_SECRET_KEY": "second-secret"}


class State:
    """A state directory and its database; ``keys`` are what signatures are accepted from."""

    def __init__(self, path) -> None:
        self.path = path
        self.file = path / CREDENTIALS_NAME
        path.mkdir(exist_ok=True)
        self.meta = SqliteEngine(path / "metadata.sqlite")
        self.meta.open()
        self.accounts = Accounts(self.meta, now_us=iter(range(10**6, 10**7)).__next__)

    def start(self, environ=()):
        return ensure_root(self.meta, self.path, environ=dict(environ), now_us=iter(range(1, 100)).__next__)

    @property
    def keys(self) -> list[KeyPair]:
        return [KeyPair(key.access_key, key.secret_key) for key in self.accounts.list_keys("root") if key.active]


@pytest.fixture
def state(tmp_path):
    state = State(tmp_path / "state")
    yield state
    state.meta.close()


def in_file(state) -> KeyPair:
    """As an SDK reads it."""
    parser = configparser.RawConfigParser()
    parser.read(state.file)
    return KeyPair(parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"])


def test_the_first_start_makes_a_pair_and_the_later_ones_find_it(state):
    first = state.start()
    later = state.start()

    assert (first.made, later.made) == (True, False)
    assert first.pair == later.pair == in_file(state)
    assert state.keys == [first.pair]
    assert first.account == later.account == state.accounts.find("root")
    assert first.path == state.file


def test_no_two_stores_have_the_same_pair(tmp_path):
    states = [State(tmp_path / name) for name in "ab"]
    pairs = [state.start().pair for state in states]
    for state in states:
        state.meta.close()

    assert pairs[0].access_key != pairs[1].access_key
    assert pairs[0].secret_key != pairs[1].secret_key


def test_the_file_is_its_owners_alone_and_botocore_reads_it(state):
    from botocore.credentials import SharedCredentialProvider

    pair = state.start().pair
    assert stat.S_IMODE(state.file.stat().st_mode) == 0o600
    found = SharedCredentialProvider(str(state.file)).load()
    assert (found.access_key, found.secret_key) == pair
    assert [name for name in os.listdir(state.path) if "credentials" in name and "lock" not in name] == [
        CREDENTIALS_NAME
    ]


def test_the_environment_sets_the_pair(state):
    outcome = state.start(FIRST)

    assert outcome.made
    assert state.keys == [KeyPair("first-access", "first-secret")] == [in_file(state)]
    assert not state.start(FIRST).made
    assert state.start().pair == KeyPair("first-access", "first-secret")  # no longer in the environment: it stays


def test_another_pair_in_the_environment_takes_the_place_of_the_first(state):
    state.start(FIRST)
    extra = state.accounts.create_key("root")
    outcome = state.start(SECOND)

    assert (outcome.made, outcome.replaced) == (False, True)
    assert set(state.keys) == {KeyPair(extra.access_key, extra.secret_key), KeyPair("second-access", "second-secret")}
    assert in_file(state) == outcome.pair
    assert not state.start(SECOND).replaced
    assert state.start(FIRST).replaced
    assert KeyPair("first-access", "first-secret") in state.keys


def test_another_secret_for_the_same_access_key(state):
    state.start(FIRST)
    state.start(FIRST | {"NOVA_ROOT_SECRET_KEY": "other-secret"})

    assert state.keys == [KeyPair("first-access", "other-secret")] == [in_file(state)]


def test_a_key_added_by_hand_may_become_the_root_pair(state):
    state.start()
    state.accounts.create_key("root", KeyPair("first-access", "first-secret"))
    state.start(FIRST)

    assert state.keys == [KeyPair("first-access", "first-secret")]


def test_a_pair_in_the_environment_is_switched_on(state):
    state.start(FIRST)
    state.accounts.set_key_active("first-access", False)
    state.start()
    assert state.keys == []
    state.start(FIRST)
    assert state.keys == [KeyPair("first-access", "first-secret")]


@pytest.mark.parametrize(
    "environ",
    [
        {"NOVA_ROOT_ACCESS_KEY": "first-access"},
        {"NOVA_ROOT_SECRET_KEY": "first-secret"},
        FIRST | {"NOVA_ROOT_SECRET_KEY": ""},
        FIRST | {"NOVA_ROOT_SECRET_KEY": "short"},
        FIRST | {"NOVA_ROOT_ACCESS_KEY": "no/slash"},
    ],
)
def test_half_a_pair_or_a_bad_one_is_refused(state, environ):
    with pytest.raises(ConfigError, match="NOVA_ROOT_ACCESS_KEY") as caught:
        state.start(environ)
    assert "short" not in str(caught.value)
    assert list(state.accounts.list()) == []
    assert not state.file.exists()


def test_an_access_key_of_somebody_else_is_refused_before_anything_changes(state):
    state.accounts.create("other", pair=KeyPair("first-access", "other-secret"))
    with pytest.raises(ConfigError, match="first-access"):
        state.start(FIRST)
    assert not state.file.exists()

    before = state.start().pair
    with pytest.raises(ConfigError, match="first-access"):
        state.start(FIRST)
    assert state.keys == [before] == [in_file(state)]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_is_refused(state, mode):
    state.start()
    state.file.chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {state.file}"):
        state.start()


def test_a_link_in_the_files_place_is_refused(state, tmp_path):
    write_credentials(tmp_path / "elsewhere", KeyPair("first-access", "first-secret"))
    state.file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=CREDENTIALS_NAME):
        state.start()


@pytest.mark.parametrize("text", ["", "rubbish", "[default]\n", "[default]\naws_access_key_id = a\n", "\0\xff" * 100])
def test_a_broken_file_is_refused(state, text):
    state.file.write_text(text)
    state.file.chmod(0o600)
    with pytest.raises(ConfigError, match=CREDENTIALS_NAME):
        state.start()
    assert list(state.accounts.list()) == []


def test_a_file_taken_away_is_not_made_again(state):
    pair = state.start().pair
    state.file.unlink()
    outcome = state.start()

    assert outcome.pair == pair
    assert not state.file.exists()
    assert state.start(SECOND).replaced
    assert state.keys == [KeyPair("second-access", "second-secret")]


def test_a_deleted_root_pair_does_not_come_back(state):
    pair = state.start().pair
    extra = state.accounts.create_key("root")
    state.accounts.delete_key(pair.access_key)
    outcome = state.start()

    assert outcome.pair is None
    assert state.keys == [KeyPair(extra.access_key, extra.secret_key)]


def test_killed_between_the_file_and_the_database(state):
    write_credentials(state.file, KeyPair("first-access", "first-secret"))
    outcome = state.start()

    assert outcome.made
    assert state.keys == [KeyPair("first-access", "first-secret")]


def test_killed_while_the_pair_was_replaced(state):
    state.start(FIRST)
    write_credentials(state.file, KeyPair("second-access", "second-secret"))
    outcome = state.start()  # only the file was written: the database's pair stands
    assert outcome.pair == KeyPair("first-access", "first-secret") == in_file(state)

    write_credentials(state.file, KeyPair("second-access", "second-secret"))
    root = state.accounts.list_keys("root")[0]
    state.meta.create_access_key(root._replace(access_key="second-access", secret_key="second-secret"))
    outcome = state.start()  # the new one was added, the old one not yet removed
    assert outcome.replaced
    assert state.keys == [KeyPair("second-access", "second-secret")] == [in_file(state)]


PROGRAM = """
from nova_wsgi import green
green.patch()
import json, sys
from pathlib import Path
from nova_objectstore.bootstrap import ensure_root
from nova_objectstore.meta.sqlite import SqliteEngine
path = Path(sys.argv[1])
meta = SqliteEngine(path / "metadata.sqlite")
meta.open()
sys.stdin.read()
outcome = ensure_root(meta, path, environ={})
meta.close()
print(json.dumps([outcome.made, *outcome.pair]))
"""


def test_of_many_processes_one_makes_the_pair(state):
    assert list(state.accounts.list()) == []
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(state.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.close()  # go
        process.stdin = None
    outcomes = [json.loads(process.communicate(timeout=20)[0]) for process in processes]

    assert sorted(made for made, *_ in outcomes) == [False, False, False, True]
    assert {KeyPair(*pair) for _, *pair in outcomes} == {in_file(state)}
    assert state.keys == [in_file(state)]
