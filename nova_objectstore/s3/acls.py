"""ACLs on the wire: the x-amz-acl and x-amz-grant-* headers, and the AccessControlPolicy document, in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.domain.acl import (
    CANNED,
    FULL_CONTROL,
    GRANTS_MAX,
    GROUPS,
    PRIVATE,
    WELL_KNOWN_IDS,
    Acl,
    Grant,
    Permission,
    canned_acl,
    grants_of,
    make_acl,
)
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import AccessDenied, InvalidArgument, InvalidRequest, MalformedXML
from nova_objectstore.s3 import xml
from nova_objectstore.s3.faults import AmbiguousGrantByEmailAddress, MalformedACL, UnresolvableGrantByEmailAddress
from nova_objectstore.s3.xml import document, element
from nova_objectstore.types import Account

CANNED_HEADER = "x-amz-acl"
GRANT_HEADERS = {f"x-amz-grant-{permission.value.lower().replace('_', '-')}": permission for permission in Permission}
ACL_HEADERS = frozenset((CANNED_HEADER, *GRANT_HEADERS))

_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


class Owners(NamedTuple):
    """Whose list it is to be, by canonical id: the object's (or bucket's) owner, and the bucket's."""

    owner: str
    bucket_owner: str


class AclReader:
    """Reads lists, and knows the accounts that they name."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def from_headers(self, headers: Mapping[str, str], owners: Owners, *, of_bucket: bool) -> Acl | None:
        """The list that the headers ask for, PRIVATE when they ask for none.

        Raises InvalidArgument, InvalidRequest (a canned list and grants at once), UnresolvableGrantByEmailAddress.
        """
        granted = [name for name in GRANT_HEADERS if name in headers]
        name = headers.get(CANNED_HEADER)
        if granted and name is not None:
            raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
        if granted:
            grants = [grant for header in granted for grant in self._header_grants(header, headers[header])]
            return self._checked(grants, owners.owner)
        if name is None:
            return PRIVATE
        canned = CANNED.get(name)
        if canned is None or not (of_bucket or canned.of_objects):
            raise InvalidArgument(argument_name=CANNED_HEADER, argument_value=name)
        if of_bucket and not canned.of_buckets:
            return PRIVATE  # S3 leaves these two out of account for buckets (AWS: "Canned ACL")
        return canned_acl(canned, owner=owners.owner, bucket_owner=owners.bucket_owner)

    def from_document(self, body: bytes, owner: str) -> Acl | None:
        """The list of an AccessControlPolicy. ``owner``: the canonical id that is and stays the owner's.

        Raises MalformedACL, InvalidArgument, UnresolvableGrantByEmailAddress, AccessDenied (another owner).
        """
        try:
            root = xml.parse(body, "AccessControlPolicy")
            named = xml.child(root, "Owner")
            if named is not None and xml.optional_text(named, "ID") not in (None, owner):
                raise AccessDenied
            listed = xml.child(root, "AccessControlList")
            if listed is None:
                raise MalformedACL
            grants = [self.read_grant(node) for node in xml.children(listed, "Grant")]
        except MalformedXML as error:
            raise MalformedACL(**error.facts) from None
        return self._checked(grants, owner)

    def _checked(self, grants: Sequence[Grant], owner: str) -> Acl | None:
        if len(grants) > GRANTS_MAX:
            raise MalformedACL
        return make_acl(grants, owner)

    def read_grant(self, node: xml.Node) -> Grant:
        """A Grant element. Raises MalformedACL, InvalidArgument, UnresolvableGrantByEmailAddress, ..."""
        grantee = xml.child(node, "Grantee")
        try:
            permission = Permission(xml.text(node, "Permission"))
        except ValueError:
            raise MalformedACL from None
        if grantee is None:
            raise MalformedACL
        for name, kind in _KINDS.items():
            value = xml.optional_text(grantee, name)
            if value is not None:
                return Grant(self._grantee(kind, value.strip()), permission)
        raise MalformedACL

    def _header_grants(self, header: str, value: str) -> Sequence[Grant]:
        """``id="...", emailAddress="..."``: the quotes may be left out."""
        grants = []
        for item in value.split(","):
            match = _grantee(item.strip())
            kind = match and _HEADER_KINDS.get(match[1].lower())
            if not match or not kind:
                raise InvalidArgument("Argument format not recognized", argument_name=header, argument_value=value)
            grants.append(Grant(self._grantee(kind, match[2].strip('"')), GRANT_HEADERS[header]))
        return grants

    def _grantee(self, kind: str, value: str) -> str:
        """A canonical id or a group's URI."""
        if kind == "uri":
            if value not in GROUPS:
                raise InvalidArgument("Invalid group uri", argument_name="uri", argument_value=value)
            return value
        if kind == "id":
            if value not in WELL_KNOWN_IDS and self._identities.by_canonical_id(value) is None:
                raise InvalidArgument("Invalid id", argument_name="CanonicalUser/ID", argument_value=value)
            return value
        accounts = self._identities.by_email(value)
        if not accounts:
            raise UnresolvableGrantByEmailAddress(email_address=value)
        if len(accounts) > 1:
            raise AmbiguousGrantByEmailAddress(email_address=value)
        return accounts[0].canonical_id

    # -- out -----------------------------------------------------------------------------------------------------------

    def render(self, acl: Acl | None, owner: Account) -> str:
        """The AccessControlPolicy of a list."""
        grants = "".join(self.render_grant(grant) for grant in grants_of(acl, owner.canonical_id))
        return document(
            "AccessControlPolicy",
            f"<Owner>{_render_account(owner.canonical_id, owner)}</Owner>",
            f"<AccessControlList>{grants}</AccessControlList>",
        )

    def render_grant(self, grant: Grant) -> str:
        """A Grant element."""
        if grant.grantee in GROUPS:
            grantee = f'<Grantee {_XSI} xsi:type="Group">{element("URI", grant.grantee)}</Grantee>'
        else:
            account = self._identities.by_canonical_id(grant.grantee)
            told = _render_account(grant.grantee, account)
            grantee = f'<Grantee {_XSI} xsi:type="CanonicalUser">{told}</Grantee>'
        return f"<Grant>{grantee}{element('Permission', grant.permission)}</Grant>"


def _render_account(canonical_id: str, account: Account | None) -> str:
    name = element("DisplayName", account.name) if account is not None and account.name else ""
    return element("ID", canonical_id) + name


def is_full_control_of(acl: Acl | None, bucket_owner: str) -> bool:
    """Whether a list says no more than that the bucket's owner has full control."""
    return acl is None or acl.grants == (Grant(bucket_owner, FULL_CONTROL),)


_KINDS = {"ID": "id", "URI": "uri", "EmailAddress": "email"}
_HEADER_KINDS = {"id": "id", "uri": "uri", "emailaddress": "email"}
_grantee = re.compile(r"(\w+)\s*=\s*(\"[^\"]*\"|[^\"]*)").fullmatch
