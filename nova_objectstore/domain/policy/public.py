"""Whether a bucket policy is public (AWS: "Blocking public access to your Amazon S3 storage", "The meaning of public").

Strategy: every Allow statement is taken for public until it is shown to be for a fixed set of callers: by its principals,
or by a condition that holds only for values named in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nova_objectstore.domain.policy.conditions import FOR_ALL, Comparison, Condition, read_network
from nova_objectstore.domain.policy.document import Policy, Statement

# The widest networks that are still a fixed set of callers (AWS: /8 for IPv4 and /32 for IPv6).
_IPV4_PREFIX_MIN = 8
_IPV6_PREFIX_MIN = 32


def is_public(policy: Policy) -> bool:
    """Whether a bucket policy gives anything to callers who are not named."""
    return any(statement.allows and _is_public(statement) for statement in policy.statements)


def _is_public(statement: Statement) -> bool:
    principals = statement.principals
    if principals is not None and not principals.everybody:
        return False
    return not any(_fixes_callers(condition) for condition in statement.conditions)


def _fixes_callers(condition: Condition) -> bool:
    if not isinstance(condition, Comparison) or condition.negated or condition.if_exists:
        return False
    if condition.quantifier == FOR_ALL:  # holds for whoever has no such key
        return False
    fixed = _FIXING.get(condition.key)
    return fixed is not None and all(fixed(condition.name, text) for text in condition.texts)


_POSITIVE = frozenset(("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"))


def _in_full(name: str, text: str) -> bool:
    """A value without wildcards or variables."""
    return name in _POSITIVE and "${" not in text and not (_has_wildcards(name) and ("*" in text or "?" in text))


def _has_wildcards(name: str) -> bool:
    return not name.startswith("StringEquals")


def _narrow_network(name: str, text: str) -> bool:
    if name != "IpAddress":
        return False
    network = read_network(text)
    return network.prefixlen >= (_IPV4_PREFIX_MIN if network.version == 4 else _IPV6_PREFIX_MIN)


def _account_of_arn(name: str, text: str) -> bool:
    """An access point whose account is named; its own name may have wildcards."""
    parts = text.split(":", 5)
    return name in _POSITIVE and len(parts) == 6 and parts[4].isdigit()


_FIXING: Mapping[str, Callable[[str, str], bool]] = {
    "aws:sourceip": _narrow_network,
    "aws:sourcearn": _in_full,
    "aws:sourcevpc": _in_full,
    "aws:sourcevpce": _in_full,
    "aws:sourceowner": _in_full,
    "aws:sourceaccount": _in_full,
    "aws:principalaccount": _in_full,
    "aws:principalarn": _in_full,
    "aws:principalorgid": _in_full,
    "aws:userid": _in_full,
    "s3:x-amz-server-side-encryption-aws-kms-key-id": _in_full,
    "s3:dataaccesspointaccount": _in_full,
    "s3:dataaccesspointarn": _account_of_arn,
}
