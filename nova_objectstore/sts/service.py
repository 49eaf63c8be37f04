"""STS as a service of the query protocol."""

from __future__ import annotations

from nova_objectstore import errors as fact
from nova_objectstore.domain.access import Access, IdentityPolicies
from nova_objectstore.iam.ports import IamStore
from nova_objectstore.query.action import bind_actions
from nova_objectstore.query.faults import ErrorRow, Rows
from nova_objectstore.query.service import Service
from nova_objectstore.sts.actions import SessionController
from nova_objectstore.sts.issuers import Issuers
from nova_objectstore.sts.roles import Roles
from nova_objectstore.sts.sessions import Sessions

VERSION = "2011-06-15"
NAMESPACE = f"https://sts.amazonaws.com/doc/{VERSION}/"

ROWS: Rows = {
    fact.KmsKeyDisabled: ErrorRow("AccessDenied", 403, "Sessions are disabled: the key of their tokens is."),
}


def make_service(
    sessions: Sessions, iam: IamStore, identities: IdentityPolicies, issuers: Issuers, access: Access
) -> Service:
    """STS over a store. ``identities`` are those that ``access`` decides by."""
    controller = SessionController(sessions, Roles(iam, identities), iam, issuers, access)
    return Service(
        "sts", version=VERSION, namespace=NAMESPACE, actions=bind_actions(controller), rows=ROWS, is_global=True
    )
