"""Names, paths, tags, ids and ARNs: how they look. Pure, but for the randomness of new ids.

Messages are AWS's (IAM API Reference, the constraints of each parameter).
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping, Sequence

from nova_objectstore.iam.errors import InvalidInput, LimitExceeded, ValidationFailed
from nova_objectstore.iam.limits import (
    DESCRIPTION_CHARS_MAX,
    NAME_CHARS_MAX,
    PATH_CHARS_MAX,
    POLICY_NAME_CHARS_MAX,
    SESSION_MAX_S,
    SESSION_MIN_S,
    TAGS_MAX,
)
from nova_objectstore.iam.ports import EntityKind

_name = re.compile(r"[A-Za-z0-9_+=,.@-]+").fullmatch
_path = re.compile(r"/|/[\x21-\x7e]+/").fullmatch
_prefix = re.compile(r"/[\x21-\x7e]*").fullmatch
_description = re.compile(r"[\x09\x0a\x0d\x20-\x7e\xa1-\xff]*").fullmatch
_tag = re.compile(r"[\w\s.:/=+@-]*").fullmatch
_version = re.compile(r"v([1-9][0-9]{0,8})(?:\.[A-Za-z0-9-]*)?").fullmatch
_key_id = re.compile(r"\w{16,128}", re.ASCII).fullmatch

_ID_PREFIXES = {EntityKind.USER: "AIDA", EntityKind.GROUP: "AGPA", EntityKind.ROLE: "AROA"}
POLICY_ID_PREFIX = "ANPA"

TAG_KEY_CHARS_MAX = 128
TAG_VALUE_CHARS_MAX = 256


def new_id(prefix: str) -> str:
    """A unique id: the prefix that says of what, and 17 characters of base 32."""
    return prefix + base64.b32encode(secrets.token_bytes(11)).decode("ascii")[:17]


def new_entity_id(kind: EntityKind) -> str:
    """The unique id of a new user, group or role."""
    return new_id(_ID_PREFIXES[kind])


def parameter_of(kind: EntityKind) -> str:
    """How AWS's messages call the name of one: ``userName``."""
    return f"{kind}Name"


def _check_text(parameter: str, text: str, chars_max: int) -> None:
    if not text:
        raise _constraint(parameter, text, "Member must have length greater than or equal to 1")
    if len(text) > chars_max:
        raise _constraint(parameter, text, f"Member must have length less than or equal to {chars_max}")


def _constraint(parameter: str, text: str, constraint: str) -> ValidationFailed:
    return ValidationFailed(
        f"1 validation error detected: Value '{text[:200]}' at '{parameter}' failed to satisfy constraint: {constraint}"
    )


def _check_name(parameter: str, name: str, chars_max: int) -> str:
    _check_text(parameter, name, chars_max)
    if not _name(name):
        raise ValidationFailed(
            f"The specified value for {parameter} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-"
        )
    return name


def check_name(kind: EntityKind, name: str) -> str:
    """The name of a user, group or role. Raises ValidationFailed."""
    return _check_name(parameter_of(kind), name, NAME_CHARS_MAX[kind])


def check_policy_name(name: str) -> str:
    """The name of a policy. Raises ValidationFailed."""
    return _check_name("policyName", name, POLICY_NAME_CHARS_MAX)


def check_path(path: str, *, parameter: str = "path") -> str:
    """A path: ``/``, or one that begins and ends with a slash. Raises ValidationFailed."""
    _check_text(parameter, path, PATH_CHARS_MAX)
    if not _path(path):
        raise ValidationFailed(
            f"The specified value for {parameter} is invalid. It must begin and end with / and contain only alphanumeric "
            "characters and/or / characters."
        )
    return path


def check_path_prefix(prefix: str) -> str:
    """What listings are narrowed by. Raises ValidationFailed."""
    _check_text("pathPrefix", prefix, PATH_CHARS_MAX)
    if not _prefix(prefix):
        raise ValidationFailed("The specified value for pathPrefix is invalid. It must begin with the / character.")
    return prefix


def check_description(text: str) -> str:
    """A description. Raises ValidationFailed."""
    if len(text) > DESCRIPTION_CHARS_MAX:
        raise _constraint("description", text, f"Member must have length less than or equal to {DESCRIPTION_CHARS_MAX}")
    if not _description(text):
        raise ValidationFailed("The specified value for description is invalid.")
    return text


def check_max_session(seconds: int) -> int:
    """The longest session of a role, in seconds. Raises ValidationFailed."""
    if not SESSION_MIN_S <= seconds <= SESSION_MAX_S:
        raise _constraint(
            "maxSessionDuration",
            str(seconds),
            f"Member must have value between {SESSION_MIN_S} and {SESSION_MAX_S}",
        )
    return seconds


def check_key_id(access_key: str) -> str:
    """An access key's id in a request: one that cannot exist is not asked for. Raises ValidationFailed."""
    if not _key_id(access_key):
        raise ValidationFailed("The specified value for accessKeyId is invalid.")
    return access_key


def parse_version(text: str) -> int:
    """The number of ``v3``. Raises ValidationFailed."""
    match = _version(text)
    if match is None:
        raise ValidationFailed(f"The specified value for versionId is invalid: {text[:50]}")
    return int(match[1])


# -- tags --------------------------------------------------------------------------------------------------------------


def check_tags(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Tags as they were given.

    Raises ValidationFailed, InvalidInput (a key twice; case does not matter), LimitExceeded.
    """
    folded: set[str] = set()
    for key, value in pairs:
        _check_text("tags.member.key", key, TAG_KEY_CHARS_MAX)
        if len(value) > TAG_VALUE_CHARS_MAX:
            raise _constraint(
                "tags.member.value", value, f"Member must have length less than or equal to {TAG_VALUE_CHARS_MAX}"
            )
        if not _tag(key) or not _tag(value) or key.lower().startswith("aws:"):
            raise ValidationFailed(f"The specified value for a tag is invalid: {key}={value}")
        if key.lower() in folded:
            raise InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        folded.add(key.lower())
    if len(folded) > TAGS_MAX:
        raise LimitExceeded("The number of tags has reached the maximum limit.", quota="Tags", limit=TAGS_MAX)
    return dict(pairs)
