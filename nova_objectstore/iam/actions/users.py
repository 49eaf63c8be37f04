"""CreateUser, GetUser, ListGroupsForUser."""

from __future__ import annotations

from nova_objectstore.domain.identities import Identities
from nova_objectstore.iam.actions.entities import name_of
from nova_objectstore.iam.actions.gate import Gate, requested_boundary, requested_tags
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.shapes import entity_row, entity_whole
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.names import check_name, check_path
from nova_objectstore.iam.ports import USER
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element, iso_time, structure
from nova_objectstore.query.request import QueryRequest


class UserController:
    """Users."""

    def __init__(self, gate: Gate, directory: Directory, identities: Identities) -> None:
        self._gate = gate
        self._directory = directory
        self._identities = identities

    @action("CreateUser")
    def create_user(self, req: QueryRequest) -> Answer:
        """Add a user: it may do nothing, and has no keys."""
        parameters, account_id = req.parameters, req.principal.account_id
        name = check_name(USER, parameters.required("UserName"))
        path = check_path(parameters.text("Path", "/"))
        boundary = parameters.text("PermissionsBoundary")
        tags = parameters.tags()
        told = {**requested_tags(tags), **requested_boundary(boundary)}
        self._gate.permit(req, f"arn:aws:iam::{account_id}:user{path}{name}", told)
        user = self._directory.create_user(account_id, name, path=path, boundary=boundary, tags=tags)
        return [structure("User", [entity_whole(user)])]

    @action("GetUser")
    def get_user(self, req: QueryRequest) -> Answer:
        """A user, or who asks: the root too."""
        user = self._gate.user_or_self(req)
        return [structure("User", [entity_whole(user) if user is not None else self._root(req)])]

    def _root(self, req: QueryRequest) -> str:
        account = self._identities.account(req.principal.account_id)
        return "".join(
            (
                element("Path", "/"),
                element("UserId", account.id),
                element("Arn", req.principal.arn),
                element("CreateDate", iso_time(account.created_us)),
            )
        )

    @action("ListGroupsForUser")
    def list_groups_for_user(self, req: QueryRequest) -> Answer:
        """The groups that a user is in, by name."""
        page = read_page(req)
        user = self._gate.named(req, USER)
        groups = self._gate.iam.list_groups_of(user.account_id, user.name, after=page.after, limit=page.limit + 1)
        return page.render("Groups", groups, name_of, entity_row)
