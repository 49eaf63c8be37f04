"""From a request to who asks: verifies the signature it has, if any, and finds whose key made it."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from nova_objectstore.domain.identities import Identities, Identity
from nova_objectstore.errors import InvalidToken
from nova_objectstore.s3.auth import SignedRequest, WireRequest, authenticate
from nova_objectstore.s3.auth.post_policy import verify_form
from nova_objectstore.s3.request import S3Request, parse_query
from nova_objectstore.types import ANONYMOUS, Principal, new_tuple

SESSION_HEADER = "x-amz-security-token"


class Authenticator:
    """Knows the keys, the region and the clock."""

    def __init__(self, identities: Identities, *, region: str, clock_s: Callable[[], float]) -> None:
        self._identities = identities
        self._region = region
        self._clock_s = clock_s

    def authenticate(self, req: S3Request) -> Principal:
        """The principal that signed ``req``, ANONYMOUS for an unsigned request; ``req.auth`` keeps what was verified.

        Raises what a bad signature raises (``s3/auth``), InvalidAccessKeyId, InvalidToken, ExpiredToken.
        """
        wire = new_tuple(WireRequest, (req.method, req.raw_path, req.query_string, req.headers))
        now_s = self._clock_s()
        lookup = _Lookup(self._identities, _token_of(req))
        req.epoch = lookup.epoch
        signed = authenticate(
            wire,
            lookup=lookup.find_secret,
            region=self._region,
            now_s=now_s,
            bucket=req.bucket_name if req.is_virtual else "",
        )
        return self._identify(req, signed, lookup, now_s)

    def authenticate_form(self, req: S3Request) -> Principal:
        """The principal that signed the form of ``req``, ANONYMOUS for one that is not; its policy was checked.

        Raises the same, and InvalidPolicyDocument, AccessDenied (what the policy does not allow).
        """
        form, now_s = req.form, self._clock_s()
        lookup = _Lookup(self._identities, form.fields.get(SESSION_HEADER))
        req.epoch = lookup.epoch
        signed = verify_form(form.fields, lookup=lookup.find_secret, region=self._region)
        principal = self._identify(req, signed, lookup, now_s)
        if req.auth is not None:
            form.check_policy(bucket=req.bucket_name, now_s=now_s)
        return principal

    def _identify(self, req: S3Request, signed: SignedRequest | None, lookup: _Lookup, now_s: float) -> Principal:
        req.auth = signed
        if signed is None:
            return ANONYMOUS
        token = lookup.token
        if signed.session_token is not token and not _is_same(signed.session_token, token):
            raise InvalidToken  # it stands where the mechanism that signed does not look for it
        assert lookup.identity is not None, "a signature is verified with somebody's secret"
        if token is None:
            self._identities.uses.note(signed.access_key, "s3", self._region, now_s)
        return lookup.identity.principal


class _Lookup:
    """Finds the identity that signs one request, with the session token that it brings, under the epoch that it began in."""

    __slots__ = ("_identities", "epoch", "identity", "token")

    def __init__(self, identities: Identities, token: str | None) -> None:
        self._identities = identities
        self.token = token
        self.epoch = identities.epoch()
        self.identity: Identity | None = None

    def find_secret(self, access_key: str) -> str | None:
        """The secret of an access key; None when there is none. Raises InvalidToken, ExpiredToken."""
        self.identity = identity = self._identities.find_signer(access_key, self.token, epoch=self.epoch)
        return identity.key.secret_key if identity is not None else None


def _is_same(signed: str | None, token: str | None) -> bool:
    if signed is None or token is None:
        return signed is token
    return hmac.compare_digest(signed.encode(), token.encode())


def _token_of(req: S3Request) -> str | None:
    """The session token of a request: in a header, or in the query that is signed (SigV2 has it there as a header's name)."""
    token = req.headers.get(SESSION_HEADER)
    if token is None and "ecurity-" in req.query_string:  # PERF: few queries have it
        query = parse_query(req.query_string)
        token = query.get("X-Amz-Security-Token", query.get(SESSION_HEADER))
    return token
