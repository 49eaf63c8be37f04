"""Conditions of a statement: every operator, compiled when the policy is parsed.

Laws (AWS: "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys or values"):

- All operators and all keys of a statement must hold; of an operator's values one must.
- A negated operator holds when none of its values matches, and so when the request does not have the key; any other does
  not hold then. ``IfExists`` makes both hold.
- ``ForAllValues:`` asks every value of the request, and holds when there is none; ``ForAnyValue:`` asks for one.
- Keys are not case-sensitive, operators are. Variables may stand in the values of String and Arn operators.
- A value that its operator cannot read (a date, a network) is refused with the policy, so that a typing error never
  becomes a condition that silently matches all or nothing.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

from nova_objectstore.domain.policy.patterns import (
    ArnPattern,
    Facts,
    Glob,
    Template,
    glob,
    normalise_key,
    parse_template,
    split_arn,
)
from nova_objectstore.errors import MalformedPolicy

Match = Callable[[str, Facts], bool]
"""Whether a value of the request matches one of the operator's values."""

ADDRESSES_CACHED_MAX = 1024  # clients' addresses, parsed; a hundred bytes each

IF_EXISTS = "IfExists"
FOR_ALL, FOR_ANY = "ForAllValues", "ForAnyValue"


class Condition(Protocol):
    """One operator on one key."""

    @property
    def key(self) -> str:
        """The key, as facts are asked for it."""
        ...

    def holds(self, facts: Facts) -> bool:
        """Whether it holds for a request."""
        ...


class Comparison(NamedTuple):
    """An operator that compares values. ``texts`` are those of the policy, ``name`` the operator without its affixes."""

    name: str
    key: str
    texts: Sequence[str]
    matches: Match
    negated: bool
    quantifier: str  # "" | FOR_ALL | FOR_ANY
    if_exists: bool

    def holds(self, facts: Facts) -> bool:
        """Whether it holds for a request."""
        values = facts.values(self.key)
        if not values:
            return self._holds_without()
        if self.quantifier == FOR_ALL:
            return all(self.matches(value, facts) is not self.negated for value in values)
        if self.quantifier == FOR_ANY:
            return any(self.matches(value, facts) is not self.negated for value in values)
        return any(self.matches(value, facts) for value in values) is not self.negated

    def _holds_without(self) -> bool:
        if self.quantifier == FOR_ALL or self.if_exists:
            return True
        return self.negated and self.quantifier != FOR_ANY


class Absence(NamedTuple):
    """``Null``: ``true`` asks that the request does not have the key, ``false`` that it has."""

    key: str
    answers: frozenset[bool]
    name: str = "Null"

    def holds(self, facts: Facts) -> bool:
        """Whether it holds for a request."""
        return (facts.values(self.key) is None) in self.answers


def parse_conditions(element: Any, *, variables: bool) -> Sequence[Condition]:
    """Compile a Condition element: values by key by operator. Raises MalformedPolicy."""
    if not isinstance(element, Mapping):
        raise MalformedPolicy("Invalid policy syntax.")
    made: list[Condition] = []
    for name, keys in element.items():
        if not isinstance(keys, Mapping):
            raise MalformedPolicy("Invalid policy syntax.")
        for key, value in keys.items():
            made.append(_parse(name, key, _read_texts(value), variables=variables))
    return tuple(made)


def _read_texts(value: Any) -> Sequence[str]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise MalformedPolicy("Missing condition value")
    texts = []
    for item in items:
        if isinstance(item, bool):
            texts.append("true" if item else "false")
        elif isinstance(item, (str, int, float)):
            texts.append(str(item))
        else:
            raise MalformedPolicy("Invalid policy syntax.")
    return texts


def _parse(name: str, key: str, texts: Sequence[str], *, variables: bool) -> Condition:
    if not _key(key):
        raise MalformedPolicy("Policy has an invalid condition key", detail=key)
    quantifier, colon, base = name.rpartition(":")
    if_exists = base.endswith(IF_EXISTS)
    base = base.removesuffix(IF_EXISTS)
    if base == "Null" and name == "Null":
        return Absence(normalise_key(key), frozenset(_bool(text) for text in texts))
    row = OPERATORS.get(base)
    if row is None or (colon and quantifier not in (FOR_ALL, FOR_ANY)):
        raise MalformedPolicy(f"Invalid Condition type : {name}")
    try:
        matches = row.compile(texts, variables)
    except ValueError:
        raise MalformedPolicy(f"Invalid value for the condition {name}", detail=", ".join(texts)) from None
    return Comparison(base, normalise_key(key), tuple(texts), matches, row.negated, quantifier, if_exists)


_key = re.compile(r"[^:\s]+:\S+").fullmatch


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise MalformedPolicy("Invalid value for the condition Null", detail=text)
    return text.lower() == "true"


# -- the operators: each compiles the policy's values to a Match; ValueError for one that it cannot read ---------------


def _same(text: str) -> str:
    return text


def _equal(texts: Sequence[str], variables: bool, *, fold: Callable[[str], str] = _same) -> Match:
    """Text by text; ``fold`` makes those equal that are to be."""
    templates = [parse_template(text, wildcards=False, variables=variables) for text in texts]
    fixed = {fold(template.fixed) for template in templates if template.fixed is not None}
    changing = [template for template in templates if template.fixed is None]

    def matches(value: str, facts: Facts) -> bool:
        value = fold(value)
        return value in fixed or any(_folded(template, facts, fold) == value for template in changing)

    return matches


def _folded(template: Template, facts: Facts, fold: Callable[[str], str]) -> str | None:
    resolved = template.resolve(facts)
    return None if resolved is None else fold(resolved)


def _like(texts: Sequence[str], variables: bool) -> Match:
    templates = [parse_template(text, wildcards=True, variables=variables) for text in texts]
    fixed = [Glob(template.fixed) for template in templates if template.fixed is not None]
    changing = [template for template in templates if template.fixed is None]

    def matches(value: str, facts: Facts) -> bool:
        if any(pattern.matches(value) for pattern in fixed):
            return True
        resolved = (template.resolve(facts) for template in changing)
        return any(pattern is not None and glob(pattern).matches(value) for pattern in resolved)

    return matches


def _arn(texts: Sequence[str], variables: bool) -> Match:
    patterns = [ArnPattern(text, variables=variables) for text in texts if text != "*"]
    everything = len(patterns) < len(texts)

    def matches(value: str, facts: Facts) -> bool:
        parts = split_arn(value)
        return everything or any(pattern.matches(parts, facts) for pattern in patterns)

    return matches


def _ordered(
    texts: Sequence[str],
    _variables: bool,
    *,
    read: Callable[[str], Any],
    compare: Callable[[Any, Any], bool],
) -> Match:
    """Numbers and dates: what ``read`` makes of a text, compared; a value of the request that is none matches nothing."""
    bounds = [read(text) for text in texts]

    def matches(value: str, _facts: Facts) -> bool:
        try:
            known = read(value)
        except ValueError:
            return False
        return any(compare(known, bound) for bound in bounds)

    return matches


def read_number(text: str) -> Decimal:
    """A decimal number. Raises ValueError."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite():
        raise ValueError(text)
    return number


_short_date = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?")


def read_date(text: str) -> float:
    """A moment in seconds since 1970: of that many seconds, or ISO 8601 as W3C profiles it. Raises ValueError."""
    text = text.strip()
    short = _short_date.fullmatch(text)
    if short is not None:  # a number of four digits is a year
        moment = datetime(int(short[1]), int(short[2] or 1), int(short[3] or 1), tzinfo=UTC)
    elif text.removeprefix("-").replace(".", "", 1).isdigit():
        return float(text)
    else:
        moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _truth(texts: Sequence[str], _variables: bool) -> Match:
    words = {text.lower() for text in texts}
    if not words <= {"true", "false"}:
        raise ValueError(texts)
    return lambda value, _facts: value.lower() in words


def _binary(texts: Sequence[str], _variables: bool) -> Match:
    known = {_decode(text) for text in texts}

    def matches(value: str, _facts: Facts) -> bool:
        try:
            return _decode(value) in known
        except ValueError:
            return False

    return matches


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(text) from None


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_network(text: str) -> Network:
    """A network as CIDR, or an address. Raises ValueError."""
    return ipaddress.ip_network(text.strip(), strict=False)


def _address(texts: Sequence[str], _variables: bool) -> Match:
    networks = [read_network(text) for text in texts]

    def matches(value: str, _facts: Facts) -> bool:
        address = _read_address(value)
        return address is not None and any(address in network for network in networks)

    return matches


# PERF: a policy asks for the same client's address in many statements
@lru_cache(ADDRESSES_CACHED_MAX)
def _read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


class Row(NamedTuple):
    """An operator: how its values are compiled, and whether it holds when nothing matches."""

    compile: Callable[[Sequence[str], bool], Match]
    negated: bool = False


def _ordered_rows(kind: str, read: Callable[[str], Any]) -> dict[str, Row]:
    compares = {
        "Equals": operator.eq,
        "LessThan": operator.lt,
        "LessThanEquals": operator.le,
        "GreaterThan": operator.gt,
        "GreaterThanEquals": operator.ge,
    }
    rows = {kind + name: Row(partial(_ordered, read=read, compare=compare)) for name, compare in compares.items()}
    rows[f"{kind}NotEquals"] = Row(rows[f"{kind}Equals"].compile, negated=True)
    return rows


_equal_ignoring_case = partial(_equal, fold=str.casefold)

OPERATORS: Mapping[str, Row] = {
    "StringEquals": Row(_equal),
    "StringNotEquals": Row(_equal, negated=True),
    "StringEqualsIgnoreCase": Row(_equal_ignoring_case),
    "StringNotEqualsIgnoreCase": Row(_equal_ignoring_case, negated=True),
    "StringLike": Row(_like),
    "StringNotLike": Row(_like, negated=True),
    "Bool": Row(_truth),
    "BinaryEquals": Row(_binary),
    "IpAddress": Row(_address),
    "NotIpAddress": Row(_address, negated=True),
    "ArnEquals": Row(_arn),
    "ArnNotEquals": Row(_arn, negated=True),
    "ArnLike": Row(_arn),
    "ArnNotLike": Row(_arn, negated=True),
    **_ordered_rows("Numeric", read_number),
    **_ordered_rows("Date", read_date),
}
