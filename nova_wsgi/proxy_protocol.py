"""The PROXY protocol, versions 1 and 2: what a load balancer says about the client behind it. Pure.

Source: "The PROXY protocol", haproxy.org/download/3.0/doc/proxy-protocol.txt. A header stands before everything else on
a connection, TLS included, so it is read exactly, never a byte more.

Law: whoever may send a header must send one (section 2: a receiver never guesses); whoever may not is never asked.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nova_wsgi.errors import BadRequest

SIGNATURE_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
FIRST_READ: Final = len(b"PROXY UNKNOWN\r\n")  # no header of either version is shorter
V1_SIZE_MAX: Final = 107  # section 2.1: the longest line with its CRLF
V2_FIXED: Final = 16  # signature, version and command, family, length
V2_LENGTH_MAX: Final = 16 * 1024  # addresses and TLVs; a client certificate's names are the longest of those

_V1_FAMILIES: Final = {"TCP4": 4, "TCP6": 6}
_COMMAND_LOCAL, _COMMAND_PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_TLV_SSL: Final = 0x20
_CLIENT_SSL: Final = 0x01


@dataclass(frozen=True, slots=True)
class ProxiedClient:
    """Who connected to the load balancer: an address, a TCP port, and whether by TLS (known from version 2 only)."""

    address: str
    port: int
    tls: bool = False


def read_header(read_exactly: Callable[[int], bytes]) -> ProxiedClient | None:
    """Read one header with ``read_exactly(size)``. None: the balancer speaks for itself (a health check).

    Raises BadRequest when it is no valid header of either version, and what ``read_exactly`` raises.
    """
    start = read_exactly(FIRST_READ)
    if start.startswith(SIGNATURE_V2):
        start += read_exactly(V2_FIXED - FIRST_READ)
        command, family, length = struct.unpack("!BBH", start[12:])
        if length > V2_LENGTH_MAX:
            raise BadRequest("the PROXY header is too long")
        return parse_v2(command, family, read_exactly(length))
    if not start.startswith(b"PROXY "):
        raise BadRequest("the connection does not begin with a PROXY header")
    while not start.endswith(b"\r\n"):
        if len(start) >= V1_SIZE_MAX:
            raise BadRequest("the PROXY header is too long")
        start += read_exactly(1)  # what follows belongs to somebody else
    return parse_v1(start)


def parse_v1(line: bytes) -> ProxiedClient | None:
    """Parse ``PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\\r\\n`` (section 2.1)."""
    if not line.isascii():
        raise BadRequest("the PROXY header is not ASCII")
    words = line.decode("ascii").removesuffix("\r\n").split(" ")
    if words[:2] == ["PROXY", "UNKNOWN"]:
        return None
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in _V1_FAMILIES:
        raise BadRequest("the PROXY header is malformed")
    source = _parse_address(words[2], _V1_FAMILIES[words[1]])
    _parse_address(words[3], _V1_FAMILIES[words[1]])
    _parse_port(words[5])
    return ProxiedClient(source, _parse_port(words[4]))


def parse_v2(command: int, family: int, payload: bytes) -> ProxiedClient | None:
    """Parse version 2: ``command`` is byte 13, ``family`` byte 14, ``payload`` what follows the length (section 2.2)."""
    if command == _COMMAND_LOCAL:
        return None
    if command != _COMMAND_PROXY:
        raise BadRequest("the PROXY header has an unknown version or command")
    if family not in (_TCP4, _TCP6):
        return None  # section 2.2: a receiver is free to use the connection's own addresses
    address_size = 4 if family == _TCP4 else 16
    if len(payload) < 2 * address_size + 4:
        raise BadRequest("the PROXY header is too short for its addresses")
    address = ipaddress.ip_address(payload[:address_size])
    (port,) = struct.unpack_from("!H", payload, 2 * address_size)
    return ProxiedClient(str(address), port, tls=_came_by_tls(payload[2 * address_size + 4 :]))


def _came_by_tls(tlvs: bytes) -> bool:
    """Walk the type-length-value list (section 2.2.1) to PP2_TYPE_SSL; its first byte has the flags."""
    position = 0
    while position < len(tlvs):
        if position + 3 > len(tlvs):
            raise BadRequest("the PROXY header's last TLV is cut off")
        kind, length = struct.unpack_from("!BH", tlvs, position)
        position += 3
        if position + length > len(tlvs):
            raise BadRequest("the PROXY header's last TLV is cut off")
        if kind == _TLV_SSL and length:
            return bool(tlvs[position] & _CLIENT_SSL)
        position += length
    return False


def _parse_address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or address.version != version or "%" in text:
        raise BadRequest("the PROXY header has a malformed address")
    return str(address)


def _parse_port(text: str) -> int:
    if not (text.isdecimal() and text.isascii()) or (text[0] == "0" and text != "0") or int(text) > 65535:
        raise BadRequest("the PROXY header has a malformed port")
    return int(text)
