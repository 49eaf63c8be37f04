"""Secrets, signatures, tokens and MACs are compared by ``hmac.compare_digest``, which takes as long for a good guess as for a
bad one, and never by ``==``: read from the source with ``ast``.

A comparison is one when something on either side is called by a secret's name: a variable, an attribute, a call or an item of
that name, whatever was done to it then (``.encode()``, ``.lower()``, a slice). To compare with a constant tells nothing of a
secret that the reader of the source does not know.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for package in ("nova_wsgi", "nova_objectstore") for path in (ROOT / package).rglob("*.py"))

# Words of which a name is made: session_token, secretKey, X-Amz-Signature.
_SECRET = frozenset(("secret", "secrets", "signature", "token", "mac", "hmac", "password", "passphrase", "hexmac"))
_words = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+").findall

# (module, what is compared): not what its name seems to say, and why.
ALLOWED = {
    ("nova_objectstore/crypto/session_tokens.py", "b64encode(raw).decode() != token"),  # a token with its own spelling
    ("nova_objectstore/domain/policy/patterns.py", "token == ANY_MANY"),  # a piece of a pattern
    ("nova_objectstore/domain/policy/patterns.py", "token in (ANY_ONE, char)"),
    (
        "nova_objectstore/meta/sqlite/sealing.py",
        "(text := secrets.seal(access_key, secret)) != secret",
    ),  # two of our own
}


def _is_secret_name(name: str) -> bool:
    words = [word.lower() for word in _words(name)]
    return bool(_SECRET & set(words)) and not name.isupper()  # a constant of that name is the name of a field


def _names(node: ast.expr) -> Iterator[str]:
    """What the compared value is called: through calls, subscripts and arithmetic, not into other comparisons."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(value=value, attr=name):
            yield name
            if not isinstance(value, ast.Name):
                yield from _names(value)  # secret.encode().hex(), not secrets.find
        case ast.Call(func=ast.Name(id="len")):
            return  # how long a secret is, is none
        case ast.Call(func=function, args=arguments):
            yield from _names(function)
            if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                yield function.value.id  # token.encode()
            for argument in arguments:
                yield from _names(argument)
        case ast.Subscript(value=value, slice=key):
            yield from _names(value)
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value  # fields["x-amz-signature"]
        case ast.BinOp(left=left, right=right):
            yield from _names(left)
            yield from _names(right)
        case ast.NamedExpr(target=target, value=value):
            yield from _names(target)
            yield from _names(value)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _names(value)
        case ast.Await(value=value) | ast.Starred(value=value):
            yield from _names(value)


def _is_constant(node: ast.expr) -> bool:
    """Text that stands in the source, None, or a tuple of such."""
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.Tuple | ast.Set) and all(map(_is_constant, node.elts))
    )


def comparisons(tree: ast.AST) -> Iterator[ast.Compare]:
    """Every ``==`` and ``!=`` (and every ``in`` of a sequence that is written there) of a secret with what is not constant."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if isinstance(operator, ast.In | ast.NotIn):
                if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                    continue  # whether a name is among names
            elif not isinstance(operator, ast.Eq | ast.NotEq):
                continue
            if _is_constant(left) or _is_constant(right):
                continue
            if any(_is_secret_name(name) for side in (left, right) for name in _names(side)):
                yield node
                break


def secrets_compared(source: str) -> list[str]:
    return [ast.unparse(found) for found in comparisons(ast.parse(source))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_secret_is_compared_by_equality(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = [text for text in secrets_compared(path.read_text("utf-8")) if (name, text) not in ALLOWED]
    assert not found, f"{name}: compare these by hmac.compare_digest: {found}"


def test_what_is_allowed_is_still_there() -> None:
    for name, text in ALLOWED:
        assert text in secrets_compared((ROOT / name).read_text("utf-8")), (name, text)


@pytest.mark.parametrize(
    "source",
    [
        "signature == computed",
        "computed != provided_signature",
        "request.session_token != token",
        "secret_key.encode() == other",
        "other == fields['x-amz-signature']",
        "hmac.digest(key, text, 'sha256') == given",
        "self._token == brought",
        "mac[:16] == given",
        "password in (first, second)",
        "adminToken == x",
        "a < b == row.secret",
        "(x or token) == y",
    ],
)
def test_what_is_found(source: str) -> None:
    assert secrets_compared(source) == [source]


@pytest.mark.parametrize(
    "source",
    [
        "signature == ''",
        "pair.secret_key == '-'",
        "token is None",
        "len(signature) != 2 * size",
        "'x-amz-signature' in fields",
        "name == TRAILER_SIGNATURE",
        "name in (SIGNATURE, TOKEN)",
        "machine == other",
        "hmac.compare_digest(signature, computed)",
        "token and other == third",
        "secrets.count == other",
    ],
)
def test_what_is_not_one(source: str) -> None:
    assert secrets_compared(source) == []
