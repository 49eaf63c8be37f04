"""From a request to a session of a role: who may begin it, and what it is given.

Laws (AWS: "AssumeRole", "Role chaining", "Pass session tags in AWS STS", "Monitor and control actions taken with assumed
roles"):

- A root assumes no role. A federated user begins no session.
- Who may not assume a role does not learn whether it is there.
- A session that another one began has that one's transitive tags and its source identity, which nothing changes any more,
  and lasts an hour at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from nova_objectstore.domain.access import IdentityPolicies
from nova_objectstore.domain.access_context import QuestionFacts
from nova_objectstore.domain.policy.document import Kind, Policy, parse_policy
from nova_objectstore.domain.policy.patterns import normalise_key
from nova_objectstore.domain.policy.principals import names_of
from nova_objectstore.errors import AccessDenied
from nova_objectstore.iam.errors import NoSuchEntity
from nova_objectstore.iam.ports import ROLE, Entity, IamStore
from nova_objectstore.query.context import QueryContext
from nova_objectstore.query.faults import ValidationError
from nova_objectstore.sts.oidc import WebIdentity
from nova_objectstore.sts.parameters import Limits, RoleArn
from nova_objectstore.sts.session import Session
from nova_objectstore.sts.trust import ASSUME, ASSUME_WEB, SET_SOURCE, TAG, may_assume, web_identity_may_assume
from nova_objectstore.types import Principal, SessionKind

CHAINED_S_MAX = 3600
TRUST_POLICIES_CACHED_MAX = 1000  # of 2 KB of text each


class Wish(NamedTuple):
    """What a session of a role is to be."""

    role: RoleArn
    name: str
    duration_s: int
    limits: Limits
    tags: Mapping[str, str] = {}
    transitive: Sequence[str] = ()
    source_identity: str = ""
    external_id: str | None = None


class Roles:
    """Decides who may assume roles."""

    def __init__(self, iam: IamStore, identities: IdentityPolicies) -> None:
        self._iam = iam
        self._identities = identities

    def assume(self, principal: Principal, wish: Wish, context: QueryContext) -> tuple[Entity, Session]:
        """The role and the session that ``principal`` may begin. Raises AccessDenied, ValidationError."""
        if principal.is_root:
            raise AccessDenied("Roles may not be assumed by root accounts.")
        role = self._find(wish.role)
        kind, inherited, source_identity = _inherited(principal)
        if role is None or kind is SessionKind.FEDERATED:
            raise _denied(principal, ASSUME, wish.role)
        if source_identity and wish.source_identity not in ("", source_identity):
            raise _denied(principal, SET_SOURCE, wish.role)
        wish = wish._replace(source_identity=wish.source_identity or source_identity)
        facts = QuestionFacts(principal, None, context.telling(_condition_keys(wish, role)))
        allowed = may_assume(
            _compile(role.trust),
            self._identities.of(principal),
            names_of(principal),
            _actions(ASSUME, wish, inherited),
            role_arn=role.arn,
            facts=facts,
            same_account=principal.account_id == role.account_id,
        )
        if not allowed:
            raise _denied(principal, ASSUME, wish.role)
        if kind is SessionKind.ROLE and wish.duration_s > CHAINED_S_MAX:
            raise ValidationError(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
        keys = {"aws:multifactorauthpresent": "false"}
        return role, _session(role, wish, keys, context.now_s, inherited=inherited)

    def assume_with_web_identity(
        self, identity: WebIdentity, provider_arn: str, wish: Wish, context: QueryContext
    ) -> tuple[Entity, Session]:
        """The role and the session that somebody with a verified token may begin. Raises AccessDenied, ValidationError."""
        keys = web_identity_keys(identity, provider_arn)
        role = self._find(wish.role)
        allowed = role is not None and web_identity_may_assume(
            _compile(role.trust),
            provider_arn,
            _actions(ASSUME_WEB, wish, {}),
            role_arn=role.arn,
            facts=context.telling({**_condition_keys(wish, role), **keys}),
        )
        if role is None or not allowed:
            raise AccessDenied(f"Not authorized to perform {ASSUME_WEB}")
        lasting = {key: values[0] for key, values in keys.items() if len(values) == 1}
        return role, _session(role, wish, lasting, context.now_s, inherited={})

    def _find(self, arn: RoleArn) -> Entity | None:
        try:
            role = self._iam.find_entity(arn.account_id, ROLE, arn.name)
        except NoSuchEntity:
            return None
        return role if role.arn == arn.text else None


def _inherited(principal: Principal) -> tuple[SessionKind | None, Mapping[str, str], str]:
    """The kind of the asking session, None of who asks with a key of its own; the tags and source identity that go on."""
    begun = principal.begun
    return (None, {}, "") if begun is None else (begun.kind, begun.transitive_tags, begun.source_identity)


def web_identity_keys(identity: WebIdentity, provider_arn: str) -> Mapping[str, Sequence[str]]:
    """The condition keys of a token (AWS: "Available keys for AWS web identity federation").

    ``aud`` is the party that the token was made for: ``azp`` where it has one, and then its ``aud`` is ``oaud``.
    """
    told: dict[str, Sequence[str]] = {"aud": identity.parties, "sub": (identity.subject,)}
    if identity.authorised_party:
        told |= {"azp": (identity.authorised_party,), "oaud": identity.audiences}
    if identity.amr:
        told["amr"] = identity.amr
    keys = {normalise_key(f"{identity.provider}:{name}"): values for name, values in told.items() if values}
    return {**keys, "aws:federatedprovider": (provider_arn,)}


def _denied(principal: Principal, action: str, role: RoleArn) -> AccessDenied:
    return AccessDenied(f"User: {principal.arn} is not authorized to perform: {action} on resource: {role.text}")


def _actions(action: str, wish: Wish, inherited: Mapping[str, str]) -> Sequence[str]:
    """What must be allowed: what a session inherits is asked for with every role of the chain."""
    actions = [action]
    if wish.tags or inherited:
        actions.append(TAG)
    if wish.source_identity:
        actions.append(SET_SOURCE)
    return actions


def _condition_keys(wish: Wish, role: Entity) -> Mapping[str, Sequence[str]]:
    """What policies may ask of the wish, and of the role."""
    keys: dict[str, Sequence[str]] = {
        "sts:rolesessionname": (wish.name,),
        "sts:durationseconds": (str(wish.duration_s),),
        "aws:resourceaccount": (role.account_id,),
    }
    if wish.external_id is not None:
        keys["sts:externalid"] = (wish.external_id,)
    if wish.source_identity:
        keys["sts:sourceidentity"] = (wish.source_identity,)
    if wish.tags:
        keys["aws:tagkeys"] = tuple(wish.tags)
    if wish.transitive:
        keys["sts:transitivetagkeys"] = tuple(wish.transitive)
    keys.update((f"aws:requesttag/{name}", (value,)) for name, value in wish.tags.items())
    for name, value in role.tags.items():
        keys[f"aws:resourcetag/{name}"] = keys[f"iam:resourcetag/{name}"] = (value,)
    return keys


def _session(
    role: Entity, wish: Wish, keys: Mapping[str, str], now_s: float, *, inherited: Mapping[str, str]
) -> Session:
    if wish.duration_s > role.max_session_s:
        raise ValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if {name.lower() for name in inherited} & {name.lower() for name in wish.tags}:
        raise ValidationError(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from "
            "the calling session."
        )
    issued_s = int(now_s)
    return Session(
        SessionKind.ROLE,
        role.account_id,
        role.name,
        role.id,
        wish.name,
        issued_s,
        issued_s + wish.duration_s,
        wish.limits.policies,
        wish.limits.policy_arns,
        {**inherited, **wish.tags},
        (*inherited, *wish.transitive),
        wish.source_identity,
        keys,
    )


@lru_cache(TRUST_POLICIES_CACHED_MAX)
def _compile(text: str) -> Policy:
    return parse_policy(text, Kind.TRUST)
