"""Access keys over the IAM API: a user's, the root's, somebody else's; and when one was last used."""

from datetime import UTC, datetime

from support.iam import OTHER_KEY, ROOT_KEY, names, pages, refused
from support.metadata import OWNER, START_US

from nova_objectstore.iam.ports import KeyUse


def test_keys_of_a_user(house, iam):
    iam.create_user(UserName="Ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    assert made["UserName"] == "Ann"
    assert made["Status"] == "Active"
    assert len(made["SecretAccessKey"]) == 40
    other = iam.create_access_key(UserName="ann")["AccessKey"]
    assert refused(iam.create_access_key, UserName="ann") == "LimitExceeded"

    listed = pages(iam, "list_access_keys", "AccessKeyMetadata", UserName="ANN")
    assert names(listed, "AccessKeyId") == sorted([made["AccessKeyId"], other["AccessKeyId"]])
    assert all("SecretAccessKey" not in row for row in listed)
    iam.update_access_key(UserName="ann", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert house.identities.find(made["AccessKeyId"]) is None
    iam.update_access_key(UserName="ann", AccessKeyId=made["AccessKeyId"], Status="Active")
    found = house.identities.find(made["AccessKeyId"]).principal
    assert (found.arn, found.user_id) == (
        f"arn:aws:iam::{OWNER}:user/Ann",
        iam.get_user(UserName="ann")["User"]["UserId"],
    )
    assert not found.is_admin
    iam.delete_access_key(UserName="ann", AccessKeyId=made["AccessKeyId"])
    assert house.identities.find(made["AccessKeyId"]) is None
    assert refused(iam.delete_access_key, UserName="ann", AccessKeyId=made["AccessKeyId"]) == "NoSuchEntity"


def test_keys_of_the_root(iam):
    made = iam.create_access_key()["AccessKey"]

    assert "UserName" not in made
    assert refused(iam.create_access_key) == "LimitExceeded"
    assert set(names(iam.list_access_keys()["AccessKeyMetadata"], "AccessKeyId")) == {ROOT_KEY, made["AccessKeyId"]}
    iam.update_access_key(AccessKeyId=made["AccessKeyId"], Status="Inactive")
    iam.delete_access_key(AccessKeyId=made["AccessKeyId"])
    assert names(iam.list_access_keys()["AccessKeyMetadata"], "AccessKeyId") == [ROOT_KEY]


def test_a_key_of_somebody_else_is_none(house, iam):
    key = house.new_user("ann")
    iam.create_user(UserName="bea")
    for parameters in ({"UserName": "bea"}, {"UserName": "nobody"}, {}):
        for call, more in ((iam.delete_access_key, {}), (iam.update_access_key, {"Status": "Inactive"})):
            assert refused(call, AccessKeyId=key.access_key, **parameters, **more) == "NoSuchEntity"
    foreign = house.iam(OTHER_KEY)
    assert refused(foreign.delete_access_key, AccessKeyId=ROOT_KEY) == "NoSuchEntity"
    assert refused(foreign.get_access_key_last_used, AccessKeyId=key.access_key) == "NoSuchEntity"
    assert refused(iam.update_access_key, AccessKeyId="short-and-bad-one", Status="Active") == "ValidationError"
    assert (
        "ValidationError"
        in house.ask({"Action": "UpdateAccessKey", "AccessKeyId": key.access_key, "Status": "Asleep"}).text
    )


def test_when_a_key_was_last_used(house, iam):
    key = house.new_user("ann")
    unused = iam.get_access_key_last_used(AccessKeyId=key.access_key)
    assert unused["UserName"] == "ann"
    assert unused["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}

    house.engine.note_key_uses([KeyUse(key.access_key, START_US, "s3", "eu-west-9")])

    used = iam.get_access_key_last_used(AccessKeyId=key.access_key)["AccessKeyLastUsed"]
    assert used == {
        "LastUsedDate": datetime.fromtimestamp(START_US / 1_000_000, UTC), "ServiceName": "s3", "Region": "eu-west-9"
    }  # fmt: skip
    assert refused(iam.get_access_key_last_used, AccessKeyId="AKIANOBODYNOBODYNOBO") == "NoSuchEntity"
