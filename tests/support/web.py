"""What browsers send: requests for a host's pages, and forms, byte for byte as a test wants them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from support.accounts import Person, Told
from support.store import ACCESS_KEY, REGION, SECRET_KEY, Store

BOUNDARY = "----TestFormBoundary0123456789"
LATER = "2099-01-01T00:00:00Z"


def browse(
    store: Store,
    host: str,
    path: str = "/",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Told:
    """Ask the store for a path of a host, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": host, **(headers or {})}.items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Told(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


# -- forms ---------------------------------------------------------------------------------------------------------------


def encode_form(
    fields: Iterable[tuple[str, str]], *parts: bytes, file: bytes | None = b"bar", name: str = "a.txt"
) -> bytes:
    """A form's body: its fields, then raw ``parts``, then the file."""
    rows = [f'Content-Disposition: form-data; name="{field}"\r\n\r\n{value}'.encode() for field, value in fields]
    rows.extend(parts)
    if file is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/x-own\r\n\r\n'
        rows.append(head.encode() + file)
    made = b"".join(f"--{BOUNDARY}\r\n".encode() + row + b"\r\n" for row in rows)
    return made + f"--{BOUNDARY}--\r\n".encode()


def post(store: Store, target: str, body: bytes, headers: Mapping[str, str] | None = None, *, host: str = "") -> Told:
    """Send a form's body as a browser would."""
    sent = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    return browse(store, host or f"127.0.0.1:{store.port}", target, method="POST", headers=sent, body=body)


def make_policy(bucket: str, *conditions: Any, expiration: str = LATER) -> str:
    """A policy for any key of a bucket, as its field has it."""
    document = {"expiration": expiration, "conditions": [{"bucket": bucket}, ["starts-with", "$key", ""], *conditions]}
    return base64.b64encode(json.dumps(document).encode()).decode()


def sign_v2(policy: str) -> list[tuple[str, str]]:
    """The fields of a form that is signed with SigV2."""
    signature = base64.b64encode(hmac.digest(SECRET_KEY.encode(), policy.encode(), "sha1")).decode()
    return [("AWSAccessKeyId", ACCESS_KEY), ("policy", policy), ("signature", signature)]


def sign_v4(
    bucket: str, *conditions: Any, who: Person | None = None, token: str = "", expiration: str = LATER
) -> list[tuple[str, str]]:
    """The fields of a form that is signed with SigV4, by the administrator unless said; its policy covers them."""
    access_key, secret_key = (ACCESS_KEY, SECRET_KEY) if who is None else (who.access_key, who.secret_key)
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    fields = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": f"{access_key}/{scope}", "x-amz-date": now}
    if token:
        fields["x-amz-security-token"] = token
    policy = make_policy(bucket, *({name: value} for name, value in fields.items()), *conditions, expiration=expiration)
    key = f"AWS4{secret_key}".encode()
    for piece in scope.split("/"):
        key = hmac.digest(key, piece.encode(), hashlib.sha256)
    signature = hmac.digest(key, policy.encode(), hashlib.sha256).hex()
    return [*fields.items(), ("policy", policy), ("x-amz-signature", signature)]
