"""The flat parameters of a request, read as what they mean: ``Filter.1.Value.2=x``, ``Tags.member.1.Key=x``. Pure.

Laws: names and values are UTF-8; a name that is given twice is refused, since a signature and a reader might take different
ones; lists are read in the order of their numbers, which may have gaps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from nova_objectstore.limits import QUERY_PARAMETERS_MAX
from nova_objectstore.query.faults import InvalidParameterValue, MalformedQueryString, MissingParameter

_index = re.compile(r"[1-9][0-9]{0,5}").fullmatch
_number = re.compile(r"[0-9]{1,9}").fullmatch


def parse_pairs(*texts: str) -> dict[str, str]:
    """Names and values of query strings and form bodies, together. Raises MalformedQueryString."""
    items = [item for text in texts for item in text.split("&") if item]
    if len(items) > QUERY_PARAMETERS_MAX:
        raise MalformedQueryString(f"A request has at most {QUERY_PARAMETERS_MAX} parameters.")
    pairs: dict[str, str] = {}
    for item in items:
        name, _, value = item.partition("=")
        name = _decode(name)
        if name in pairs:
            raise MalformedQueryString(f"The parameter {name} is given twice.")
        pairs[name] = _decode(value)
    return pairs


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise MalformedQueryString("The parameters are not UTF-8.") from None


class Parameters:
    """The parameters of one request."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.pairs = pairs

    def text(self, name: str, default: str = "") -> str:
        """A parameter, or the default."""
        return self.pairs.get(name, default)

    def optional(self, name: str) -> str | None:
        """A parameter, None when it is not there."""
        return self.pairs.get(name)

    def required(self, name: str) -> str:
        """A parameter that must be there. Raises MissingParameter."""
        value = self.pairs.get(name)
        if not value:
            raise MissingParameter(f"The request must contain the parameter {name}")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, false when it is not there. Raises InvalidParameterValue."""
        value = self.pairs.get(name, "false").lower()
        if value not in ("true", "false"):
            raise InvalidParameterValue(f"Invalid boolean value for parameter {name}: {value}")
        return value == "true"

    def number(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number. Raises InvalidParameterValue outside ``low`` to ``high``."""
        value = self.pairs.get(name)
        if value is None:
            return default
        if not _number(value) or not low <= int(value) <= high:
            raise InvalidParameterValue(f"Value ( {value} ) for parameter {name} is invalid. It is {low} to {high}.")
        return int(value)

    def choice(self, name: str, allowed: Iterable[str], default: str = "") -> str:
        """One of a few words. Raises InvalidParameterValue."""
        value = self.pairs.get(name, default)
        if value and value not in allowed:
            raise InvalidParameterValue(f"Value ( {value} ) for parameter {name} is invalid.")
        return value

    def values(self, name: str) -> list[str]:
        """The list ``Name.1``, ``Name.2`` and so on."""
        return [members[""] for members in self.structures(name) if "" in members]

    def structures(self, name: str) -> list[dict[str, str]]:
        """The list of structures ``Name.1.Member``: of each, its members by what stands behind the number and its dot."""
        prefix = f"{name}."
        found: dict[int, dict[str, str]] = {}
        for key, value in self.pairs.items():
            if key.startswith(prefix):
                index, _, member = key[len(prefix) :].partition(".")
                if _index(index):
                    found.setdefault(int(index), {})[member] = value
        return [found[index] for index in sorted(found)]

    def members(self, name: str) -> list[str]:
        """The list ``Name.member.1``, ``Name.member.2``: as IAM, STS and SNS number theirs."""
        return self.values(f"{name}.member")

    def member_structures(self, name: str) -> list[dict[str, str]]:
        """The list of structures ``Name.member.1.Member``."""
        return self.structures(f"{name}.member")

    def entries(self, name: str) -> dict[str, str]:
        """The map ``Name.entry.1.key``, ``Name.entry.1.value``. Raises MalformedQueryString for a key given twice."""
        rows = self.structures(f"{name}.entry")
        found = {row.get("key", ""): row.get("value", "") for row in rows}
        if len(found) < len(rows):
            raise MalformedQueryString(f"{name} has a key twice.")
        return found

    def tags(self, name: str = "Tags") -> list[tuple[str, str]]:
        """Keys and values of ``Tags.member.1.Key``, ``Tags.member.1.Value``, as given: not yet checked."""
        return [(row.get("Key", ""), row.get("Value", "")) for row in self.member_structures(name)]

    def has(self, name: str) -> bool:
        """Whether the parameter, or one that begins with it and a dot, is there."""
        return name in self.pairs or any(key.startswith(f"{name}.") for key in self.pairs)


def nested(members: Mapping[str, str], name: str) -> list[str]:
    """The list ``Name.1``, ``Name.2`` among the members of a structure."""
    return Parameters(members).values(name)
