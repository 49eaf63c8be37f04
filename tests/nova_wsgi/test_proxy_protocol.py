"""PROXY headers, parsed and over the wire."""

import io
import ipaddress
import socket
import struct

import pytest
from support.raw_http import Client, echo, limits, serving

from nova_wsgi.errors import BadRequest
from nova_wsgi.proxy_protocol import SIGNATURE_V2, ProxiedClient, read_header

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
ELSEWHERE = [ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32")]
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"


def v2(command=0x21, family=0x11, payload=None, *, length=None, tlvs=b""):
    if payload is None:
        payload = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 56324, 443)
    payload += tlvs
    return SIGNATURE_V2 + struct.pack("!BBH", command, family, len(payload) if length is None else length) + payload


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def parse(data):
    """The header's meaning; everything is read, and nothing behind it is touched."""
    rest = data + b"BEHIND"

    def read_exactly(size):
        nonlocal rest
        piece, rest = rest[:size], rest[size:]
        return piece

    client = read_header(read_exactly)
    assert rest == b"BEHIND"
    return client


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (V1, ProxiedClient("192.0.2.7", 56324)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n", ProxiedClient("2001:db8::7", 1)),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ProxiedClient("255.255.255.255", 65535)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:ffff::ffff ffff::1 65535 65535\r\n", None),
        (v2(), ProxiedClient("192.0.2.7", 56324)),
        (
            v2(family=0x21, payload=ipaddress.ip_address("2001:db8::7").packed * 2 + struct.pack("!HH", 9, 8)),
            ProxiedClient("2001:db8::7", 9),
        ),
        (v2(command=0x20), None),
        (v2(command=0x20, family=0, payload=b""), None),
        (v2(family=0, payload=b""), None),
        (v2(family=0x31, payload=bytes(216)), None),
        (v2(tlvs=tlv(0x04, bytes(500))), ProxiedClient("192.0.2.7", 56324)),
        (v2(tlvs=tlv(0x02, b"name") + tlv(0x20, b"\x01\0\0\0\0")), ProxiedClient("192.0.2.7", 56324, tls=True)),
        (v2(tlvs=tlv(0x20, b"\0\0\0\0\0")), ProxiedClient("192.0.2.7", 56324)),
    ],
)
def test_headers(header, client):
    assert parse(header) == client


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n",
        b"PROXY TCP4 192.0.2.7  198.51.100.1 56324 443\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 56324 443\r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.1 56324 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 01 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 56324 443\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 44\xb2\r\n",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        v2(command=0x11),
        v2(command=0x22),
        v2(payload=bytes(11)),
        v2(length=60_000),
        v2(tlvs=b"\x04\0"),
        v2(tlvs=b"\x04\0\x05abcd"),
    ],
)
def test_what_is_no_header(header):
    stream = io.BytesIO(header + bytes(20_000))

    with pytest.raises(BadRequest):
        read_header(stream.read)


@pytest.mark.parametrize("header", [V1, v2()])
def test_the_application_sees_the_client_behind_the_balancer(header):
    with serving(echo, proxy_networks=LOOPBACK) as server, Client(server) as client:
        for _ in range(2):
            client.send(header).get()
            header = b""  # once a connection
            environ = client.response().json["environ"]
            assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.7", "56324")


def test_a_health_check_keeps_its_address():
    with serving(echo, proxy_networks=LOOPBACK) as server, Client(server) as client:
        environ = client.send(b"PROXY UNKNOWN\r\n").get().response().json["environ"]

        assert environ["REMOTE_ADDR"] == "127.0.0.1"


def test_tls_that_the_balancer_ended():
    with serving(echo, proxy_networks=LOOPBACK) as server, Client(server) as client:
        environ = client.send(v2(tlvs=tlv(0x20, b"\x01\0\0\0\0"))).get().response().json["environ"]

        assert environ["wsgi.url_scheme"] == "https"


def test_before_tls(authority):
    context = authority.server_context()
    with serving(echo, proxy_networks=LOOPBACK, tls=context) as server:
        sock = socket.create_connection(server.socket.getsockname(), timeout=5)
        sock.sendall(V1)
        with Client(server, sock=sock, tls=authority.client_context()) as client:
            environ = client.get().response().json["environ"]
            assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("192.0.2.7", "https")


def test_on_a_unix_socket(tmp_path):
    path = str(tmp_path / "s")
    with serving(echo, proxy_networks=LOOPBACK, family=socket.AF_UNIX, path=path) as server, Client(server) as client:
        assert client.send(V1).get().response().json["environ"]["REMOTE_ADDR"] == "192.0.2.7"


@pytest.mark.parametrize("header", [V1, v2()])
def test_from_elsewhere_it_is_a_malformed_request(header):
    with serving(echo, proxy_networks=ELSEWHERE) as server, Client(server) as client:
        client.send(header).get()
        assert client.response().status == 400
        assert client.is_closed()


def test_who_must_send_one_and_does_not_is_not_served():
    with serving(echo, proxy_networks=LOOPBACK) as server, Client(server) as client:
        assert b" 200 " not in client.get().receive_to_end()


def test_it_has_a_deadline():
    chosen = limits(handshake_timeout_s=0.15)
    with serving(echo, proxy_networks=LOOPBACK, limits=chosen) as server, Client(server) as client:
        client.send(b"PROXY TCP4 192.0")
        assert client.is_closed()
