"""What every action asks before it does anything: who it is about, and whether who asks may.

Law: an action is authorised on the ARN of what it names, whether that is there or not; only then it is told that it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nova_objectstore.domain.access import Access
from nova_objectstore.errors import AccessDenied
from nova_objectstore.iam.errors import NoSuchEntity
from nova_objectstore.iam.names import check_name
from nova_objectstore.iam.ports import USER, Entity, EntityKind, IamStore
from nova_objectstore.query.faults import ValidationError
from nova_objectstore.query.request import QueryRequest

Told = Mapping[str, Sequence[str]]
NOTHING_TOLD: Told = {}


class Gate:
    """Authorises. ``iam`` finds what actions name."""

    def __init__(self, access: Access, iam: IamStore) -> None:
        self._access = access
        self.iam = iam

    def permit(self, req: QueryRequest, arn: str, told: Told = NOTHING_TOLD) -> None:
        """Return when who asks may do the request's action on ``arn``. Raises AccessDenied.

        ``told``: condition keys of this action, in lower-case but for a tag's name.
        """
        action = f"iam:{req.action}"
        try:
            self._access.check_account(req.principal, action, arn, context=req.context.telling(told))
        except AccessDenied:
            raise AccessDenied(
                f"User: {req.principal.arn} is not authorized to perform: {action} on resource: {arn}"
            ) from None

    def entity(self, req: QueryRequest, kind: EntityKind, name: str, told: Told = NOTHING_TOLD) -> Entity:
        """The user, group or role of that name, once who asks may. Raises ValidationFailed, AccessDenied, NoSuchEntity."""
        check_name(kind, name)
        account_id = req.principal.account_id
        try:
            entity = self.iam.find_entity(account_id, kind, name)
        except NoSuchEntity:
            self.permit(req, f"arn:aws:iam::{account_id}:{kind}/{name}", told)
            raise
        self.permit(req, entity.arn, {**about(entity), **told})
        return entity

    def named(self, req: QueryRequest, kind: EntityKind, told: Told = NOTHING_TOLD) -> Entity:
        """The one that ``UserName``, ``GroupName`` or ``RoleName`` names. Raises MissingParameter too."""
        return self.entity(req, kind, req.parameters.required(f"{kind.capitalize()}Name"), told)

    def user_or_self(self, req: QueryRequest) -> Entity | None:
        """The user that ``UserName`` names, or who asks: None for the root. Raises ValidationError for a role."""
        name = req.parameters.optional("UserName")
        if name is not None:
            return self.entity(req, USER, name)
        if req.principal.is_root:
            return None
        if req.principal.user_name is None or req.principal.role_arn:
            raise ValidationError("Must specify userName when calling with non-User credentials")
        return self.entity(req, USER, req.principal.user_name)


def about(entity: Entity) -> Told:
    """The condition keys that a user or role itself has."""
    told = {f"{name}:resourcetag/{key}": (value,) for name in ("aws", "iam") for key, value in entity.tags.items()}
    if entity.boundary:
        told["iam:permissionsboundary"] = (entity.boundary,)
    return told


def requested_tags(pairs: Sequence[tuple[str, str]]) -> Told:
    """The condition keys of tags that a request gives."""
    if not pairs:
        return NOTHING_TOLD
    return {**{f"aws:requesttag/{key}": (value,) for key, value in pairs}, "aws:tagkeys": [key for key, _ in pairs]}


def requested_boundary(arn: str) -> Told:
    """The condition key of a boundary that a request sets."""
    return {"iam:permissionsboundary": (arn,)} if arn else NOTHING_TOLD
