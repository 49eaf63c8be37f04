"""What policies say to a request, one by one and together.

Laws (AWS: "Policy evaluation logic"):

- An explicit deny, in whichever policy, wins. What nothing allows is denied.
- Within the account of the resource, its policy *or* an identity policy allows; from another account both must.
- A permission boundary and a session's policies only narrow what identity policies allow. They do not narrow what the
  resource's policy gives to the principal itself, and do narrow what it gives to the role or to everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nova_objectstore.domain.policy.document import Policy, Statement
from nova_objectstore.domain.policy.patterns import Facts, split_arn
from nova_objectstore.domain.policy.principals import Grip, Names


class Question(NamedTuple):
    """A request as policies see it. ``resource`` is an ARN, split into its parts."""

    names: Names
    action: str
    resource: Sequence[str]
    facts: Facts

    @classmethod
    def of(cls, names: Names, action: str, arn: str, facts: Facts) -> Question:
        """The question whether ``names`` may do ``action`` on ``arn``."""
        return cls(names, action, split_arn(arn), facts)


class Verdict(NamedTuple):
    """What one policy says. ``grip``: how directly it allows, NONE when it does not."""

    denies: bool
    grip: Grip


SILENCE = Verdict(denies=False, grip=Grip.NONE)


def judge(policy: Policy, question: Question) -> Verdict:
    """What a policy says to a request; an identity's policy, which names nobody, speaks to its identity itself."""
    grip = Grip.NONE
    for statement in policy.statements:
        if not statement.allows:
            if _reach(statement, question) is not Grip.NONE:
                return Verdict(denies=True, grip=Grip.NONE)
        elif grip is not Grip.DIRECT:
            grip = max(grip, _reach(statement, question))
    return Verdict(denies=False, grip=grip)


def _reach(statement: Statement, question: Question) -> Grip:
    """How directly a statement speaks of the request, NONE when it does not."""
    if statement.actions.covers(question.action) is statement.not_action:
        return Grip.NONE
    grip = _grip(statement, question.names)
    if grip is Grip.NONE or not _covers_resource(statement, question):
        return Grip.NONE
    if all(condition.holds(question.facts) for condition in statement.conditions):
        return grip
    return Grip.NONE


def _grip(statement: Statement, names: Names) -> Grip:
    if statement.principals is None:
        return Grip.DIRECT
    if statement.not_principal:
        return Grip.NONE if statement.principals.spares(names) else Grip.DIRECT
    return statement.principals.grip(names)


def _covers_resource(statement: Statement, question: Question) -> bool:
    resources = statement.resources
    if resources is None:
        return True
    covered = resources.everything or any(
        pattern.matches(question.resource, question.facts) for pattern in resources.patterns
    )
    return covered is not statement.not_resource


class PrincipalPolicies(NamedTuple):
    """What is attached to a principal. An account's root has none, and may do everything to what is its account's.

    ``session``: the policies given when the session began, None where none were.
    """

    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    is_root: bool = False


ROOT = PrincipalPolicies(is_root=True)
NOTHING = PrincipalPolicies()


class IdentityVerdict(NamedTuple):
    """What a principal's own policies say together. ``within``: boundary and session policies leave room for it."""

    denies: bool
    allows: bool
    within: bool


def judge_identity(policies: PrincipalPolicies, question: Question) -> IdentityVerdict:
    """What a principal's policies say to a request."""
    if policies.is_root:
        return IdentityVerdict(denies=False, allows=True, within=True)
    identity = [judge(policy, question) for policy in policies.identity]
    boundary = [judge(policy, question) for policy in (policies.boundary,) if policy is not None]
    session = [judge(policy, question) for policy in policies.session or ()]
    if any(verdict.denies for verdict in (*identity, *boundary, *session)):
        return IdentityVerdict(denies=True, allows=False, within=False)
    within = all(verdict.grip for verdict in boundary)
    within = within and (policies.session is None or any(verdict.grip for verdict in session))
    return IdentityVerdict(False, within and any(verdict.grip for verdict in identity), within)


def combine(identity: IdentityVerdict, resource: Verdict, *, same_account: bool, has_identity: bool) -> bool:
    """Whether a request is allowed.

    ``same_account``: the principal is of the account that owns the resource. ``has_identity``: it is of an account at
    all; who did not sign, and this store's own services, have only the resource's policy.
    """
    if identity.denies or resource.denies:
        return False
    if not has_identity:
        return resource.grip is Grip.DIRECT
    if not same_account:
        return identity.allows and resource.grip is not Grip.NONE
    return identity.allows or resource.grip is Grip.DIRECT or (resource.grip is Grip.ROLE and identity.within)


__all__ = [
    "NOTHING", "ROOT", "SILENCE", "IdentityVerdict", "PrincipalPolicies", "Question", "Verdict", "combine", "judge",
    "judge_identity",
]  # fmt: skip
