"""Texts with wildcards and variables, as policies have them: compiled when a policy is parsed, matched per request.

Strategy: a wildcard becomes a lone surrogate, which no text of a request can contain; so a pattern stays one ``str`` in
which a variable's value, stars and all, is put in as plain text. Matching goes from star to star with ``str.find``: its
cost is bounded by the product of the two lengths, whatever the pattern (a backtracking regular expression's is not).

Laws (AWS: "IAM JSON policy elements: Resource", "IAM policy elements: Variables and tags"):

- ``*`` stands for any characters or none, ``?`` for exactly one. Wildcards do not reach across the colons of an ARN.
- ``${key}`` is the request's value of a condition key, ``${key, 'text'}`` has a default; ``${*}``, ``${?}`` and ``${$}``
  are the three characters themselves. Only policies of version 2012-10-17 have variables.
- A variable without a value (or with several) makes a text that matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from nova_objectstore.errors import MalformedPolicy

ANY_MANY = "\ud801"  # the star, and
ANY_ONE = "\ud802"  # the question mark, as they stand in a compiled pattern
_wild_runs = re.compile(f"[{ANY_MANY}{ANY_ONE}]{{2,}}")
_WILDCARDS = str.maketrans({"*": ANY_MANY, "?": ANY_ONE})

ARN_PARTS = 6  # arn:partition:service:region:account:resource
GLOBS_CACHED_MAX = 4096  # patterns that a variable's value made; each a few hundred bytes
GLOB_CACHED_CHARS_MAX = 256  # a value is the client's: longer patterns are made anew, not kept


class Facts(Protocol):
    """What is known of a request, by condition key."""

    def values(self, key: str) -> Sequence[str] | None:
        """The values of a key (lower-case but for a tag's name); None when the request has no such key."""
        ...


# -- wildcards ---------------------------------------------------------------------------------------------------------


class Glob:
    """A compiled pattern; ``encoded`` has wildcards as ANY_MANY and ANY_ONE, everything else stands for itself."""

    __slots__ = ("_pieces", "_size_min", "encoded")

    def __init__(self, encoded: str) -> None:
        # Stars in a row stand for what one does, and would make ``matches_beginning`` walk each from each; question marks
        # between them stand for as many characters wherever they are, and would make a piece of each.
        encoded = _wild_runs.sub(_collapsed, encoded)
        self.encoded = encoded
        self._size_min = len(encoded) - encoded.count(ANY_MANY)
        self._pieces: tuple[_Piece, Sequence[_Piece], _Piece | None] | None = None

    def _split(self) -> tuple[_Piece, Sequence[_Piece], _Piece | None]:
        """What stands before the first star, between stars, and behind the last one, if there is one.

        Not before a text that is long enough comes: there may be 10,000, and a key has at most 1,024 characters.
        """
        first, *rest = (_Piece(text) for text in self.encoded.split(ANY_MANY))
        pieces = self._pieces = first, tuple(piece for piece in rest[:-1] if piece.size), rest[-1] if rest else None
        return pieces

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` is one that the pattern describes."""
        if len(text) < self._size_min:
            return False
        first, middle, last = self._pieces or self._split()
        if not first.stands_at(text, 0):
            return False
        if last is None:
            return len(text) == first.size
        end = len(text) - last.size
        if not last.stands_at(text, end):
            return False
        start = first.size
        for piece in middle:  # the leftmost place of each leaves the most room for the rest
            found = piece.find(text, start, end)
            if found < 0:
                return False
            start = found + piece.size
        return True

    def matches_beginning(self, text: str) -> bool:
        """Whether some text that begins with ``text`` is one that the pattern describes."""
        states = _through_stars(self.encoded, {0})
        for char in text:
            after = set()
            for state in states:
                token = self.encoded[state] if state < len(self.encoded) else ""
                if token == ANY_MANY:
                    after.add(state)
                elif token and token in (ANY_ONE, char):
                    after.add(state + 1)
            states = _through_stars(self.encoded, after)
        return bool(states)


def _collapsed(run: re.Match[str]) -> str:
    """What a run of wildcards comes to: its question marks, and one star if it has any."""
    wildcards = run[0]
    ones = wildcards.count(ANY_ONE)
    return wildcards if ones == len(wildcards) else ANY_ONE * ones + ANY_MANY


def _through_stars(encoded: str, states: set[int]) -> set[int]:
    """The states and those behind the stars they stand at: a star may stand for nothing."""
    reached = set(states)
    for state in states:
        while state < len(encoded) and encoded[state] == ANY_MANY:
            state += 1
            reached.add(state)
    return reached


class _Piece:
    """What stands between two stars: of fixed length."""

    __slots__ = ("_compiled", "_is_plain", "_text", "size")

    def __init__(self, text: str) -> None:
        self.size = len(text)
        self._text = text
        self._is_plain = ANY_ONE not in text
        self._compiled: re.Pattern[str] | None = None

    def stands_at(self, text: str, start: int) -> bool:
        if self._is_plain:
            return text.startswith(self._text, start)
        return self._expression().match(text, start) is not None

    def find(self, text: str, start: int, end: int) -> int:
        """Where it stands first between the two, -1 for nowhere."""
        if self._is_plain:
            return text.find(self._text, start, end)
        found = self._expression().search(text, start, end)
        return -1 if found is None else found.start()

    def _expression(self) -> re.Pattern[str]:
        # Not before a text that is long enough comes: compiling takes 10 us for each question mark, and they may be 20,000.
        if self._compiled is None:
            self._compiled = re.compile(".".join(map(re.escape, self._text.split(ANY_ONE))), re.DOTALL)
        return self._compiled


_glob_cached = lru_cache(GLOBS_CACHED_MAX)(Glob)


def glob(encoded: str) -> Glob:
    """A compiled pattern, from a cache where it is of ordinary length."""
    return _glob_cached(encoded) if len(encoded) <= GLOB_CACHED_CHARS_MAX else Glob(encoded)


def encode_wildcards(text: str) -> str:
    """A text as it stands in a policy, with its wildcards as Glob has them."""
    return text.translate(_WILDCARDS)


# -- variables ---------------------------------------------------------------------------------------------------------


class Variable(NamedTuple):
    """``${key, 'default'}``; the default is None where none is written."""

    key: str
    default: str | None


class Template(NamedTuple):
    """A text of literal parts (wildcards encoded, where it has any) and variables. ``fixed``: the whole, without any."""

    parts: Sequence[str | Variable]
    fixed: str | None

    def resolve(self, facts: Facts) -> str | None:
        """The text of a request; None when a variable has no value."""
        if self.fixed is not None:
            return self.fixed
        made = []
        for part in self.parts:
            value = _value(part, facts) if isinstance(part, Variable) else part
            if value is None:
                return None
            made.append(value)
        return "".join(made)

    def widest(self) -> str:
        """The pattern with every variable taken for a star."""
        return "".join(ANY_MANY if isinstance(part, Variable) else part for part in self.parts)


def _value(variable: Variable, facts: Facts) -> str | None:
    values = facts.values(variable.key)
    if values is None:
        return variable.default
    return values[0] if len(values) == 1 else None


_SPECIAL = frozenset("*?$")
_variable = re.compile(r"([^,'{}$\s]+)(?:\s*,\s*'([^']*)')?")


def parse_template(text: str, *, wildcards: bool, variables: bool) -> Template:
    """Compile a text of a policy. Raises MalformedPolicy for a variable that is none."""
    if not variables or "${" not in text:
        fixed = encode_wildcards(text) if wildcards else text
        return Template((fixed,), fixed)
    parts: list[str | Variable] = []
    rest = text
    while rest:
        literal, opened, rest = rest.partition("${")
        parts.append(encode_wildcards(literal) if wildcards else literal)
        if opened:
            inside, closed, rest = rest.partition("}")
            if not closed:
                raise MalformedPolicy("Policy has an invalid variable")
            parts.append(_parse_variable(inside))
    if any(isinstance(part, Variable) for part in parts):
        return Template(tuple(part for part in parts if part != ""), None)
    fixed = "".join(part for part in parts if isinstance(part, str))
    return Template((fixed,), fixed)


def _parse_variable(inside: str) -> str | Variable:
    if inside in _SPECIAL:
        return inside
    match = _variable.fullmatch(inside.strip())
    if match is None or ":" not in match[1]:
        raise MalformedPolicy("Policy has an invalid variable")
    return Variable(normalise_key(match[1]), match[2])


def normalise_key(key: str) -> str:
    """A condition key as facts are asked for it: lower-case, but the name of a tag behind its slash as written."""
    name, slash, tag = key.partition("/")
    return name.lower() + slash + tag


# -- ARNs --------------------------------------------------------------------------------------------------------------


class ArnPattern:
    """An ARN with wildcards and variables: its six parts are matched one by one."""

    __slots__ = ("_globs", "templates", "text")

    def __init__(self, text: str, *, variables: bool) -> None:
        """Raises MalformedPolicy when it does not have six parts."""
        self.text = text
        parts = _split_arn(text)
        if len(parts) != ARN_PARTS or parts[0] != "arn":
            raise MalformedPolicy(f"Policy has an invalid ARN: {text}")
        self.templates = tuple(parse_template(part, wildcards=True, variables=variables) for part in parts)
        fixed = [template.fixed for template in self.templates]
        self._globs = None if None in fixed else tuple(Glob(part) for part in fixed if part is not None)

    def matches(self, arn: Sequence[str], facts: Facts) -> bool:
        """Whether an ARN, split into its parts, is one that the pattern describes."""
        globs = self._globs
        if globs is None:
            resolved = [template.resolve(facts) for template in self.templates]
            globs = tuple(glob(part) for part in resolved if part is not None)
        return len(globs) == len(arn) == ARN_PARTS and all(
            pattern.matches(part) for pattern, part in zip(globs, arn, strict=True)
        )


def split_arn(arn: str) -> Sequence[str]:
    """The six parts of an ARN; the last may have colons of its own."""
    return arn.split(":", ARN_PARTS - 1)


_arn_marks = re.compile(r"\$\{|[:}]").finditer


def _split_arn(text: str) -> Sequence[str]:
    """The same for a pattern, whose variables have colons."""
    parts: list[str] = []
    start = depth = 0
    for found in _arn_marks(text):
        mark = found[0]
        if mark == "${":
            depth += 1
        elif mark == "}":
            depth = max(0, depth - 1)
        elif not depth and len(parts) < ARN_PARTS - 1:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]
