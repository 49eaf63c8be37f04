"""Accounts beside the administrator's, on a running store; and requests as anybody, byte for byte as a test wants them."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support.store import ACCESS_KEY, BIN, REGION, SECRET_KEY, Store


class Person(NamedTuple):
    """An account, by what its root signs with; ``access_key`` is empty for nobody, who signs nothing."""

    account_id: str
    canonical_id: str
    access_key: str
    secret_key: str
    email: str = ""

    @property
    def arn(self) -> str:
        """The root's."""
        return f"arn:aws:iam::{self.account_id}:root"

    def client(self, store: Store, **config: Any) -> Any:
        """A boto3 client that signs as this account."""
        return store.client(access_key=self.access_key, secret_key=self.secret_key, **config)


NOBODY = Person("", "", "", "")


def make_account(store: Store, name: str, email: str = "") -> Person:
    """A new account."""
    email = email or f"{name}@example.org"
    made = _manage(store, "account", "create", name, "--email", email)
    return Person(made["account_id"], made["canonical_id"], made["access_key"], made["secret_key"], email)


def administrator(store: Store) -> Person:
    """The administrator's account, which ``store.client()`` signs as."""
    told = _manage(store, "account", "show", "root")
    return Person(told["account_id"], told["canonical_id"], ACCESS_KEY, SECRET_KEY)


def make_user(store: Store, account: str, name: str) -> Person:
    """A new IAM user of an account, without policies."""
    told = _manage(store, "account", "show", account)
    _manage(store, "user", "create", account, name)
    key = _manage(store, "key", "create", account, "--user", name)
    return Person(told["account_id"], told["canonical_id"], key["access_key"], key["secret_key"])


def delete_account(store: Store, name: str) -> None:
    """Remove an account that owns no buckets."""
    store.run(BIN / "nova-manage", "--state-path", store.state_path, "account", "delete", name)


def _manage(store: Store, *command: str) -> dict[str, str]:
    output = store.run(BIN / "nova-manage", "--state-path", store.state_path, "--json", *command)
    told: dict[str, str] = json.loads(output)
    return told


class Told(NamedTuple):
    """What the store answered."""

    status: int
    headers: Mapping[str, str]  # by lower-case name
    body: bytes

    @property
    def code(self) -> str:
        """The error code, empty when there is none."""
        found = re.search(rb"<Code>(\w+)</Code>", self.body)
        return found[1].decode() if found else ""


def ask(
    store: Store,
    who: Person,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Told:
    """Send one request as ``who``; ``target`` is the path and query, encoded."""
    sent = dict(headers or {})
    if who.access_key:
        request = AWSRequest(method=method, url=store.url + target, data=body, headers=sent)
        S3SigV4Auth(Credentials(who.access_key, who.secret_key), "s3", REGION).add_auth(request)
        sent = dict(request.headers.items())
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=30)
    try:
        connection.request(method, target, body=body, headers=sent)
        answer = connection.getresponse()
        return Told(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
