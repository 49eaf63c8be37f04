"""Who the client really is, when proxies stand before us: from their headers, and only from proxies of named networks.

Laws:

- A header is believed only when the connection's peer, or a proxy it names in turn, is in one of the networks: the
  list of addresses is read from its end, and the first one outside the networks is the client.
- One kind of header is read, the kind the deployment's proxies write. The other kind comes from the client unchecked.
- What is malformed ends the reading there; it is never guessed at.

The addresses in ``Forwarded`` are RFC 7239's; the ``X-Forwarded-*`` family has no standard and is read as most proxies
write it: For appended by each, Proto, Host and Port once, or once by each.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from paste.deploy.converters import aslist

from nova_wsgi.calling import entry_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX = "unix"  # stands in the list of networks for peers on a unix socket, which have no address
HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
HOPS_MAX = 32  # addresses read of one header: longer chains are made up


class Hop(NamedTuple):
    """What one proxy says of the request it received; empty where it is silent."""

    address: str
    port: str = ""
    proto: str = ""
    host: str = ""


class Proxy:
    """Sets REMOTE_ADDR, REMOTE_PORT, ``wsgi.url_scheme``, HTTP_HOST and SERVER_PORT to what the client used.

    ``networks`` are those of the proxies (``unix`` for a unix socket's peers); ``headers`` is ``x-forwarded`` or
    ``forwarded``. The peer's own address stays in ``nova.proxy_addr``.
    """

    def __init__(self, app: WSGIApplication, *, networks: Iterable[str], headers: str = "x-forwarded") -> None:
        names = list(networks)
        parsed = [ipaddress.ip_network(name) for name in names if name != UNIX]
        self._app = entry_of(app)
        self._hops = READERS[headers]
        # PERF: parsing an address costs as much as all other filters together; peers are few, clients come again.
        self._trusted = functools.lru_cache(maxsize=1024)(functools.partial(_is_in, parsed))
        self._trusts_unix = UNIX in names

    @classmethod
    def filter_factory(
        cls, global_conf: Mapping[str, str], *, networks: str, headers: str = "x-forwarded"
    ) -> Callable[[WSGIApplication], Self]:
        """Paste options: ``networks`` between blanks (127.0.0.1/32 10.0.0.0/8 unix); ``headers``."""
        names = aslist(networks)
        if headers not in READERS:
            raise ValueError(f"headers is one of {', '.join(READERS)}, not {headers!r}")
        for name in names:
            if name != UNIX:
                ipaddress.ip_network(name)  # ValueError here, when the pipeline is composed
        return lambda app: cls(app, networks=names, headers=headers)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Correct the environ, and hand the request on."""
        peer = environ.get("REMOTE_ADDR")
        if self._trusted(peer) if peer else self._trusts_unix:
            self._correct(environ)
        return self._app(environ, start_response)

    def _correct(self, environ: WSGIEnvironment) -> None:
        client = None
        for hop in reversed(self._hops(environ)):
            trusted = self._trusted(hop.address)
            if trusted is None:
                # Absent, "unknown" or hidden (RFC 7239 6.3): the proxy is still to be believed in what else it says.
                client = hop._replace(address=client.address if client is not None else "", port="")
                break
            client = hop
            if not trusted:
                break
        if client is not None:
            _apply(environ, client)


def _is_in(networks: list[Network], address: str) -> bool | None:
    """Whether the address is in one of the networks; None when it is no address."""
    if "%" in address:  # a zone (RFC 4007 11) may be any text, and means nothing on another host
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # a dual-stack socket's way to tell an IPv4 peer
    return any(parsed in network for network in networks)


def _apply(environ: WSGIEnvironment, client: Hop) -> None:
    environ["nova.proxy_addr"] = environ.get("REMOTE_ADDR", "")
    if client.address:
        environ["REMOTE_ADDR"] = client.address
        environ["REMOTE_PORT"] = client.port if client.port.isdecimal() else ""
    if client.proto in ("http", "https"):
        environ["wsgi.url_scheme"] = client.proto
        environ["SERVER_PORT"] = "443" if client.proto == "https" else "80"
    if HOST.fullmatch(client.host):
        environ["HTTP_HOST"] = client.host
        port = client.host.rpartition("]")[2].partition(":")[2]
        if port:
            environ["SERVER_PORT"] = port


# -- the headers ------------------------------------------------------------------------------------------------------


def _x_forwarded(environ: WSGIEnvironment) -> list[Hop]:
    """The hops of X-Forwarded-For, the client's first, with what the other fields say of each; one without For."""
    columns = [_items(environ, f"HTTP_X_FORWARDED_{name}") for name in ("FOR", "PROTO", "HOST", "PORT")]
    if not any(columns):
        return []
    count = max(1, len(columns[0]))
    return [
        Hop(*_split_port(address), proto.lower(), _with_port(host, port))
        for address, proto, host, port in zip(*(_aligned(column, count) for column in columns), strict=True)
    ]


def _items(environ: WSGIEnvironment, key: str) -> list[str]:
    value: str = environ.get(key, "")
    return [item.strip() for item in value.split(",")][-HOPS_MAX:] if value else []


def _aligned(values: list[str], count: int) -> list[str]:
    """One value a hop: as they stand when there are as many; else the last, the nearest proxy's, for all."""
    return values if len(values) == count else [values[-1] if values else ""] * count


def _with_port(host: str, port: str) -> str:
    """Add X-Forwarded-Port to a host that has none."""
    if not host or not port.isdecimal() or ":" in host.rpartition("]")[2]:
        return host
    return f"{host}:{port}"


def _split_port(text: str) -> tuple[str, str]:
    """Split ``192.0.2.1:80``, ``[2001:db8::1]:80`` and the same without ports; a bare IPv6 address has none."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        return address, port.removeprefix(":")
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        return address, port
    return text, ""


_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;\s]*))\s*(;|,|$)')


def _forwarded(environ: WSGIEnvironment) -> list[Hop]:
    """The elements of Forwarded (RFC 7239 section 4), the client's first; of a malformed field none."""
    field: str = environ.get("HTTP_FORWARDED", "")
    hops: list[Hop] = []
    element: dict[str, str] = {}
    position = 0
    while position < len(field):
        pair = _PAIR.match(field, position)
        if pair is None:
            return []
        name, quoted, token, separator = pair.groups()
        element[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token
        if separator != ";":
            hops.append(_hop(element))
            element = {}
        position = pair.end()
    return hops[-HOPS_MAX:]


def _hop(element: dict[str, str]) -> Hop:
    address, port = _split_port(element.get("for", ""))
    return Hop(address, port, element.get("proto", "").lower(), element.get("host", ""))


READERS: dict[str, Callable[[WSGIEnvironment], list[Hop]]] = {"x-forwarded": _x_forwarded, "forwarded": _forwarded}
