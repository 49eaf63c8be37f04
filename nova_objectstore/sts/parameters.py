"""The parameters of STS's actions, held to the constraints of AWS's model (STS API Reference, each action's page)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.domain.policy.document import Kind, parse_policy
from nova_objectstore.errors import AccessDenied, MalformedPolicy
from nova_objectstore.limits import TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX
from nova_objectstore.query.faults import ValidationError
from nova_objectstore.query.parameters import Parameters
from nova_objectstore.sts.errors import MalformedPolicyDocument

POLICY_CHARS_MAX = 2048
POLICY_ARNS_MAX = 10
SESSION_TAGS_MAX = 50
DURATION_S_MIN = 900

_NAME = r"[\w+=,.@-]*"
_name = re.compile(_NAME, re.ASCII).fullmatch
_external_id = re.compile(r"[\w+=,.@:/-]*", re.ASCII).fullmatch
_policy_text = re.compile(r"[\t\n\r\x20-\xff]+").fullmatch
_tag_text = re.compile(r"[\w\s.:/=+\-@]*").fullmatch
_role_arn = re.compile(r"arn:aws:iam::([0-9]{12}):role/((?:[\x21-\x7e]+/)?)([\w+=,.@-]{1,64})", re.ASCII).fullmatch
_policy_arn = re.compile(r"arn:aws:iam::([0-9]{12}|aws):policy/[\x21-\x7e]{1,640}").fullmatch


Matcher = Callable[[str], re.Match[str] | None]


class RoleArn(NamedTuple):
    """A role's ARN, taken apart."""

    text: str
    account_id: str
    name: str


class Limits(NamedTuple):
    """The session policies that were given: inline ones as texts, and managed ones."""

    policies: Sequence[str]
    policy_arns: Sequence[str]


def refused(value: str, member: str, constraint: str) -> ValidationError:
    """The error of a value that breaks a constraint, in AWS's words."""
    return ValidationError(
        f"1 validation error detected: Value '{value[:200]}' at '{member}' failed to satisfy constraint: {constraint}"
    )


def read_name(parameters: Parameters, name: str, *, chars_max: int = 64) -> str:
    """RoleSessionName, SourceIdentity, Name: 2 to ``chars_max`` of ``[\\w+=,.@-]``. Raises MissingParameter, ValidationError."""
    return _matching(parameters.required(name), name, chars_max, _name, _NAME)


def read_source_identity(parameters: Parameters) -> str:
    """SourceIdentity, empty when there is none. Raises ValidationError."""
    value = parameters.optional("SourceIdentity")
    return "" if value is None else check_source_identity(value)


def check_source_identity(value: str) -> str:
    """A source identity. Raises ValidationError."""
    return _matching(value, "SourceIdentity", 64, _name, _NAME)


def read_external_id(parameters: Parameters) -> str | None:
    """ExternalId. Raises ValidationError."""
    value = parameters.optional("ExternalId")
    if value is None:
        return None
    return _matching(value, "ExternalId", 1224, _external_id, r"[\w+=,.@:\/-]*")


def _matching(value: str, name: str, chars_max: int, match: Matcher, pattern: str) -> str:
    member = name[0].lower() + name[1:]
    if not match(value):
        raise refused(value, member, f"Member must satisfy regular expression pattern: {pattern}")
    if len(value) < 2:
        raise refused(value, member, "Member must have length greater than or equal to 2")
    if len(value) > chars_max:
        raise refused(value, member, f"Member must have length less than or equal to {chars_max}")
    return value


def read_role_arn(parameters: Parameters) -> RoleArn:
    """RoleArn. Raises MissingParameter, ValidationError."""
    text = parameters.required("RoleArn")
    match = _role_arn(text)
    if match is None:
        raise ValidationError(f"{text[:200]} is invalid")
    return RoleArn(text, match[1], match[3])


def read_duration(parameters: Parameters, *, default_s: int, max_s: int) -> int:
    """DurationSeconds. Raises ValidationError."""
    text = parameters.optional("DurationSeconds")
    if text is None:
        return default_s
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise refused(text, "durationSeconds", "Member must be an integer")
    if int(text) < DURATION_S_MIN:
        raise refused(text, "durationSeconds", f"Member must have value greater than or equal to {DURATION_S_MIN}")
    if int(text) > max_s:
        raise refused(text, "durationSeconds", f"Member must have value less than or equal to {max_s}")
    return int(text)


def read_limits(parameters: Parameters, account_id: str) -> Limits:
    """Policy and PolicyArns of a session of that account. Raises ValidationError, MalformedPolicyDocument."""
    text = parameters.optional("Policy")
    arns = [row.get("arn", "") for row in parameters.member_structures("PolicyArns")]
    if len(arns) > POLICY_ARNS_MAX:
        raise ValidationError(f"The number of policy ARNs exceeds the limit of {POLICY_ARNS_MAX}")
    for arn in arns:
        match = _policy_arn(arn)
        if match is None or match[1] not in ("aws", account_id):
            raise ValidationError(f"ARN {arn[:200]} is not valid.")
    if text is not None:
        _check_policy(text)
    return Limits((text,) if text is not None else (), tuple(dict.fromkeys(arns)))


def _check_policy(text: str) -> None:
    if not _policy_text(text):
        raise refused(
            text, "policy", r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+"
        )
    if len(text) > POLICY_CHARS_MAX:
        raise refused(text, "policy", f"Member must have length less than or equal to {POLICY_CHARS_MAX}")
    try:
        parse_policy(text, Kind.IDENTITY, size_max=2 * POLICY_CHARS_MAX)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from None


def read_tags(parameters: Parameters) -> tuple[Mapping[str, str], Sequence[str]]:
    """Tags and TransitiveTagKeys. Raises ValidationError."""
    tags = check_tags(parameters.tags())
    transitive = parameters.members("TransitiveTagKeys")
    return tags, check_transitive(transitive, tags)


def check_tags(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Session tags: keys differ by more than case (AWS: "Pass session tags in AWS STS"). Raises ValidationError."""
    if len(pairs) > SESSION_TAGS_MAX:
        raise refused(str(len(pairs)), "tags", f"Member must have length less than or equal to {SESSION_TAGS_MAX}")
    for key, value in pairs:
        if not 0 < len(key) <= TAG_KEY_CHARS_MAX or not _tag_text(key) or key.lower().startswith("aws:"):
            raise refused(key, "tags.member.key", "Member must be a tag's key")
        if len(value) > TAG_VALUE_CHARS_MAX or not _tag_text(value):
            raise refused(value, "tags.member.value", "Member must be a tag's value")
    if len({key.lower() for key, _ in pairs}) < len(pairs):
        raise ValidationError("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return dict(pairs)


def check_transitive(keys: Sequence[str], tags: Mapping[str, str]) -> Sequence[str]:
    """Keys of tags that are there, each once. Raises ValidationError."""
    if len(keys) > SESSION_TAGS_MAX:
        raise refused(
            str(len(keys)), "transitiveTagKeys", f"Member must have length less than or equal to {SESSION_TAGS_MAX}"
        )
    folded = {key.lower() for key in tags}
    for key in keys:
        if key.lower() not in folded:
            raise ValidationError("The specified transitive tag key must be included in the requested tags.")
    return tuple(dict.fromkeys(keys))


def refuse_mfa(parameters: Parameters) -> None:
    """No MFA device exists, so no code of one is right. Raises AccessDenied."""
    if parameters.has("SerialNumber") or parameters.has("TokenCode"):
        raise AccessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
