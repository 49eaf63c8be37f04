"""The keys of issuers, from a real one over HTTP(S): found, kept, fetched anew; asked rarely, and believed with care."""

import json

import pytest
from support.certificates import Authority
from support.oidc import SigningKey, running_issuer

from nova_objectstore.crypto.jws import parse_jws
from nova_objectstore.sts.errors import IdentityProviderUnreachable, InvalidIdentityToken
from nova_objectstore.sts.issuers import (
    DOCUMENT_BYTES_MAX,
    KEYS_AGE_MAX_S,
    REFETCH_MIN_S,
    Fetcher,
    Issuers,
    is_loopback,
)
from nova_wsgi import green

DISCOVERY = "/realms/test/.well-known/openid-configuration"
CERTS = "/realms/test/certs"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer():
    with running_issuer() as running:
        yield running


@pytest.fixture
def issuers(clock):
    return Issuers(Fetcher(), clock_s=clock)


def verify(issuers, issuer, token=None):
    return json.loads(issuers.verify(issuer.url, parse_jws(token or issuer.token())))


# -- found and kept ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"])
def test_a_token_is_verified_by_its_issuer_s_keys(issuers, issuer, alg):
    issuer.keys = [SigningKey.make("one", alg), SigningKey.make("two", "RS256")]
    assert verify(issuers, issuer, issuer.keys[0].token(issuer.claims(sub="me")))["sub"] == "me"
    assert issuer.asked == [DISCOVERY, CERTS]


def test_the_keys_are_kept_for_their_time(issuers, issuer, clock):
    for _ in range(3):
        verify(issuers, issuer)
    assert len(issuer.asked) == 2
    clock.now_s += KEYS_AGE_MAX_S
    verify(issuers, issuer)
    assert len(issuer.asked) == 4


def test_a_rotated_key_is_found_and_a_withdrawn_one_forgotten(issuers, issuer, clock):
    verify(issuers, issuer)
    old, new = issuer.keys[0], SigningKey.make("second", "ES256")
    issuer.keys = [new]
    clock.now_s += REFETCH_MIN_S
    assert verify(issuers, issuer)["sub"] == "somebody"
    with pytest.raises(InvalidIdentityToken):
        verify(issuers, issuer, old.token(issuer.claims()))


def test_strangers_tokens_do_not_make_the_store_ask(issuers, issuer, clock):
    verify(issuers, issuer)
    clock.now_s += REFETCH_MIN_S
    for number in range(20):
        with pytest.raises(InvalidIdentityToken):
            verify(issuers, issuer, SigningKey.make(f"unknown-{number}", "ES256").token(issuer.claims()))
    assert len(issuer.asked) == 4
    verify(issuers, issuer)
    forged = SigningKey.make(issuer.keys[0].kid).token(issuer.claims())
    clock.now_s += REFETCH_MIN_S
    with pytest.raises(InvalidIdentityToken):
        verify(issuers, issuer, forged)
    assert len(issuer.asked) == 4  # its key is known, and did not sign it


def test_requests_that_come_together_ask_once(issuers, issuer):
    issuer.gate.clear()
    waiting = [green.spawn(verify, issuers, issuer) for _ in range(5)]
    with green.Timeout(10):
        while not issuer.asked:
            green.sleep(0.001)
    issuer.gate.set()
    assert [thread.wait()["sub"] for thread in waiting] == ["somebody"] * 5
    assert len(issuer.asked) == 2


def test_an_issuer_that_fails_is_asked_again_later(issuers, issuer, clock):
    issuer.status = 503
    for _ in range(3):
        with pytest.raises(IdentityProviderUnreachable):
            verify(issuers, issuer)
    assert len(issuer.asked) == 1
    issuer.status = 200
    clock.now_s += REFETCH_MIN_S
    assert verify(issuers, issuer)


def test_known_keys_outlive_an_issuer_s_failure_but_not_their_time(issuers, issuer, clock):
    token = issuer.token()
    verify(issuers, issuer, token)
    issuer.status = 500
    clock.now_s += REFETCH_MIN_S
    with pytest.raises(InvalidIdentityToken):
        verify(issuers, issuer, SigningKey.make("unknown").token(issuer.claims()))
    assert verify(issuers, issuer, token)
    clock.now_s += KEYS_AGE_MAX_S
    with pytest.raises(IdentityProviderUnreachable):
        verify(issuers, issuer, token)


# -- believed with care --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://localhost/another"},
        {"issuer": None},
        {"jwks_uri": 5},
        {"jwks_uri": "http://keys.example.com/certs"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://user:password@localhost/"},
        {"jwks_uri": "http://[::1"},
        {"jwks_uri": ""},
    ],
)
def test_a_configuration_that_is_not_the_issuer_s_is_refused(issuers, issuer, change):
    issuer.configuration |= change
    with pytest.raises(InvalidIdentityToken):
        verify(issuers, issuer)
    assert issuer.asked == [DISCOVERY]


@pytest.mark.parametrize("status", [204, 301, 302, 307, 404, 401])
def test_no_other_answer_counts_and_no_redirect_is_followed(issuers, issuer, status):
    issuer.status = status
    with pytest.raises(InvalidIdentityToken):
        verify(issuers, issuer)
    assert issuer.asked == [DISCOVERY]


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b" " * (DOCUMENT_BYTES_MAX + 1), b"\xff\xfe{"])
@pytest.mark.parametrize("end", ["configuration", "certs"])
def test_documents_that_are_none_are_refused(issuers, issuer, end, content):
    issuer.answers[end] = content
    with pytest.raises(InvalidIdentityToken):
        verify(issuers, issuer)


def test_an_issuer_that_does_not_end_its_answer_is_left(issuer, clock):
    issuer.gate.clear()
    with pytest.raises(IdentityProviderUnreachable):
        verify(Issuers(Fetcher(timeout_s=0.2), clock_s=clock), issuer)


def test_nobody_there(issuers, clock):
    with running_issuer() as gone:
        token = gone.token()
    with pytest.raises(IdentityProviderUnreachable):
        verify(issuers, gone, token)


def test_plain_http_is_for_loopback_unless_it_is_allowed():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("localhost.example.com", "10.0.0.1", "", "0.0.0.0", "::2", "127.1")))
    with pytest.raises(InvalidIdentityToken):
        Fetcher()("http://192.0.2.1/x")
    with pytest.raises(IdentityProviderUnreachable):
        Fetcher(plain_http=True, timeout_s=0.05)("http://192.0.2.1/x")  # TEST-NET: nobody answers


def test_tls_is_verified(tmp_path, clock):
    authority = Authority(tmp_path)
    (tmp_path / "others").mkdir()
    others = Authority(tmp_path / "others")
    with running_issuer(authority.server_context()) as issuer:
        trusting = Issuers(Fetcher(ca_file=str(authority.path)), clock_s=clock)
        assert verify(trusting, issuer)["sub"] == "somebody"
        for fetcher in (Fetcher(), Fetcher(ca_file=str(others.path))):
            with pytest.raises(IdentityProviderUnreachable):
                verify(Issuers(fetcher, clock_s=clock), issuer)


def test_a_ca_file_that_is_missing_is_no_reason_to_believe(tmp_path, clock):
    with running_issuer(Authority(tmp_path).server_context()) as issuer, pytest.raises(IdentityProviderUnreachable):
        verify(Issuers(Fetcher(ca_file=str(tmp_path / "none.pem")), clock_s=clock), issuer)
