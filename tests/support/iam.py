"""IAM in process: an engine, the API over it, and boto3 clients that speak to it without a socket."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from support.iam_state import check_iam_state
from support.metadata import OTHER, OWNER, Metadata, new_account, new_key, sqlite_metadata

from nova_objectstore.assembly_query import find_credentials
from nova_objectstore.domain.access import Access
from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.identity_policies import StoredPolicies
from nova_objectstore.iam.actions import make_controllers
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.managed import document_of
from nova_objectstore.iam.policies import Policies
from nova_objectstore.iam.providers import Providers
from nova_objectstore.iam.service import NAMESPACE, VERSION, iam_service
from nova_objectstore.query.app import QueryApp
from nova_objectstore.query.request import FORM
from nova_objectstore.types import AccessKey
from nova_wsgi.testing import Client

SECRET = "s3cr3t/secret"
ROOT_KEY, OTHER_KEY = "AKIAROOTROOTROOTROOT", "AKIAOTHEROTHEROTHERO"
READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
ALLOW_ALL = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
DENY_S3 = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": ["s3:*"], "Resource": "*"}]}'
TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}'


def statement(effect: str, *actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    """A statement of an identity's policy."""
    return {"Effect": effect, "Action": list(actions), "Resource": resource, **more}


class House:
    """Two accounts, OWNER and OTHER, each with a root key; what they have in IAM, and who may do what."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.engine: Any = metadata.engine
        self.engine.create_account(new_account(OWNER, "alice"), new_key(ROOT_KEY, secret_key=SECRET))
        self.engine.create_account(new_account(OTHER, "bob"), new_key(OTHER_KEY, OTHER, secret_key=SECRET))
        self.identities = Identities(self.engine, self.engine)
        self.stored = StoredPolicies(self.engine, self.engine, document_of=document_of)
        self.access = Access(self.engine, self.stored)
        self.directory = Directory(self.engine, self.engine, now_us=metadata.tick)
        self.policies = Policies(self.engine, now_us=metadata.tick)
        self.providers = Providers(self.engine, now_us=metadata.tick)
        controllers = make_controllers(
            directory=self.directory,
            policies=self.policies,
            providers=self.providers,
            identities=self.identities,
            access=self.access,
        )
        self.service = iam_service(*controllers)
        find = find_credentials(self.identities)
        self.app = QueryApp([self.service], find, region="eu-west-9", clock_s=time.time)
        self.client = Client(self.app, environ={"nova.request_id": "req-1"})
        self._numbers = itertools.count()

    def iam(self, access_key: str = ROOT_KEY, secret_key: str = SECRET) -> Any:
        """A boto3 client that signs with this key pair."""
        client = boto3.session.Session().client(
            "iam",
            endpoint_url="http://localhost",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}),
        )
        client.meta.events.register("before-send.iam", self._send)
        client.meta.events.register("response-received.iam", partial(_check_document, client.meta.service_model))
        return client

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        answer = self.client.request(
            request.method,
            request.url.removeprefix("http://localhost"),
            headers={name: _text(value) for name, value in request.headers.items()},
            body=request.body if isinstance(request.body, bytes) else (request.body or "").encode(),
        )
        response = AWSResponse(request.url, answer.status, dict(answer.headers), None)
        response._content = answer.body
        return response

    def ask(self, parameters: dict[str, str], access_key: str = ROOT_KEY, secret_key: str = SECRET) -> Any:
        """The answer to parameters that boto3 would not send, signed by the root unless it is said otherwise."""
        request = AWSRequest("POST", "http://localhost/", data=urlencode({"Version": VERSION, **parameters}).encode())
        request.headers["Content-Type"], request.headers["Host"] = FORM, "localhost"
        if access_key:
            SigV4Auth(Credentials(access_key, secret_key), "iam", "us-east-1").add_auth(request)
        return self.client.post("/", headers=dict(request.headers.items()), body=request.data)

    def new_user(self, name: str = "", account_id: str = OWNER) -> AccessKey:
        """A user's key pair; the user has no policies."""
        user = self.directory.create_user(account_id, name or f"user{next(self._numbers)}")
        return self.directory.create_key(account_id, user.name)

    def signed_by(self, key: AccessKey) -> Any:
        """A boto3 client for a key pair."""
        return self.iam(key.access_key, key.secret_key)


def action_names() -> list[str]:
    """Every action of the API."""
    nobody: Any = SimpleNamespace(iam=None)
    controllers = make_controllers(
        directory=nobody, policies=nobody, providers=nobody, identities=nobody, access=nobody
    )
    return sorted(iam_service(*controllers).actions)


def refused(call: Callable[..., Any], **parameters: Any) -> str:
    """The error code of a call."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return str(error.value.response["Error"]["Code"])


def names(rows: Iterable[dict[str, Any]], key: str) -> list[str]:
    """What the rows of an answer have under this key."""
    return [row[key] for row in rows]


def pages(client: Any, operation: str, result: str, size: int = 1, **parameters: Any) -> list[Any]:
    """All of a list, read in pages of ``size``."""
    found = []
    for page in client.get_paginator(operation).paginate(**parameters, PaginationConfig={"PageSize": size}):
        found += page[result]
        assert len(page[result]) <= size
    return found


def _check_document(model: Any, operation_name: str = "", response_dict: Any = None, **event: Any) -> None:
    """Everything that an answer says is in the API's model, where boto3 reads it."""
    operation = event.get("event_name", "").rpartition(".")[2]
    if response_dict["status_code"] != 200 or not operation:
        return
    root = ElementTree.fromstring(response_dict["body"])
    shape = model.operation_model(operation).output_shape
    result = root.find(f"{{{NAMESPACE}}}{operation}Result")
    assert (shape is None) == (result is None), f"{operation}: a result, or none"
    if shape is not None:
        _check_node(shape, result, operation)


def _check_node(shape: Any, node: Any, where: str) -> None:
    if shape.type_name == "structure":
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for child in node:
            name = child.tag.partition("}")[2]
            assert name in known, f"{where}: {name} is not in the model"
            _check_node(known[name], child, f"{where}.{name}")
    elif shape.type_name == "list":
        for child in node:
            assert child.tag.endswith("}member"), where
            _check_node(shape.member, child, where)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def iam_house(directory: Path) -> Iterator[House]:
    """An open engine with the API over it."""
    with sqlite_metadata(directory, sync="never") as metadata:
        yield House(metadata)
        metadata.check_state()
        check_iam_state(metadata.rows)
