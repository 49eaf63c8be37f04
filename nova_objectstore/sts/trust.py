"""Who may assume a role: what its trust policy says, and what the caller's own policies say.

Laws (AWS: "Policy evaluation logic", "Switching to a role", "Cross-account policy evaluation logic"):

- The trust policy must allow it, whoever asks: an identity policy alone never lets anybody into a role, not even of the
  same account.
- Within the role's account, a trust policy that names the caller itself is enough; one that names the account leaves the
  decision to the caller's policies. From another account, these must allow it as well.
- What a session is given besides (tags, a source identity) is asked for as an action of its own, by the same rules.
- A web identity has no policies. It must be named by its provider; ``"*"`` does not mean everybody with some token.
"""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.domain.policy.document import Policy
from nova_objectstore.domain.policy.evaluate import PrincipalPolicies, Question, judge, judge_identity
from nova_objectstore.domain.policy.patterns import Facts
from nova_objectstore.domain.policy.principals import Grip, Names

ASSUME, ASSUME_WEB = "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"
TAG, SET_SOURCE = "sts:TagSession", "sts:SetSourceIdentity"


def may_assume(
    trust: Policy,
    policies: PrincipalPolicies,
    names: Names,
    actions: Sequence[str],
    *,
    role_arn: str,
    facts: Facts,
    same_account: bool,
) -> bool:
    """Whether a principal may do all of ``actions`` with the role: ASSUME, and what the session is given besides."""
    for action in actions:
        question = Question.of(names, action, role_arn, facts)
        trusted, own = judge(trust, question), judge_identity(policies, question)
        if trusted.denies or own.denies or trusted.grip is Grip.NONE:
            return False
        named = trusted.grip is Grip.DIRECT or (trusted.grip is Grip.ROLE and own.within)
        if not (own.allows or (same_account and named)):
            return False
    return True


def web_identity_may_assume(
    trust: Policy, provider_arn: str, actions: Sequence[str], *, role_arn: str, facts: Facts
) -> bool:
    """Whether somebody with a token of the provider's may do all of ``actions`` with the role."""
    names = Names(own=f"federated:{provider_arn}", everybody=Grip.NONE)
    for action in actions:
        verdict = judge(trust, Question.of(names, action, role_arn, facts))
        if verdict.denies or verdict.grip is not Grip.DIRECT:
            return False
    return True
