"""The slow, obvious twin of the policy evaluator: reads the JSON as it lies there, for every request anew.

Written from AWS's pages for itself; it shares no code with the store, so that each is a second opinion on the other. It
knows nothing of validation: what it is given was accepted.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Values = Mapping[str, Sequence[str]]
"""The values of a request by condition key, the key's letters as they come."""

# A star and a question mark that a variable put in: they match themselves.
_LITERAL = {"*": "\x01", "?": "\x02", "$": "\x03"}


def wildcard(pattern: str, text: str) -> bool:
    """``*`` and ``?``, by recursion."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return wildcard(pattern[1:], text) or (bool(text) and wildcard(pattern, text[1:]))
    if not text:
        return False
    literal = {mark: char for char, mark in _LITERAL.items()}.get(pattern[0], pattern[0])
    return (pattern[0] == "?" or literal == text[0]) and wildcard(pattern[1:], text[1:])


def resolve(text: str, values: Values, version: str) -> str | None:
    """Put the variables in; their own stars are marked. None when one has no value, or many."""
    if version != "2012-10-17":
        return text

    class Unknown(Exception):
        pass

    def put(match: re.Match[str]) -> str:
        inside = match[1]
        if inside in _LITERAL:
            return _LITERAL[inside]
        name, comma, default = inside.partition(",")
        found = look_up(values, name.strip())
        if found is None:
            if not comma:
                raise Unknown
            value = default.strip()[1:-1]
        elif len(found) == 1:
            value = found[0]
        else:
            raise Unknown
        for char, mark in _LITERAL.items():
            value = value.replace(char, mark)
        return value

    try:
        return re.sub(r"\$\{([^}]*)\}", put, text)
    except Unknown:
        return None


def plain(text: str) -> str:
    """A resolved text without marks."""
    for char, mark in _LITERAL.items():
        text = text.replace(mark, char)
    return text


def look_up(values: Values, key: str) -> Sequence[str] | None:
    """The values of a key, whose case does not matter."""
    for name, found in values.items():
        if name.lower() == key.lower():
            return found
    return None


def arn_matches(pattern: str, arn: str) -> bool:
    """Six parts, each with its own wildcards."""
    parts, wanted = arn.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(wanted) and all(wildcard(want, part) for want, part in zip(wanted, parts, strict=True))


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# -- conditions --------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _moment(text: str) -> float:
    if re.fullmatch(r"-?\d+(\.\d*)?", text) and len(text) != 4:
        return float(text)
    if re.fullmatch(r"\d{4}", text):
        text += "-01-01"
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _compare(word: str, one: float, other: float) -> bool:
    return {
        "Equals": one == other,
        "LessThan": one < other,
        "LessThanEquals": one <= other,
        "GreaterThan": one > other,
        "GreaterThanEquals": one >= other,
    }[word]


def matches(operator: str, value: str, wanted: Any, values: Values, version: str) -> bool:
    """Whether one value matches one wanted text under a positive operator."""
    text = _text(wanted)
    if operator.startswith(("String", "Arn")):
        resolved = resolve(text, values, version)
        if resolved is None:
            return False
        if operator == "StringEquals":
            return value == plain(resolved)
        if operator == "StringEqualsIgnoreCase":
            return value.casefold() == plain(resolved).casefold()
        if operator == "StringLike":
            return wildcard(resolved, value)
        return resolved == "*" or arn_matches(resolved, value)
    try:
        if operator.startswith("Numeric"):
            return _compare(operator.removeprefix("Numeric"), float(value), float(text))
        if operator.startswith("Date"):
            return _compare(operator.removeprefix("Date"), _moment(value), _moment(text))
        if operator == "IpAddress":
            value = value.removeprefix("::ffff:") if "." in value else value
            return ipaddress.ip_address(value) in ipaddress.ip_network(text, strict=False)
        if operator == "BinaryEquals":
            return base64.b64decode(value, validate=True) == base64.b64decode(text, validate=True)
    except ValueError:
        return False
    assert operator == "Bool", operator
    return value.lower() == text.lower()


def condition_holds(name: str, key: str, wanted: Any, values: Values, version: str) -> bool:
    """Whether one operator on one key holds."""
    found = look_up(values, key)
    if name == "Null":
        return any((_text(want).lower() == "true") == (found is None) for want in as_list(wanted))
    quantifier, _, operator = name.rpartition(":")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    positive = {"NotIpAddress": "IpAddress"}.get(operator, operator.replace("Not", ""))
    negated = positive != operator

    def holds(value: str) -> bool:
        hit = any(matches(positive, value, want, values, version) for want in as_list(wanted))
        return not hit if negated else hit

    if not found:
        if quantifier == "ForAllValues" or if_exists:
            return True
        return negated and quantifier != "ForAnyValue"
    if quantifier == "ForAllValues":
        return all(holds(value) for value in found)
    if quantifier == "ForAnyValue":
        return any(holds(value) for value in found)
    return all(holds(value) for value in found) if negated else any(holds(value) for value in found)


# -- statements ----------------------------------------------------------------------------------------------------------


def _normal_principal(name: str) -> str:
    root = re.fullmatch(r"arn:aws:iam::(\w+):root", name)
    return root[1] if root else name


def _listed(element: Any) -> list[str]:
    if element == "*":
        return ["*"]
    return [_normal_principal(name) for names in element.values() for name in as_list(names)]


def principal_applies(statement: Mapping[str, Any], names: Sequence[str]) -> bool:
    """``names``: what the principal goes by, the account as 12 digits; none for an anonymous one."""
    if "Principal" in statement:
        listed = _listed(statement["Principal"])
        return "*" in listed or any(name in listed for name in names)
    if "NotPrincipal" in statement:
        listed = _listed(statement["NotPrincipal"])
        spared = "*" in listed or (bool(names) and all(name in listed for name in names))
        return not spared
    return True


def statement_applies(
    statement: Mapping[str, Any], version: str, names: Sequence[str], action: str, arn: str, values: Values
) -> bool:
    """Whether a statement speaks of a request."""
    if not principal_applies(statement, names):
        return False
    actions = as_list(statement.get("Action", statement.get("NotAction")))
    if any(wildcard(one.lower(), action.lower()) for one in actions) != ("Action" in statement):
        return False
    resources = as_list(statement.get("Resource", statement.get("NotResource", "*")))
    resolved = [resolve(one, values, version) for one in resources]
    covered = any(one is not None and (one == "*" or arn_matches(one, arn)) for one in resolved)
    if covered != ("NotResource" not in statement):
        return False
    return all(
        condition_holds(name, key, wanted, values, version)
        for name, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def says(policy: Mapping[str, Any], names: Sequence[str], action: str, arn: str, values: Values) -> str:
    """``Deny``, ``Allow``, or ``""`` when the policy says nothing to a request."""
    version = policy.get("Version", "2008-10-17")
    effects = {
        statement["Effect"]
        for statement in as_list(policy["Statement"])
        if statement_applies(statement, version, names, action, arn, values)
    }
    return "Deny" if "Deny" in effects else "Allow" if "Allow" in effects else ""
