"""GetAccountSummary, ListAccountAliases."""

from __future__ import annotations

from nova_objectstore.iam import limits
from nova_objectstore.iam.actions.gate import Gate
from nova_objectstore.iam.actions.pages import read_page
from nova_objectstore.iam.ports import AccountSummary, IamStore
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import entries, texts
from nova_objectstore.query.request import QueryRequest

_QUOTAS = {
    "UsersQuota": limits.USERS_MAX,
    "GroupsQuota": limits.GROUPS_MAX,
    "RolesQuota": limits.ROLES_MAX,
    "PoliciesQuota": limits.POLICIES_MAX,
    "AccessKeysPerUserQuota": limits.KEYS_PER_USER_MAX,
    "GroupsPerUserQuota": limits.GROUPS_PER_USER_MAX,
    "AttachedPoliciesPerUserQuota": limits.ATTACHED_MAX,
    "AttachedPoliciesPerGroupQuota": limits.ATTACHED_MAX,
    "AttachedPoliciesPerRoleQuota": limits.ATTACHED_MAX,
    "VersionsPerPolicyQuota": limits.VERSIONS_MAX,
    "PolicyVersionsInUseQuota": limits.POLICIES_MAX * limits.VERSIONS_MAX,
    "PolicySizeQuota": limits.MANAGED_POLICY_CHARS_MAX,
    "UserPolicySizeQuota": limits.INLINE_CHARS_MAX["user"],
    "GroupPolicySizeQuota": limits.INLINE_CHARS_MAX["group"],
    "RolePolicySizeQuota": limits.INLINE_CHARS_MAX["role"],
    "AssumeRolePolicySizeQuota": limits.TRUST_POLICY_CHARS_MAX,
    "GlobalEndpointTokenVersion": 1,
}
# What AWS counts and this store does not have.
_ABSENT = ("MFADevices", "MFADevicesInUse", "AccountMFAEnabled", "AccountPasswordPresent",
           "AccountSigningCertificatesPresent", "ServerCertificates", "InstanceProfiles")  # fmt: skip


class AccountController:
    """The account as a whole."""

    def __init__(self, gate: Gate, iam: IamStore) -> None:
        self._gate = gate
        self._iam = iam

    @action("GetAccountSummary")
    def get_account_summary(self, req: QueryRequest) -> Answer:
        """How much there is of everything, and may be."""
        self._gate.permit(req, "*")
        counted = _counts(self._iam.count_account(req.principal.account_id))
        numbers = {**counted, **_QUOTAS, **dict.fromkeys(_ABSENT, 0)}
        return [entries("SummaryMap", {name: str(number) for name, number in sorted(numbers.items())})]

    @action("ListAccountAliases")
    def list_account_aliases(self, req: QueryRequest) -> Answer:
        """Aliases are of AWS's sign-in page: there are none."""
        page = read_page(req)
        self._gate.permit(req, "*")
        return [texts("AccountAliases", ()), *page.end("")]


def _counts(summary: AccountSummary) -> dict[str, int]:
    return {
        "Users": summary.users,
        "Groups": summary.groups,
        "Roles": summary.roles,
        "Policies": summary.policies,
        "Providers": summary.providers,
        "PolicyVersionsInUse": summary.versions,
        "AccountAccessKeysPresent": int(summary.root_keys > 0),
    }
