"""Endpoints: what is one, and which networks may be reached."""

from __future__ import annotations

import ipaddress

import pytest

from nova_objectstore.delivery.endpoints import Networks, read_endpoint
from nova_objectstore.delivery.errors import DeliveryFailed, InvalidTopicParameter

EVERY = ("http", "https", "amqp", "amqps")


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("http://example.org", "example.org", 80, "/"),
        ("https://user:p%40ss@example.org/a?b=c", "example.org", 443, "/a?b=c"),
        ("http://[::1]:8080/x", "::1", 8080, "/x"),
        ("amqps://host/vhost", "host", 5671, "/vhost"),
    ],
)
def test_urls_are_read(url: str, host: str, port: int, target: str) -> None:
    found = read_endpoint(url, schemes=EVERY)
    assert (found.host, found.port, found.target) == (host, port, target)


def test_a_password_is_read_and_never_shown() -> None:
    found = read_endpoint("https://user:secret@example.org/", schemes=EVERY)
    assert (found.user, found.password) == ("user", "secret")
    assert found.shown == "https://user:***@example.org/"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:s%2Fcr%40t@example.org:8443/hook", "https://user:***@example.org:8443/hook"),
        ("https://:secret@example.org/", "https://:***@example.org/"),
        ("amqp://user:secret@example.org/vhost", "amqp://user:***@example.org/vhost"),
        ("https://example.org/hook?token=secret&a=b", "https://example.org/hook?***"),
        ("https://user@example.org/a@b:c@d", "https://user@example.org/a@b:c@d"),
    ],
)
def test_what_is_shown_tells_no_secret(url: str, shown: str) -> None:
    assert read_endpoint(url, schemes=EVERY).shown == shown


@pytest.mark.parametrize(
    "url",
    ["", "example.org", "ftp://host/", "http://", "http://host:0/", "http://host:x/", "http://host:70000/", "http://h/#f",
     "http://ho st/", "http://höst/", "http://h/\r\nX: y", "http://[::1/", "file:///etc/passwd", "http://h/" + "a" * 3000],
)  # fmt: skip
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(InvalidTopicParameter):
        read_endpoint(url, schemes=EVERY)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.216.34", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("2606:2800:220:1::1", True),
        ("fd00::1", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
    ],
)
def test_what_may_be_reached_where_nobody_says(address: str, allowed: bool) -> None:
    assert Networks().allow(ipaddress.ip_address(address)) is allowed


def test_networks_that_are_given_are_all_there_are() -> None:
    networks = Networks.parse(["127.0.0.0/8", "fd00::/8"])
    assert networks.allow(ipaddress.ip_address("127.0.0.1"))
    assert networks.allow(ipaddress.ip_address("fd00::1"))
    assert not networks.allow(ipaddress.ip_address("93.184.216.34"))
    with pytest.raises(ValueError, match="nonsense"):
        Networks.parse(["nonsense"])


def test_names_are_resolved_to_an_address_that_may_be_reached() -> None:
    endpoint = read_endpoint("http://localhost/", schemes=EVERY)
    assert Networks.parse(["127.0.0.0/8"]).resolve(endpoint) == "127.0.0.1"
    with pytest.raises(DeliveryFailed, match="not in a network"):
        Networks().resolve(endpoint)
    with pytest.raises(DeliveryFailed):
        Networks().resolve(read_endpoint("http://name.invalid/", schemes=EVERY))
