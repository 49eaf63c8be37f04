"""What only STS refuses (AWS: Security Token Service API Reference, "Errors" of each action)."""

from __future__ import annotations

from nova_objectstore.query.faults import QueryFault


class PackedPolicyTooLarge(QueryFault):
    """Session policies and tags take more room than a session has."""

    code = "PackedPolicyTooLarge"


class MalformedPolicyDocument(QueryFault):
    """A session policy is not one."""

    code = "MalformedPolicyDocument"


class InvalidIdentityToken(QueryFault):
    """A web identity's token is not one, not for this store, or not signed by its issuer."""

    code = "InvalidIdentityToken"


class ExpiredIdentityToken(QueryFault):
    """A web identity's token whose time is over."""

    code = "ExpiredTokenException"


class IdentityProviderUnreachable(QueryFault):
    """The issuer of a web identity's token did not answer."""

    code = "IDPCommunicationError"
