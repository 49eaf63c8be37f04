"""What users, groups and roles have in common: List and Delete; and UpdateUser, UpdateGroup."""

from __future__ import annotations

from nova_objectstore.iam.actions.gate import Gate
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.shapes import entity_row
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.names import check_path_prefix
from nova_objectstore.iam.ports import Entity, EntityKind
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.request import QueryRequest


def name_of(entity: Entity) -> str:
    """What lists are in the order of."""
    return entity.name.lower()


class EntityController:
    """All of one kind."""

    def __init__(self, gate: Gate, kind: EntityKind) -> None:
        self._gate = gate
        self._kind = kind
        self.words = {"Kind": kind.capitalize()}

    @action("List{Kind}s")
    def list_entities(self, req: QueryRequest) -> Answer:
        """By name, under a path."""
        prefix = check_path_prefix(req.parameters.text("PathPrefix", "/"))
        page = read_page(req)
        account_id = req.principal.account_id
        self._gate.permit(req, f"arn:aws:iam::{account_id}:{self._kind}{prefix}")
        found = self._gate.iam.list_entities(
            account_id, self._kind, path_prefix=prefix, after=page.after, limit=page.limit + 1
        )
        return page.render(f"{self.words['Kind']}s", found, name_of, entity_row)

    @action("Delete{Kind}")
    def delete_entity(self, req: QueryRequest) -> None:
        """Remove one that nothing belongs to any more; a role's sessions end with it."""
        entity = self._gate.named(req, self._kind)
        self._gate.iam.delete_entity(entity.account_id, self._kind, entity.name)


class RenameController:
    """Users and groups change their names; roles do not."""

    def __init__(self, gate: Gate, directory: Directory, kind: EntityKind) -> None:
        self._gate = gate
        self._directory = directory
        self._kind = kind
        self.words = {"Kind": kind.capitalize()}

    @action("Update{Kind}")
    def update_entity(self, req: QueryRequest) -> None:
        """Change name or path; what belongs to it stays. Asked for on both ARNs, as AWS has it."""
        entity = self._gate.named(req, self._kind)
        new_name = req.parameters.optional(f"New{self.words['Kind']}Name")
        new_path = req.parameters.optional("NewPath")
        renamed = entity._replace(name=new_name or entity.name, path=new_path or entity.path)
        self._gate.permit(req, renamed.arn)
        self._directory.rename(entity.account_id, self._kind, entity.name, new_name=new_name, new_path=new_path)
