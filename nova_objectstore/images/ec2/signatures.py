"""Who signed a request of the EC2 API: by the signatures of the query protocol, told as EC2 tells it.

Law: whatever is wrong with credentials is told in one sentence (AuthFailure); only the clock has a fault of its own, for its
owner to mend.
"""

from __future__ import annotations

from collections.abc import Callable

from nova_objectstore.errors import EngineError, RequestTimeTooSkewed, StoreError
from nova_objectstore.images.ec2.faults import AuthFailure
from nova_objectstore.query.faults import QueryFault, RequestExpired
from nova_objectstore.query.request import QueryRequest
from nova_objectstore.query.signatures import Credentials, FindCredentials, authenticate
from nova_objectstore.types import Principal

SERVICE = "ec2"

__all__ = ["Authenticator", "Credentials", "FindCredentials"]


class Authenticator:
    """Knows the keys, the region and the clock (``clock_s`` gives epoch seconds)."""

    def __init__(self, find: FindCredentials, *, region: str, clock_s: Callable[[], float]) -> None:
        self._find = find
        self._region = region
        self._clock_s = clock_s

    def authenticate(self, request: QueryRequest) -> Principal:
        """Who signed. Raises AuthFailure, RequestExpired, InvalidParameterValue (a time that is none), EngineError."""
        try:
            principal = authenticate(request, self._find, region=self._region, service=SERVICE, now_s=self._clock_s())
        except (EngineError, QueryFault):
            raise
        except RequestTimeTooSkewed:
            raise RequestExpired("Request has expired.") from None
        except StoreError:
            raise AuthFailure from None
        if principal is None:
            raise AuthFailure
        return principal
