"""POST to http and https endpoints: one connection a message, to an address that was checked.

What the endpoint answers with 2xx it has taken; everything else, redirects among it, is a failure. Its answer is read up
to a bound and shown to nobody, so that a topic is no window into the network that the store stands in.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing

from nova_objectstore.delivery.endpoints import Endpoint, Networks
from nova_objectstore.delivery.errors import DeliveryFailed
from nova_objectstore.delivery.limits import ANSWER_BYTES_MAX, ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S
from nova_wsgi import green

USER_AGENT = "nova-objectstore"


class Webhooks:
    """Sends to webhooks that the networks allow."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._contexts: dict[bool, ssl.SSLContext] = {}  # by whether they verify

    def post(self, endpoint: Endpoint, body: bytes, headers: Mapping[str, str], *, verifies_tls: bool = True) -> None:
        """Send; return when the endpoint has taken it. Raises DeliveryFailed."""
        address = self._networks.resolve(endpoint)
        limit_s = CONNECT_TIMEOUT_S + ANSWER_TIMEOUT_S
        try:
            context = self._context(verifies_tls) if endpoint.scheme == "https" else None
            with (
                closing(_Connection(endpoint, address, context)) as connection,
                green.Timeout(limit_s, TimeoutError(f"no answer within {limit_s:g} s")),
            ):
                status = _exchange(connection, endpoint, body, headers)
        except (OSError, http.client.HTTPException) as error:  # TimeoutError and SSLError too
            raise DeliveryFailed(f"{endpoint.shown}: {' '.join(str(error).split()) or type(error).__name__}") from None
        if not 200 <= status < 300:
            raise DeliveryFailed(f"{endpoint.shown} answered {status}")

    def _context(self, verifies: bool) -> ssl.SSLContext:
        """Made for the first message that needs it: with the system's certificates it is 2 MB, and takes 40 ms."""
        if verifies not in self._contexts:
            self._contexts[verifies] = green.run_native(_make_context, verifies)
        return self._contexts[verifies]


def _make_context(verifies: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _exchange(
    connection: http.client.HTTPConnection, endpoint: Endpoint, body: bytes, headers: Mapping[str, str]
) -> int:
    sent = {"User-Agent": USER_AGENT, "Connection": "close", **headers}
    if endpoint.user or endpoint.password:
        credentials = base64.b64encode(f"{endpoint.user}:{endpoint.password}".encode()).decode()
        sent["Authorization"] = f"Basic {credentials}"
    connection.request("POST", endpoint.target, body, sent)
    answer = connection.getresponse()
    answer.read(ANSWER_BYTES_MAX)
    return answer.status


class _Connection(http.client.HTTPConnection):
    """A connection to one address, whatever its host's name resolves to meanwhile; TLS is for the name."""

    def __init__(self, endpoint: Endpoint, address: str, context: ssl.SSLContext | None) -> None:
        super().__init__(endpoint.host, endpoint.port, timeout=ANSWER_TIMEOUT_S)
        self._address = address
        self._context = context
        if context is not None:
            self.default_port = 443  # so that Host names the port where it is another

    def connect(self) -> None:
        """As the base class, to the address."""
        self.sock = socket.create_connection((self._address, self.port), CONNECT_TIMEOUT_S)
        self.sock.settimeout(ANSWER_TIMEOUT_S)
        if self._context is not None:
            # The handshake is apart: when it fails, close() must know the socket that it was made on.
            secured = self._context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = secured
            secured.do_handshake()
