"""Managed policies, their versions and tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nova_objectstore.iam.actions.gate import NOTHING_TOLD, Gate, Told, requested_tags
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.actions.shapes import UNUSED, policy_row, policy_whole, version_row
from nova_objectstore.iam.actions.tags import render_tags
from nova_objectstore.iam.limits import POLICIES_MAX
from nova_objectstore.iam.managed import AWS_POLICIES
from nova_objectstore.iam.names import check_path, check_path_prefix, check_policy_name, parse_version
from nova_objectstore.iam.policies import Policies, check_policy_arn
from nova_objectstore.iam.ports import ManagedPolicy, PolicyUse
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import structure
from nova_objectstore.query.request import QueryRequest

_SCOPES = ("All", "AWS", "Local")
_USED_AS: Mapping[str, Callable[[PolicyUse], int]] = {
    "": lambda use: use.attached + use.boundaries,
    "PermissionsPolicy": lambda use: use.attached,
    "PermissionsBoundary": lambda use: use.boundaries,
}


class ManagedPolicyController:
    """Managed policies: an account's own, and AWS's, which can be looked at."""

    def __init__(self, gate: Gate, policies: Policies) -> None:
        self._gate = gate
        self._policies = policies

    def _arn(self, req: QueryRequest, told: Told = NOTHING_TOLD) -> str:
        """The policy that a request names, once who asks may."""
        arn = check_policy_arn(req.parameters.required("PolicyArn"))
        self._gate.permit(req, arn, told)
        return arn

    @action("CreatePolicy")
    def create_policy(self, req: QueryRequest) -> Answer:
        """Add a policy with its first version."""
        parameters, account_id = req.parameters, req.principal.account_id
        name = check_policy_name(parameters.required("PolicyName"))
        path = check_path(parameters.text("Path", "/"))
        tags = parameters.tags()
        self._gate.permit(req, f"arn:aws:iam::{account_id}:policy{path}{name}", requested_tags(tags))
        policy = self._policies.create(
            account_id,
            name,
            parameters.required("PolicyDocument"),
            path=path,
            description=parameters.text("Description"),
            tags=tags,
        )
        return [structure("Policy", [policy_whole(policy)])]

    @action("GetPolicy")
    def get_policy(self, req: QueryRequest) -> Answer:
        """A policy, and how many have it."""
        arn = self._arn(req)
        policy = self._policies.find(req.principal.account_id, arn)
        use = self._gate.iam.count_policy_uses(req.principal.account_id).get(arn, UNUSED)
        return [structure("Policy", [policy_whole(policy, use)])]

    @action("ListPolicies")
    def list_policies(self, req: QueryRequest) -> Answer:
        """Policies by name: the account's own first."""
        parameters, account_id = req.parameters, req.principal.account_id
        prefix = check_path_prefix(parameters.text("PathPrefix", "/"))
        scope = parameters.choice("Scope", _SCOPES, "All")
        used_as = parameters.choice("PolicyUsageFilter", tuple(_USED_AS))
        only_used = parameters.flag("OnlyAttached") or bool(used_as)
        page = read_page(req)
        self._gate.permit(req, f"arn:aws:iam::{account_id}:policy{prefix}")
        found = list(self._all(account_id, prefix, scope))
        uses = self._gate.iam.count_policy_uses(account_id)
        if only_used:
            found = [policy for policy in found if _USED_AS[used_as](uses.get(policy.arn, UNUSED))]
        return page.render(
            "Policies", page.of(found, _order), _order, lambda policy: policy_row(policy, uses.get(policy.arn, UNUSED))
        )

    def _all(self, account_id: str, prefix: str, scope: str) -> list[ManagedPolicy]:
        """In the order of ``_order``."""
        found: list[ManagedPolicy] = []
        if scope != "AWS":
            found += self._gate.iam.list_policies(account_id, path_prefix=prefix, limit=POLICIES_MAX)
        if scope != "Local":
            found += [policy for policy in AWS_POLICIES.values() if policy.path.startswith(prefix)]
        return sorted(found, key=_order)

    @action("DeletePolicy")
    def delete_policy(self, req: QueryRequest) -> None:
        """Remove a policy that nobody has, once its other versions are gone."""
        arn = self._arn(req)
        self._policies.find_own(req.principal.account_id, arn)
        self._gate.iam.delete_policy(req.principal.account_id, arn)

    # -- versions ------------------------------------------------------------------------------------------------------

    @action("CreatePolicyVersion")
    def create_policy_version(self, req: QueryRequest) -> Answer:
        """Add a version; where it is made the default, it counts at once for all who have the policy."""
        document = req.parameters.required("PolicyDocument")
        is_default = req.parameters.flag("SetAsDefault")
        arn = self._arn(req)
        account_id = req.principal.account_id
        version = self._policies.create_version(account_id, arn, document, is_default=is_default)
        default = version.number if is_default else 0
        return [structure("PolicyVersion", [version_row(version, default=default, document=False)])]

    @action("GetPolicyVersion")
    def get_policy_version(self, req: QueryRequest) -> Answer:
        """A version and its document."""
        number = parse_version(req.parameters.required("VersionId"))
        arn, account_id = self._arn(req), req.principal.account_id
        default = self._policies.find(account_id, arn).default_number
        version = self._policies.version(account_id, arn, number)
        return [structure("PolicyVersion", [version_row(version, default=default, document=True)])]

    @action("ListPolicyVersions")
    def list_policy_versions(self, req: QueryRequest) -> Answer:
        """The versions, newest first."""
        page = read_page(req)
        arn, account_id = self._arn(req), req.principal.account_id
        default = self._policies.find(account_id, arn).default_number
        versions = self._policies.versions(account_id, arn)
        left = [version for version in versions if not page.after or version.number < parse_version(page.after)]
        return page.render(
            "Versions",
            left[: page.limit + 1],
            lambda version: f"v{version.number}",
            lambda version: version_row(version, default=default, document=False),
        )

    @action("SetDefaultPolicyVersion")
    def set_default_policy_version(self, req: QueryRequest) -> None:
        """Make another version the one that counts."""
        number = parse_version(req.parameters.required("VersionId"))
        self._policies.set_default_version(req.principal.account_id, self._arn(req), number)

    @action("DeletePolicyVersion")
    def delete_policy_version(self, req: QueryRequest) -> None:
        """Remove a version that is not the default one."""
        number = parse_version(req.parameters.required("VersionId"))
        arn, account_id = self._arn(req), req.principal.account_id
        self._policies.find_own(account_id, arn)
        self._gate.iam.delete_policy_version(account_id, arn, number)

    # -- tags ----------------------------------------------------------------------------------------------------------

    @action("TagPolicy")
    def tag_policy(self, req: QueryRequest) -> None:
        """Add or replace tags."""
        tags = req.parameters.tags()
        self._policies.tag(req.principal.account_id, self._arn(req, requested_tags(tags)), tags)

    @action("UntagPolicy")
    def untag_policy(self, req: QueryRequest) -> None:
        """Remove tags."""
        keys = req.parameters.members("TagKeys")
        self._policies.untag(req.principal.account_id, self._arn(req, {"aws:tagkeys": keys} if keys else {}), keys)

    @action("ListPolicyTags")
    def list_policy_tags(self, req: QueryRequest) -> Answer:
        """Tags, by key."""
        page = read_page(req)
        return render_tags(page, dict(self._policies.find(req.principal.account_id, self._arn(req)).tags))


def _order(policy: ManagedPolicy) -> str:
    """The account's own before AWS's, each by name: digits sort before letters."""
    return f"{policy.account_id}/{policy.name.lower()}"
