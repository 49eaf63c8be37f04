"""nova-manage's users, groups, roles and policies: for people and for programs."""

import io
import json
import re

import pytest

from nova_objectstore.cmd.manage import run
from nova_objectstore.meta.sqlite import SqliteEngine

READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
ALLOW = '{"Version": "2012-10-17",\n "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
TRUST = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}}'
ID = "111122223333"


class Shell:
    """Runs command lines over one state directory."""

    def __init__(self, path) -> None:
        self.path = path

    def run(self, *argv: str, code: int = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        got = run([f"--state-path={self.path}", *argv], environ={"COLUMNS": "100"}, out=out, err=err)
        assert got == code, err.getvalue()
        if code:
            assert re.fullmatch(r"nova-manage: .+\n", err.getvalue()), "one line"
            return err.getvalue()
        return out.getvalue()

    def json(self, *argv: str):
        return json.loads(self.run("--json", *argv))


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path / "state")
    shell.run("account", "create", "acme", "--account-id", ID)
    (tmp_path / "allow.json").write_text(ALLOW)
    (tmp_path / "trust.json").write_text(TRUST)
    return shell


@pytest.fixture
def store(shell):
    """What a running server has open."""
    engine = SqliteEngine(shell.path / "metadata.sqlite")
    engine.open()
    yield engine
    engine.close()


def test_a_user_from_its_making_to_its_end(shell, store, tmp_path):
    made = shell.json("user", "create", "acme", "ann", "--path", "/eng/")
    assert made["arn"] == f"arn:aws:iam::{ID}:user/eng/ann"
    assert [user["name"] for user in shell.json("user", "list", ID, "--path", "/eng")] == ["ann"]
    assert shell.json("user", "list", ID, "--path", "/other/") == []
    shell.run("user", "attach", "acme", "ann", "AmazonS3ReadOnlyAccess")
    shell.run("user", "put-policy", "acme", "ann", "mine", str(tmp_path / "allow.json"))
    key = shell.json("key", "create", "acme", "--user", "ann")
    assert key["user"] == "ann"

    shown = shell.json("user", "show", "acme", "ANN")
    assert (shown["inline_policies"], shown["attached_policies"]) == (["mine"], [READ])
    assert shown["access_keys"] == [key["access_key"]]
    assert shell.run("user", "show-policy", "acme", "ann", "mine") == ALLOW + "\n"
    assert [row["access_key"] for row in shell.json("key", "list", "acme", "--user", "ann")] == [key["access_key"]]
    assert len(shell.json("key", "list", "acme")) == 2
    assert [text.document for text in store.policies_of(ID, "ann").attached] == [ALLOW, ""]

    assert "detach" in shell.run("user", "delete", "acme", "ann", code=1)
    shell.run("user", "detach", "acme", "ann", READ)
    shell.run("user", "delete-policy", "acme", "ann", "mine")
    shell.run("key", "delete", key["access_key"])
    assert shell.json("user", "delete", "acme", "ann")["deleted"] is True
    assert "ann" in shell.run("user", "show", "acme", "ann", code=1)


def test_a_pair_for_a_user_may_be_given(shell, store):
    shell.run("user", "create", "acme", "ann")
    pair = ["--access-key", "AKIAEXAMPLE", "--secret-key", "example-secret"]
    shell.run("key", "create", "acme", "--user", "ann", *pair)

    assert store.find_access_key("AKIAEXAMPLE").user_name == "ann"
    shell.run("key", "create", "acme", "--user", "ann")
    assert "no more" in shell.run("key", "create", "acme", "--user", "ann", code=1)


def test_a_group(shell):
    shell.run("group", "create", "acme", "staff")
    shell.run("user", "create", "acme", "ann")
    assert shell.json("group", "add-user", "acme", "staff", "ann")["users"] == ["ann"]
    assert shell.json("user", "show", "acme", "ann")["groups"] == ["staff"]
    assert shell.json("group", "attach", "acme", "staff", READ)["attached_policies"] == [READ]
    assert "detach" in shell.run("group", "delete", "acme", "staff", code=1)
    shell.run("group", "detach", "acme", "staff", READ)
    assert shell.json("group", "remove-user", "acme", "staff", "ann")["users"] == []
    shell.run("group", "delete", "acme", "staff")
    assert shell.json("group", "list", "acme") == []


def test_a_role(shell, tmp_path):
    more = ["--session-max-s", "7200", "--description", "nightly", "--boundary", "ReadOnlyAccess"]
    made = shell.json("role", "create", "acme", "job", str(tmp_path / "trust.json"), *more)
    assert made["boundary"] == "arn:aws:iam::aws:policy/ReadOnlyAccess"
    shown = shell.json("role", "show", "acme", "job")
    assert (shown["session_max_s"], shown["description"], shown["trust_policy"]) == (7200, "nightly", TRUST)
    shell.run("role", "put-policy", "acme", "job", "p", str(tmp_path / "allow.json"))
    (tmp_path / "other.json").write_text(TRUST.replace('"*"', f'{{"AWS": "{ID}"}}'))
    assert ID in shell.json("role", "set-trust", "acme", "job", str(tmp_path / "other.json"))["trust_policy"]
    assert shell.json("role", "set-boundary", "acme", "job", "none")["boundary"] == ""
    assert "policies" in shell.run("role", "delete", "acme", "job", code=1)
    shell.run("role", "delete-policy", "acme", "job", "p")
    shell.run("role", "delete", "acme", "job")


def test_a_managed_policy(shell, tmp_path):
    made = shell.json("policy", "create", "acme", "full", str(tmp_path / "allow.json"), "--description", "all of S3")
    assert made["arn"] == f"arn:aws:iam::{ID}:policy/full"
    shell.run("user", "create", "acme", "ann", "--boundary", "full")
    shell.run("user", "attach", "acme", "ann", "full")
    (found,) = shell.json("policy", "list", "acme")
    assert (found["attached"], found["boundaries"], found["default_version"]) == (1, 1, "v1")
    assert READ in [policy["arn"] for policy in shell.json("policy", "list", "acme", "--aws")]
    for number in range(2, 8):
        assert (
            shell.json("policy", "update", "acme", "full", str(tmp_path / "allow.json"))["default_version"]
            == f"v{number}"
        )
    shown = shell.json("policy", "show", "acme", "full")
    assert shown["versions"] == ["v7", "v6", "v5", "v4", "v3"]
    assert json.loads(shown["document"]) == json.loads(ALLOW)

    assert "attached" in shell.run("policy", "delete", "acme", "full", code=1)
    assert len(shell.json("policy", "show", "acme", "full")["versions"]) == 5
    shell.run("user", "detach", "acme", "ann", "full")
    shell.run("user", "set-boundary", "acme", "ann", "none")
    assert shell.json("policy", "delete", "acme", "full")["deleted"] is True
    assert shell.json("policy", "list", "acme") == []


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["user", "create", "nobody", "ann"], "no account"),
        (["user", "create", "acme", "a b"], "userName"),
        (["user", "attach", "acme", "ann", "AmazonS3ReadOnlyAccess"], "ann"),
        (["policy", "create", "acme", "p", "/nonexistent"], "/nonexistent"),
        (["policy", "show", "acme", "none"], "none"),
        (["policy", "update", "acme", READ, "ALLOW"], "AWS managed"),
    ],
)
def test_mistakes_are_one_line(shell, tmp_path, argv, told):
    argv = [str(tmp_path / "allow.json") if word == "ALLOW" else word for word in argv]

    assert told in shell.run(*argv, code=1)


def test_a_document_that_is_none_is_refused(shell, tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    shell.run("user", "create", "acme", "ann")

    assert "Statement" in shell.run("user", "put-policy", "acme", "ann", "p", str(tmp_path / "bad.json"), code=1)
    assert shell.json("user", "show", "acme", "ann")["inline_policies"] == []


def test_everything_goes_with_its_account(shell, store, tmp_path):
    shell.run("user", "create", "acme", "ann")
    shell.run("role", "create", "acme", "job", str(tmp_path / "trust.json"))
    shell.run("account", "delete", "acme")

    assert store.list_entities(ID, "user") == store.list_entities(ID, "role") == []
