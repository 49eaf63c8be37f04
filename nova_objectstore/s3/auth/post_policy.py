"""Browser forms: the policy document, its signature, and its conditions (AWS: "Browser-Based Uploads Using POST").

Strategy: the signature covers the base64 text of the policy, so it is verified before the policy is even decoded; the form's
fields are then held against the policy's conditions.

Laws (AWS: "POST policy", "Authenticating requests in browser-based uploads"):

- Field names and operators have no case; the document's own two names do.
- Every field must be covered by a condition, but the signature's own, ``file``, ``policy`` and ``x-ignore-*``; and the bucket
  must be, whether there is a field for it or not. Checksums need no condition: they can only refuse what else were stored.
- A condition on a field that was not sent sees an empty value.
- ``content-length-range`` holds for the file's bytes, which are not known before it was read: ``check_size`` is asked then.
"""

from __future__ import annotations

import binascii
import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from nova_objectstore.errors import (
    AccessDenied,
    EntityTooLarge,
    EntityTooSmall,
    InvalidArgument,
    InvalidPolicyDocument,
    SignatureDoesNotMatch,
)
from nova_objectstore.limits import FORM_POLICY_BYTES_MAX
from nova_objectstore.s3.auth.canonical import REDACTED, wire_bytes
from nova_objectstore.s3.auth.request import AuthType, PayloadForm, SecretLookup, SignatureVersion, SignedRequest
from nova_objectstore.s3.auth.signing_key import NO_KEY, signing_key
from nova_objectstore.s3.auth.sigv4 import (
    ALGORITHM,
    check_scope,
    find_secret,
    hex_bytes,
    parse_credential,
    parse_timestamp,
)

_expiration = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z").fullmatch

V4_FIELDS = ("x-amz-credential", "x-amz-algorithm", "x-amz-date", "x-amz-signature", "policy")
V2_FIELDS = ("awsaccesskeyid", "signature", "policy")
_UNCOVERED = frozenset(("file", "policy", "x-amz-signature", "signature", "awsaccesskeyid"))
_UNCOVERED_PREFIXES = ("x-ignore-", "x-amz-checksum-")


# -- the policy ------------------------------------------------------------------------------------------------------


class Condition(NamedTuple):
    """``operator`` is ``eq`` or ``starts-with``, ``field`` a lower-case name; ``text`` shows the condition in an error."""

    operator: str
    field: str
    value: str
    text: str

    def holds(self, value: str) -> bool:
        """Whether a field's value is allowed."""
        if self.operator == "eq":
            return value == self.value
        if self.field == "content-type" and "," in value:
            return all(part.strip().startswith(self.value) for part in value.split(","))  # AWS: each of the list
        return value.startswith(self.value)


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A parsed policy. ``expires_at_s`` in epoch seconds; sizes in bytes, None where the policy sets no limit."""

    expires_at_s: float
    conditions: tuple[Condition, ...]
    size_min: int | None = None
    size_max: int | None = None

    def check(self, fields: Mapping[str, str], *, bucket: str, key: str, now_s: float) -> None:
        """Hold a form against the policy: ``fields`` by lower-case name, ``key`` with its ``${filename}`` filled in.

        Raises AccessDenied, its message naming the condition or the field that fails.
        """
        if now_s >= self.expires_at_s:
            raise AccessDenied("Invalid according to Policy: Policy expired.")
        covered = {condition.field for condition in self.conditions}
        values = {**fields, "bucket": bucket, "key": key}
        for name in values:
            if name not in covered and name not in _UNCOVERED and not name.startswith(_UNCOVERED_PREFIXES):
                raise AccessDenied(f"Invalid according to Policy: Extra input fields: {name}")
        for condition in self.conditions:
            if not condition.holds(values.get(condition.field, "")):
                raise AccessDenied(f"Invalid according to Policy: Policy Condition failed: {condition.text}")

    def check_size(self, size: int) -> None:
        """Hold the file's size in bytes against the policy. Raises EntityTooSmall, EntityTooLarge."""
        if self.size_max is not None and size > self.size_max:
            raise EntityTooLarge(proposed_size=size, max_size_allowed=self.size_max)
        if self.size_min is not None and size < self.size_min:
            raise EntityTooSmall(proposed_size=size, min_size_allowed=self.size_min)


def parse_policy(encoded: str) -> PostPolicy:
    """The policy in a form's ``policy`` field (base64 of JSON). Raises InvalidPolicyDocument."""
    document = _load(encoded)
    for name in document:
        if name not in ("expiration", "conditions"):
            raise _invalid(f'Unexpected: "{name}"')
    if "expiration" not in document:
        raise _invalid("Policy missing expiration.")
    if "conditions" not in document:
        raise _invalid("Policy missing conditions.")
    entries = document["conditions"]
    if not isinstance(entries, list):
        raise _invalid("Invalid 'conditions' value: must be a List.")
    expires_at_s = _parse_expiration(document["expiration"])
    conditions = []
    size_min: int | None = None
    size_max: int | None = None
    for entry in entries:
        if isinstance(entry, list) and entry and str(entry[0]).lower() == "content-length-range":
            low, high = _parse_size_range(entry)
            size_min = low if size_min is None else max(low, size_min)
            size_max = high if size_max is None else min(high, size_max)
        else:
            conditions.append(_parse_condition(entry))
    return PostPolicy(expires_at_s, tuple(conditions), size_min, size_max)


def _invalid(problem: str) -> InvalidPolicyDocument:
    return InvalidPolicyDocument(f"Invalid Policy: {problem}")


def _load(encoded: str) -> dict[str, object]:
    text = "".join(encoded.split())
    if not text:
        raise _invalid("Expecting '{' but found End-of-Input")
    if len(text) > FORM_POLICY_BYTES_MAX:
        raise _invalid("too large.")
    try:
        raw = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("invalid Base64 encoding.") from None
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    return document


def _parse_expiration(value: object) -> float:
    if not isinstance(value, str):
        raise _invalid("Invalid JSON.")
    try:
        if not _expiration(value):
            raise ValueError(value)
        return datetime.fromisoformat(value).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise _invalid(f"Invalid 'expiration' value: '{value}'") from None


def _parse_size_range(entry: list[object]) -> tuple[int, int]:
    """``["content-length-range", 0, 1024]``; the numbers may be strings of digits."""
    if len(entry) != 3:
        raise _invalid("Invalid content-length-range: wrong number of arguments.")
    sizes = []
    for value in entry[1:]:
        text = value if isinstance(value, str) else str(value)
        if isinstance(value, (bool, float)) or not (text.isascii() and text.isdigit() and len(text) <= 19):
            raise _invalid("Invalid content-length-range: not a size.")
        sizes.append(int(text))
    return sizes[0], sizes[1]


def _parse_condition(entry: object) -> Condition:
    if isinstance(entry, dict):
        return _parse_simple(entry)
    if not isinstance(entry, list):
        raise _invalid("Invalid condition test: must be a List or Object.")
    if not entry:
        raise _invalid("Invalid Condition: missing operation identifier.")
    operator = str(entry[0]).lower()
    if operator not in ("eq", "starts-with"):
        raise _invalid(f"Invalid Condition: unknown operation '{entry[0]}'.")
    if len(entry) != 3:
        raise _invalid(f"Invalid {operator}: wrong number of arguments.")
    _, name, value = entry
    if not (isinstance(name, str) and isinstance(value, str)):
        raise _invalid("Invalid JSON.")
    if not name.startswith("$") or len(name) == 1:
        raise _invalid(f"Invalid {operator}: the field must begin with '$'.")
    return Condition(operator, name[1:].lower(), value, json.dumps(entry))


def _parse_simple(entry: dict[str, object]) -> Condition:
    if len(entry) != 1:
        raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
    ((name, value),) = entry.items()
    if not isinstance(value, str):
        raise _invalid("Invalid Simple-Condition: value must be a string.")
    return Condition("eq", name.lower(), value, json.dumps(["eq", f"${name}", value]))


# -- the signature -----------------------------------------------------------------------------------------------------


def form_fault(problem: str, **facts: object) -> InvalidArgument:
    """The error of a malformed x-amz-credential field."""
    return InvalidArgument(problem, argument_name="x-amz-credential", **facts)


def verify_form(
    fields: Mapping[str, str], *, lookup: SecretLookup, region: str, service: str = "s3"
) -> SignedRequest | None:
    """Verify the signature of a form's policy; ``fields`` by lower-case name. None for an anonymous form.

    The policy itself says until when the form is good. Raises InvalidArgument (a field is missing or malformed),
    InvalidAccessKeyId, SignatureDoesNotMatch.
    """
    if any(name in fields for name in ("x-amz-signature", "x-amz-credential", "x-amz-algorithm")):
        _require(fields, V4_FIELDS)
        return _verify_v4(fields, lookup=lookup, region=region, service=service)
    if any(name in fields for name in V2_FIELDS):
        _require(fields, V2_FIELDS)
        return _verify_v2(fields, lookup=lookup)
    return None


def _require(fields: Mapping[str, str], names: tuple[str, ...]) -> None:
    for name in names:
        if not fields.get(name):
            spelling = "AWSAccessKeyId" if name == "awsaccesskeyid" else name
            raise InvalidArgument(
                f"Bucket POST must contain a field named '{spelling}'.  If it is specified, please check the order of the "
                "fields.",
                argument_name=spelling,
                argument_value="",
            )


def _verify_v4(fields: Mapping[str, str], *, lookup: SecretLookup, region: str, service: str) -> SignedRequest:
    if fields["x-amz-algorithm"] != ALGORITHM:
        raise InvalidArgument(
            f"Only {ALGORITHM} is supported",
            argument_name="X-Amz-Algorithm",
            argument_value=fields["x-amz-algorithm"],
        )
    credential = parse_credential(fields["x-amz-credential"], form_fault)
    check_scope(credential, region=region, service=service, fault=form_fault)
    timestamp = fields["x-amz-date"]
    signed_at_s = parse_timestamp(timestamp)
    if signed_at_s is None or timestamp[:8] != credential.day:
        raise InvalidArgument(
            "X-Amz-Date must be formated via ISO8601 Long format, on the day of the credential",
            argument_name="X-Amz-Date",
            argument_value=timestamp,
        )
    secret = find_secret(credential.access_key, lookup)
    key = signing_key(secret, credential.day, credential.region, credential.service)
    computed = key.sign(wire_bytes(fields["policy"]))
    _compare(computed, fields["x-amz-signature"], credential.access_key, fields["policy"])
    return SignedRequest(
        credential.access_key, AuthType.FORM, SignatureVersion.V4, (), PayloadForm.UNSIGNED, PayloadForm.UNSIGNED.value,
        timestamp, credential.scope, fields["x-amz-signature"], key, fields.get("x-amz-security-token"), signed_at_s,
    )  # fmt: skip


def _verify_v2(fields: Mapping[str, str], *, lookup: SecretLookup) -> SignedRequest:
    access_key = fields["awsaccesskeyid"]
    secret = find_secret(access_key, lookup)
    computed = b64encode(hmac.digest(secret.encode(), wire_bytes(fields["policy"]), "sha1")).decode("ascii")
    _compare(computed, fields["signature"], access_key, fields["policy"])
    return SignedRequest(
        access_key, AuthType.FORM, SignatureVersion.V2, (), PayloadForm.UNSIGNED, PayloadForm.UNSIGNED.value, "", "",
        fields["signature"], NO_KEY, fields.get("x-amz-security-token"), 0.0,
    )  # fmt: skip


def _compare(computed: str, provided: str, access_key: str, policy: str) -> None:
    if not hmac.compare_digest(computed.encode(), wire_bytes(provided)):
        shown = REDACTED if _names_a_token(policy) else policy
        raise SignatureDoesNotMatch(
            aws_access_key_id=access_key,
            string_to_sign=shown,
            signature_provided=provided,
            string_to_sign_bytes=hex_bytes(shown),
        )


def _names_a_token(policy: str) -> bool:
    """Whether a form's policy has a condition on a session token, and so the token in it."""
    try:
        return b"x-amz-security-token" in b64decode(wire_bytes(policy)).lower()
    except ValueError:
        return False
