"""Who a statement is about: the Principal element, and the names that the principal of a request goes by.

Laws (AWS: "AWS JSON policy elements: Principal", "NotPrincipal"):

- A request's principal has several names: its account (as 12 digits, ``:root`` ARN or canonical id), and its own ARN; a
  role's session has the role's ARN besides. Principal holds when one of them is listed, NotPrincipal only spares who
  has all of its names listed.
- Naming an account hands the decision to that account: its own policies must allow the request as well.
- ``*`` is everybody, who did not sign too. A service of the store is denied by it, and allowed only where it is named.
  Inside an ARN a star is no wildcard and refused.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nova_objectstore.errors import MalformedPolicy
from nova_objectstore.types import Principal


class Grip(enum.IntEnum):
    """How directly a policy names a principal, which says what else must allow the request."""

    NONE = 0
    ACCOUNT = 1  # its account: an identity policy must allow it as well
    ROLE = 2  # its role, or everybody: session policies and the boundary still hold
    DIRECT = 3  # itself


class Names(NamedTuple):
    """What a request's principal goes by, nothing for an anonymous one; and how ``*`` names it."""

    account: frozenset[str] = frozenset()
    role: str = ""
    own: str = ""
    everybody: Grip = Grip.DIRECT


def names_of(principal: Principal) -> Names:
    """The names of a principal."""
    if principal.service:
        return Names(own=f"service:{principal.service}", everybody=Grip.ACCOUNT)
    if principal.is_anonymous:
        return Names()
    account = frozenset((principal.account_id, f"canonical:{principal.canonical_id}"))
    if principal.is_root:
        return Names(account)
    return Names(account, principal.role_arn, principal.arn, Grip.ROLE if principal.role_arn else Grip.DIRECT)


class PrincipalSet(NamedTuple):
    """A compiled Principal or NotPrincipal element."""

    everybody: bool
    listed: frozenset[str]

    def grip(self, names: Names) -> Grip:
        """How the element names the principal of a request."""
        if names.own and names.own in self.listed:
            return Grip.DIRECT
        if self.everybody and names.everybody is Grip.DIRECT:
            return Grip.DIRECT
        if names.role and names.role in self.listed:
            return Grip.ROLE
        if self.everybody:
            return names.everybody
        return Grip.NONE if self.listed.isdisjoint(names.account) else Grip.ACCOUNT

    def spares(self, names: Names) -> bool:
        """Whether, as NotPrincipal, it leaves the principal of a request alone."""
        if self.everybody:
            return True
        own = [name for name in (names.role, names.own) if name]
        if not names.account and not own:
            return False
        return (not names.account or not self.listed.isdisjoint(names.account)) and self.listed.issuperset(own)


_account = re.compile(r"[0-9]{12}")
# The account of an ARN is not held to 12 digits: one that is no account's matches nobody.
_root_arn = re.compile(r"arn:aws[a-z-]*:iam::([\w-]+):root")
_entity_arn = re.compile(r"arn:aws[a-z-]*:iam::[\w-]+:(user|role)/[\w+=,.@/-]+")
_session_arn = re.compile(
    r"arn:aws[a-z-]*:sts::[\w-]+:(assumed-role/[\w+=,.@/-]+/[\w+=,.@-]+|federated-user/[\w+=,.@-]+)"
)
_canonical = re.compile(r"[0-9a-f]{64}")
# AWS knows its services; one that is none of this store's is taken and is nobody, as an account that is not there is.
_service = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_federated = re.compile(r"[\w:./+=,@-]+")

EVERYBODY = PrincipalSet(everybody=True, listed=frozenset())


def parse_principals(element: Any) -> PrincipalSet:
    """Compile a Principal element: ``"*"`` or an object of lists by kind. Raises MalformedPolicy."""
    if element == "*":
        return EVERYBODY
    if not isinstance(element, Mapping) or not element:
        raise MalformedPolicy("Invalid policy syntax.")
    everybody = False
    listed: set[str] = set()
    for kind, value in element.items():
        parse = _KINDS.get(kind)
        if parse is None:
            raise _invalid(kind)
        for name in _texts(value):
            if name == "*" and kind == "AWS":
                everybody = True
            else:
                listed.add(parse(name))
    return PrincipalSet(everybody, frozenset(listed))


def _texts(value: Any) -> Iterator[str]:
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    if not items:
        raise MalformedPolicy("Invalid policy syntax.")
    for item in items:
        if not isinstance(item, str):
            raise MalformedPolicy("Invalid policy syntax.")
        yield item


def _invalid(name: str) -> MalformedPolicy:
    return MalformedPolicy("Invalid principal in policy", detail=name)


def _parse_aws(name: str) -> str:
    if _account.fullmatch(name):
        return name
    root = _root_arn.fullmatch(name)
    if root is not None:
        return root[1]
    if _entity_arn.fullmatch(name) or _session_arn.fullmatch(name):
        return name
    if _canonical.fullmatch(name):
        return f"canonical:{name}"
    raise _invalid(name)


def _parser(prefix: str, pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(name: str) -> str:
        if pattern.fullmatch(name) is None:
            raise _invalid(name)
        return f"{prefix}:{name}"

    return parse


_KINDS: Mapping[str, Callable[[str], str]] = {
    "AWS": _parse_aws,
    "CanonicalUser": _parser("canonical", _canonical),
    "Service": _parser("service", _service),
    "Federated": _parser("federated", _federated),
}
