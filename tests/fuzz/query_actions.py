"""Every action of the query protocol, in process: IAM, STS and SNS over a real store, EC2's images over a store in memory.

Properties: no answer is a 5xx but 501 and 503 as they are meant, and nothing is logged as an error. The parameters are those
that the services' SDKs would send, mostly.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Signer
from botocore.serialize import EC2Serializer, QuerySerializer
from fuzz import policies, tokens
from fuzz.stores import Place
from support import images
from support.bundles import bundle
from support.fuzz_answers import Caught, judge
from support.fuzzing import Target
from support.iam import action_names
from support.sts import ALICE, REGION

from nova_objectstore.images.ec2.app import Ec2App
from nova_objectstore.images.ec2.signatures import Authenticator, Credentials
from nova_objectstore.images.registry import Images
from nova_wsgi.testing import Client

# -- the actions of the query protocol -----------------------------------------------------------------------------------

_TEXTS = (
    "", "a", "alice", "*", "/", "é", "\0", "a" * 200, "arn:aws:iam::111111111111:user/alice",
    "arn:aws:iam::111111111111:role/r", "x:y:z",
    "arn:aws:sns:us-east-1:111111111111:t", "https://a.test", "\U0001f40d", "AKIA", "1",
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "arn:aws:iam::111111111111:foo/bar", "arn:aws:iam::111111111111:policy/p", "ami-12345678", "/a/", "root",
    "0" * 40, "999999999999",
)  # fmt: skip


class Actions:
    """Makes the parameters of any action of a service, as its SDK would."""

    def __init__(self, service: str, serializer: Any, *, optional_share: float = 0.3) -> None:
        self._serializer = serializer
        self._optional_share = optional_share  # of the members that need not be there
        self._model = botocore.session.get_session().get_service_model(service)

    def make(self, rng: random.Random, names: Sequence[str]) -> dict[str, str]:
        operation = self._model.operation_model(rng.choice(names))
        parameters = self._value(rng, operation.input_shape, 0) if operation.input_shape is not None else {}
        made: dict[str, str] = self._serializer.serialize_to_request(parameters, operation)["body"]
        for _ in range(rng.choice((0, 0, 0, 1))):
            made[rng.choice((*made, "Tags.member.1.Key", "Marker", "MaxItems", "NextToken"))] = rng.choice(_TEXTS)
        return {name: str(value) for name, value in made.items()}

    def _value(self, rng: random.Random, shape: Any, depth: int) -> Any:
        if shape.type_name == "structure":
            wanted = [
                name for name in shape.members if name in shape.required_members or rng.random() < self._optional_share
            ]
            return {name: self._value(rng, shape.members[name], depth + 1) for name in wanted} if depth < 5 else {}
        if shape.type_name == "list":
            return (
                [self._value(rng, shape.member, depth + 1) for _ in range(rng.choice((0, 1, 1, 2)))]
                if depth < 5
                else []
            )
        if shape.type_name == "map":
            return {rng.choice(_TEXTS): self._value(rng, shape.value, depth + 1) for _ in range(rng.randrange(3))}
        if shape.type_name in ("integer", "long"):
            return rng.choice((0, 1, 900, 3600, -1, 10**12))
        if shape.type_name == "boolean":
            return rng.random() < 0.5
        if shape.type_name == "string":
            return self._text(rng, shape)
        return {"blob": b"a", "timestamp": "2030-01-01T00:00:00Z"}.get(shape.type_name, 1.5)

    def _text(self, rng: random.Random, shape: Any) -> str:
        if shape.enum and rng.random() < 0.8:
            return str(rng.choice(shape.enum))
        if "olicy" in shape.name and "ocument" in shape.name and rng.random() < 0.7:
            return policies.make_text(rng).decode()
        if shape.name == "clientTokenType":
            return tokens.make_token(rng).decode()
        if rng.random() < 0.6:
            usual = [
                text for text in _TEXTS if text.startswith("arn:") == ("arn" in shape.name.lower()) and len(text) > 3
            ]
            return rng.choice(usual)
        return rng.choice(_TEXTS)


_ACTIONS: Mapping[str, Sequence[str]] = {
    "iam": action_names(),
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity", "GetSessionToken", "GetFederationToken", "GetCallerIdentity"),
    "sns": (
        "CreateTopic", "DeleteTopic", "ListTopics", "GetTopicAttributes", "SetTopicAttributes", "Publish",
        "TagResource", "UntagResource",
        "ListTagsForResource", "Subscribe", "ConfirmSubscription", "Unsubscribe", "ListSubscriptions",
        "ListSubscriptionsByTopic",
        "GetSubscriptionAttributes", "SetSubscriptionAttributes",
    ),
}  # fmt: skip
_SERVICES = {name: Actions(name, QuerySerializer()) for name in _ACTIONS}


def make_action(rng: random.Random) -> bytes:
    """A service and the parameters of one of its actions."""
    name = rng.choice(sorted(_ACTIONS))
    pairs = _SERVICES[name].make(rng, _ACTIONS[name])
    return json.dumps([name if rng.random() < 0.95 else "nobody", pairs]).encode()


# -- the applications ----------------------------------------------------------------------------------------------------


def _send(client: Client, pairs: Mapping[str, str], signer: Signer | None, service: str) -> Any:
    """An action's parameters, as a signed form."""
    body = urlencode(pairs).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Host": "localhost"}
    request = AWSRequest("POST", "http://localhost/", data=body, headers=headers)
    if signer is not None:
        SigV4Auth(signer, service, REGION).add_auth(request)
    return client.request("POST", "/", headers=dict(request.headers.items()), body=body)


class Store(Place):
    """IAM, STS and SNS, by an account's root or by nobody."""

    def check(self, data: bytes) -> str:
        service, pairs = json.loads(data)
        signer = self.house.roots[ALICE].credentials if service != "nobody" else None
        answer = _send(self.house.query, pairs, signer, service)
        return f"{pairs.get('Action')} {judge(answer, self.caught)}"


class ImageStore:
    """EC2, with one image that can be registered."""

    _client: Client
    _caught: Caught
    _signer = Signer("AKIAALICE", "secret")

    @contextmanager
    def open(self) -> Iterator[None]:
        source, clock = images.MemorySource(), images.Clock()
        source.put_bundle(bundle(b"image" * 100))
        found = {"AKIAALICE": Credentials("secret", images.principal(images.ALICE))}
        authenticator = Authenticator(
            lambda access_key, _token: found.get(access_key), region=REGION, clock_s=time.time
        )
        app = Ec2App(Images(images.MemoryImageStore(), source, now_us=clock), authenticator)
        self._client = Client(app, environ={"nova.request_id": "req-1"})
        with Caught.of("nova_objectstore") as self._caught:
            yield

    def check(self, data: bytes) -> str:
        pairs = json.loads(data)
        answer = _send(self._client, pairs, self._signer, "ec2")
        return f"{pairs.get('Action')} {judge(answer, self._caught)}"


_EC2 = Actions("ec2", EC2Serializer(), optional_share=0.05)
_IMAGE_ACTIONS = (
    "RegisterImage", "DeregisterImage", "DescribeImages", "DescribeImageAttribute", "ModifyImageAttribute",
    "ResetImageAttribute",
)  # fmt: skip
_LOCATIONS = ("images/disk.img.manifest.xml", "images/none.manifest.xml", "x", "ami-00000001")


def make_image_action(rng: random.Random) -> bytes:
    """The parameters of an action on images."""
    pairs = _EC2.make(rng, _IMAGE_ACTIONS)
    for name in ("ImageLocation", "ImageId", "ImageId.1"):
        if name in pairs and rng.random() < 0.7:
            pairs[name] = rng.choice(_LOCATIONS)
    return json.dumps(pairs).encode()


def _targets() -> Sequence[Target]:
    store, image_store = Store(), ImageStore()
    return (
        Target("query_actions", store.check, make_action, mutates=False, open=store.open, short=300),
        Target("image_actions", image_store.check, make_image_action, mutates=False, open=image_store.open, short=300),
    )


TARGETS = _targets()
