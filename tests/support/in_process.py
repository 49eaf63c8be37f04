"""boto3 clients of an application in this very process: real SDK requests, real signatures, no sockets."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from support.store import ACCESS_KEY, REGION, SECRET_KEY

from nova_objectstore.errors import EngineError
from nova_wsgi import green
from nova_wsgi.testing import Client

ENDPOINT = "http://store.test"
DEADLINE_S = 20.0  # of one request: what takes longer hangs


class _Raw(io.BytesIO):
    """A body as botocore reads it from urllib3."""

    def stream(self, amt: int = 1024, decode_content: bool | None = None) -> Iterator[bytes]:
        yield self.read()


class InProcess:
    """Sends botocore's requests to a WSGI application. A body that breaks off is a connection that ends."""

    def __init__(self, app: Any) -> None:
        self._client = Client(app)
        self._number = 0

    def client(self) -> Any:
        made = boto3.session.Session().client(
            "s3",
            endpoint_url=ENDPOINT,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        made.meta.events.register("before-send.s3", self._send)
        return made

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = [(name, _text(value)) for name, value in request.headers.items()]
        body = request.body
        self._number += 1
        environ = {"nova.request_id": f"request-{self._number}"}
        try:
            with green.Timeout(DEADLINE_S):
                answer = self._client.request(
                    request.method,
                    target,
                    headers=headers,
                    body=b"" if body is None else body if isinstance(body, bytes) else body.read(),
                    environ=environ,
                )
        except EngineError as error:  # while the body was on its way: the server cuts the connection
            raise ConnectionClosedError(endpoint_url=request.url) from error
        if answer.status >= 400 and answer.body:
            assert f"<RequestId>{environ['nova.request_id']}</RequestId>" in answer.text
        found = {name.lower(): value for name, value in answer.headers}
        return AWSResponse(request.url, answer.status, found, _Raw(answer.body))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
