"""JSON Web Signatures in compact form, and the JSON Web Keys that verify them. Pure: no clock, no network.

Strategy: the algorithms are rows, each with the one kind of key that it takes; a token is taken apart, a key that fits is
looked for, and nothing of the payload is told before the signature was verified.

Laws (RFC 7515, 7517, 7518; RFC 8725 "JSON Web Token Best Current Practices"):

- Only public-key algorithms are known: ``none`` and the HMACs, with which a public key would be a secret, do not exist here.
- A key verifies the algorithms of its kind and curve, and no other than the one it was published for.
- A header with ``crit`` demands what this module does not have, and is refused.
- Names may not be there twice in a JSON object: which of them counted would be a matter of the reader's.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from nova_objectstore.errors import StoreError

TOKEN_CHARS_MAX = 20_000  # STS: a WebIdentityToken
KEYS_MAX = 200  # STS: 100 RSA keys and 100 of elliptic curves in one set
RSA_BITS_MIN, RSA_BITS_MAX = 2048, 8192  # RFC 7518, 3.3; above, one signature would cost milliseconds
_EXPONENT_MAX = 2**32 - 1

_base64url = re.compile(r"[A-Za-z0-9_-]*").fullmatch


class BadJws(StoreError):
    """Not a signed token, or not one that these keys verify; the message says why, and nothing of what the token says."""


class UnknownKey(BadJws):
    """No key of the set is the token's, as far as the token names it: its issuer may have got a new one since."""


# -- algorithms --------------------------------------------------------------------------------------------------------

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Algorithm(NamedTuple):
    """A signature algorithm: its hash, and the curve of its keys (None: RSA)."""

    digest: hashes.HashAlgorithm
    curve: type[ec.EllipticCurve] | None = None


ALGORITHMS: Mapping[str, Algorithm] = {
    "RS256": Algorithm(hashes.SHA256()),
    "RS384": Algorithm(hashes.SHA384()),
    "RS512": Algorithm(hashes.SHA512()),
    "ES256": Algorithm(hashes.SHA256(), ec.SECP256R1),
    "ES384": Algorithm(hashes.SHA384(), ec.SECP384R1),
    "ES512": Algorithm(hashes.SHA512(), ec.SECP521R1),
}
_CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
}


class WebKey(NamedTuple):
    """A public key of a set: its name (empty when it has none), and the algorithm it is for (empty: any of its kind)."""

    kid: str
    alg: str
    key: PublicKey

    def fits(self, alg: str) -> bool:
        """Whether it may verify a signature of that algorithm."""
        curve = ALGORITHMS[alg].curve
        if self.alg not in ("", alg):
            return False
        if curve is None:
            return isinstance(self.key, rsa.RSAPublicKey)
        return isinstance(self.key, ec.EllipticCurvePublicKey) and isinstance(self.key.curve, curve)

    def verifies(self, alg: str, signed: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``signed``; the key fits the algorithm."""
        digest = ALGORITHMS[alg].digest
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, signed, padding.PKCS1v15(), digest)
            else:
                self.key.verify(_dss_signature(signature, self.key.curve), signed, ec.ECDSA(digest))
        except (InvalidSignature, ValueError):
            return False
        return True


def _dss_signature(signature: bytes, curve: ec.EllipticCurve) -> bytes:
    """RFC 7518, 3.4: R and S, each in as many bytes as the curve's order has. Raises ValueError."""
    size = (curve.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise ValueError("a signature of another length than its curve's")
    return encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))


# -- keys --------------------------------------------------------------------------------------------------------------


def parse_key_set(content: bytes) -> Sequence[WebKey]:
    """The keys of a JWK set that may verify signatures; those of other kinds and uses are left out (RFC 7517, 5).

    Raises BadJws when it is no set, or has more than KEYS_MAX keys.
    """
    keys = parse_object(content, "The key set").get("keys")
    if not isinstance(keys, list) or len(keys) > KEYS_MAX:
        raise BadJws("The key set has no keys, or too many.")
    parsed = (_parse_key(item) for item in keys if isinstance(item, dict))
    return tuple(key for key in parsed if key is not None)


def _parse_key(item: Mapping[str, Any]) -> WebKey | None:
    if item.get("use", "sig") != "sig":
        return None
    operations = item.get("key_ops")
    if operations is not None and (not isinstance(operations, list) or "verify" not in operations):
        return None
    kid, alg = item.get("kid", ""), item.get("alg", "")
    if not isinstance(kid, str) or not isinstance(alg, str) or (alg and alg not in ALGORITHMS):
        return None
    try:
        key = _PARSERS[item.get("kty", "")](item)
    except (KeyError, TypeError, ValueError):
        return None  # of a kind that is not known here, or not a key at all
    return WebKey(kid, alg, key)


def _parse_rsa(item: Mapping[str, Any]) -> PublicKey:
    modulus, exponent = _integer(item["n"]), _integer(item["e"])
    if not RSA_BITS_MIN <= modulus.bit_length() <= RSA_BITS_MAX or not 3 <= exponent <= _EXPONENT_MAX:
        raise ValueError("an RSA key of another size than one may use")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _parse_ec(item: Mapping[str, Any]) -> PublicKey:
    curve = _CURVES[item["crv"]]()
    return ec.EllipticCurvePublicNumbers(_integer(item["x"]), _integer(item["y"]), curve).public_key()


_PARSERS = {"RSA": _parse_rsa, "EC": _parse_ec}


def _integer(text: Any) -> int:
    return int.from_bytes(decode_base64url(text), "big")


# -- tokens ------------------------------------------------------------------------------------------------------------


class Jws(NamedTuple):
    """A token taken apart. ``unverified`` is its payload: whatever its sender likes, until ``verify`` returned it."""

    alg: str
    kid: str
    unverified: bytes
    signed: bytes
    signature: bytes

    def verify(self, keys: Iterable[WebKey]) -> bytes:
        """The payload, signed by one of ``keys``. Raises UnknownKey when none of them can be it, BadJws."""
        fitting = [key for key in keys if key.fits(self.alg) and (not self.kid or key.kid == self.kid)]
        if not fitting:
            raise UnknownKey("No key of the issuer's fits the token.")
        if not any(key.verifies(self.alg, self.signed, self.signature) for key in fitting):
            raise (BadJws if self.kid else UnknownKey)("The token's signature is not valid.")
        return self.unverified


def parse_jws(token: str) -> Jws:
    """Take a token in compact form apart (RFC 7515, 7.1). Raises BadJws."""
    parts = token.split(".")
    if len(token) > TOKEN_CHARS_MAX or len(parts) != 3 or not token.isascii():
        raise BadJws("The token is not a signed JSON Web Token.")
    try:
        header, payload, signature = (decode_base64url(part) for part in parts)
    except ValueError:
        raise BadJws("The token is not base64url.") from None
    facts = parse_object(header, "The token's header")
    alg, kid = facts.get("alg"), facts.get("kid", "")
    if not isinstance(alg, str) or alg not in ALGORITHMS or not isinstance(kid, str):
        raise BadJws("The token's algorithm is not one of " + ", ".join(ALGORITHMS) + ".")
    if "crit" in facts:
        raise BadJws("The token demands extensions that are not known.")
    return Jws(alg, kid, payload, f"{parts[0]}.{parts[1]}".encode(), signature)


def decode_base64url(text: Any) -> bytes:
    """RFC 7515, 2: base64url without padding. Raises ValueError, TypeError."""
    if not isinstance(text, str):
        raise TypeError(text)
    if not _base64url(text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def parse_object(content: bytes, what: str) -> Mapping[str, Any]:
    """A JSON object whose names are there once. Raises BadJws, whose message begins with ``what``."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique)  # UTF-8, and no other that JSON once could be
        json.dumps(value, ensure_ascii=False).encode()  # no lone surrogates: no database can be asked for one
    except (ValueError, RecursionError):
        raise BadJws(f"{what} is not JSON.") from None
    if not isinstance(value, dict):
        raise BadJws(f"{what} is not a JSON object.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name is there twice")
    return made
