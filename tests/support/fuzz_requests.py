"""Signed requests, made up: each operation's own request line, with queries, headers and bodies that may be odd."""

from __future__ import annotations

import hmac
import json
import random
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import md5, sha256
from typing import NamedTuple
from urllib.parse import quote

from nova_objectstore.s3.auth.canonical import canonical_headers, canonical_path, canonical_query
from nova_objectstore.s3.auth.signing_key import signing_key

UNSIGNED = "UNSIGNED-PAYLOAD"
UPLOAD = "UPLOAD-ID"  # stands for one that is there
BUCKETS = ("plain", "versioned", "missing", "not a bucket", "..")
KEYS = ("key", "a/b", "é", "..", "a//b/", "k" * 1025, "\0", "~+ %", "key?x", "\U0001f40d", "_images")

_QUERY_VALUES = (
    "", "0", "1", "-1", "10001", "9" * 30, "url", "/", "é", "\0", "null", "a" * 1100, "true", "2", "YWJj", "*",
    "\r\n", "\ud7ff", "%", "x y",
)  # fmt: skip
_QUERY_NAMES = (
    "versionId", "partNumber", "uploadId", "prefix", "delimiter", "marker", "max-keys", "continuation-token",
    "start-after", "encoding-type",
    "key-marker", "version-id-marker", "upload-id-marker", "max-uploads", "max-parts", "part-number-marker",
    "fetch-owner", "max-buckets",
    "response-content-type", "response-expires", "response-content-disposition", "x-id", "list-type", "id", "acl",
    "image_id", "marker",
    "image_location", "Action", "Version", "attributes", "bucket-region",
)  # fmt: skip
_HEADERS: Mapping[str, Sequence[str]] = {
    "range": ("bytes=0-3", "bytes=-1", "bytes=9-", "bytes=5-2", "x"),
    "if-match": ('"a"', "*", "W/", '"'), "if-none-match": ("*", '"a"', ""),
    "if-modified-since": ("Wed, 21 Oct 2015 07:28:00 GMT", "x"),
    "x-amz-copy-source": ("plain/key", "/versioned/key?versionId=null", "plain/%ff", "x", "", "plain/key?versionId="),
    "x-amz-copy-source-range": ("bytes=0-1", "bytes=0-99", "x"), "x-amz-metadata-directive": ("REPLACE", "COPY", "x"),
    "x-amz-tagging-directive": ("REPLACE", "x"), "x-amz-tagging": ("a=b", "a=b&a=c", "%ff=1", "a"),
    "x-amz-meta-a": ("b", "\xc3\xa9", "", "x" * 2100), "content-type": ("text/plain", "", "x;y",
        "multipart/form-data; boundary=x"),
    "content-encoding": ("aws-chunked", "gzip,aws-chunked", ""), "expires": ("0", "Wed, 21 Oct 2015 07:28:00 GMT"),
    "x-amz-storage-class": ("STANDARD", "GLACIER", "x", ""), "x-amz-acl": ("private", "public-read", "x"),
    "x-amz-grant-read": ('id="x"', "uri=http://acs.amazonaws.com/groups/global/AllUsers", "x"),
    "x-amz-server-side-encryption": ("AES256", "aws:kms", "x"),
    "x-amz-server-side-encryption-context": ("eyJhIjoiYiJ9", "e30=", "x", "eyJhIjoiXHVkODAwIn0="),
    "x-amz-server-side-encryption-aws-kms-key-id": ("k", "arn:aws:kms:us-east-1:1:key/k", "\xff"),
    "x-amz-server-side-encryption-customer-algorithm": ("AES256",),
    "x-amz-server-side-encryption-customer-key": ("AAEC", "x"),
    "x-amz-object-lock-mode": ("GOVERNANCE", "x"), "x-amz-object-lock-retain-until-date": ("2030-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00", "x"),
    "x-amz-object-lock-legal-hold": ("ON", "x"), "x-amz-checksum-algorithm": ("CRC32", "SHA256", "x"),
    "x-amz-checksum-crc32": ("AAAAAA==", "x"),
    "x-amz-checksum-type": ("COMPOSITE", "FULL_OBJECT"), "x-amz-sdk-checksum-algorithm": ("CRC32",),
    "x-amz-mp-object-size": ("1", "x"),
    "x-amz-decoded-content-length": ("1", "x"), "x-amz-trailer": ("x-amz-checksum-crc32",),
    "content-md5": ("1B2M2Y8AsgTpgAmY7PhCfg==", "x"),
    "x-amz-expected-bucket-owner": ("111111111111", "x"), "x-amz-request-payer": ("requester",),
    "origin": ("https://a", "x"),
    "access-control-request-method": ("GET", "x"), "access-control-request-headers": ("a, b", ","),
    "x-amz-rename-source": ("plain/key", "x"),
    "x-amz-object-attributes": ("ETag,ObjectParts", "x"), "x-amz-max-parts": ("1", "x"),
    "x-amz-part-number-marker": ("1", "x"),
    "x-amz-bucket-object-lock-enabled": ("true",), "x-amz-object-ownership": ("ObjectWriter", "x"),
    "x-amz-bypass-governance-retention": ("true",),
    "x-amz-security-token": ("x", "\xff"), "x-amz-if-match-size": ("0", "x"), "x-amz-delete-if-x": ("1",),
    "x-amz-date": ("x",),
    "referer": ("\xff", "a"), "user-agent": ("\xff", "\t"), "x-amz-skip-destination-validation": ("true",),
    "x-forwarded-for": ("x",),
}  # fmt: skip


class Case(NamedTuple):
    """A request to be signed and sent; ``target`` as it goes onto the wire. ``who`` is a name of a key pair, "" for nobody."""

    who: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def encode(self) -> bytes:
        return json.dumps([*self[:4], self.body.decode("latin-1")]).encode()

    @classmethod
    def decode(cls, data: bytes) -> Case:
        who, method, target, headers, body = json.loads(data)
        return cls(who, method, target, headers, body.encode("latin-1"))

    def sign(self, access_key: str, secret_key: str, *, region: str, host: str) -> dict[str, str]:
        """The headers of the signed request. The body is not signed: what it says is looked at, not who said it."""
        timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{timestamp[:8]}/{region}/s3/aws4_request"
        headers = {**self.headers, "host": host, "x-amz-content-sha256": UNSIGNED, "x-amz-date": timestamp}
        names = sorted(name for name in headers if name == "host" or name.startswith("x-amz-"))
        path, _, query = self.target.partition("?")
        lines = (
            self.method,
            canonical_path(path),
            canonical_query(query),
            canonical_headers(headers, names),
            ";".join(names),
            UNSIGNED,
        )
        digest = sha256("\n".join(lines).encode("latin-1")).hexdigest()
        key = signing_key(secret_key, timestamp[:8], region, "s3")
        signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}".encode(), "sha256").hex()
        credential = f"Credential={access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
        return {**headers, "authorization": f"AWS4-HMAC-SHA256 {credential}"}


class RequestMaker:
    """Makes cases of the request lines of all operations, and of bodies to send with them."""

    def __init__(self, request_lines: Sequence[str], bodies: Sequence[bytes], names: Sequence[str]) -> None:
        self._lines = list(request_lines)
        self._bodies = bodies
        self._names = names

    def make(self, rng: random.Random) -> Case:
        method, _, target = rng.choice(self._lines).partition(" ")
        path, _, query = target.partition("?")
        bucket = rng.choice(BUCKETS[:2]) if rng.random() < 0.93 else rng.choice(BUCKETS)
        key = KEYS[0] if rng.random() < 0.7 else rng.choice(KEYS)
        path = path.replace("{bucket}", quote(bucket)).replace("{key}", quote(key, safe="/"))
        if rng.random() < 0.02:
            path = rng.choice(("/_images", "/_images/ami-1", "//", "/%", "/plain/%ff", "/_images/%ff"))
        pairs = [_with_value(rng, pair) for pair in query.split("&") if pair]
        pairs += [f"{rng.choice(_QUERY_NAMES)}={_quote(rng)}" for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        body = self._make_body(rng, method)
        headers = self._make_headers(rng, body)
        return Case(rng.choice(self._names), method, path + ("?" + "&".join(pairs) if pairs else ""), headers, body)

    def _make_headers(self, rng: random.Random, body: bytes) -> dict[str, str]:
        names = rng.sample(sorted(_HEADERS), rng.choice((0, 0, 1, 1, 2, 3)))
        headers = {name: rng.choice(_HEADERS[name]) for name in names}
        if body and rng.random() < 0.9:
            headers["content-md5"] = b64encode(md5(body).digest()).decode()
        return headers

    def _make_body(self, rng: random.Random, method: str) -> bytes:
        if method not in ("PUT", "POST") or rng.random() < 0.1:
            return b""
        return rng.choice(self._bodies)


def _with_value(rng: random.Random, pair: str) -> str:
    if "=" in pair or (pair not in ("partNumber", "uploadId", "id") and rng.random() < 0.95):
        return pair
    usual = {"partNumber": "1", "uploadId": UPLOAD}.get(pair)
    return f"{pair}={usual if usual is not None and rng.random() < 0.7 else _quote(rng)}"


def _quote(rng: random.Random) -> str:
    """Mostly UTF-8, percent-encoded."""
    return "%ff%fe" if rng.random() < 0.02 else quote(rng.choice(_QUERY_VALUES), safe="")
