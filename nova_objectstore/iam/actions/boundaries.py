"""PutUserPermissionsBoundary, DeleteUserPermissionsBoundary, and the same of roles."""

from __future__ import annotations

from nova_objectstore.iam.actions.gate import Gate, requested_boundary
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.ports import EntityKind
from nova_objectstore.query.action import action
from nova_objectstore.query.request import QueryRequest


class BoundaryController:
    """What a user or a role may be allowed at most."""

    def __init__(self, gate: Gate, directory: Directory, kind: EntityKind) -> None:
        self._gate = gate
        self._directory = directory
        self._kind = kind
        self.words = {"Kind": kind.capitalize()}

    @action("Put{Kind}PermissionsBoundary")
    def put_boundary(self, req: QueryRequest) -> None:
        """Set or replace the boundary: it counts at once."""
        arn = req.parameters.required("PermissionsBoundary")
        entity = self._gate.named(req, self._kind, requested_boundary(arn))
        self._directory.set_boundary(entity.account_id, self._kind, entity.name, arn)

    @action("Delete{Kind}PermissionsBoundary")
    def delete_boundary(self, req: QueryRequest) -> None:
        """Take the boundary away."""
        entity = self._gate.named(req, self._kind)
        self._directory.remove_boundary(entity.account_id, self._kind, entity.name)
