"""nova-manage, as an administrator and as a program use it."""

import io
import json
import os
import pty
import re
import subprocess
import sys

import pytest

from nova_objectstore.assembly import Settings, open_metadata
from nova_objectstore.cmd.manage import run
from nova_objectstore.domain.identities import Identities
from nova_objectstore.manage import COMMANDS
from nova_objectstore.types import Versioning

PAIR = ["--access-key", "AKIAEXAMPLE", "--secret-key", "example-secret"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Shell:
    """Runs command lines over one state directory."""

    def __init__(self, path) -> None:
        self.path = path

    def run(self, *argv: str, code: int = 0, terminal: bool = False) -> str:
        out, err = Terminal() if terminal else io.StringIO(), io.StringIO()
        got = run([f"--state-path={self.path}", *argv], environ={"COLUMNS": "100"}, out=out, err=err)
        assert got == code, err.getvalue()
        if code:
            assert out.getvalue() == ""
            assert re.fullmatch(r"nova-manage: .+\n", err.getvalue()), "one line"
            return err.getvalue()
        assert err.getvalue() == ""
        return out.getvalue()

    def json(self, *argv: str):
        return json.loads(self.run("--json", *argv))


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "state")


@pytest.fixture
def store(shell):
    """What a running server has open."""
    shell.run("account", "create", "backup", *PAIR)
    engine = open_metadata(Settings(state_path=shell.path))
    engine.open()
    yield engine
    engine.close()


# -- accounts ------------------------------------------------------------------------------------------------------


def test_an_account_is_made_before_the_first_start_of_the_server(shell):
    made = shell.json("account", "create", "backup", "--email", "b@example.com")

    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", made["access_key"])
    assert len(made["secret_key"]) == 40
    assert shell.json("account", "list") == [
        {key: made[key] for key in ("account_id", "name", "email", "canonical_id", "created")}
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", made["created"])


def test_everything_about_an_account_may_be_given(shell):
    made = shell.json(
        *("account", "create", "main", "--account-id", "000000000001", "--canonical-id", "ab" * 32, *PAIR)
    )

    assert made["account_id"] == "000000000001"
    assert made["canonical_id"] == "ab" * 32
    assert (made["access_key"], made["secret_key"]) == ("AKIAEXAMPLE", "example-secret")


def test_show_and_delete_by_name_and_by_id(shell, store):
    shown = shell.json("account", "show", "backup")
    assert (shown["access_keys"], shown["buckets"]) == (["AKIAEXAMPLE"], 0)
    assert shell.json("account", "show", shown["account_id"]) == shown

    assert shell.json("account", "delete", shown["account_id"])["deleted"] is True
    assert shell.json("account", "list") == []


def test_secrets_are_shown_at_creation_only(shell, store):
    shell.run("key", "create", "backup")
    for command in (["account", "list"], ["account", "show", "backup"], ["key", "list", "backup"]):
        for text in (shell.run(*command), shell.run(*command, "--json"), shell.run(*command, terminal=True)):
            assert "secret" not in text.lower()


def test_an_account_with_buckets_is_not_deleted(shell, store):
    store.create_bucket("bucket", owner_id=account_id(shell), region="us-east-1", now_us=1)

    assert "buckets" in shell.run("account", "delete", "backup", code=1)
    assert len(shell.json("account", "list")) == 1


def account_id(shell) -> str:
    return shell.json("account", "show", "backup")["account_id"]


# -- keys ----------------------------------------------------------------------------------------------------------


def secret_of(identities, access_key):
    identity = identities.find(access_key)
    return identity.key.secret_key if identity else None


def test_a_running_server_sees_changes_of_keys_at_once(shell, store):
    identities = Identities(store, store)
    assert secret_of(identities, "AKIAEXAMPLE") == "example-secret"

    made = shell.json("key", "create", "backup")
    assert secret_of(identities, made["access_key"]) == made["secret_key"]
    assert identities.find(made["access_key"]).principal.account_id == made["account_id"]

    shell.run("key", "deactivate", made["access_key"])
    assert secret_of(identities, made["access_key"]) is None
    shell.run("key", "activate", made["access_key"])
    assert secret_of(identities, made["access_key"]) == made["secret_key"]
    shell.run("key", "delete", made["access_key"])
    assert secret_of(identities, made["access_key"]) is None


def test_keys_are_listed_oldest_first(shell, store):
    made = [shell.json("key", "create", "backup")["access_key"] for _ in range(3)]
    shell.run("key", "deactivate", made[0])

    listed = shell.json("key", "list", "backup")
    assert [key["access_key"] for key in listed] == ["AKIAEXAMPLE", *made]
    assert [key["active"] for key in listed] == [True, False, True, True]
    assert {key["user"] for key in listed} == {""}


def test_a_secret_may_come_from_standard_input(shell, store):
    done = nova_manage(shell, "key", "create", "backup", "--access-key=piped", "--secret-key=-", stdin="piped-secret\n")

    assert done.returncode == 0
    assert store.find_access_key("piped").secret_key == "piped-secret"


# -- buckets -------------------------------------------------------------------------------------------------------


def test_buckets_of_one_account_and_of_all(shell, store):
    shell.run("account", "create", "other")
    owners = {one["name"]: one["account_id"] for one in shell.json("account", "list")}
    for name, owner in (("b-one", "backup"), ("a-two", "backup"), ("c-three", "other")):
        store.create_bucket(name, owner_id=owners[owner], region="us-east-1", now_us=1_700_000_000_000_000)

    assert [row["bucket"] for row in shell.json("bucket", "list")] == ["a-two", "b-one", "c-three"]
    assert shell.json("bucket", "list", "other") == [
        {
            "bucket": "c-three",
            "account": "other",
            "account_id": owners["other"],
            "region": "us-east-1",
            "versioning": "Off",
            "object_lock": False,
            "created": "2023-11-14T22:13:20.000000Z",
        }
    ]


def test_the_stats_of_a_bucket(shell, store):
    bucket = store.create_bucket("bucket", owner_id=account_id(shell), region="us-east-1", now_us=1)
    store.set_versioning(bucket.id, Versioning.ENABLED)
    store.put_document(bucket.id, "tagging", b"<Tagging/>")

    stats = shell.json("bucket", "stats", "bucket")
    assert stats["versioning"] == "Enabled"
    assert stats["configurations"] == ["tagging"]
    assert (stats["objects"], stats["bytes"]) == (0, 0)


# -- the database --------------------------------------------------------------------------------------------------


def test_the_database_is_made_and_upgraded(shell):
    upgraded = shell.json("db", "upgrade")
    version = shell.json("db", "version")

    assert upgraded["version"] == version["version"] == version["latest"]
    assert upgraded["version_before"] == ""
    assert shell.json("db", "upgrade")["version_before"] == version["version"]


# -- forms ---------------------------------------------------------------------------------------------------------


def test_plain_lines_for_pipes(shell, store):
    lines = shell.run("account", "list").splitlines()
    assert lines[0].split("\t") == ["account_id", "name", "email", "canonical_id", "created"]
    assert lines[1].split("\t")[1] == "backup"

    facts = dict(line.split("\t") for line in shell.run("account", "show", "backup").splitlines())
    assert (facts["name"], facts["access_keys"], facts["buckets"]) == ("backup", "AKIAEXAMPLE", "0")


def test_tables_for_people(shell, store):
    table = shell.run("account", "list", terminal=True)
    assert "Account ID" in table
    assert "backup" in table

    made = shell.run("key", "create", "backup", terminal=True)
    assert re.search(r"^Secret key +[A-Za-z0-9]{40} *$", re.sub("\x1b\\[[0-9;]*m", "", made), re.MULTILINE)


def test_what_is_empty_is_empty(shell):
    shell.run("db", "upgrade")
    assert shell.json("account", "list") == shell.json("bucket", "list") == []
    assert shell.run("bucket", "list").count("\n") == 1
    assert "Bucket" in shell.run("bucket", "list", terminal=True)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_json_may_be_asked_for_anywhere(shell, store, place):
    words = ["account", "list"]
    words.insert(place, "--json")
    assert json.loads(shell.run(*words))


# -- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "which command"),
        (["acount"], "acount"),
        (["account"], "COMMAND"),
        (["account", "make"], "make"),
        (["account", "create"], "NAME"),
        (["account", "create", "a", "b"], "b"),
        (["account", "create", "a", "--colour", "red"], "--colour"),
        (["account", "create", "a", "--access-key", "key-alone"], "go together"),
        (["key", "list"], "ACCOUNT"),
        (["--config-file=/no/such/file", "account", "list"], "/no/such/file"),
        (["--sync=sometimes", "account", "list"], "sometimes"),
        (["--no-such-option", "account", "list"], "--no-such-option"),
    ],
)
def test_mistakes_in_the_command_line(shell, words, hint):
    assert hint in shell.run(*words, code=2)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["account", "show", "nobody"], "nobody"),
        (["account", "delete", "nobody"], "nobody"),
        (["account", "create", "backup"], "backup"),
        (["account", "create", "b/d"], "b/d"),
        (["account", "create", "x", "--account-id", "12"], "12 digits"),
        (["account", "create", "x", *PAIR], "already"),
        (["key", "create", "nobody"], "nobody"),
        (["key", "create", "backup", *PAIR], "already"),
        (["key", "delete", "AKIANOBODYS"], "AKIANOBODYS"),
        (["key", "activate", "AKIANOBODYS"], "AKIANOBODYS"),
        (["bucket", "list", "nobody"], "nobody"),
        (["bucket", "stats", "nothing"], "nothing"),
    ],
)
def test_what_is_refused(shell, store, words, hint):
    assert hint in shell.run(*words, code=1)


@pytest.mark.parametrize("words", [["account", "list"], ["key", "list", "x"], ["bucket", "list"], ["db", "version"]])
def test_a_mistyped_state_path_makes_no_empty_store(shell, words):
    assert "state-path" in shell.run(*words, code=2)
    assert not shell.path.exists()


def test_every_command_has_help(capsys):
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            run([*filter(None, (command.noun, command.verb)), "--help"], environ={})
        assert ended.value.code == 0
        assert " ".join(command.summary.split()) in " ".join(capsys.readouterr().out.split())


def test_the_help_tells_commands_and_options(shell):
    told = shell.run("--help")
    assert all(f"{command.noun} {command.verb}" in told for command in COMMANDS)
    assert all(flag in told for flag in ("--state-path", "--config-file", "--json"))
    assert told.count("usage:") == 1
    assert max(map(len, told.splitlines())) <= 80
    assert not shell.path.exists()


# -- real processes --------------------------------------------------------------------------------------------------


def nova_manage(shell, *words: str, stdin: str = "", environ=()) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "nova_objectstore.cmd.manage", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=20,
        env=os.environ | {"NOVA_STATE_PATH": str(shell.path)} | dict(environ),
    )


def test_options_mean_what_they_mean_to_the_server(shell, tmp_path):
    (tmp_path / "nova.conf").write_text(f"[DEFAULT]\nstate_path = {tmp_path}/from-file\n")
    shell.path = tmp_path / "from-environment"
    assert nova_manage(shell, "account", "create", "one").returncode == 0
    listed = nova_manage(shell, "account", "list", "--json")
    assert [one["name"] for one in json.loads(listed.stdout)] == ["one"]
    flags = [f"--config-file={tmp_path}/nova.conf", f"--state_path={tmp_path}/from-flag"]
    assert run([*flags, "account", "create", "two"], environ={}, out=io.StringIO()) == 0
    assert sorted(path.name for path in tmp_path.glob("from-*")) == ["from-environment", "from-flag"]
    assert run([flags[0], "account", "create", "three"], environ={}, out=io.StringIO()) == 0
    assert (tmp_path / "from-file").exists()


def test_a_terminal_gets_a_table(shell, store):
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "nova_objectstore.cmd.manage", f"--state-path={shell.path}", "account", "list"],
        stdout=child,
        stderr=child,
    )
    os.close(child)
    assert process.wait(timeout=20) == 0
    shown = os.read(parent, 100_000).decode()
    os.close(parent)
    assert "Account ID" in shown
    assert "backup" in shown
