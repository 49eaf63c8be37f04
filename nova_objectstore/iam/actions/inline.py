"""Put, Get, List and Delete of the policies that are part of one user, group or role."""

from __future__ import annotations

from nova_objectstore.iam.actions.gate import Gate
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.shapes import encoded
from nova_objectstore.iam.names import check_policy_name
from nova_objectstore.iam.policies import Policies
from nova_objectstore.iam.ports import EntityKind
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element, texts
from nova_objectstore.query.request import QueryRequest


class InlinePolicyController:
    """Inline policies of one kind of things."""

    def __init__(self, gate: Gate, policies: Policies, kind: EntityKind) -> None:
        self._gate = gate
        self._policies = policies
        self._kind = kind
        self.words = {"Kind": kind.capitalize()}

    @action("Put{Kind}Policy")
    def put_policy(self, req: QueryRequest) -> None:
        """Add or replace a policy: it counts at once."""
        name = check_policy_name(req.parameters.required("PolicyName"))
        document = req.parameters.required("PolicyDocument")
        entity = self._gate.named(req, self._kind)
        self._policies.put_inline(entity.account_id, self._kind, entity.name, name, document)

    @action("Get{Kind}Policy")
    def get_policy(self, req: QueryRequest) -> Answer:
        """A policy's document."""
        name = check_policy_name(req.parameters.required("PolicyName"))
        entity = self._gate.named(req, self._kind)
        document = self._gate.iam.find_inline_policy(entity.account_id, self._kind, entity.name, name)
        return [
            element(f"{self.words['Kind']}Name", entity.name),
            element("PolicyName", name),
            element("PolicyDocument", encoded(document)),
        ]

    @action("List{Kind}Policies")
    def list_policies(self, req: QueryRequest) -> Answer:
        """The names of the policies."""
        page = read_page(req)
        entity = self._gate.named(req, self._kind)
        names = self._gate.iam.list_inline_policies(
            entity.account_id, self._kind, entity.name, after=page.after, limit=page.limit + 1
        )
        marker = names[page.limit - 1] if len(names) > page.limit else ""
        return [texts("PolicyNames", names[: page.limit]), *page.end(marker)]

    @action("Delete{Kind}Policy")
    def delete_policy(self, req: QueryRequest) -> None:
        """Remove a policy."""
        name = check_policy_name(req.parameters.required("PolicyName"))
        entity = self._gate.named(req, self._kind)
        self._gate.iam.delete_inline_policy(entity.account_id, self._kind, entity.name, name)
