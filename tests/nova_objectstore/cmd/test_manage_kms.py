"""``nova-manage kms``: keys made, rotated, switched off and on, listed."""

import io
import json
import re
import uuid

import pytest

from nova_objectstore.cmd.manage import run
from nova_objectstore.crypto.keyring import STORE_KEY, Keyring
from nova_objectstore.crypto.master import MasterKeyPlace


class Shell:
    """Runs command lines over one state directory."""

    def __init__(self, state) -> None:
        self.state = state

    def run(self, *argv, code=0):
        out, err = io.StringIO(), io.StringIO()
        got = run([f"--state-path={self.state}", *argv], environ={}, out=out, err=err)
        assert got == code, err.getvalue()
        if code:
            assert re.fullmatch(r"nova-manage: .+\n", err.getvalue()), "one line"
        return err.getvalue() if code else out.getvalue()

    def json(self, *argv):
        return json.loads(self.run("--json", "kms", *argv))

    def keyring(self) -> Keyring:
        """What a worker has."""
        return Keyring(self.state, MasterKeyPlace.of(self.state, environ={}), now_us=lambda: 1)


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "state")


def test_a_key_is_made_before_the_first_start_of_the_server(shell):
    made = shell.json("create", "one")

    assert (made["key"], made["enabled"], made["version"]) == ("one", True, 1)
    assert made["created"] == made["rotated"]
    assert shell.json("list") == [made]
    assert shell.keyring().current("one").number == 1


def test_a_key_without_a_name_gets_a_uuid(shell):
    first, second = shell.json("create")["key"], shell.json("create")["key"]

    assert str(uuid.UUID(first)) == first != second


def test_rotate_and_show(shell):
    shell.json("create", "one")
    assert shell.json("rotate", "one")["version"] == 2
    shown = shell.json("show", "one")

    assert [(row["version"], row["seals"], row["opens"]) for row in shown] == [(1, False, True), (2, True, True)]
    assert shell.keyring().current("one").number == 2


def test_disable_and_enable(shell):
    shell.json("create", "one")
    assert shell.json("disable", "one")["enabled"] is False
    assert shell.keyring().find("one").enabled is False
    assert {(row["seals"], row["opens"]) for row in shell.json("show", "one")} == {(False, False)}
    assert shell.json("enable", "one")["enabled"] is True


def test_the_store_s_own_key_rotates_and_is_never_off(shell):
    shell.json("create", "one")
    shell.keyring().ensure(STORE_KEY)

    assert [key["key"] for key in shell.json("list")] == [STORE_KEY, "one"]
    assert shell.json("rotate", STORE_KEY)["version"] == 2
    assert "could be read" in shell.run("kms", "disable", STORE_KEY, code=1)


def test_the_master_key_is_changed(shell):
    shell.json("create", "one")
    before = shell.keyring().current("one")
    file = shell.state / "new"
    assert "does not exist" in shell.run("kms", "reseal", str(file), code=2)
    file.write_text("ab" * 32)
    assert "chmod 600" in shell.run("kms", "reseal", str(file), code=2)
    file.chmod(0o600)
    told = shell.json("reseal", str(file))["master_key"]

    assert re.fullmatch("[0-9a-f]{16}", told)
    assert "another master key" in shell.run("kms", "rotate", "one", code=2)
    file.rename(shell.state / "master-key")
    assert shell.keyring().current("one") == before


def test_what_is_refused_is_told_in_one_line(shell):
    shell.json("create", "one")

    assert "already" in shell.run("kms", "create", "one", code=1)
    assert "no key id" in shell.run("kms", "create", "a b", code=1)
    for verb in ("show", "rotate", "enable", "disable"):
        assert shell.run("kms", verb, "two", code=1) == "nova-manage: no such key: two\n"


def test_files_that_others_may_read_are_a_mistake_in_the_setup(shell):
    shell.json("create", "one")
    (shell.state / "keyring").chmod(0o644)

    assert "chmod 600" in shell.run("kms", "list", code=2)


def test_no_secret_is_shown(shell):
    shell.json("create", "one")
    secret = shell.keyring().current("one").secret
    for command in (["list"], ["show", "one"], ["rotate", "one"]):
        assert secret.hex() not in shell.run("kms", *command)
