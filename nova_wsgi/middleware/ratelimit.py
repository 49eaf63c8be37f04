"""Rate limits: so many requests a second from each client address, and from each account; more answer 429.

Strategy: a token bucket each. It holds up to ``burst`` requests and fills up again at ``requests_per_s``; what finds it
empty is refused with the whole seconds after which it is worth coming back (Retry-After, RFC 6585 section 4).

Laws:

- An address is what the server, or the proxy filter, says it is, never what the client says. An IPv6 client counts as its
  /64: whoever has one address has them all.
- An account is known when its request has been authenticated, never before: otherwise whoever names an account could use
  up its share. A filter above that authenticates sets ``nova.account``; an application that does calls
  ``environ["nova.charge_account"](account)``, which raises TooManyRequests.
- Memory is bounded by ``keys_max`` buckets of each kind. Beyond it the one unused for longest is forgotten, which makes
  it full again: an attack from very many addresses loosens the limit of each, and is for the limit of requests in flight.
- Buckets are a process's own: N workers let up to N times as many through, spread as the kernel spreads connections.
"""

from __future__ import annotations

import math
import pkgutil
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from nova_wsgi.calling import entry_of
from nova_wsgi.client_network import client_network
from nova_wsgi.errors import RequestError
from nova_wsgi.response import STATUS_LINES, Response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    Refusal = Callable[[int, str, str, str], tuple[list[tuple[str, str]], bytes]]

CHARGE_ACCOUNT = "nova.charge_account"
KEYS_MAX = 10_000  # some 2 MB of buckets


class TooManyRequests(RequestError):
    """An account or an address has used up its share. ``retry_after_s``: whole seconds until there is some again."""

    status = 429
    reason = "Too Many Requests"

    def __init__(self, hint: str, *, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        self.headers = (("Retry-After", str(retry_after_s)),)
        super().__init__(hint)


class Buckets:
    """A token bucket for each key. ``burst``: how many requests a full one holds."""

    def __init__(
        self,
        requests_per_s: float,
        burst: int,
        *,
        keys_max: int = KEYS_MAX,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = requests_per_s
        self._burst = burst
        self._keys_max = keys_max
        self._clock_s = clock_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> requests it held, and when

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> float:
        """Take a request out of the key's bucket; 0, or the seconds until there is one to take."""
        now = self._clock_s()
        held, at = self._buckets.get(key, (float(self._burst), now))
        held = min(float(self._burst), held + (now - at) * self._rate)
        wait_s = 0.0 if held >= 1 else (1 - held) / self._rate
        self._buckets[key] = (held - 1 if wait_s == 0 else held, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._keys_max:
            self._buckets.popitem(last=False)
        return wait_s


class RateLimit:
    """429 beyond ``requests_per_s`` of an address or ``account_requests_per_s`` of an account; 0 is no limit.

    The bursts are by default what comes in one second, at least 1. ``refusal_renderer(status, reason, hint, request_id)``
    returns headers and body of a refusal in the application's own form.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        requests_per_s: float = 0,
        burst: int = 0,
        account_requests_per_s: float = 0,
        account_burst: int = 0,
        keys_max: int = KEYS_MAX,
        refusal_renderer: Refusal | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = entry_of(app)
        self._refusal_renderer = refusal_renderer
        self._addresses = _buckets(requests_per_s, burst, keys_max, clock_s)
        self._accounts = _buckets(account_requests_per_s, account_burst, keys_max, clock_s)

    @classmethod
    def filter_factory(
        cls,
        global_conf: Mapping[str, str],
        *,
        requests_per_s: str = "0",
        burst: str = "0",
        account_requests_per_s: str = "0",
        account_burst: str = "0",
        keys_max: str = str(KEYS_MAX),
        refusal_renderer: str = "",
    ) -> Callable[[WSGIApplication], Self]:
        """Paste options: the constructor's; ``refusal_renderer`` as ``module:name``."""
        settings: dict[str, Any] = {
            "requests_per_s": _rate(requests_per_s),
            "burst": int(burst),
            "account_requests_per_s": _rate(account_requests_per_s),
            "account_burst": int(account_burst),
            "keys_max": int(keys_max),
            "refusal_renderer": pkgutil.resolve_name(refusal_renderer) if refusal_renderer else None,
        }
        return lambda app: cls(app, **settings)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Refuse the request, or hand it on."""
        try:
            self._charge_address(environ.get("REMOTE_ADDR", ""))
            self._charge_account(environ.get("nova.account") or "")
        except TooManyRequests as error:
            return self._refuse(environ, error)(environ, start_response)
        environ[CHARGE_ACCOUNT] = self._charge_account
        return self._app(environ, start_response)

    def _charge_address(self, address: str) -> None:
        if self._addresses is not None and address:
            _take(self._addresses, client_network(address), "requests from this address")

    def _charge_account(self, account: str) -> None:
        if self._accounts is not None and account:
            _take(self._accounts, account, "requests of this account")

    def _refuse(self, environ: WSGIEnvironment, error: TooManyRequests) -> Response:
        environ["nova.operation"] = "RateLimit"
        if self._refusal_renderer is None:
            return error_response(environ, error.status, error.hint, headers=error.headers)
        reason = STATUS_LINES[error.status][4:]
        headers, body = self._refusal_renderer(error.status, reason, error.hint, environ.get("nova.request_id", ""))
        return Response(body, status=error.status, headers=[*headers, *error.headers])


def charge_account(environ: WSGIEnvironment, account: str) -> None:
    """For applications that authenticate: count the request for its account. Raises TooManyRequests.

    Does nothing where no rate limit stands in the pipeline.
    """
    charge = environ.get(CHARGE_ACCOUNT)
    if charge is not None:
        charge(account)


def _take(buckets: Buckets, key: str, what: str) -> None:
    wait_s = buckets.take(key)
    if wait_s > 0:
        raise TooManyRequests(f"too many {what}", retry_after_s=math.ceil(wait_s))


def _buckets(rate: float, burst: int, keys_max: int, clock_s: Callable[[], float]) -> Buckets | None:
    if rate <= 0:
        return None
    return Buckets(rate, burst or max(1, int(rate)), keys_max=keys_max, clock_s=clock_s)


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate < math.inf:
        raise ValueError(f"a rate is a number of requests a second, not {text!r}")
    return rate
