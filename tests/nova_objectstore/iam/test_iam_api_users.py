"""Users and groups over the IAM API: what every action does, and how it refuses."""

from datetime import UTC, datetime

import pytest
from support.iam import names, pages, refused
from support.metadata import OWNER, START_US

# -- users -------------------------------------------------------------------------------------------------------------


def test_a_user(iam):
    made = iam.create_user(UserName="Ann", Path="/eng/", Tags=[{"Key": "team", "Value": "ü x"}])["User"]

    assert made["UserId"].startswith("AIDA")
    assert len(made["UserId"]) == 21
    assert made["Arn"] == f"arn:aws:iam::{OWNER}:user/eng/Ann"
    assert made["Tags"] == [{"Key": "team", "Value": "ü x"}]
    assert iam.get_user(UserName="ANN")["User"] == made
    without = {key: value for key, value in made.items() if key != "Tags"}
    assert iam.list_users()["Users"] == [without]

    iam.update_user(UserName="ann", NewUserName="Zoe", NewPath="/")
    assert iam.get_user(UserName="zoe")["User"]["UserId"] == made["UserId"]
    assert refused(iam.get_user, UserName="Ann") == "NoSuchEntity"
    iam.delete_user(UserName="Zoe")
    assert iam.list_users()["Users"] == []
    for call in (iam.get_user, iam.update_user, iam.delete_user):
        assert refused(call, UserName="Zoe") == "NoSuchEntity"


def test_the_root_is_no_user_and_knows_itself(iam):
    user = iam.get_user()["User"]

    assert user["Arn"] == f"arn:aws:iam::{OWNER}:root"
    assert user["UserId"] == OWNER
    assert user["CreateDate"] == datetime.fromtimestamp(START_US / 1_000_000, UTC)
    assert iam.list_users()["Users"] == []


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"UserName": "a b"}, "ValidationError"),
        ({"UserName": "ü"}, "ValidationError"),
        ({"UserName": "a" * 65}, "ValidationError"),
        ({"UserName": ""}, "ValidationError"),
        ({"UserName": "ok", "Path": "eng"}, "ValidationError"),
        ({"UserName": "ok", "Path": "/a b/"}, "ValidationError"),
        ({"UserName": "ok", "PermissionsBoundary": "arn:aws:iam::aws:policy/None"}, "NoSuchEntity"),
        ({"UserName": "ok", "PermissionsBoundary": "not an ARN, though long enough"}, "ValidationError"),
        ({"UserName": "ok", "Tags.member.1.Key": "a", "Tags.member.2.Key": "A"}, "InvalidInput"),
        ({"UserName": "ok", "Tags.member.1.Key": "aws:mine"}, "ValidationError"),
        ({"UserName": "ok", "Tags.member.1.Key": "k" * 129}, "ValidationError"),
        ({"UserName": "ok", "Tags.member.1.Key": "k", "Tags.member.1.Value": "v" * 257}, "ValidationError"),
        ({"UserName": "ok", **{f"Tags.member.{n}.Key": str(n) for n in range(1, 52)}}, "LimitExceeded"),
        ({}, "ValidationError"),
    ],
)
def test_what_is_no_user(house, parameters, code):
    answer = house.ask({"Action": "CreateUser", **parameters})

    assert f"<Code>{code}</Code>" in answer.text
    assert house.iam().list_users()["Users"] == []


def test_lists_come_in_pages(iam):
    for name, path in (("d", "/x/"), ("B", "/x/y/"), ("a", "/"), ("C", "/x/")):
        iam.create_user(UserName=name, Path=path)

    for size in (1, 3, 4, 100):
        assert names(pages(iam, "list_users", "Users", size), "UserName") == ["a", "B", "C", "d"]
    assert names(pages(iam, "list_users", "Users", PathPrefix="/x/"), "UserName") == ["B", "C", "d"]
    assert refused(iam.list_users, Marker="$$$") == "ValidationError"
    assert refused(iam.list_users, PathPrefix="x") == "ValidationError"


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1"])
def test_a_page_has_a_size(house, limit):
    assert "<Code>ValidationError</Code>" in house.ask({"Action": "ListUsers", "MaxItems": limit}).text


def test_names_are_taken_without_regard_to_case(iam):
    iam.create_user(UserName="Ann")
    iam.create_user(UserName="bea")

    assert refused(iam.create_user, UserName="ann") == "EntityAlreadyExists"
    assert refused(iam.update_user, UserName="Ann", NewUserName="Bea") == "EntityAlreadyExists"


def test_who_has_something_is_not_deleted(iam):
    iam.create_user(UserName="ann")
    iam.create_access_key(UserName="ann")

    assert refused(iam.delete_user, UserName="ann") == "DeleteConflict"


# -- groups ------------------------------------------------------------------------------------------------------------


def test_a_group_and_its_users(iam):
    made = iam.create_group(GroupName="Staff", Path="/x/")["Group"]
    assert made["Arn"] == f"arn:aws:iam::{OWNER}:group/x/Staff"
    assert made["GroupId"].startswith("AGPA")
    for name in ("b", "a"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="staff", UserName=name)

    assert iam.get_group(GroupName="staff")["Group"] == made
    assert names(pages(iam, "get_group", "Users", GroupName="Staff"), "UserName") == ["a", "b"]
    assert pages(iam, "list_groups_for_user", "Groups", UserName="a") == [made]
    assert pages(iam, "list_groups", "Groups", PathPrefix="/x") == [made]
    assert refused(iam.create_group, GroupName="STAFF") == "EntityAlreadyExists"
    assert refused(iam.delete_group, GroupName="staff") == "DeleteConflict"
    assert refused(iam.delete_user, UserName="a") == "DeleteConflict"
    assert refused(iam.add_user_to_group, GroupName="staff", UserName="nobody") == "NoSuchEntity"

    iam.update_group(GroupName="staff", NewGroupName="crew", NewPath="/")
    for name in ("a", "b"):
        iam.remove_user_from_group(GroupName="crew", UserName=name)
    assert refused(iam.remove_user_from_group, GroupName="crew", UserName="a") == "NoSuchEntity"
    iam.delete_group(GroupName="Crew")
    assert iam.list_groups()["Groups"] == []
