"""From a request to who asks: verifies the signature it has, if any, and finds whose key made it."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from nova_objectstore.domain.identities import Identities, Identity
from nova_objectstore.errors import InvalidToken
from nova_objectstore.s3.auth import SecretLookup, SignedRequest, WireRequest, authenticate
from nova_objectstore.s3.auth.post_policy import verify_form
from nova_objectstore.s3.request import S3Request, parse_query
from nova_objectstore.types import ANONYMOUS, Principal

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
        wire = WireRequest(req.method, req.raw_path, req.query_string, req.headers)
        bucket = req.bucket_name if req.is_virtual else ""

        def verify(lookup: SecretLookup) -> SignedRequest | None:
            return authenticate(wire, lookup=lookup, region=self._region, now_s=self._clock_s(), bucket=bucket)

        return self._identify(req, verify, _token_of(req))

    def authenticate_form(self, req: S3Request) -> Principal:
        """The principal that signed the form of ``req``, ANONYMOUS for one that is not; its policy was checked.

        Raises the same, and InvalidPolicyDocument, AccessDenied (what the policy does not allow).
        """
        form = req.form
        principal = self._identify(
            req,
            lambda lookup: verify_form(form.fields, lookup=lookup, region=self._region),
            form.fields.get(SESSION_HEADER),
        )
        if req.auth is not None:
            form.check_policy(bucket=req.bucket_name, now_s=self._clock_s())
        return principal

    def _identify(
        self, req: S3Request, verify: Callable[[SecretLookup], SignedRequest | None], token: str | None
    ) -> Principal:
        req.epoch = epoch = self._identities.epoch()
        identity: Identity | None = None

        def find_secret(access_key: str) -> str | None:
            nonlocal identity
            identity = self._identities.find_signer(access_key, token, epoch=epoch)
            return identity.key.secret_key if identity is not None else None

        req.auth = signed = verify(find_secret)
        if signed is None:
            return ANONYMOUS
        if not _is_same(signed.session_token, token):
            raise InvalidToken  # it stands where the mechanism that signed does not look for it
        assert identity is not None, "a signature is verified with somebody's secret"
        if token is None:
            self._identities.uses.note(signed.access_key, "s3", self._region, self._clock_s())
        return identity.principal


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
