"""Policies for tests: builders, and facts that a test states."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nova_objectstore.domain.policy.document import Kind, Policy, parse_policy
from nova_objectstore.domain.policy.patterns import normalise_key
from nova_objectstore.errors import MissingError
from nova_objectstore.types import Principal, Version

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
BUCKET = "photos"


def root_of(account_id: str) -> Principal:
    """An account's root."""
    return Principal(
        account_id=account_id, canonical_id=canonical(account_id), arn=f"arn:aws:iam::{account_id}:root"
    )  # fmt: skip


def user_of(account_id: str, name: str = "alice") -> Principal:
    """An IAM user."""
    return Principal(
        account_id=account_id,
        canonical_id=canonical(account_id),
        arn=f"arn:aws:iam::{account_id}:user/{name}",
        user_name=name,
        user_id="AIDAEXAMPLE",
    )


def session_of(account_id: str, role: str = "auditor", name: str = "night") -> Principal:
    """A role's session."""
    return Principal(
        account_id=account_id,
        canonical_id=canonical(account_id),
        arn=f"arn:aws:sts::{account_id}:assumed-role/{role}/{name}",
        role_arn=f"arn:aws:iam::{account_id}:role/{role}",
        user_id=f"AROAEXAMPLE:{name}",
    )


def canonical(account_id: str) -> str:
    """The canonical id of an account made up for a test."""
    return account_id * 5 + "abcd"


def statement(**elements: Any) -> dict[str, Any]:
    """A statement that allows everybody everything, but for what is said."""
    made: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    for name in ("Principal", "Action", "Resource"):
        if f"Not{name}" in elements:
            del made[name]
    made.update(elements)
    return {name: value for name, value in made.items() if value is not None}


def document(*statements: Mapping[str, Any], version: str = "2012-10-17", **elements: Any) -> str:
    """A policy document."""
    return json.dumps({"Version": version, "Statement": list(statements), **elements})


def bucket_policy(*statements: Mapping[str, Any], version: str = "2012-10-17") -> Policy:
    """A compiled bucket policy."""
    return parse_policy(document(*statements, version=version), Kind.BUCKET, bucket=BUCKET)


def identity_policy(*statements: Mapping[str, Any]) -> Policy:
    """A compiled policy of an identity: statements without principals."""
    stripped = [{name: value for name, value in one.items() if name != "Principal"} for one in statements]
    return parse_policy(document(*stripped), Kind.IDENTITY)


class Known:
    """Facts as stated: values by condition key. A whole context for ``Access``: with a version, or why there is none."""

    def __init__(
        self,
        values: Mapping[str, str | Sequence[str]] | None = None,
        *,
        version: Version | None = None,
        missing: MissingError | None = None,
        initiator: str | None = None,
        pays: bool = False,
    ) -> None:
        self._values = {
            normalise_key(key): (value,) if isinstance(value, str) else tuple(value)
            for key, value in (values or {}).items()
        }
        self._version = version
        self._missing = missing
        self._initiator = initiator
        self._pays = pays

    def values(self, key: str) -> Sequence[str] | None:
        return self._values.get(key)

    def version(self) -> Version | None:
        return self._version

    def missing(self) -> MissingError | None:
        return self._missing

    def initiator(self) -> str | None:
        return self._initiator

    def pays(self) -> bool:
        return self._pays

    def listing(self, prefix: str) -> Known:
        return Known({"s3:prefix": prefix}, pays=self._pays)
