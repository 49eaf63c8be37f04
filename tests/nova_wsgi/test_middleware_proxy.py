"""Who the client is behind proxies: believed from named networks only, and never guessed."""

import pytest

from nova_wsgi.middleware.proxy import Proxy
from nova_wsgi.response import Response
from nova_wsgi.testing import Client


def app(environ, start_response):
    keys = ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "HTTP_HOST", "SERVER_PORT", "nova.proxy_addr")
    return Response.of_json([environ.get(key) for key in keys])(environ, start_response)


def ask(headers, *, peer="10.0.0.1", networks="10.0.0.0/8 fd00::/8", kind="x-forwarded"):
    """Address, port, scheme, host and server port that the application sees."""
    filtered = Proxy.filter_factory({}, networks=networks, headers=kind)(app)
    answer = Client(filtered, environ={"REMOTE_ADDR": peer}).get("/", headers=headers)
    return answer.json()


def test_a_peer_outside_the_networks_is_not_believed():
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    assert ask(headers, peer="198.51.100.1") == ["198.51.100.1", "49152", "http", "localhost", "80", None]


def test_a_trusted_proxy_tells_address_scheme_and_host():
    headers = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "s3.example.com",
        "X-Forwarded-Port": "8443",
    }
    assert ask(headers) == ["192.0.2.1", "", "https", "s3.example.com:8443", "8443", "10.0.0.1"]


def test_the_first_address_from_the_end_that_is_no_proxy_is_the_client():
    assert ask({"X-Forwarded-For": "6.6.6.6, 192.0.2.1, 10.0.0.7, 10.0.0.8"})[0] == "192.0.2.1"
    assert ask({"X-Forwarded-For": "10.0.0.9, 10.0.0.8"})[0] == "10.0.0.9"


def test_values_that_each_proxy_appends_are_taken_from_the_clients_place():
    headers = {"X-Forwarded-For": "192.0.2.1, 10.0.0.7", "X-Forwarded-Proto": "https, http"}
    assert ask(headers)[2] == "https"
    assert ask({**headers, "X-Forwarded-Proto": "https"})[2] == "https"


@pytest.mark.parametrize(
    ("given", "address", "port"),
    [
        ("192.0.2.1:1234", "192.0.2.1", "1234"),
        ("[2001:db8::1]:1234", "2001:db8::1", "1234"),
        ("[2001:db8::1]", "2001:db8::1", ""),
        ("2001:db8::1", "2001:db8::1", ""),
    ],
)
def test_addresses_may_have_ports(given, address, port):
    assert ask({"X-Forwarded-For": given})[:2] == [address, port]


@pytest.mark.parametrize("given", ["unknown", "evil\t", "192.0.2.300", "fe80::1%eth0", "6.6.6.6, x", ",", "' OR 1"])
def test_a_malformed_address_is_not_taken(given):
    assert ask({"X-Forwarded-For": given})[0] == "10.0.0.1"


def test_malformed_hosts_and_schemes_are_not_taken():
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "a/b@c", "X-Forwarded-Proto": "javascript"}
    assert ask(headers)[2:5] == ["http", "localhost", "80"]


def test_only_a_scheme_leaves_the_address():
    assert ask({"X-Forwarded-Proto": "https"})[:3] == ["10.0.0.1", "49152", "https"]
    assert ask({}) == ["10.0.0.1", "49152", "http", "localhost", "80", None]


def test_an_ipv4_proxy_on_a_dual_stack_socket_is_known():
    assert ask({"X-Forwarded-For": "192.0.2.1"}, peer="::ffff:10.0.0.1")[0] == "192.0.2.1"
    assert ask({"X-Forwarded-For": "192.0.2.1"}, peer="fd00::5")[0] == "192.0.2.1"


def test_a_unix_sockets_peer_is_trusted_when_named():
    assert ask({"X-Forwarded-For": "192.0.2.1"}, peer="")[0] == ""
    assert ask({"X-Forwarded-For": "192.0.2.1"}, peer="", networks="unix")[0] == "192.0.2.1"


def test_the_other_kind_of_header_is_the_clients_own_and_not_read():
    assert ask({"Forwarded": "for=192.0.2.1"})[0] == "10.0.0.1"
    assert ask({"X-Forwarded-For": "192.0.2.1"}, kind="forwarded")[0] == "10.0.0.1"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("for=192.0.2.1;proto=https;host=s3.example.com", ["192.0.2.1", "", "https", "s3.example.com", "443"]),
        ('For="[2001:db8::1]:4711" ; Proto=HTTPS', ["2001:db8::1", "4711", "https", "localhost", "443"]),
        (
            "for=6.6.6.6, for=192.0.2.1;proto=https, for=10.0.0.7;proto=http",
            ["192.0.2.1", "", "https", "localhost", "443"],
        ),
        ('for="_hidden";proto=https', ["10.0.0.1", "49152", "https", "localhost", "443"]),
        ("for=unknown, for=10.0.0.7", ["10.0.0.7", "", "http", "localhost", "80"]),
        ('for=192.0.2.1;host="a\\b.example"', ["192.0.2.1", "", "http", "ab.example", "80"]),
        ("for=192.0.2.1;;proto", ["10.0.0.1", "49152", "http", "localhost", "80"]),
        ('for="192.0.2.1', ["10.0.0.1", "49152", "http", "localhost", "80"]),
    ],
)
def test_forwarded_is_read_as_rfc_7239_says(field, expected):
    assert ask({"Forwarded": field}, kind="forwarded")[:5] == expected


def test_bad_options_are_refused_when_the_pipeline_is_composed():
    with pytest.raises(ValueError, match="x-forwarded, forwarded"):
        Proxy.filter_factory({}, networks="10.0.0.0/8", headers="via")
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        Proxy.filter_factory({}, networks="10.0.0.1/8")
