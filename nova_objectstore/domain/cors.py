"""Cross-origin rules of a bucket: which pages of other origins may have their browser ask what (AWS: "Using cross-origin
resource sharing", Fetch: "CORS protocol").

Laws (AWS: "Elements of a CORS configuration"):

- The first rule that fits counts. A rule fits when one of its origins and one of its methods do, and each header that a
  preflight asks for is allowed by one of its headers.
- A pattern has at most one ``*``, which stands for any text, none too. Origins and methods have case, header names do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

CORS = "cors"  # the document's name
METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
ANY_ORIGIN = "*"


class CorsRule(NamedTuple):
    """A rule as it was put. ``max_age_s``: for how long a browser may keep a preflight's answer; None: not said."""

    origins: Sequence[str]
    methods: Sequence[str]
    headers: Sequence[str] = ()
    exposed: Sequence[str] = ()
    max_age_s: int | None = None
    id: str | None = None


class Shared(NamedTuple):
    """A rule that fits a request, and how the request's origin is told: ``*`` where the rule is for all."""

    rule: CorsRule
    origin: str


def find_rule(rules: Iterable[CorsRule], origin: str, method: str, headers: Iterable[str] = ()) -> Shared | None:
    """The first rule for a request of ``method`` from ``origin``; ``headers``: names in lower-case."""
    for rule in rules:
        if method not in rule.methods or not all(_allows(rule, name) for name in headers):
            continue
        fitting = next((pattern for pattern in rule.origins if _fits(pattern, origin)), None)
        if fitting is not None:
            return Shared(rule, ANY_ORIGIN if fitting == ANY_ORIGIN else origin)
    return None


def _allows(rule: CorsRule, name: str) -> bool:
    return any(_fits(pattern.lower(), name) for pattern in rule.headers)


def _fits(pattern: str, text: str) -> bool:
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(head) + len(tail) and text.startswith(head) and text.endswith(tail)


def encode_rules(rules: Sequence[CorsRule]) -> bytes:
    """The document to store."""
    return json.dumps(rules).encode()


def decode_rules(document: bytes) -> tuple[CorsRule, ...]:
    """The rules from the stored document."""
    return tuple(CorsRule(*fields) for fields in json.loads(document))
