"""JSON Web Signatures: RFC 7515's own examples, every algorithm, and what must never verify."""

import hmac
import json
from hashlib import sha256
from pathlib import Path

import pytest
from support.oidc import SigningKey, base64url

from nova_objectstore.crypto.jws import ALGORITHMS, KEYS_MAX, BadJws, UnknownKey, parse_jws, parse_key_set

VECTORS = sorted((Path(__file__).parents[2] / "vectors" / "jws").glob("*.json"))
CLAIMS = {"iss": "joe", "sub": "x"}

KEYS = {alg: SigningKey.make(f"key-{alg}", alg) for alg in ALGORITHMS}


def key_set(*items):
    return parse_key_set(json.dumps({"keys": items}).encode())


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_rfc_s_examples(path):
    vector = json.loads(path.read_text())
    payload = parse_jws(vector["token"]).verify(key_set(vector["key"]))
    assert payload.decode() == vector["payload"]


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_every_algorithm(alg):
    key = KEYS[alg]
    jws = parse_jws(key.token(CLAIMS))
    assert json.loads(jws.verify(key_set(*(other.public() for other in KEYS.values())))) == CLAIMS
    with pytest.raises(BadJws):
        jws.verify(key_set(SigningKey.make(key.kid, alg).public()))


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_every_flipped_byte_is_refused(alg):
    key = KEYS[alg]
    keys = key_set(key.public())
    token = key.token(CLAIMS)
    for index, char in enumerate(token):
        bent = token[:index] + ("A" if char != "A" else "B") + token[index + 1 :]
        if bent[index] == "." or parse_loosely(bent) == parse_loosely(token):
            continue  # the last characters of base64url have bits that say nothing
        with pytest.raises(BadJws):
            parse_jws(bent).verify(keys)


def parse_loosely(token):
    try:
        jws = parse_jws(token)
    except BadJws:
        return None
    return jws.signed, jws.signature


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "PS256"},
        {"alg": "rs256"},
        {"alg": None},
        {"alg": ["RS256"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"kid": 1},
    ],
)
def test_a_header_that_asks_for_something_else_is_refused(header):
    with pytest.raises(BadJws):
        parse_jws(KEYS["RS256"].token(CLAIMS, **header))


def test_a_public_key_is_no_secret_of_an_hmac():
    public = json.dumps(KEYS["RS256"].public()).encode()
    signed = f"{base64url(json.dumps({'alg': 'HS256', 'kid': 'key-RS256'}).encode())}.{base64url(b'{}')}"
    signature = hmac.digest(public, signed.encode(), sha256)
    with pytest.raises(BadJws):
        parse_jws(f"{signed}.{base64url(signature)}")


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b", "a.b.c.d", "é.b.c", "e30.e30.", "e30=.e30.e30", "e3 0.e30.e30", "x.e30.e30", "W10.e30.e30",
     "eyJhbGciOiJSUzI1NiIsImFsZyI6IlJTMjU2In0.e30.e30", "A" * 20_001],
)  # fmt: skip
def test_what_is_no_token_is_refused(token):
    with pytest.raises(BadJws):
        parse_jws(token)


def test_an_empty_signature_is_refused():
    for alg in ("RS256", "ES256"):
        head, payload, _ = KEYS[alg].token(CLAIMS).split(".")
        with pytest.raises(BadJws):
            parse_jws(f"{head}.{payload}.").verify(key_set(KEYS[alg].public()))


def test_zeros_are_no_signature_of_a_curve():
    head, payload, _ = KEYS["ES256"].token(CLAIMS).split(".")
    with pytest.raises(BadJws):
        parse_jws(f"{head}.{payload}.{base64url(bytes(64))}").verify(key_set(KEYS["ES256"].public()))


# -- which key -----------------------------------------------------------------------------------------------------------


def test_a_key_verifies_what_it_was_published_for_alone():
    key = KEYS["RS256"]
    other_use = [
        key.public(use="enc"),
        key.public(key_ops=["sign"]),
        key.public(alg="RS512"),
        key.public(alg="RSA-OAEP"),
    ]
    for item in other_use:
        with pytest.raises(UnknownKey):
            parse_jws(key.token(CLAIMS)).verify(key_set(item))
    for item in (key.public(alg=""), key.public(key_ops=["verify"])):
        assert parse_jws(key.token(CLAIMS)).verify(key_set(item))


def test_a_curve_has_its_algorithm():
    key = KEYS["ES384"]
    with pytest.raises(UnknownKey):
        parse_jws(key.token(CLAIMS, alg="ES256")).verify(key_set(key.public(alg="")))


def test_a_named_key_is_the_only_one_that_counts():
    key = KEYS["RS256"]
    token = key.token(CLAIMS)
    with pytest.raises(UnknownKey):
        parse_jws(token).verify(key_set(key.public(kid="other")))
    with pytest.raises(UnknownKey):
        parse_jws(token).verify(())


def test_without_a_name_all_that_fit_are_tried():
    key = KEYS["RS256"]
    token = key.token(CLAIMS, kid=None)
    others = [SigningKey.make("one").public(), KEYS["ES256"].public()]
    assert parse_jws(token).verify(key_set(*others, key.public()))
    with pytest.raises(UnknownKey):  # its issuer may have got a new one
        parse_jws(token).verify(key_set(*others))


def test_keys_that_are_none_are_left_out():
    good = KEYS["RS256"].public()
    strange = [
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": []},
        {**good, "n": "!"},
        {**good, "n": 5},
        {**good, "e": "AA"},
        {**good, "kid": 5},
        {"kty": "RSA"},
        {**KEYS["ES256"].public(), "x": "AAAA"},
        {**KEYS["ES256"].public(), "crv": "P-224"},
        SigningKey.make("weak", bits=1024).public(),
    ]
    assert [key.kid for key in key_set(*strange, good)] == ["key-RS256"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [], "keys": []}', b"\xff", b"[" * 10_000]
)
def test_what_is_no_set_is_refused(content):
    with pytest.raises(BadJws):
        parse_key_set(content)


def test_a_set_has_a_bound():
    with pytest.raises(BadJws):
        key_set(*[{}] * (KEYS_MAX + 1))
