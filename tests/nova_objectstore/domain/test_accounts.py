"""Accounts and their root key pairs, over the real metadata engine."""

import re

import pytest

from nova_objectstore.domain.accounts import Accounts, KeyPair, check_key_pair, new_key_pair
from nova_objectstore.errors import (
    AccessKeyExists,
    AccountExists,
    AccountNotEmpty,
    InvalidArgument,
    InvalidRequest,
    NoSuchAccessKey,
    NoSuchAccount,
)
from nova_objectstore.meta.sqlite import SqliteEngine

PAIR = KeyPair("0555b35654ad1656d804", "h7GhxuBLTrlhVUyxSPUKUV8r/2EI4ngqJxD7iBdBYLhwluN30JaT3Q==")


@pytest.fixture
def meta(tmp_path):
    engine = SqliteEngine(tmp_path / "metadata.sqlite")
    engine.open()
    yield engine
    engine.close()


@pytest.fixture
def accounts(meta):
    return Accounts(meta, now_us=iter(range(1, 1000)).__next__)


def test_an_account_gets_random_ids_and_a_root_key_pair(accounts):
    account, key = accounts.create("backup", email="backup@example.com")

    assert re.fullmatch(r"[1-9][0-9]{11}", account.id)
    assert re.fullmatch(r"[0-9a-f]{64}", account.canonical_id)
    assert (account.name, account.email, account.created_us) == ("backup", "backup@example.com", 1)
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key.access_key)
    assert re.fullmatch(r"[A-Za-z0-9]{40}", key.secret_key)
    assert (key.account_id, key.user_name, key.active) == (account.id, None, True)
    assert accounts.find("backup") == accounts.find(account.id) == account
    assert list(accounts.list_keys("backup")) == [key]


def test_ids_and_keys_may_be_given(accounts):
    account, key = accounts.create("main", account_id="000000000001", canonical_id="ab" * 32, pair=PAIR)

    assert (account.id, account.canonical_id) == ("000000000001", "ab" * 32)
    assert (key.access_key, key.secret_key) == PAIR


def test_pairs_are_never_the_same():
    assert len({new_key_pair() for _ in range(100)}) == 100
    for _ in range(100):
        check_key_pair(new_key_pair())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("", {}),
        (" padded", {}),
        ("two  spaces", {}),
        ("new\nline", {}),
        ("ends\n", {}),
        ("sl/ash", {}),
        ("x" * 65, {}),
        ("123456789012", {}),
        ("Ünï", {}),
        ("ok", {"email": "nobody"}),
        ("ok", {"email": "a@b@c"}),
        ("ok", {"email": "a b@c"}),
        ("ok", {"account_id": "12345678901"}),
        ("ok", {"account_id": "12345678901٣"}),
        ("ok", {"canonical_id": "AB" * 32}),
        ("ok", {"canonical_id": "ab" * 31}),
        ("ok", {"pair": KeyPair("ab", PAIR.secret_key)}),
        ("ok", {"pair": KeyPair("with/slash", PAIR.secret_key)}),
        ("ok", {"pair": KeyPair("x" * 129, PAIR.secret_key)}),
        ("ok", {"pair": KeyPair("access", "short")}),
        ("ok", {"pair": KeyPair("access", "with space")}),
        ("ok", {"pair": KeyPair("access", "line\nbreaks")}),
    ],
)
def test_what_is_no_name_id_or_key_is_refused(accounts, name, arguments):
    with pytest.raises(InvalidArgument):
        accounts.create(name, **arguments)
    assert list(accounts.list()) == []


def test_a_refused_secret_is_not_repeated(accounts):
    with pytest.raises(InvalidArgument) as caught:
        accounts.create("ok", pair=KeyPair("access", "s3cr3t!"))
    assert "s3cr3t!" not in f"{caught.value} {caught.value.facts}"


@pytest.mark.parametrize("name", ["a", "Team A", "a.b-c_d+e=f,g@h", "x" * 64])
def test_names(accounts, name):
    accounts.create(name)
    assert accounts.find(name).name == name


def test_names_ids_and_keys_are_taken_once(accounts):
    account, _ = accounts.create("first", pair=PAIR)

    with pytest.raises(AccountExists):
        accounts.create("first")
    with pytest.raises(AccountExists):
        accounts.create("second", account_id=account.id)
    with pytest.raises(AccountExists):
        accounts.create("second", canonical_id=account.canonical_id)
    with pytest.raises(AccessKeyExists):
        accounts.create("second", pair=PAIR)
    with pytest.raises(AccessKeyExists):
        accounts.create_key("first", PAIR)
    assert [one.name for one in accounts.list()] == ["first"]


def test_key_pairs_come_and_go(accounts):
    _, first = accounts.create("backup")
    second = accounts.create_key("backup")
    third = accounts.create_key("backup", PAIR)
    assert list(accounts.list_keys("backup")) == [first, second, third]

    accounts.set_key_active(second.access_key, False)
    accounts.delete_key(first.access_key)

    assert list(accounts.list_keys("backup")) == [second._replace(active=False), third]
    with pytest.raises(NoSuchAccessKey):
        accounts.delete_key(first.access_key)
    with pytest.raises(NoSuchAccessKey):
        accounts.set_key_active(first.access_key, True)


def test_an_account_goes_with_its_keys_but_not_with_buckets(accounts, meta):
    account, key = accounts.create("backup")
    bucket = meta.create_bucket("bucket", owner_id=account.id, region="us-east-1", now_us=5)
    with pytest.raises(AccountNotEmpty):
        accounts.delete("backup")
    meta.delete_bucket(bucket.id)

    assert accounts.delete("backup") == account
    with pytest.raises(NoSuchAccount):
        accounts.find("backup")
    with pytest.raises(NoSuchAccessKey):
        meta.find_access_key(key.access_key)


def test_the_administrators_account_stays(accounts):
    accounts.create("root")
    with pytest.raises(InvalidRequest):
        accounts.delete("root")


@pytest.mark.parametrize("verb", ["find", "delete", "list_keys", "create_key"])
@pytest.mark.parametrize("who", ["nobody", "123456789012", ""])
def test_nobody(accounts, verb, who):
    with pytest.raises(NoSuchAccount):
        getattr(accounts, verb)(who)
