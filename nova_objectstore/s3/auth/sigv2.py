"""SigV2: the HMAC-SHA1 signatures of boto 2, s3cmd and other old clients, in the header and in the query.

Strategy: rebuild the string to sign from the request and compare; there is nothing to parse but an access key.

Laws (AWS: "Signing and authenticating REST requests", "Query string request authentication alternative"):

- The path is signed as sent, undecoded, behind ``/bucket`` where the bucket is in the host name. Host itself is not signed.
- Of the query only sub-resources and response overrides are signed, names and values decoded: what the front obeys under an
  escaped name is signed under its own. The list is SigV2's own; it is not that of the front's markers.
- The date line is empty beside an x-amz-date; in the query form it is Expires.
- In the query form, ``x-amz-*``, content-type and content-md5 may stand in the query; they are signed as headers.
- Every ``x-amz-*`` header is signed by being there; the body is not.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from operator import itemgetter
from typing import NamedTuple
from urllib.parse import unquote

from nova_objectstore.errors import AccessDenied, InvalidArgument, SignatureDoesNotMatch
from nova_objectstore.s3.auth.canonical import decode_component, split_query, wire_bytes, without_secrets
from nova_objectstore.s3.auth.request import (
    AuthType,
    PayloadForm,
    SecretLookup,
    SignatureVersion,
    SignedRequest,
    WireRequest,
)
from nova_objectstore.s3.auth.signing_key import NO_KEY
from nova_objectstore.s3.auth.sigv4 import check_skew, find_secret, hex_bytes, iso_time, missing_date, parse_timestamp
from nova_objectstore.s3.conditions import parse_http_date

# What AWS documents and boto 2, botocore and the Java SDK all sign.
SIGNED_PARAMETERS = frozenset((
    "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location", "logging",
    "metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment", "restore", "select",
    "select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions",
    "website", "response-cache-control", "response-content-disposition", "response-content-encoding",
    "response-content-language", "response-content-type", "response-expires",
))  # fmt: skip
# Sub-resources from SigV2's last years: some clients sign them and some do not.
LATE_PARAMETERS = frozenset((
    "attributes", "encryption", "intelligent-tiering", "legal-hold", "ownershipControls", "policyStatus",
    "publicAccessBlock", "renameObject", "retention",
))  # fmt: skip
_ALL_PARAMETERS = SIGNED_PARAMETERS | LATE_PARAMETERS

_BLANKS = " \t"  # not str.strip's: a UTF-8 byte read as latin-1 may look like a space

_authorization = re.compile(r"AWS +([^\s:]+):(\S+)\s*").fullmatch
_seconds = re.compile(r"[0-9]{1,12}").fullmatch


class _Signable(NamedTuple):
    """What a SigV2 signature covers."""

    request: WireRequest
    bucket: str  # of a virtual-host address, else ""
    date: str  # the line for the date, or for Expires
    fields: Mapping[str, str]  # headers, and in the query form what stands for them

    def verify(self, access_key: str, signature: str, secret: str, *, exact: bool) -> None:
        """Compare; ``exact`` allows one list of parameters only. Raises SignatureDoesNotMatch."""
        provided = wire_bytes(signature)
        parameters = [_ALL_PARAMETERS]
        if not exact and any(_decoded_item(name)[0] in LATE_PARAMETERS for name, _ in split_query(self.request.query)):
            parameters.append(SIGNED_PARAMETERS)
        texts = [self.string_to_sign(names, path) for path in self._paths() for names in parameters]
        for text in texts:
            computed = b64encode(hmac.digest(secret.encode(), wire_bytes(text), "sha1"))
            if hmac.compare_digest(computed, provided):
                return
        shown = without_secrets(texts[0])
        raise SignatureDoesNotMatch(
            aws_access_key_id=access_key,
            string_to_sign=shown,
            signature_provided=signature,
            string_to_sign_bytes=hex_bytes(shown),
        )

    def _paths(self) -> list[str]:
        """The path as sent; botocore sends ``/bucket`` and signs ``/bucket/``, which mean the same."""
        path = self.request.path
        return [path, f"{path}/"] if not self.bucket and path.rfind("/") == 0 and len(path) > 1 else [path]

    def string_to_sign(self, parameters: frozenset[str], path: str) -> str:
        """AWS: StringToSign = verb, Content-MD5, Content-Type, date, amz headers, resource."""
        fields = self.fields
        amz = "".join(
            [f"{name}:{fields[name].strip(_BLANKS)}\n" for name in sorted(fields) if name.startswith("x-amz-")]
        )
        return (
            f"{self.request.method}\n{fields.get('content-md5', '').strip(_BLANKS)}\n"
            f"{fields.get('content-type', '').strip(_BLANKS)}\n{self.date}\n{amz}{self._resource(parameters, path)}"
        )

    def _resource(self, parameters: frozenset[str], path: str) -> str:
        prefix = f"/{self.bucket}" if self.bucket else ""
        query = self.request.query
        items = [_decoded_item(item) for item in query.split("&")] if query else []
        signed = sorted((item for item in items if item[0] in parameters), key=itemgetter(0))
        pieces = [name + equals + value for name, equals, value in signed]
        return prefix + path + ("?" + "&".join(pieces) if pieces else "")


def _decoded_item(item: str) -> tuple[str, str, str]:
    """Name, ``=`` or nothing, and value, decoded to the bytes that they stand for (as latin-1, like all of the wire)."""
    name, equals, value = item.partition("=")
    if "%" in name:
        name = unquote(name, encoding="latin-1")
    return name, equals, unquote(value, encoding="latin-1")


def _refuse_header(header: str) -> InvalidArgument:
    return InvalidArgument(
        "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
        argument_name="Authorization",
        argument_value=header,
    )


def _read_date(headers: Mapping[str, str]) -> tuple[str, int]:
    """The text that says when, and epoch seconds. Raises AccessDenied."""
    text = headers.get("x-amz-date")
    if text is None:
        text = headers.get("date", "")
    signed_at_s = parse_http_date(text)
    if signed_at_s is None:
        signed_at_s = parse_timestamp(text)
    if signed_at_s is None or signed_at_s < 0:
        raise missing_date()
    return text, signed_at_s


def verify_header(request: WireRequest, *, lookup: SecretLookup, now_s: float, bucket: str = "") -> SignedRequest:
    """Verify ``Authorization: AWS key:signature``; ``bucket`` is that of a virtual-host address.

    Raises InvalidArgument, AccessDenied (no date), RequestTimeTooSkewed, InvalidAccessKeyId, SignatureDoesNotMatch.
    """
    headers = request.headers
    match = _authorization(headers["authorization"])
    if match is None:
        raise _refuse_header(headers["authorization"])
    access_key, signature = match.groups()
    date_text, signed_at_s = _read_date(headers)
    check_skew(signed_at_s, now_s, date_text)
    secret = find_secret(access_key, lookup)
    date = "" if "x-amz-date" in headers else headers["date"].strip(_BLANKS)
    _Signable(request, bucket, date, headers).verify(access_key, signature, secret, exact=False)
    token = headers.get("x-amz-security-token")
    return _signed(access_key, AuthType.HEADER, signature, token, signed_at_s, None)


def verify_query(request: WireRequest, *, lookup: SecretLookup, now_s: float, bucket: str = "") -> SignedRequest:
    """Verify ``?AWSAccessKeyId=&Expires=&Signature=``; ``bucket`` is that of a virtual-host address.

    Raises AccessDenied (a parameter is missing or no number; expired), InvalidAccessKeyId, SignatureDoesNotMatch.
    """
    given: dict[str, str] = {}
    for name, value in split_query(request.query):
        given.setdefault(name, decode_component(value))
    access_key, expires, signature = (given.get(name, "") for name in ("AWSAccessKeyId", "Expires", "Signature"))
    if not (access_key and expires and signature):
        raise AccessDenied("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    if not _seconds(expires):
        raise AccessDenied("Invalid date (should be seconds since epoch)", expires=expires)
    if now_s >= int(expires):
        raise AccessDenied("Request has expired", expires=iso_time(int(expires)), server_time=iso_time(now_s))
    # A signature's base64 may come with its pluses unescaped, which the query's decoding makes spaces.
    signature = signature.replace(" ", "+")
    secret = find_secret(access_key, lookup)
    fields = {**_hoisted(given), **request.headers}
    _Signable(request, bucket, expires, fields).verify(access_key, signature, secret, exact=True)
    token = fields.get("x-amz-security-token")
    return _signed(access_key, AuthType.QUERY, signature, token, now_s, float(expires))


def _hoisted(given: Mapping[str, str]) -> dict[str, str]:
    """Query parameters that stand for headers; their text as a header has it.

    One with a line's end is none that a header can have: it could pass for several of the string to sign.
    """
    return {
        name: value.encode().decode("latin-1")
        for name, value in given.items()
        if (name.startswith("x-amz-") or name in ("content-type", "content-md5")) and "\n" not in value
    }


def _signed(
    access_key: str,
    auth_type: AuthType,
    signature: str,
    token: str | None,
    signed_at_s: float,
    expires_at_s: float | None,
) -> SignedRequest:
    return SignedRequest(
        access_key, auth_type, SignatureVersion.V2, (), PayloadForm.UNSIGNED, PayloadForm.UNSIGNED.value, "", "",
        signature, NO_KEY, token, signed_at_s, expires_at_s,
    )  # fmt: skip
