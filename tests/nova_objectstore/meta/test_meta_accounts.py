"""Accounts and access keys, and the epoch that caches of them trust."""

import pytest
from support.metadata import OTHER, OWNER, new_account, new_key

from nova_objectstore.errors import AccessKeyExists, AccountExists, AccountNotEmpty, NoSuchAccessKey, NoSuchAccount


def test_an_account_is_found_by_each_of_its_names(meta):
    alice = new_account()
    meta.engine.create_account(alice, new_key("AKIDALICE"))

    assert meta.engine.find_account(OWNER) == alice
    assert meta.engine.find_account_by(name="alice") == alice
    assert meta.engine.find_account_by(canonical_id=alice.canonical_id) == alice
    assert meta.engine.find_access_key("AKIDALICE") == new_key("AKIDALICE")
    assert meta.engine.list_accounts() == [alice]


def test_unknown_accounts_and_keys_are_missing(meta):
    with pytest.raises(NoSuchAccount):
        meta.engine.find_account(OWNER)
    with pytest.raises(NoSuchAccount):
        meta.engine.find_account_by(name="alice")
    with pytest.raises(NoSuchAccount):
        meta.engine.find_account_by(canonical_id="c" * 64)
    with pytest.raises(NoSuchAccount):
        meta.engine.delete_account(OWNER)
    with pytest.raises(NoSuchAccount):
        meta.engine.create_access_key(new_key("AKID"))
    for verb in (meta.engine.find_access_key, meta.engine.delete_access_key):
        with pytest.raises(NoSuchAccessKey):
            verb("AKID")
    with pytest.raises(NoSuchAccessKey):
        meta.engine.set_access_key_active("AKID", False)


@pytest.mark.parametrize("same", ["id", "canonical_id", "name"])
def test_no_two_accounts_share_an_id_a_canonical_id_or_a_name(meta, same):
    alice = new_account()
    meta.engine.create_account(alice, None)
    twin = new_account(OTHER, "bob")._replace(**{same: getattr(alice, same)})

    with pytest.raises(AccountExists):
        meta.engine.create_account(twin, new_key("AKIDBOB", OTHER))

    assert meta.engine.list_accounts() == [alice]
    with pytest.raises(NoSuchAccessKey):
        meta.engine.find_access_key("AKIDBOB")


def test_an_access_key_is_somebodys_alone(meta):
    meta.engine.create_account(new_account(), new_key("AKID"))

    with pytest.raises(AccessKeyExists):
        meta.engine.create_account(new_account(OTHER, "bob"), new_key("AKID", OTHER))
    with pytest.raises(AccessKeyExists):
        meta.engine.create_access_key(new_key("AKID"))

    assert [account.name for account in meta.engine.list_accounts()] == ["alice"]


def test_keys_are_listed_oldest_first_switched_and_removed(meta):
    meta.engine.create_account(new_account(), new_key("AKIDROOT", created_us=5))
    meta.engine.create_access_key(new_key("AKIDNEW", created_us=9, user_name="carol"))
    meta.engine.create_access_key(new_key("AKIDOLD", created_us=1))
    assert [key.access_key for key in meta.engine.list_access_keys(OWNER)] == ["AKIDOLD", "AKIDROOT", "AKIDNEW"]

    meta.engine.set_access_key_active("AKIDNEW", False)
    assert meta.engine.find_access_key("AKIDNEW") == new_key("AKIDNEW", created_us=9, user_name="carol", active=False)
    meta.engine.delete_access_key("AKIDOLD")

    assert [key.access_key for key in meta.engine.list_access_keys(OWNER)] == ["AKIDROOT", "AKIDNEW"]


def test_an_account_goes_with_its_keys_but_not_before_its_buckets(meta):
    meta.engine.create_account(new_account(), new_key("AKIDALICE"))
    meta.engine.create_account(new_account(OTHER, "bob"), new_key("AKIDBOB", OTHER))
    bucket = meta.bucket()
    with pytest.raises(AccountNotEmpty):
        meta.engine.delete_account(OWNER)

    meta.engine.delete_bucket(bucket.id)
    meta.engine.delete_account(OWNER)

    assert [account.name for account in meta.engine.list_accounts()] == ["bob"]
    assert [row["access_key"] for row in meta.rows("access_keys")] == ["AKIDBOB"]


def test_accounts_are_listed_by_name(meta):
    for number, name in enumerate(["mallory", "alice", "Bob", "älice"]):
        meta.engine.create_account(new_account(f"{number:012}", name), None)

    assert [account.name for account in meta.engine.list_accounts()] == ["Bob", "alice", "mallory", "älice"]


def test_the_epoch_grows_with_changes_of_who_and_where_and_with_no_others(meta):
    epochs = [meta.engine.epoch()]

    def changed(step) -> bool:
        step()
        epochs.append(meta.engine.epoch())
        assert epochs[-1] >= epochs[-2]
        return epochs[-1] > epochs[-2]

    assert changed(lambda: meta.engine.create_account(new_account(), new_key("AKID")))
    assert changed(lambda: meta.engine.create_access_key(new_key("AKID2")))
    assert changed(lambda: meta.engine.set_access_key_active("AKID2", False))
    assert changed(lambda: meta.engine.delete_access_key("AKID2"))
    assert changed(lambda: meta.bucket("photos"))
    bucket = meta.engine.find_bucket("photos")
    assert changed(lambda: meta.engine.put_document(bucket.id, "policy", b"{}"))
    assert changed(lambda: meta.engine.delete_document(bucket.id, "policy"))
    assert changed(lambda: meta.engine.delete_bucket(bucket.id))
    assert changed(lambda: meta.engine.delete_account(OWNER))

    bucket = meta.bucket("videos")
    epochs.append(meta.engine.epoch())
    assert not changed(lambda: meta.put(bucket, "k"))
    assert not changed(lambda: meta.engine.set_tags(bucket.id, "k", None, {"a": "b"}))
    assert not changed(lambda: meta.begin(bucket, "k", "upload"))
    assert not changed(lambda: meta.delete(bucket, "k"))
    assert not changed(lambda: meta.engine.delete_document(bucket.id, "policy"))
