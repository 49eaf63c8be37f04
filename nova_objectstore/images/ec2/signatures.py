"""Who signed a query request: SigV2 of the query API here, SigV4 by a function given in. Pure, the clock passed in.

SigV2 (AWS: "Signing AWS API requests, Signature Version 2"; withdrawn there, what boto 2 and euca2ools send): an HMAC over
method, host, path and the sorted parameters, each percent-encoded as RFC 3986 has it.

Laws:

- Every parameter but the signature is signed; ``Timestamp`` is at most 15 minutes off, or ``Expires`` still to come.
- Whatever is wrong with credentials is told in one sentence (AuthFailure); only the clock has a fault of its own, for its
  owner to mend.
- Signatures are compared in constant time.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from urllib.parse import quote

from nova_objectstore.errors import EngineError, RequestTimeTooSkewed, StoreError
from nova_objectstore.images.ec2.faults import AuthFailure, Ec2Fault, InvalidParameterValue, RequestExpired
from nova_objectstore.images.ec2.request import Ec2Request
from nova_objectstore.limits import CLOCK_SKEW_MAX_S
from nova_objectstore.types import Principal

_METHODS = {"HmacSHA1": "sha1", "HmacSHA256": "sha256"}
_port = re.compile(r":[0-9]{1,5}\Z").sub
_timestamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII).fullmatch


class Credentials(NamedTuple):
    """A secret, and whom it stands for."""

    secret_key: str
    principal: Principal


FindCredentials = Callable[[str, str | None], Credentials | None]
"""From an access key and a session token (None without one) to credentials; None when they are nobody's."""


class VerifyV4(Protocol):
    """SigV4 for the service ``ec2``, in the Authorization header or in the query."""

    def __call__(self, request: Ec2Request, find: FindCredentials, *, now_s: float) -> Principal | None:
        """Who signed; None for a request without such a signature. Raises StoreErrors for a bad one."""
        ...


class Authenticator:
    """Knows the keys, the mechanisms and the clock (``clock_s`` gives epoch seconds)."""

    def __init__(self, find: FindCredentials, verify_v4: VerifyV4, *, clock_s: Callable[[], float]) -> None:
        self._find = find
        self._verify_v4 = verify_v4
        self._clock_s = clock_s

    def authenticate(self, request: Ec2Request) -> Principal:
        """Who signed. Raises AuthFailure, RequestExpired, InvalidParameterValue (a time that is none), EngineError."""
        now_s = self._clock_s()
        try:
            principal = self._verify_v4(request, self._find, now_s=now_s)
            return verify_v2(request, self._find, now_s=now_s) if principal is None else principal
        except (EngineError, Ec2Fault):
            raise
        except RequestTimeTooSkewed:
            raise RequestExpired("Request has expired.") from None
        except StoreError:
            raise AuthFailure from None


def verify_v2(request: Ec2Request, find: FindCredentials, *, now_s: float) -> Principal:
    """Who signed with SigV2. Raises AuthFailure, RequestExpired, InvalidParameterValue (a time that is none)."""
    pairs = request.pairs
    digest = _METHODS.get(pairs.get("SignatureMethod", ""))
    if pairs.get("SignatureVersion") != "2" or digest is None:
        raise AuthFailure
    _check_time(pairs, now_s)
    credentials = find(pairs.get("AWSAccessKeyId", ""), pairs.get("SecurityToken"))
    if credentials is None:
        raise AuthFailure
    provided = pairs.get("Signature", "").encode()
    for to_sign in strings_to_sign(request):
        computed = b64encode(hmac.digest(credentials.secret_key.encode(), to_sign.encode(), digest))
        if hmac.compare_digest(computed, provided):
            return credentials.principal
    raise AuthFailure


def strings_to_sign(request: Ec2Request) -> list[str]:
    """What SigV2 signs: method, host in lower case, path, and the parameters in the order of their names' bytes.

    AWS has the host as the Host header says it; boto 2 leaves the port out.
    """
    items = sorted((name.encode(), value) for name, value in request.pairs.items() if name != "Signature")
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in items)
    host = request.headers.get("host", "").lower()
    hosts = dict.fromkeys((host, _port("", host)))
    return [f"{request.method}\n{name}\n{request.path}\n{query}" for name in hosts]


def _check_time(pairs: Mapping[str, str], now_s: float) -> None:
    if "Timestamp" in pairs:
        if abs(now_s - _read_time("Timestamp", pairs["Timestamp"])) > CLOCK_SKEW_MAX_S:
            raise RequestExpired("Request has expired. Timestamp date is " + pairs["Timestamp"])
    elif "Expires" in pairs:
        if now_s >= _read_time("Expires", pairs["Expires"]):
            raise RequestExpired("Request has expired. Expires date is " + pairs["Expires"])
    else:
        raise AuthFailure


def _read_time(name: str, text: str) -> float:
    if not _timestamp(text):
        raise InvalidParameterValue(f"Invalid value for {name}: {text}")
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidParameterValue(f"Invalid value for {name}: {text}") from None
