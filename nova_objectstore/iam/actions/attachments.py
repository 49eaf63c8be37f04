"""Attach, Detach and ListAttached of managed policies; ListEntitiesForPolicy."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.iam.actions.gate import Gate
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.shapes import attached_row
from nova_objectstore.iam.names import check_path_prefix
from nova_objectstore.iam.policies import Policies, check_policy_arn
from nova_objectstore.iam.ports import GROUP, ROLE, USER, Entity, EntityKind
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element, members
from nova_objectstore.query.request import QueryRequest

_FILTERS = {"": (GROUP, ROLE, USER), "User": (USER,), "Group": (GROUP,), "Role": (ROLE,)}
# LocalManagedPolicy and AWSManagedPolicy are of ListEntitiesForPolicy's model and name no entity.
_USES = ("PermissionsPolicy", "PermissionsBoundary")


def path_of(arn: str) -> str:
    """The path in a policy's ARN."""
    return arn.partition(":policy")[2].rpartition("/")[0] + "/"


class AttachmentController:
    """What is attached to one kind of things."""

    def __init__(self, gate: Gate, policies: Policies, kind: EntityKind) -> None:
        self._gate = gate
        self._policies = policies
        self._kind = kind
        self.words = {"Kind": kind.capitalize()}

    @action("Attach{Kind}Policy")
    def attach_policy(self, req: QueryRequest) -> None:
        """Attach a policy: it counts at once."""
        arn = req.parameters.required("PolicyArn")
        entity = self._gate.named(req, self._kind, {"iam:policyarn": (arn,)})
        self._policies.attach(entity.account_id, self._kind, entity.name, arn)

    @action("Detach{Kind}Policy")
    def detach_policy(self, req: QueryRequest) -> None:
        """Detach a policy."""
        arn = req.parameters.required("PolicyArn")
        entity = self._gate.named(req, self._kind, {"iam:policyarn": (arn,)})
        self._policies.detach(entity.account_id, self._kind, entity.name, arn)

    @action("ListAttached{Kind}Policies")
    def list_attached_policies(self, req: QueryRequest) -> Answer:
        """The policies that are attached, in the order of their ARNs."""
        prefix = check_path_prefix(req.parameters.text("PathPrefix", "/"))
        page = read_page(req)
        entity = self._gate.named(req, self._kind)
        arns = self._gate.iam.list_attached_policies(entity.account_id, self._kind, entity.name)
        shown = page.of([arn for arn in arns if path_of(arn).startswith(prefix)], str)
        return page.render("AttachedPolicies", shown, str, attached_row)


class PolicyEntityController:
    """Who has a policy."""

    def __init__(self, gate: Gate, policies: Policies) -> None:
        self._gate = gate
        self._policies = policies

    @action("ListEntitiesForPolicy")
    def list_entities_for_policy(self, req: QueryRequest) -> Answer:
        """The account's users, groups and roles that a policy is attached to, or that have it as their boundary."""
        parameters, account_id = req.parameters, req.principal.account_id
        arn = check_policy_arn(parameters.required("PolicyArn"))
        prefix = check_path_prefix(parameters.text("PathPrefix", "/"))
        kinds = _FILTERS.get(parameters.choice("EntityFilter", tuple(_FILTERS)), ())
        used_as = parameters.choice("PolicyUsageFilter", _USES)
        page = read_page(req)
        self._gate.permit(req, arn)
        self._policies.find(account_id, arn)
        found = {entity.id: entity for entity in self._users_of(account_id, arn, used_as)}
        wanted = [entity for entity in found.values() if entity.kind in kinds and entity.path.startswith(prefix)]
        shown = page.of(sorted(wanted, key=_order), _order)
        marker = _order(shown[page.limit - 1]) if len(shown) > page.limit else ""
        shown = shown[: page.limit]
        return [
            *(
                members(f"Policy{kind.capitalize()}s", (_row(entity) for entity in shown if entity.kind is kind))
                for kind in (GROUP, USER, ROLE)
            ),
            *page.end(marker),
        ]

    def _users_of(self, account_id: str, arn: str, used_as: str) -> Sequence[Entity]:
        found: list[Entity] = []
        if used_as != "PermissionsBoundary":
            found += self._gate.iam.list_policy_entities(account_id, arn)
        if used_as != "PermissionsPolicy":
            found += self._gate.iam.list_policy_entities(account_id, arn, boundary=True)
        return found


def _order(entity: Entity) -> str:
    return f"{entity.kind}/{entity.name.lower()}"


def _row(entity: Entity) -> str:
    kind = entity.kind.capitalize()
    return element(f"{kind}Name", entity.name) + element(f"{kind}Id", entity.id)
