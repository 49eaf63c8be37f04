"""CreateRole, GetRole, UpdateRole, UpdateRoleDescription, UpdateAssumeRolePolicy."""

from __future__ import annotations

from nova_objectstore.iam.actions.gate import Gate, requested_boundary, requested_tags
from nova_objectstore.iam.actions.shapes import entity_whole
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.limits import SESSION_DEFAULT_S, SESSION_MAX_S, SESSION_MIN_S
from nova_objectstore.iam.names import check_name, check_path
from nova_objectstore.iam.ports import ROLE
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import structure
from nova_objectstore.query.request import QueryRequest


class RoleController:
    """Roles: what STS gives sessions of."""

    def __init__(self, gate: Gate, directory: Directory) -> None:
        self._gate = gate
        self._directory = directory

    @action("CreateRole")
    def create_role(self, req: QueryRequest) -> Answer:
        """Add a role that those may assume whom its trust policy names."""
        parameters, account_id = req.parameters, req.principal.account_id
        name = check_name(ROLE, parameters.required("RoleName"))
        path = check_path(parameters.text("Path", "/"))
        boundary = parameters.text("PermissionsBoundary")
        tags = parameters.tags()
        told = {**requested_tags(tags), **requested_boundary(boundary)}
        self._gate.permit(req, f"arn:aws:iam::{account_id}:role{path}{name}", told)
        role = self._directory.create_role(
            account_id,
            name,
            trust=parameters.required("AssumeRolePolicyDocument"),
            path=path,
            description=parameters.text("Description"),
            max_session_s=_max_session(req) or SESSION_DEFAULT_S,
            boundary=boundary,
            tags=tags,
        )
        return [structure("Role", [entity_whole(role)])]

    @action("GetRole")
    def get_role(self, req: QueryRequest) -> Answer:
        """A role."""
        return [structure("Role", [entity_whole(self._gate.named(req, ROLE))])]

    @action("UpdateRole")
    def update_role(self, req: QueryRequest) -> Answer:
        """Change the description, or the longest session."""
        role = self._gate.named(req, ROLE)
        self._directory.update_role(
            role.account_id,
            role.name,
            description=req.parameters.optional("Description"),
            max_session_s=_max_session(req),
        )
        return []

    @action("UpdateRoleDescription")
    def update_role_description(self, req: QueryRequest) -> Answer:
        """Change the description: the older action for it."""
        description = req.parameters.text("Description")
        role = self._gate.named(req, ROLE)
        changed = self._directory.update_role(role.account_id, role.name, description=description)
        return [structure("Role", [entity_whole(changed)])]

    @action("UpdateAssumeRolePolicy")
    def update_assume_role_policy(self, req: QueryRequest) -> None:
        """Replace who may assume a role."""
        document = req.parameters.required("PolicyDocument")
        role = self._gate.named(req, ROLE)
        self._directory.set_trust(role.account_id, role.name, document)


def _max_session(req: QueryRequest) -> int | None:
    if not req.parameters.has("MaxSessionDuration"):
        return None
    return req.parameters.number("MaxSessionDuration", SESSION_DEFAULT_S, low=SESSION_MIN_S, high=SESSION_MAX_S)
