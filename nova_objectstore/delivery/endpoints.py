"""Endpoints: where subscriptions deliver to, and whether this store may go there.

Who may configure a topic decides where this store sends requests from inside its network. So the networks that may be
reached are the administrator's to say (``notification_networks``). Without a word of theirs everything may be but what no
client of the store should reach through it: the host itself, link-local addresses (where clouds answer with credentials),
multicast and reserved ones. A name is resolved for every connection, and the address that was checked is the one that is
connected to: a name that changes its mind gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from nova_objectstore.delivery.errors import DeliveryFailed, InvalidTopicParameter
from nova_objectstore.delivery.limits import CONNECT_TIMEOUT_S, ENDPOINT_CHARS_MAX
from nova_wsgi import green

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WEBHOOKS = ("http", "https")
BROKERS = ("amqp", "amqps")
PORTS: Mapping[str, int] = {"http": 80, "https": 443, "amqp": 5672, "amqps": 5671}


class Endpoint(NamedTuple):
    """A URL, read. ``target`` is its path with its query; user and password are decoded and may be empty."""

    scheme: str
    host: str
    port: int
    target: str
    user: str
    password: str
    url: str

    @property
    def shown(self) -> str:
        """The URL for people and logs: without the password, and without a query, which may be one."""
        parts = urlsplit(self.url)
        credentials, at, place = parts.netloc.rpartition("@")
        user, colon, _ = credentials.partition(":")
        netloc = f"{user}{':***' if colon else ''}{at}{place}"
        return f"{parts.scheme}://{netloc}{parts.path}{'?***' if parts.query else ''}"


def read_endpoint(url: str, *, schemes: Sequence[str]) -> Endpoint:
    """Read a URL. Raises InvalidTopicParameter."""
    fault = InvalidTopicParameter(f"Invalid parameter: Endpoint must be a URL of {' or '.join(schemes)}")
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > ENDPOINT_CHARS_MAX:
        raise fault
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise fault from None
    if parts.scheme not in schemes or not parts.hostname or parts.fragment or port == 0:
        raise fault
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(
        parts.scheme,
        parts.hostname,
        port or PORTS[parts.scheme],
        target,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        url,
    )


def obscure(url: str) -> str:
    """An endpoint's URL as it is answered: with ``****`` for its password, as SNS answers it."""
    parts = urlsplit(url)
    credentials, at, place = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return parts._replace(netloc=f"{user}:****{at}{place}").geturl() if colon else url


class Networks:
    """The networks that may be reached; with none given, all that are not the host's own or special."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Networks:
        """From CIDR notation. Raises ValueError."""
        return cls([ipaddress.ip_network(text) for text in texts])

    def allow(self, address: Address) -> bool:
        """Whether the address may be connected to."""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if self._allowed:
            return any(address in network for network in self._allowed if network.version == address.version)
        return not (
            address.is_loopback
            or address.is_link_local
            or address.is_multicast
            or address.is_unspecified
            or address.is_reserved
        )

    def resolve(self, endpoint: Endpoint) -> str:
        """An address of the endpoint's host that may be connected to. Raises DeliveryFailed."""
        try:
            with green.Timeout(CONNECT_TIMEOUT_S, TimeoutError("the name was not resolved in time")):
                found = green.run_native(_look_up, endpoint.host, endpoint.port)
        except OSError as error:  # TimeoutError too
            raise DeliveryFailed(f"{endpoint.host}: {error}") from None
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
        allowed = [address for address in addresses if self.allow(address)]
        if not allowed:
            raise DeliveryFailed(f"{endpoint.host} is not in a network that notifications may reach")
        return str(allowed[0])


def _look_up(host: str, port: int) -> list[str]:
    """In a native thread: the resolver blocks."""
    found = green.original("socket").getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))
