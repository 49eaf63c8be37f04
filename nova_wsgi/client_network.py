"""Which network a client counts as, wherever there is so much for each of them."""

from __future__ import annotations

import ipaddress
from typing import Final

IPV6_PREFIX: Final = 64  # bits: the smallest network that is given to a client (RFC 6177)


def client_network(address: str) -> str:
    """An IPv4 address itself, an IPv6 one's /64: whoever has one address of it has them all.

    What is no address (another server's word) is taken as it is.
    """
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), IPV6_PREFIX), strict=False))
