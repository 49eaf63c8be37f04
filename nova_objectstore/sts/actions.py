"""The actions of STS's query API: parse, decide, begin the session, render (AWS: STS API Reference)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nova_objectstore.crypto.jws import BadJws, parse_jws
from nova_objectstore.crypto.session_tokens import TemporaryKey
from nova_objectstore.domain.access import Access
from nova_objectstore.errors import AccessDenied
from nova_objectstore.iam.errors import NoSuchEntity
from nova_objectstore.iam.ports import Entity, IamStore, Provider
from nova_objectstore.query.action import Answer, action
from nova_objectstore.query.documents import element, iso_time, optional, structure
from nova_objectstore.query.faults import ValidationError
from nova_objectstore.query.request import QueryRequest
from nova_objectstore.sts.errors import InvalidIdentityToken, PackedPolicyTooLarge
from nova_objectstore.sts.issuers import Issuers
from nova_objectstore.sts.oidc import WebIdentity, read_identity, read_issuer, without_scheme
from nova_objectstore.sts.parameters import (
    check_source_identity,
    check_tags,
    check_transitive,
    read_duration,
    read_external_id,
    read_limits,
    read_name,
    read_role_arn,
    read_source_identity,
    read_tags,
    refuse_mfa,
)
from nova_objectstore.sts.roles import Roles, Wish
from nova_objectstore.sts.session import PACKED_SIZE_MAX, Session, packed_size
from nova_objectstore.sts.sessions import Sessions, federated_arn, role_session_arn
from nova_objectstore.sts.trust import TAG
from nova_objectstore.types import Principal, SessionKind

HOUR_S = 3600
ROLE_DURATION_S_MAX = 12 * HOUR_S
USER_DURATION_S, USER_DURATION_S_MAX = 12 * HOUR_S, 36 * HOUR_S
ROOT_DURATION_S_MAX = HOUR_S


class SessionController:
    """Sessions of roles, of users and of federated ones."""

    def __init__(self, sessions: Sessions, roles: Roles, iam: IamStore, issuers: Issuers, access: Access) -> None:
        self._sessions = sessions
        self._roles = roles
        self._iam = iam
        self._issuers = issuers
        self._access = access

    @action("AssumeRole")
    def assume_role(self, req: QueryRequest) -> Answer:
        """A session of a role, for a user or for a session."""
        parameters = req.parameters
        role_arn = read_role_arn(parameters)
        tags, transitive = read_tags(parameters)
        wish = Wish(
            role_arn,
            read_name(parameters, "RoleSessionName"),
            read_duration(parameters, default_s=HOUR_S, max_s=ROLE_DURATION_S_MAX),
            read_limits(parameters, role_arn.account_id),
            tags,
            transitive,
            read_source_identity(parameters),
            read_external_id(parameters),
        )
        refuse_mfa(parameters)
        _refuse_contexts(req)
        role, session = self._roles.assume(req.principal, wish, req.context)
        return self._begin_role(role, session)

    @action("AssumeRoleWithWebIdentity", signed=False)
    def assume_role_with_web_identity(self, req: QueryRequest) -> Answer:
        """A session of a role, for who has a token of an OpenID Connect provider of the role's account."""
        parameters = req.parameters
        role_arn = read_role_arn(parameters)
        name = read_name(parameters, "RoleSessionName")
        duration_s = read_duration(parameters, default_s=HOUR_S, max_s=ROLE_DURATION_S_MAX)
        limits = read_limits(parameters, role_arn.account_id)
        if parameters.has("ProviderId"):
            raise ValidationError("ProviderId is for OAuth 2.0 access tokens, which are not taken; send an OpenID one.")
        identity, provider = self._verify(parameters.required("WebIdentityToken"), role_arn.account_id, req)
        tags = check_tags(list(identity.tags.items()))
        wish = Wish(
            role_arn,
            name,
            duration_s,
            limits,
            tags,
            check_transitive(identity.transitive, tags),
            check_source_identity(identity.source_identity) if identity.source_identity else "",
        )
        role, session = self._roles.assume_with_web_identity(identity, provider.arn, wish, req.context)
        return (
            *self._begin_role(role, session),
            element("SubjectFromWebIdentityToken", identity.subject),
            element("Audience", next(party for party in identity.parties if party in provider.client_ids)),
            element("Provider", provider.arn),
        )

    def _verify(self, token: str, account_id: str, req: QueryRequest) -> tuple[WebIdentity, Provider]:
        """Whom a token is about, and the provider of the account that it is from."""
        try:
            jws = parse_jws(token)
        except BadJws as error:
            raise InvalidIdentityToken(error.message) from None
        issuer = read_issuer(jws)
        arn = f"arn:aws:iam::{account_id}:oidc-provider/{without_scheme(issuer)}"
        unknown = InvalidIdentityToken(f"No OpenIDConnect provider found in your account for {issuer[:200]}")
        try:
            provider = self._iam.find_provider(arn)
        except NoSuchEntity:
            raise unknown from None
        if provider.url != issuer:
            raise unknown
        payload = self._issuers.verify(issuer, jws)
        identity = read_identity(payload, issuer=issuer, client_ids=provider.client_ids, now_s=req.context.now_s)
        return identity, provider

    def _begin_role(self, role: Entity, session: Session) -> Sequence[str]:
        credentials = self._begin(session)
        user = (
            element("AssumedRoleId", f"{role.id}:{session.name}"),
            element("Arn", role_session_arn(role, session.name)),
        )
        return (
            structure("AssumedRoleUser", user),
            credentials,
            *_packed_size(session),
            optional("SourceIdentity", session.source_identity),
        )

    # -- users ---------------------------------------------------------------------------------------------------------

    @action("GetSessionToken")
    def get_session_token(self, req: QueryRequest) -> Answer:
        """A session of the user or root that asks. No policy allows or denies it, as at AWS."""
        principal = req.principal
        _refuse_sessions(principal, "GetSessionToken")
        refuse_mfa(req.parameters)
        keys = {"aws:multifactorauthpresent": "false"}
        session = _own_session(req, SessionKind.USER, name="")._replace(keys=keys)
        return (self._begin(session),)

    @action("GetFederationToken")
    def get_federation_token(self, req: QueryRequest) -> Answer:
        """A session for somebody whom the asking user or root vouches for, with what the session's policies leave of its own."""
        principal, parameters = req.principal, req.parameters
        _refuse_sessions(principal, "GetFederationToken")
        name = read_name(parameters, "Name", chars_max=32)
        tags = check_tags(parameters.tags())
        limits = read_limits(parameters, principal.account_id)
        arn = federated_arn(principal.account_id, name)
        context = req.context.telling({f"aws:requesttag/{key}": (value,) for key, value in tags.items()})
        context = context.telling({"aws:tagkeys": tuple(tags)} if tags else {})
        for asked in ("sts:GetFederationToken", *([TAG] if tags else [])):
            self._access.check_account(principal, asked, arn, context=context)
        session = _own_session(req, SessionKind.FEDERATED, name=name)
        session = session._replace(policies=limits.policies, policy_arns=limits.policy_arns, tags=tags)
        user = element("FederatedUserId", f"{principal.account_id}:{name}") + element("Arn", arn)
        return (self._begin(session), structure("FederatedUser", (user,)), *_packed_size(session))

    @action("GetCallerIdentity")
    def get_caller_identity(self, req: QueryRequest) -> Answer:
        """Who asks. Nobody needs a permission for it, and no policy denies it."""
        principal = req.principal
        return (
            element("Arn", principal.arn),
            element("UserId", principal.user_id or principal.account_id),
            element("Account", principal.account_id),
        )

    def _begin(self, session: Session) -> str:
        if packed_size(session) > PACKED_SIZE_MAX:
            raise PackedPolicyTooLarge(
                f"Packed policy consumes {_percent(session)}% of allotted space, please use smaller policy."
            )
        return _credentials(self._sessions.begin(session), session)


def _own_session(req: QueryRequest, kind: SessionKind, *, name: str) -> Session:
    """A session of who asks. A root's lasts an hour at most, whatever it asks for (AWS: GetSessionToken)."""
    principal = req.principal
    default_s = ROOT_DURATION_S_MAX if principal.is_root else USER_DURATION_S
    duration_s = read_duration(req.parameters, default_s=default_s, max_s=USER_DURATION_S_MAX)
    if principal.is_root:
        duration_s = min(duration_s, ROOT_DURATION_S_MAX)
    issued_s = int(req.context.now_s)
    return Session(
        kind, principal.account_id, principal.access_key, principal.user_id, name, issued_s, issued_s + duration_s
    )


def _refuse_sessions(principal: Principal, name: str) -> None:
    if principal.begun is not None:
        raise AccessDenied(f"Cannot call {name} with session credentials")


def _refuse_contexts(req: QueryRequest) -> None:
    if req.parameters.has("ProvidedContexts"):
        raise ValidationError("ProvidedContexts are of context providers, which are not offered.")


def _credentials(key: TemporaryKey, session: Session) -> str:
    return structure(
        "Credentials",
        (
            element("AccessKeyId", key.access_key),
            element("SecretAccessKey", key.secret_key),
            element("SessionToken", key.token),
            element("Expiration", iso_time(session.expires_s * 1_000_000)),
        ),
    )


def _percent(session: Session) -> int:
    return math.ceil(100 * packed_size(session) / PACKED_SIZE_MAX)


def _packed_size(session: Session) -> Sequence[str]:
    return [element("PackedPolicySize", str(_percent(session)))] if session.is_limited or session.tags else []
