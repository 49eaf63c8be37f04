"""What holds between the rows of IAM: the whole-state check of its tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TABLES = (
    "iam_entities", "iam_members", "iam_inline_policies", "iam_attachments", "iam_policies", "iam_policy_versions",
    "iam_providers", "access_keys", "access_key_uses",
)  # fmt: skip
AWS = "arn:aws:iam::aws:policy/"

Rows = Callable[[str], list[dict[str, Any]]]


def check_iam_state(rows: Rows) -> None:
    """Nothing belongs to what is not there, and nothing of one account to another."""
    accounts = {row["id"] for row in rows("accounts")}
    entities = {row["id"]: row for row in rows("iam_entities")}
    arns = {_arn(row) for row in rows("iam_policies")}
    assert len(entities) == len(rows("iam_entities"))
    assert {
        row["account_id"] for table in ("iam_entities", "iam_policies", "iam_providers") for row in rows(table)
    } <= accounts
    for row in rows("iam_members"):
        group, user = entities[row["group_id"]], entities[row["user_id"]]
        assert (group["kind"], user["kind"], group["account_id"]) == ("group", "user", user["account_id"])
    for row in (*rows("iam_inline_policies"), *rows("iam_attachments")):
        assert row["entity_id"] in entities
    held = [(entities[row["entity_id"]]["account_id"], row["policy_arn"]) for row in rows("iam_attachments")]
    held += [(row["account_id"], row["boundary"]) for row in entities.values() if row["boundary"]]
    for account_id, arn in held:
        assert arn.startswith(AWS) or (arn in arns and f"::{account_id}:" in arn), arn
    versions = {(row["policy_id"], row["number"]) for row in rows("iam_policy_versions")}
    policies = {row["id"]: row for row in rows("iam_policies")}
    assert {policy_id for policy_id, _ in versions} == set(policies)
    for row in policies.values():
        assert (row["id"], row["default_number"]) in versions
        assert max(number for policy_id, number in versions if policy_id == row["id"]) <= row["last_number"]
    _check_keys(rows, entities)


def _check_keys(rows: Rows, entities: dict[str, dict[str, Any]]) -> None:
    users = {(row["account_id"], row["name"]) for row in entities.values() if row["kind"] == "user"}
    keys = rows("access_keys")
    assert {(key["account_id"], key["user_name"]) for key in keys if key["user_name"] is not None} <= users
    assert {use["access_key"] for use in rows("access_key_uses")} <= {key["access_key"] for key in keys}


def _arn(policy: dict[str, Any]) -> str:
    return f"arn:aws:iam::{policy['account_id']}:policy{policy['path']}{policy['name']}"
