"""The claims of a token: what must be there, for whom it was made, and its time."""

import json

import pytest
from support.oidc import SigningKey

from nova_objectstore.crypto.jws import parse_jws
from nova_objectstore.sts.errors import ExpiredIdentityToken, InvalidIdentityToken
from nova_objectstore.sts.oidc import LEEWAY_S, SOURCE_IDENTITY_CLAIM, TAGS_CLAIM, read_identity, read_issuer

ISSUER = "https://idp.example.com/realm"
NOW_S = 1_700_000_000.5
CLAIMS = {"iss": ISSUER, "aud": "app", "sub": "somebody", "iat": 1_700_000_000, "exp": 1_700_000_300}


def read(*, client_ids=("app", "other"), now_s=NOW_S, **more):
    claims = {name: value for name, value in {**CLAIMS, **more}.items() if value is not None}
    return read_identity(json.dumps(claims).encode(), issuer=ISSUER, client_ids=client_ids, now_s=now_s)


def test_a_token_tells_whom_it_is_about():
    identity = read(amr=["pwd", "otp"])
    assert (identity.subject, identity.provider) == ("somebody", "idp.example.com/realm")
    assert (identity.parties, identity.amr) == (("app",), ("pwd", "otp"))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "exp", "iat"])
def test_a_claim_that_is_missing(name):
    with pytest.raises(InvalidIdentityToken, match=f"Missing a required claim: {name}"):
        read(**{name: None})


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://idp.example.com"},
        {"iss": f"{ISSUER}/"},
        {"iss": [ISSUER]},
        {"aud": "another"},
        {"aud": []},
        {"aud": ["another"]},
        {"aud": [5]},
        {"aud": {"app": 1}},
        {"aud": ["app"] * 101},
        {"aud": ["app", "x" * 1001]},
        {"sub": ""},
        {"sub": 5},
        {"sub": "x" * 256},
        {"exp": "1700000300"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"sub": "\ud800"},
        {"iat": NOW_S + LEEWAY_S + 1},
        {"nbf": NOW_S + LEEWAY_S + 1},
        {"nbf": "now"},
        {"azp": "another"},
        {"azp": 5},
        {"amr": 5},
        {TAGS_CLAIM: []},
        {TAGS_CLAIM: {"principal_tags": []}},
        {TAGS_CLAIM: {"principal_tags": {"team": ["a", "b"]}}},
        {TAGS_CLAIM: {"principal_tags": {"team": [1]}}},
        {SOURCE_IDENTITY_CLAIM: ["me"]},
    ],
)
def test_a_claim_that_is_not_what_it_must_be(claims):
    with pytest.raises(InvalidIdentityToken):
        read(**claims)


def test_the_time_of_a_token():
    read(now_s=CLAIMS["exp"] - 0.1)
    for now_s in (CLAIMS["exp"], CLAIMS["exp"] + 1000):
        with pytest.raises(ExpiredIdentityToken):
            read(now_s=now_s)
    read(iat=NOW_S + LEEWAY_S, nbf=NOW_S + LEEWAY_S)  # its issuer's clock may be ahead
    read(nbf=0, exp=NOW_S + 0.5)


def test_the_party_that_a_token_was_made_for():
    assert read(aud=["x", "other"]).parties == ("x", "other")
    # as Keycloak has it: the audience is the API, the party is the application
    identity = read(aud="account", azp="app")
    assert (identity.parties, identity.audiences) == (("app",), ("account",))
    with pytest.raises(InvalidIdentityToken):
        read(aud="app", azp="another")
    with pytest.raises(InvalidIdentityToken):
        read(client_ids=())


def test_tags_and_a_source_identity_come_from_their_claims():
    tags = {"principal_tags": {"team": ["red"], "cost": "5"}, "transitive_tag_keys": ["team"]}
    identity = read(**{TAGS_CLAIM: tags, SOURCE_IDENTITY_CLAIM: "me"})
    assert (identity.tags, identity.transitive) == ({"team": "red", "cost": "5"}, ("team",))
    assert identity.source_identity == "me"


def test_the_issuer_is_read_before_anything_is_verified():
    key = SigningKey.make("key", "ES256")
    assert read_issuer(parse_jws(key.token({"iss": ISSUER}))) == ISSUER
    for claims in (
        {},
        {"iss": 5},
        {"iss": "idp.example.com"},
        {"iss": ""},
        b"[]",
        b"\xff",
        b'{"iss": "a", "iss": "b"}',
        b'{"iss": "https://\\ud800"}',
    ):
        with pytest.raises(InvalidIdentityToken):
            read_issuer(parse_jws(key.token(claims)))
