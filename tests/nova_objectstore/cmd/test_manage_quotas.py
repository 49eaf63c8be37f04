"""``nova-manage quota``: set, shown, cleared; mistakes in one line."""

import io
import json
import re

import pytest
from support.metadata import new_account, new_version

from nova_objectstore.cmd.manage import run
from nova_objectstore.limits import GiB, KiB, TiB
from nova_objectstore.meta.sqlite import SqliteEngine

ACCOUNT = "111122223333"


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
        return json.loads(self.run("--json", "quota", *argv))


@pytest.fixture
def shell(tmp_path):
    """Over a store with an account, and a bucket ``photos`` that holds one object of four bytes."""
    (tmp_path / "state").mkdir()
    engine = SqliteEngine(tmp_path / "state" / "metadata.sqlite")
    engine.open()
    engine.create_account(new_account(ACCOUNT, "alice"), None)
    bucket = engine.create_bucket("photos", owner_id=ACCOUNT, region="us-east-1", now_us=1)
    engine.put_version(bucket, new_version("a"))
    engine.close()
    return Shell(tmp_path / "state")


def test_a_quota_is_set_shown_and_cleared(shell):
    known = {"account": "alice", "account_id": ACCOUNT, "objects": 1, "bytes": 4}
    of_bucket = {**known, "bucket": "photos", "objects_max": 5, "bytes_max": 2 * GiB}
    of_account = {**known, "bucket": None, "objects_max": None, "bytes_max": 500}

    assert shell.json("set", "--bucket=photos", "--objects=5", "--bytes=2GiB") == of_bucket
    assert shell.json("set", "--account=alice", "--bytes", "500") == of_account
    assert shell.json("show") == [of_account, of_bucket]
    assert shell.json("show", "--account", ACCOUNT) == of_account
    assert shell.json("set", "--bucket=photos", "--objects=6") == {**of_bucket, "objects_max": 6, "bytes_max": None}
    assert shell.json("clear", "--bucket=photos") == {**of_bucket, "objects_max": None, "bytes_max": None}
    assert shell.json("show") == [of_account]
    assert shell.json("clear", "--account=alice")["bytes_max"] is None
    assert shell.json("show") == []


def test_without_a_quota_the_use_is_shown_all_the_same(shell):
    shown = shell.json("show", "--account=alice")
    assert (shown["objects"], shown["bytes"], shown["objects_max"]) == (1, 4, None)


def test_plain_lines_are_for_grep_and_cut(shell):
    shell.run("quota", "set", "--bucket=photos", "--objects=5")
    assert shell.run("quota", "show").splitlines() == [
        "account\taccount_id\tbucket\tobjects\tobjects_max\tbytes\tbytes_max",
        f"alice\t{ACCOUNT}\tphotos\t1\t5\t4\t",
    ]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1KiB", KiB), ("1 kib", KiB), ("3tib", 3 * TiB), (str(2**63 - 1), 2**63 - 1)],
)
def test_sizes_have_units(shell, text, size):
    assert shell.json("set", "--bucket=photos", "--bytes", text)["bytes_max"] == size


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("set", "--bucket=photos"), "give --objects, --bytes or both"),
        (("set", "--objects=1"), "give either --account or --bucket"),
        (("show", "--account=alice", "--bucket=photos"), "give either --account or --bucket"),
        (("clear",), "give either --account or --bucket"),
        (("set", "--bucket=photos", "--objects=-1"), "is not a number of objects"),
        (("set", "--bucket=photos", "--objects=many"), "is not a number of objects"),
        (("set", "--bucket=photos", "--objects", str(2**63)), "is not a number of objects"),
        (("set", "--bucket=photos", "--bytes=1.5GiB"), "is not a size"),
        (("set", "--bucket=photos", "--bytes=9999999PiB"), "is not a size"),
        (("set", "--bucket=photos", "--bytes=10GB"), "is not a size"),
    ],
)
def test_a_mistake_is_one_line(shell, words, told):
    assert told in shell.run("quota", *words, code=2)


def test_who_is_not_there_is_told(shell):
    assert "no such bucket: nothing" in shell.run("quota", "show", "--bucket=nothing", code=1)
    assert "there is no account 'nobody'" in shell.run("quota", "set", "--account=nobody", "--objects=1", code=1)
