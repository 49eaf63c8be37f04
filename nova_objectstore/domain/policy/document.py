"""Policy documents: JSON -> a compiled Policy, or the reason why it is none.

Laws (AWS: "Grammar of the IAM JSON policy language"):

- Nothing is guessed: an element that is unknown, twice there or of the wrong kind refuses the document, so that no policy
  allows more (or denies less) by a typing error than it says.
- A bucket's policy names principals, S3's actions and resources of that bucket. An identity's names no principals, and may
  speak of any service. A role's trust policy names principals and no resources.
- Variables exist in version 2012-10-17 alone; without a version a policy is of 2008-10-17.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nova_objectstore.domain.policy.conditions import Condition, parse_conditions
from nova_objectstore.domain.policy.patterns import ArnPattern, encode_wildcards, glob
from nova_objectstore.domain.policy.principals import PrincipalSet, parse_principals
from nova_objectstore.domain.policy.vocabulary import is_action, is_condition_key
from nova_objectstore.errors import MalformedPolicy
from nova_objectstore.limits import POLICY_BODY_MAX

VERSION_WITH_VARIABLES = "2012-10-17"
VERSIONS = ("2008-10-17", VERSION_WITH_VARIABLES)


class Kind(enum.Enum):
    """What a policy is attached to."""

    BUCKET = "bucket"
    IDENTITY = "identity"  # of a user, group or role; a permission boundary; a session
    TRUST = "trust"  # who may assume a role
    RESOURCE = "resource"  # of something that is not S3's: a topic


class ActionSet:
    """A compiled Action or NotAction element."""

    __slots__ = ("_known", "_patterns")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [glob(encode_wildcards(pattern.lower())) for pattern in patterns]
        self._known: dict[str, bool] = {}

    def covers(self, action: str) -> bool:
        """Whether an action (one that the code names: they are few) is among them."""
        known = self._known.get(action)
        if known is None:
            lower = action.lower()
            known = self._known[action] = any(pattern.matches(lower) for pattern in self._patterns)
        return known


class ResourceSet(NamedTuple):
    """A compiled Resource or NotResource element."""

    everything: bool
    patterns: Sequence[ArnPattern]


class Statement(NamedTuple):
    """A compiled statement."""

    allows: bool
    principals: PrincipalSet | None  # None in an identity's policy
    not_principal: bool
    actions: ActionSet
    not_action: bool
    resources: ResourceSet | None  # None in a trust policy
    not_resource: bool
    conditions: Sequence[Condition]
    sid: str


class Policy(NamedTuple):
    """A compiled policy; immutable, to be kept as long as its text stands."""

    version: str
    id: str
    statements: Sequence[Statement]


def parse_policy(text: str, kind: Kind, *, bucket: str = "", size_max: int = POLICY_BODY_MAX) -> Policy:
    """Compile a policy document. ``bucket``: the bucket that a policy of kind BUCKET is for. ``size_max``: bytes of UTF-8.

    Raises MalformedPolicy, whose message says why in AWS's words.
    """
    document = _read_json(text, size_max)
    unknown = document.keys() - {"Version", "Id", "Statement"}
    if unknown:
        raise MalformedPolicy(f"Unknown field {sorted(unknown)[0]}")
    version = document.get("Version", VERSIONS[0])
    if version not in VERSIONS:
        raise MalformedPolicy("The policy must contain a valid version string")
    policy_id = document.get("Id", "")
    if not isinstance(policy_id, str):
        raise MalformedPolicy("Invalid policy syntax.")
    statements = document.get("Statement")
    if statements is None:
        raise MalformedPolicy("Missing required field Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list):
        raise MalformedPolicy("Invalid policy syntax.")
    if not statements:
        raise MalformedPolicy("Could not parse the policy: Statement is empty!")
    parser = _StatementParser(kind, bucket, variables=version == VERSION_WITH_VARIABLES)
    made = tuple(parser.parse(statement) for statement in statements)
    parser.check_sids(made)
    return Policy(version, policy_id, made)


def _read_json(text: str, size_max: int) -> Mapping[str, Any]:
    if not text.lstrip().startswith("{"):
        raise MalformedPolicy("Policies must be valid JSON and the first byte must be '{'")
    try:
        if len(text.encode()) > size_max:
            raise MalformedPolicy("Policy exceeds the maximum allowed document size.")
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        json.dumps(document, ensure_ascii=False).encode()  # no lone surrogates: patterns have them for wildcards
    except (ValueError, RecursionError):
        raise MalformedPolicy("This policy contains invalid Json") from None
    assert isinstance(document, dict), "the first byte is a brace"
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise MalformedPolicy("Duplicate field in the policy")
    return made


def _refuse_constant(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are no JSON


_action = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+").fullmatch
_identity_sid = re.compile(r"[A-Za-z0-9]*").fullmatch
_LAX_SIDS = (Kind.BUCKET, Kind.RESOURCE)

_FIELDS = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)


class _StatementParser:
    """Compiles the statements of one document."""

    def __init__(self, kind: Kind, bucket: str, *, variables: bool) -> None:
        self._kind = kind
        self._bucket = bucket
        self._variables = variables

    def parse(self, element: Any) -> Statement:
        if not isinstance(element, Mapping):
            raise MalformedPolicy("Invalid policy syntax.")
        unknown = element.keys() - _FIELDS
        if unknown:
            raise MalformedPolicy(f"Unknown field {sorted(unknown)[0]}")
        allows = self._effect(element)
        principals, not_principal = self._principals(element, allows=allows)
        actions, not_action = self._actions(element)
        resources, not_resource = self._resources(element)
        return Statement(
            allows,
            principals,
            not_principal,
            actions,
            not_action,
            resources,
            not_resource,
            self._conditions(element),
            self._sid(element),
        )

    def check_sids(self, statements: Sequence[Statement]) -> None:
        """A Sid names one statement of an identity's policy; nobody looks at those of a resource's."""
        sids = [statement.sid for statement in statements if statement.sid]
        if self._kind not in _LAX_SIDS and len(set(sids)) < len(sids):
            raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")

    def _sid(self, element: Mapping[str, Any]) -> str:
        sid = element.get("Sid", "")
        if not isinstance(sid, str) or (self._kind not in _LAX_SIDS and not _identity_sid(sid)):
            raise MalformedPolicy("Statement IDs (SID) must be alpha-numeric.")
        return sid

    def _effect(self, element: Mapping[str, Any]) -> bool:
        effect = element.get("Effect")
        if effect is None:
            raise MalformedPolicy("Missing required field Effect")
        if effect not in ("Allow", "Deny"):
            raise MalformedPolicy(f"Invalid effect: {effect}")
        return bool(effect == "Allow")

    def _principals(self, element: Mapping[str, Any], *, allows: bool) -> tuple[PrincipalSet | None, bool]:
        if self._kind is Kind.IDENTITY:
            if "Principal" in element or "NotPrincipal" in element:
                raise MalformedPolicy("Policy document should not specify a principal.")
            return None, False
        name = _one_of(element, "Principal", "NotPrincipal")
        if name == "NotPrincipal" and allows:
            raise MalformedPolicy("Allow with NotPrincipal is not allowed.")
        return parse_principals(element[name]), name == "NotPrincipal"

    def _actions(self, element: Mapping[str, Any]) -> tuple[ActionSet, bool]:
        name = _one_of(element, "Action", "NotAction")
        patterns = _texts(element[name])
        for pattern in patterns:
            known = pattern == "*" or self._kind is not Kind.BUCKET or is_action(pattern)
            if not _action(pattern) or not known:
                raise MalformedPolicy("Policy has invalid action", detail=pattern)
        return ActionSet(patterns), name == "NotAction"

    def _resources(self, element: Mapping[str, Any]) -> tuple[ResourceSet | None, bool]:
        if self._kind is Kind.TRUST:
            if "Resource" in element or "NotResource" in element:
                raise MalformedPolicy("Has prohibited field Resource")
            return None, False
        name = _one_of(element, "Resource", "NotResource")
        texts = _texts(element[name])
        patterns = []
        for text in texts:
            if text == "*" and (self._kind is Kind.IDENTITY or name == "Resource"):
                continue
            try:
                pattern = ArnPattern(text, variables=self._variables)
            except MalformedPolicy:
                raise MalformedPolicy("Policy has invalid resource", detail=text) from None
            if self._kind is Kind.BUCKET and name == "Resource" and not _is_of_bucket(pattern, self._bucket):
                raise MalformedPolicy("Policy has invalid resource", detail=text)
            patterns.append(pattern)
        return ResourceSet(len(patterns) < len(texts), tuple(patterns)), name == "NotResource"

    def _conditions(self, element: Mapping[str, Any]) -> Sequence[Condition]:
        if "Condition" not in element:
            return ()
        conditions = parse_conditions(element["Condition"], variables=self._variables)
        if self._kind is Kind.BUCKET:
            for condition in conditions:
                if not is_condition_key(condition.key):
                    raise MalformedPolicy("Policy has an invalid condition key", detail=condition.key)
        return conditions


def _one_of(element: Mapping[str, Any], name: str, negated: str) -> str:
    """Which of the two names is there; one must be, and not both."""
    there = [candidate for candidate in (name, negated) if candidate in element]
    if not there:
        raise MalformedPolicy(f"Missing required field {name}")
    if len(there) > 1:
        raise MalformedPolicy(f"Statement has both {name} and {negated}")
    return there[0]


def _texts(value: Any) -> Sequence[str]:
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, str) for item in items):
        raise MalformedPolicy("Invalid policy syntax.")
    return items


def _is_of_bucket(pattern: ArnPattern, bucket: str) -> bool:
    """Whether some ARN of the bucket, or of a key in it, is one that the pattern describes; variables may be anything."""
    head, resource = pattern.templates[:-1], glob(pattern.templates[-1].widest())
    fits = all(
        glob(template.widest()).matches(part) for template, part in zip(head, ("arn", "aws", "s3", "", ""), strict=True)
    )
    return fits and (resource.matches(bucket) or resource.matches_beginning(f"{bucket}/"))
