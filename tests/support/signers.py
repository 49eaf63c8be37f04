"""Signatures of requests and of their chunks, right ones and wrong ones on purpose.

Everything is written from AWS's descriptions, for itself: a second opinion on the store's signatures.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

_SUB_RESOURCES = frozenset((
    "acl", "delete", "lifecycle", "location", "partNumber", "policy", "tagging", "uploadId", "uploads", "versionId",
    "versions", "response-content-type", "response-expires",
))  # fmt: skip


class Signing(NamedTuple):
    """How a request is signed. ``at_s`` is seconds from now, ``expires_s`` those that a URL is good for."""

    access_key: str
    secret_key: str
    token: str = ""
    at_s: int = 0
    expires_s: str = "60"
    region: str = "us-east-1"
    service: str = "s3"
    terminator: str = "aws4_request"
    day: str = ""  # of the scope, where it is not that of the request
    host: str = ""  # that is signed, where it is not that which is sent
    payload: str = ""  # x-amz-content-sha256; the body's own where it is empty
    unsigned: str = ""  # a header that is left out of what is signed
    dated_by: str = "x-amz-date"
    date: str = ""  # the text of the date, where it is not the right one


@dataclass
class Message:
    """A request as it will go onto the wire; ``path`` and the pairs of ``query`` are raw."""

    method: str
    path: str
    query: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def target(self) -> str:
        return self.path + ("?" + "&".join(self.query) if self.query else "")

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name)

    def set(self, name: str, value: str) -> None:
        """Give a header, one that is there already in its place."""
        names = [key.lower() for key, _ in self.headers]
        if name.lower() in names:
            self.headers[names.index(name.lower())] = (name, value)
        else:
            self.headers.append((name, value))

    def drop(self, name: str) -> None:
        """Take away a header that is there."""
        kept = [row for row in self.headers if row[0].lower() != name.lower()]
        assert len(kept) < len(self.headers), f"no {name} to drop"
        self.headers = kept

    def render(self) -> bytes:
        """The bytes; a Content-Length is given unless there is one, or another framing."""
        names = {name.lower() for name, _ in self.headers}
        rows = list(self.headers)
        if not names & {"content-length", "transfer-encoding"}:
            rows.append(("Content-Length", str(len(self.body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in rows)
        return f"{self.method} {self.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + self.body


# -- signatures ----------------------------------------------------------------------------------------------------------


def mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("latin-1"), "sha256")


def signing_key(secret_key: str, scope: str) -> bytes:
    """AWS: "Deriving the signing key"."""
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = mac(key, part)
    return key


class Seal(NamedTuple):
    """What a SigV4 signature was made with, for the signatures of chunks to go on from."""

    key: bytes
    timestamp: str
    scope: str
    signature: str


def moment_of(signing: Signing) -> tuple[str, str]:
    """The timestamp and the scope."""
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + signing.at_s))
    day = signing.day or timestamp[:8]
    return timestamp, f"{day}/{signing.region}/{signing.service}/{signing.terminator}"


def _seal(message: Message, signing: Signing, names: Sequence[str], payload: str, moment: tuple[str, str]) -> Seal:
    """AWS: "Create a canonical request", "Create a string to sign"."""
    timestamp, scope = moment
    values: dict[str, str] = {}
    for name, value in message.headers:
        values[name.lower()] = f"{values[name.lower()]},{value}" if name.lower() in values else value
    values["host"] = signing.host or values["host"]
    pairs = sorted(pair.partition("=")[::2] for pair in message.query)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    fields = "".join(f"{name}:{' '.join(values[name].split())}\n" for name in names)
    canonical = "\n".join((message.method, message.path, query, fields, ";".join(names), payload))
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    key = signing_key(signing.secret_key, scope)
    return Seal(key, timestamp, scope, mac(key, f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}").hex())


def sign_v4(message: Message, signing: Signing) -> Seal:
    """SigV4 in the Authorization header, over every header that is there."""
    timestamp, scope = moment = moment_of(signing)
    payload = signing.payload or hashlib.sha256(message.body).hexdigest()
    http_date = formatdate(time.time() + signing.at_s, usegmt=True)
    message.set(signing.dated_by, signing.date or (timestamp if signing.dated_by == "x-amz-date" else http_date))
    message.set("x-amz-content-sha256", payload)
    if signing.token:
        message.set("x-amz-security-token", signing.token)
    names = sorted({name.lower() for name, _ in message.headers} - {signing.unsigned, "content-length"})
    seal = _seal(message, signing, names, payload, moment)
    message.set(
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={signing.access_key}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={seal.signature}",
    )
    return seal


def presign_v4(message: Message, signing: Signing) -> Seal:
    """SigV4 in the query, over every header that is there."""
    timestamp, scope = moment = moment_of(signing)
    names = sorted({name.lower() for name, _ in message.headers} - {signing.unsigned})
    parameters = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{signing.access_key}/{scope}",
        "X-Amz-Date": signing.date or timestamp,
        "X-Amz-Expires": signing.expires_s,
        "X-Amz-SignedHeaders": ";".join(names),
    }
    if signing.token:
        parameters["X-Amz-Security-Token"] = signing.token
    message.query += [f"{name}={quote(value, safe='')}" for name, value in parameters.items()]
    seal = _seal(message, signing, names, signing.payload or "UNSIGNED-PAYLOAD", moment)
    message.query.append(f"X-Amz-Signature={seal.signature}")
    return seal


def _string_v2(message: Message, date: str, bucket: str) -> str:
    """AWS: "Signing and authenticating REST requests"; ``bucket`` is that of a virtual host."""
    fields = {name.lower(): value.strip() for name, value in message.headers}
    amz = "".join(f"{name}:{fields[name]}\n" for name in sorted(fields) if name.startswith("x-amz-"))
    signed = sorted(pair for pair in message.query if pair.partition("=")[0] in _SUB_RESOURCES)
    resource = (
        (f"/{bucket}" if bucket else "") + message.path + ("?" + "&".join(map(unquote, signed)) if signed else "")
    )
    head = (message.method, fields.get("content-md5", ""), fields.get("content-type", ""), date, amz + resource)
    return "\n".join(head)


def _mac_v2(signing: Signing, to_sign: str) -> str:
    return b64encode(hmac.digest(signing.secret_key.encode(), to_sign.encode("latin-1"), "sha1")).decode()


def sign_v2(message: Message, signing: Signing) -> None:
    """SigV2 in the Authorization header."""
    name = "Date" if signing.dated_by == "x-amz-date" else signing.dated_by
    date = signing.date or formatdate(time.time() + signing.at_s, usegmt=True)
    message.set(name, date)
    if signing.token:
        message.set("x-amz-security-token", signing.token)
    signature = _mac_v2(signing, _string_v2(message, date if name == "Date" else "", ""))
    message.set("Authorization", f"AWS {signing.access_key}:{signature}")


def presign_v2(message: Message, signing: Signing) -> None:
    """SigV2 in the query."""
    expires = str(int(time.time()) + signing.at_s + int(signing.expires_s))
    signature = _mac_v2(signing, _string_v2(message, expires, ""))
    message.query += [
        f"AWSAccessKeyId={signing.access_key}", f"Expires={expires}", f"Signature={quote(signature, safe='')}",
    ]  # fmt: skip


SCHEMES = {"v4": sign_v4, "v4-query": presign_v4, "v2": sign_v2, "v2-query": presign_v2}


# -- chunks --------------------------------------------------------------------------------------------------------------

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Chunk:
    """A chunk as it is written. ``size`` is the text of its size."""

    data: bytes
    signature: str
    size: str

    def render(self) -> bytes:
        signed = f";chunk-signature={self.signature}" if self.signature else ""
        return f"{self.size}{signed}\r\n".encode("latin-1") + self.data + (b"\r\n" if self.data else b"")

    def having(self, **changes: Any) -> Chunk:
        return replace(self, **changes)


def sign_chunks(seal: Seal, pieces: Sequence[bytes], *, previous: str = "") -> list[Chunk]:
    """Signed chunks and the empty one; AWS: "Transferring payload in multiple chunks"."""
    previous, chunks = previous or seal.signature, []
    for data in (*pieces, b""):
        parts = ("AWS4-HMAC-SHA256-PAYLOAD", seal.timestamp, seal.scope, previous, _EMPTY_SHA256)
        previous = mac(seal.key, "\n".join((*parts, hashlib.sha256(data).hexdigest()))).hex()
        chunks.append(Chunk(data, previous, f"{len(data):x}"))
    return chunks


def sign_trailers(seal: Seal, trailers: Mapping[str, str], previous: str) -> str:
    """AWS: "Signature calculations ... including trailing headers"; ``previous`` is the last chunk's signature."""
    text = "".join(f"{name}:{value}\n" for name, value in trailers.items())
    parts = (
        "AWS4-HMAC-SHA256-TRAILER",
        seal.timestamp,
        seal.scope,
        previous,
        hashlib.sha256(text.encode()).hexdigest(),
    )
    return mac(seal.key, "\n".join(parts)).hex()
