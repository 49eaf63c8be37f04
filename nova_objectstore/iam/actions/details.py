"""GetAccountAuthorizationDetails: everything that decides who may do what in an account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nova_objectstore.iam.actions.gate import Gate
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.shapes import UNUSED, attached_row, encoded, entity_detail, policy_whole, version_row
from nova_objectstore.iam.limits import POLICIES_MAX, USERS_MAX
from nova_objectstore.iam.managed import AWS_POLICIES
from nova_objectstore.iam.policies import Policies
from nova_objectstore.iam.ports import GROUP, ROLE, USER, Entity, EntityKind, ManagedPolicy
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element, members, texts
from nova_objectstore.query.faults import ValidationError
from nova_objectstore.query.request import QueryRequest

_KINDS = {"User": USER, "Group": GROUP, "Role": ROLE}
_LOCAL, _AWS = "LocalManagedPolicy", "AWSManagedPolicy"
_FILTERS = (*_KINDS, _LOCAL, _AWS)
_LISTS = {"User": "UserDetailList", "Group": "GroupDetailList", "Role": "RoleDetailList"}
_INLINE_LISTS = {USER: "UserPolicyList", GROUP: "GroupPolicyList", ROLE: "RolePolicyList"}


class DetailController:
    """The account's users, groups, roles and policies, with all that belongs to each."""

    def __init__(self, gate: Gate, policies: Policies) -> None:
        self._gate = gate
        self._policies = policies
        self._iam = policies.iam

    @action("GetAccountAuthorizationDetails")
    def get_account_authorization_details(self, req: QueryRequest) -> Answer:
        """A page of them, in the order of what they are and of their names."""
        filters = req.parameters.members("Filter") or list(_FILTERS)
        unknown = [text for text in filters if text not in _FILTERS]
        if unknown:
            raise ValidationError(f"The specified value for filter is invalid: {unknown[0][:50]}")
        page = read_page(req)
        self._gate.permit(req, "*")
        account_id = req.principal.account_id
        found = sorted(_each(self._entities(account_id, filters), self._managed(account_id, filters)))
        shown = page.of(found, lambda item: item[0])
        marker = shown[page.limit - 1][0] if len(shown) > page.limit else ""
        rows = [thing for _, thing in shown[: page.limit]]
        return [*self._render(account_id, rows), *page.end(marker)]

    def _entities(self, account_id: str, filters: Sequence[str]) -> Iterator[Entity]:
        for word, kind in _KINDS.items():
            if word in filters:
                yield from self._iam.list_entities(account_id, kind, limit=USERS_MAX)

    def _managed(self, account_id: str, filters: Sequence[str]) -> Iterator[ManagedPolicy]:
        """The account's own, and those of AWS that it uses."""
        if _LOCAL in filters:
            yield from self._iam.list_policies(account_id, limit=POLICIES_MAX)
        if _AWS in filters:
            used = self._iam.count_policy_uses(account_id)
            yield from (policy for arn, policy in AWS_POLICIES.items() if arn in used)

    def _render(self, account_id: str, rows: Sequence[Entity | ManagedPolicy]) -> Iterator[str]:
        for word, kind in _KINDS.items():
            entities = [row for row in rows if isinstance(row, Entity) and row.kind is kind]
            yield members(_LISTS[word], (self._entity(entity) for entity in entities))
        uses = self._iam.count_policy_uses(account_id)
        managed = [row for row in rows if isinstance(row, ManagedPolicy)]
        yield members(
            "Policies",
            (policy_whole(row, uses.get(row.arn, UNUSED)) + self._versions(account_id, row) for row in managed),
        )

    def _versions(self, account_id: str, policy: ManagedPolicy) -> str:
        versions = self._policies.versions(account_id, policy.arn)
        return members(
            "PolicyVersionList",
            (version_row(version, default=policy.default_number, document=True) for version in versions),
        )

    def _entity(self, entity: Entity) -> str:
        attached = self._iam.list_attached_policies(entity.account_id, entity.kind, entity.name)
        parts = [
            entity_detail(entity),
            members(_INLINE_LISTS[entity.kind], self._inline(entity)),
            members("AttachedManagedPolicies", (attached_row(arn) for arn in attached)),
        ]
        if entity.kind is EntityKind.USER:
            groups = self._iam.list_groups_of(entity.account_id, entity.name)
            parts.append(texts("GroupList", (group.name for group in groups)))
        return "".join(parts)

    def _inline(self, entity: Entity) -> Iterator[str]:
        for name in self._iam.list_inline_policies(entity.account_id, entity.kind, entity.name):
            document = self._iam.find_inline_policy(entity.account_id, entity.kind, entity.name, name)
            yield element("PolicyName", name) + element("PolicyDocument", encoded(document))


def _each(
    entities: Iterator[Entity], policies: Iterator[ManagedPolicy]
) -> Iterator[tuple[str, Entity | ManagedPolicy]]:
    """What there is, with the word by which it is in order and which a marker names."""
    yield from ((f"{entity.kind}/{entity.name.lower()}", entity) for entity in entities)
    yield from ((f"z-policy/{policy.account_id}/{policy.name.lower()}", policy) for policy in policies)
