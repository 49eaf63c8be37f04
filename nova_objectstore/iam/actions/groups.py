"""CreateGroup, GetGroup, AddUserToGroup, RemoveUserFromGroup."""

from __future__ import annotations

from nova_objectstore.iam.actions.entities import name_of
from nova_objectstore.iam.actions.gate import Gate
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.shapes import entity_row, entity_whole
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.names import check_name, check_path
from nova_objectstore.iam.ports import GROUP, USER
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import structure
from nova_objectstore.query.request import QueryRequest


class GroupController:
    """Groups of users."""

    def __init__(self, gate: Gate, directory: Directory) -> None:
        self._gate = gate
        self._directory = directory

    @action("CreateGroup")
    def create_group(self, req: QueryRequest) -> Answer:
        """Add a group."""
        account_id = req.principal.account_id
        name = check_name(GROUP, req.parameters.required("GroupName"))
        path = check_path(req.parameters.text("Path", "/"))
        self._gate.permit(req, f"arn:aws:iam::{account_id}:group{path}{name}")
        group = self._directory.create_group(account_id, name, path=path)
        return [structure("Group", [entity_whole(group)])]

    @action("GetGroup")
    def get_group(self, req: QueryRequest) -> Answer:
        """A group and its users."""
        page = read_page(req)
        group = self._gate.named(req, GROUP)
        users = self._gate.iam.list_members(group.account_id, group.name, after=page.after, limit=page.limit + 1)
        return [
            structure("Group", [entity_whole(group)]),
            *page.render("Users", users, name_of, entity_row),
        ]

    @action("AddUserToGroup")
    def add_user_to_group(self, req: QueryRequest) -> None:
        """Give a user what the group may do."""
        user = check_name(USER, req.parameters.required("UserName"))
        group = self._gate.named(req, GROUP)
        self._gate.iam.add_member(group.account_id, group.name, user)

    @action("RemoveUserFromGroup")
    def remove_user_from_group(self, req: QueryRequest) -> None:
        """Take from a user what the group may do."""
        user = check_name(USER, req.parameters.required("UserName"))
        group = self._gate.named(req, GROUP)
        self._gate.iam.remove_member(group.account_id, group.name, user)
