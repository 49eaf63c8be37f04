"""Tokens that come back from clients: those of sessions, which the store sealed, and those of OpenID Connect issuers.

Properties: only errors of the store leave a reader. A sealed token opens as it was made and in no other way; a web token
says what its issuer signed, and nothing before that.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from support.fuzz_mutations import damage_json
from support.fuzzing import Target
from support.oidc import SigningKey, base64url

from nova_objectstore.crypto.jws import BadJws, parse_jws, parse_key_set
from nova_objectstore.crypto.keyring import Keyring
from nova_objectstore.crypto.master import MasterKeyPlace
from nova_objectstore.crypto.session_tokens import SessionTokens, TemporaryKey
from nova_objectstore.errors import InvalidToken, StoreError
from nova_objectstore.sts.oidc import read_identity, read_issuer

VECTORS = Path(__file__).parent.parent / "vectors" / "jws"
ISSUER, CLIENT, NOW_S = "https://idp.test/realm", "app", 1_767_225_600.0

# -- sessions ----------------------------------------------------------------------------------------------------------


class Sealed:
    """A store's sealed tokens: two sessions."""

    tokens: SessionTokens
    made: Mapping[bytes, TemporaryKey]

    @contextmanager
    def open(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="nova-fuzz-") as directory:
            keyring = Keyring(Path(directory), MasterKeyPlace.of(Path(directory), environ={}), now_us=lambda: 1)
            self.tokens = SessionTokens(keyring)
            self.made = {payload: self.tokens.make(payload) for payload in (b"one session", b"another")}
            yield

    def check(self, data: bytes) -> str:
        """``access key:token|at:character|at:character``; ``<A>``, ``<B>``, ``<a>`` and ``<b>`` stand for what was made."""
        one, other = self.made.values()
        text, *changes = data.decode("latin-1").split("|")
        for mark, put in (("<A>", one.token), ("<B>", other.token), ("<a>", one.access_key), ("<b>", other.access_key)):
            text = text.replace(mark, put)
        access_key, _, token = text.partition(":")
        for change in changes:
            at, _, character = change.partition(":")
            if token and at.isascii() and at.isdigit() and len(at) < 9:
                token = token[: int(at) % len(token)] + character + token[int(at) % len(token) + 1 :]
        try:
            opened = self.tokens.open(access_key, token)
        except InvalidToken:
            return "refused"
        made = self.made[opened.payload]
        assert (access_key, token, opened.secret_key) == (made.access_key, made.token, made.secret_key), (
            "not as it was made"
        )
        return "opened"

    def make(self, rng: random.Random) -> bytes:
        """A token with up to three characters changed, or beside another key."""
        changes = [f"|{rng.randrange(200)}:{rng.choice(_CHARACTERS)}" for _ in range(rng.randrange(4))]
        return f"{rng.choice(('<a>', '<b>', '<a>x'))}:{rng.choice(('<A>', '<B>', '<A>A', ' <A>'))}{''.join(changes)}".encode(
            "latin-1"
        )


_CHARACTERS = ("A", "B", "a", "b", "0", "1", "+", "/", "=", "-", "_", " ", "\n", "\xe9", "", "AA")


# -- web identities ----------------------------------------------------------------------------------------------------


# The issuer's key and its signatures are the same in every run, which is what the rest of the world must never do.
_SECRET, _NONCE = 0x5EED, 0xF00D
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_KEY = SigningKey("first", "ES256", ec.derive_private_key(_SECRET, ec.SECP256R1()))


def _signed(claims: object) -> bytes:
    """RFC 7518 section 3.4, by hand."""
    header = {"alg": "ES256", "typ": "JWT", "kid": "first"}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    r = ec.derive_private_key(_NONCE, ec.SECP256R1()).public_key().public_numbers().x % _ORDER
    digest = int.from_bytes(sha256(signed.encode()).digest(), "big")
    s = pow(_NONCE, -1, _ORDER) * (digest + r * _SECRET) % _ORDER
    return f"{signed}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}".encode()


def _claims() -> dict[str, Any]:
    return {
        "iss": ISSUER, "aud": [CLIENT], "azp": CLIENT, "sub": "somebody", "iat": NOW_S, "nbf": NOW_S,
        "exp": NOW_S + 60, "amr": ["a"],
        "https://aws.amazon.com/tags": {"principal_tags": {"team": ["a"]}, "transitive_tag_keys": ["team"]},
        "https://aws.amazon.com/source_identity": "x",
    }  # fmt: skip


def check_token(data: bytes) -> str:
    """Taken apart, and verified by the issuer's keys."""
    try:
        jws = parse_jws(data.decode("latin-1"))
        issuer = read_issuer(jws)
        assert issuer.encode() is not None, "an issuer that no database can be asked for"
        keys = parse_key_set(json.dumps({"keys": [_KEY.public()]}).encode())
        payload = jws.verify(keys)
    except StoreError as error:
        return f"{type(error).__name__} {error.message[:50]}"
    assert json.loads(payload) == _claims(), "the issuer did not sign this"
    return "verified"


def make_token(rng: random.Random) -> bytes:
    """A token whose header or claims were damaged, mostly with the signature of what they were."""
    claims: object = _claims()
    header: object = {"alg": "ES256", "typ": "JWT", "kid": "first"}
    if rng.random() < 0.6:
        claims = damage_json(rng, claims)
    else:
        header = damage_json(rng, header)
    pieces = (json.dumps(header).encode(), json.dumps(claims).encode(), rng.randbytes(64))
    return ".".join(base64url(piece) for piece in pieces).encode()


def check_claims(data: bytes) -> str:
    """What an issuer did sign, whatever it is: an issuer may be as hostile as its users."""
    try:
        identity = read_identity(data, issuer=ISSUER, client_ids=(CLIENT,), now_s=NOW_S)
    except StoreError as error:
        return f"{type(error).__name__} {error.message[:50]}"
    texts = [identity.subject, identity.source_identity, *identity.tags, *identity.tags.values(), *identity.audiences]
    assert all(isinstance(text, str) and text.encode() is not None for text in texts), "what no database can keep"
    return "taken"


def make_claims(rng: random.Random) -> bytes:
    """Damaged claims."""
    claims: object = _claims()
    for _ in range(rng.randrange(1, 4)):
        claims = damage_json(rng, claims)
    return json.dumps(claims, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")


def check_key_set(data: bytes) -> str:
    """What an issuer publishes."""
    try:
        return f"{min(3, len(parse_key_set(data)))} keys"
    except BadJws as error:
        return error.message


def make_key_set(rng: random.Random) -> bytes:
    """Damaged sets of keys."""
    made: object = {
        "keys": [_KEY.public(), {"kty": "RSA", "n": base64url(b"\xff" * 256), "e": "AQAB", "key_ops": ["verify"]}]
    }
    for _ in range(rng.randrange(4)):
        made = damage_json(rng, made)
    return json.dumps(made).encode()


def _targets() -> Sequence[Target]:
    sealed = Sealed()
    seeds = [json.dumps(json.loads(path.read_text())).encode() for path in sorted(VECTORS.glob("*.json"))]
    texts = {
        "dots": lambda n: b"." * n,
        "a payload": lambda n: b"e30." + b"e30" * n + b".AA",
        "brackets": lambda n: b".".join(base64url(piece).encode() for piece in (b'{"alg":"ES256"}', b"[" * n, b"a")),
    }
    return (
        Target("session_tokens", sealed.check, sealed.make, seeds=(b"<a>:<A>", b"<b>:<A>", b"<a>:"), words=(b"<A>",
            b"<B>", b"<a>"),
               open=sealed.open, growths={"characters": lambda n: b"<a>:" + b"AAAA" * n}),
        Target("web_tokens", check_token, make_token, seeds=[_signed(_claims()), *seeds], growths=texts, short=1000),
        Target("web_claims", check_claims, make_claims, seeds=[json.dumps(_claims()).encode()]),
        Target("web_keys", check_key_set, make_key_set, seeds=[json.dumps({"keys": [_KEY.public()]}).encode()]),
    )  # fmt: skip


TARGETS = _targets()
