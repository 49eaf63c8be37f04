"""From a request to who asks: verifies the signature it has, if any, and finds whose key made it."""

from __future__ import annotations

from collections.abc import Callable

from nova_objectstore.domain.identities import Identities, Identity
from nova_objectstore.errors import InvalidToken
from nova_objectstore.s3.auth import WireRequest, authenticate
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import ANONYMOUS, Principal


class Authenticator:
    """Knows the keys, the region and the clock."""

    def __init__(self, identities: Identities, *, region: str, clock_s: Callable[[], float]) -> None:
        self._identities = identities
        self._region = region
        self._clock_s = clock_s

    def authenticate(self, req: S3Request) -> Principal:
        """The principal that signed ``req``, ANONYMOUS for an unsigned request; ``req.auth`` keeps what was verified.

        Raises what a bad signature raises (``s3/auth``), InvalidAccessKeyId, InvalidToken.
        """
        req.epoch = epoch = self._identities.epoch()
        identity: Identity | None = None

        def find_secret(access_key: str) -> str | None:
            nonlocal identity
            identity = self._identities.find(access_key, epoch=epoch)
            return identity.key.secret_key if identity is not None else None

        signed = authenticate(
            WireRequest(req.method, req.raw_path, req.query_string, req.headers),
            lookup=find_secret,
            region=self._region,
            now_s=self._clock_s(),
            bucket=req.bucket_name if req.is_virtual else "",
        )
        req.auth = signed
        if signed is None:
            return ANONYMOUS
        if signed.session_token is not None:
            raise InvalidToken  # no session was ever given out
        assert identity is not None, "a signature is verified with somebody's secret"
        return identity.principal
