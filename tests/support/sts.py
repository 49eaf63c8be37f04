"""STS over a store, in process: accounts, users, roles; signed calls of STS and S3. Sessions have a clock to be moved."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from nova_objectstore.assembly import Settings, build_front, build_store, iam_store
from nova_objectstore.assembly_query import build_query_app
from nova_objectstore.iam.ports import GROUP, ROLE, USER, Entity, EntityKind, ManagedPolicy, Provider
from nova_objectstore.types import AccessKey, Account
from nova_wsgi.testing import Client

ALICE, BOB = "111111111111", "222222222222"
REGION = "us-east-1"
NS = "{https://sts.amazonaws.com/doc/2011-06-15/}"
VERSION = "2011-06-15"


class Who(NamedTuple):
    """What somebody signs with."""

    access_key: str
    secret_key: str
    token: str | None = None

    @property
    def credentials(self) -> Credentials:
        return Credentials(*self)


def statement(*actions: str, effect: str = "Allow", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": list(actions), "Resource": resource, **more}


def trust(principal: Any, *actions: str, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": list(actions or ("sts:AssumeRole",)), "Principal": principal, **more}


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


def user_arn(name: str, account_id: str = ALICE) -> str:
    return f"arn:aws:iam::{account_id}:user/{name}"


class Told(NamedTuple):
    """The answer to an action."""

    status: int
    root: ElementTree.Element

    @property
    def code(self) -> str:
        """The error's code, empty without one."""
        return self.root.findtext(f"{NS}Error/{NS}Code") or ""

    @property
    def message(self) -> str:
        return self.root.findtext(f"{NS}Error/{NS}Message") or ""

    def text(self, path: str) -> str | None:
        """The text of ``A/B`` in the result."""
        result = self.root[0]
        return result.findtext("/".join(NS + part for part in path.split("/")))

    @property
    def who(self) -> Who:
        """Who can sign with the credentials that were given."""
        assert self.status == 200, ElementTree.tostring(self.root)
        named = [self.text(f"Credentials/{name}") for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        assert all(named)
        return Who(*named)


class House:
    """Two accounts with a root each, and what tests add to them."""

    def __init__(self, state_path: Path, **settings: Any) -> None:
        self.settings = Settings(state_path=state_path, **settings)
        self.ahead_s = 0.0  # by which the clock of sessions is ahead of that of signatures
        self.store = build_store(self.settings, clock_us=lambda: int((time.time() + self.ahead_s) * 1_000_000))
        self.store.open()
        self.iam = iam_store(self.store.meta)
        self.roots = {account_id: self._make_account(account_id) for account_id in (ALICE, BOB)}
        environ = {"nova.request_id": "req-1"}
        self.query = Client(build_query_app(self.store, self.settings), environ=environ)
        self.front = Client(build_front(self.store, self.settings), environ=environ)

    def close(self) -> None:
        self.store.close()

    # -- what there is ---------------------------------------------------------------------------------------------

    def _make_account(self, account_id: str) -> Who:
        root = Who(f"AKIAROOT{account_id}", secrets.token_hex(20))
        self.store.meta.create_account(
            Account(account_id, account_id[0] * 64, f"account {account_id}", f"{account_id}@example.com", 1),
            AccessKey(root.access_key, root.secret_key, account_id, None, True, 1),
        )
        return root

    def user(self, name: str, *statements: Mapping[str, Any], account_id: str = ALICE, **more: Any) -> Who:
        """A user with a key and a policy of these statements."""
        self._make(USER, name, account_id, statements, **more)
        key = Who(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20))
        self.iam.create_entity_key(AccessKey(*key[:2], account_id, name, True, 1), keys_max=2)
        return key

    def role(
        self, name: str, trusts: Sequence[Mapping[str, Any]], *statements: Mapping[str, Any], account_id: str = ALICE,
        **more: Any,
    ) -> Entity:  # fmt: skip
        """A role that these statements trust somebody with."""
        more = {"max_session_s": 3600, **more}
        return self._make(ROLE, name, account_id, statements, trust=policy(*trusts), **more)

    def _make(
        self, kind: EntityKind, name: str, account_id: str, statements: Sequence[Mapping[str, Any]], **more: Any
    ) -> Entity:
        prefix = {USER: "AIDA", ROLE: "AROA", GROUP: "AGPA"}[kind]
        made_id = f"{prefix}{secrets.token_hex(8).upper()}"
        self.iam.create_entity(Entity(account_id, kind, name, **{"path": "/", "id": made_id, "created_us": 1, **more}))
        if statements:
            self.iam.put_inline_policy(account_id, kind, name, "inline", policy(*statements))
        return self.iam.find_entity(account_id, kind, name)

    def managed(self, name: str, *statements: Mapping[str, Any], account_id: str = ALICE) -> str:
        """The ARN of a new managed policy."""
        made = ManagedPolicy(account_id, name, "/", f"ANPA{secrets.token_hex(8).upper()}", "", 1, 1, 1)
        self.iam.create_policy(made, policy(*statements))
        return made.arn

    def provider(self, url: str, *client_ids: str, account_id: str = ALICE) -> str:
        """The ARN of a new OpenID Connect provider."""
        made = Provider(account_id, url, client_ids or ("app",), ("0" * 40,), 1)
        self.iam.create_provider(made)
        return made.arn

    # -- calls -----------------------------------------------------------------------------------------------------

    def ask(self, action: str, who: Who | None, *, presigned: bool = False, **parameters: Any) -> Told:
        """An action of STS; dots in names are double underscores. Nobody signs for ``None``."""
        named = {name.replace("__", "."): str(value) for name, value in parameters.items()}
        pairs = {"Action": action, "Version": VERSION, **named}
        if presigned:
            request = AWSRequest("GET", "http://localhost/", params=pairs)
        else:
            request = AWSRequest("POST", "http://localhost/", data=urlencode(pairs).encode())
            request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        request.headers["Host"] = "localhost"
        if who is not None:
            (SigV4QueryAuth if presigned else SigV4Auth)(who.credentials, "sts", REGION).add_auth(request)
        answer = self._send(self.query, request)
        return Told(answer.status, ElementTree.fromstring(answer.body))

    def assume(self, who: Who | None, role: Entity | str, name: str = "session", **parameters: Any) -> Told:
        arn = role if isinstance(role, str) else role.arn
        return self.ask("AssumeRole", who, RoleArn=arn, RoleSessionName=name, **parameters)

    def arn_of(self, who: Who) -> str | None:
        return self.ask("GetCallerIdentity", who).text("Arn")

    def s3(
        self, who: Who, method: str, path: str, body: bytes = b"", *, how: str = "v4", headers: Mapping[str, str] = {}
    ) -> tuple[int, str]:
        """Status and error code of a request to S3, signed in the way of ``how``."""
        request = AWSRequest(method, f"http://localhost{path}", data=body, headers=dict(headers))
        request.headers["Host"] = "localhost"
        signer = {
            "v4": lambda: S3SigV4Auth(who.credentials, "s3", REGION),
            "v4 query": lambda: S3SigV4QueryAuth(who.credentials, "s3", REGION),
            "v2": lambda: HmacV1Auth(who.credentials),
            "v2 query": lambda: HmacV1QueryAuth(who.credentials),
        }[how]()
        signer.add_auth(request)
        return self.s3_send(request)

    def s3_send(self, request: AWSRequest) -> tuple[int, str]:
        answer = self._send(self.front, request)
        code = ElementTree.fromstring(answer.body).findtext("Code") if answer.status >= 400 and answer.body else ""
        return answer.status, code or ""

    def _send(self, client: Client, request: AWSRequest) -> Any:
        prepared = request.prepare()
        headers = {name: value for name, value in prepared.headers.items() if name.lower() != "host"}
        target = prepared.url.removeprefix("http://localhost")
        return client.request(
            prepared.method, target, headers={**headers, "Host": "localhost"}, body=prepared.body or b""
        )
