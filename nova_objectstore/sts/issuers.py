"""The keys of OpenID Connect issuers: found by discovery, kept, and fetched anew when an issuer has got new ones.

Laws (OpenID Connect Discovery 1.0, 4):

- ``<issuer>/.well-known/openid-configuration`` names the issuer itself, or it is not believed; it says where the keys are.
- An issuer is asked over TLS whose certificate was verified. Plain HTTP is for loopback addresses, unless it is allowed.
- No redirect is followed; an answer has a bound on its size and on the time of all of it.
- Whatever tokens come in, an issuer is asked at most once in REFETCH_MIN_S seconds, by each process, and by one request at
  a time. Keys are used for KEYS_AGE_MAX_S seconds.
"""

from __future__ import annotations

import http.client
import ipaddress
import math
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from nova_objectstore.crypto.jws import BadJws, Jws, UnknownKey, WebKey, parse_key_set, parse_object
from nova_objectstore.query.faults import QueryFault
from nova_objectstore.sts.errors import IdentityProviderUnreachable, InvalidIdentityToken
from nova_wsgi import green

FETCH_TIMEOUT_S = 5.0  # for one document, from the look-up of the name to its last byte
DOCUMENT_BYTES_MAX = 256 * 1024  # 200 keys of a kilobyte, with their certificates
KEYS_AGE_MAX_S = 3600.0  # after which keys that an issuer has withdrawn are not trusted any more
REFETCH_MIN_S = 15.0
ISSUERS_MAX = 1000  # kept in memory: 100 KB each at most

DISCOVERY_PATH = "/.well-known/openid-configuration"

Fetch = Callable[[str], bytes]
"""A document by its URL. Raises IdentityProviderUnreachable, InvalidIdentityToken."""

_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity "
    "documentation for requirements"
)


class Fetcher:
    """Gets documents over HTTP(S).

    ``plain_http``: from any host, not loopback addresses alone. ``ca_file``: certificates to trust instead of the system's.
    """

    def __init__(self, *, plain_http: bool = False, ca_file: str = "", timeout_s: float = FETCH_TIMEOUT_S) -> None:
        self._plain_http = plain_http
        self._timeout_s = timeout_s
        self._ca_file = ca_file

    def __call__(self, url: str) -> bytes:
        """The document. Raises IdentityProviderUnreachable, InvalidIdentityToken for a URL that may not be asked."""
        parts = self._check(url)
        try:
            with green.Timeout(self._timeout_s):
                status, content = self._get(parts)
        except (OSError, http.client.HTTPException, green.Timeout):
            raise IdentityProviderUnreachable("The identity provider did not answer") from None
        if status >= 500:
            raise IdentityProviderUnreachable(f"The identity provider answered with status {status}")
        if status != 200 or len(content) > DOCUMENT_BYTES_MAX:
            raise InvalidIdentityToken(_NO_KEY)
        return content

    def _check(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            raise InvalidIdentityToken(_NO_KEY) from None
        plain = parts.scheme == "http" and (self._plain_http or is_loopback(host))
        if not host or "@" in parts.netloc or not (parts.scheme == "https" or plain) or not url.isascii():
            raise InvalidIdentityToken(_NO_KEY)
        return parts

    def _get(self, parts: SplitResult) -> tuple[int, bytes]:
        connection = self._connect(parts)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Accept": "application/json", "User-Agent": "nova-objectstore"})
            answer = connection.getresponse()
            return answer.status, answer.read(DOCUMENT_BYTES_MAX + 1)
        finally:
            connection.close()

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        assert parts.hostname is not None, "it was checked"
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=self._timeout_s)
        # 40 ms of reading certificates, which others must not wait for.
        context = green.run_native(partial(ssl.create_default_context, cafile=self._ca_file or None))
        return _TlsConnection(parts.hostname, parts.port, timeout=self._timeout_s, context=context)


class _TlsConnection(http.client.HTTPSConnection):
    """Lets go of its socket when the handshake fails, too."""

    def __init__(self, host: str, port: int | None, *, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock.do_handshake()  # what fails here is closed with the connection


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its address, or ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Kept(NamedTuple):
    """An issuer's keys, when they were fetched; when it was last asked, and what went wrong then."""

    keys: Sequence[WebKey]
    fetched_s: float
    asked_s: float
    error: QueryFault | None = None


_NOTHING = _Kept((), -math.inf, -math.inf)


class Issuers:
    """Verifies tokens with their issuers' keys. ``clock_s``: seconds, of a clock that does not jump."""

    def __init__(self, fetch: Fetch, *, clock_s: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock_s = clock_s
        self._kept: dict[str, _Kept] = {}
        self._turns: dict[str, threading.Lock] = {}

    def verify(self, issuer: str, jws: Jws) -> bytes:
        """The payload of a token that ``issuer`` has signed.

        Raises InvalidIdentityToken, IdentityProviderUnreachable. It may wait for the issuer, up to twice FETCH_TIMEOUT_S.
        """
        kept = self._current(issuer, KEYS_AGE_MAX_S)
        try:
            try:
                return jws.verify(kept.keys)
            except UnknownKey:
                return jws.verify(self._current(issuer, REFETCH_MIN_S).keys)
        except BadJws as error:
            raise InvalidIdentityToken(error.message) from None

    def _current(self, issuer: str, age_max_s: float) -> _Kept:
        """The issuer's keys, at most ``age_max_s`` seconds old if it could be asked. Raises what went wrong otherwise."""
        kept = self._kept.get(issuer, _NOTHING)
        if self._should_ask(kept, age_max_s):
            with self._turns.setdefault(issuer, threading.Lock()):
                kept = self._kept.get(issuer, _NOTHING)
                if self._should_ask(kept, age_max_s):
                    kept = self._ask(issuer, kept)
        if self._clock_s() - kept.fetched_s < KEYS_AGE_MAX_S:
            return kept
        assert kept.error is not None, "it was asked, and gave no keys"
        raise type(kept.error)(kept.error.message)

    def _should_ask(self, kept: _Kept, age_max_s: float) -> bool:
        now_s = self._clock_s()
        return now_s - kept.fetched_s >= age_max_s and now_s - kept.asked_s >= REFETCH_MIN_S

    def _ask(self, issuer: str, kept: _Kept) -> _Kept:
        """Fetch the keys; what was known before stays for its time when the issuer fails."""
        asked_s = self._clock_s()
        try:
            kept = _Kept(self._fetch_keys(issuer), asked_s, asked_s)
        except (IdentityProviderUnreachable, InvalidIdentityToken) as error:
            kept = kept._replace(asked_s=asked_s, error=error)
        if len(self._kept) >= ISSUERS_MAX:
            self._kept.clear()
            self._turns.clear()
        self._kept[issuer] = kept
        return kept

    def _fetch_keys(self, issuer: str) -> Sequence[WebKey]:
        try:
            document = parse_object(self._fetch(issuer.rstrip("/") + DISCOVERY_PATH), "The configuration")
            address = document.get("jwks_uri")
            if document.get("issuer") != issuer or not isinstance(address, str):
                raise InvalidIdentityToken(_NO_KEY)
            return parse_key_set(self._fetch(address))
        except BadJws:
            raise InvalidIdentityToken(_NO_KEY) from None
