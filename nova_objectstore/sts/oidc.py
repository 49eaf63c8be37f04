"""The claims of an OpenID Connect token, as AssumeRoleWithWebIdentity reads them. Pure: no clock, no network.

Laws (OpenID Connect Core 1.0, 2 and 3.1.3.7; AWS: "Obtain the thumbprint", "Available keys for AWS web identity federation",
"Pass session tags in AWS STS"):

- ``iss``, ``aud``, ``sub``, ``exp`` and ``iat`` must be there; a token is good until ``exp``, and from ``nbf`` on.
- The party that the token was made for is ``azp`` where there is one, else each of ``aud``; one of these is a client id of
  the provider. A token that was made for somebody else says nothing here.
- Session tags and the source identity come from claims of their own, and only from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nova_objectstore.crypto.jws import BadJws, Jws, parse_object
from nova_objectstore.sts.errors import ExpiredIdentityToken, InvalidIdentityToken

LEEWAY_S = 60  # by which an issuer's clock may be ahead of ours
SUBJECT_CHARS_MAX = 255  # STS: SubjectFromWebIdentityToken
AUDIENCES_MAX = 100
TEXT_CHARS_MAX = 1000  # STS: an audience
_MOMENT_MAX = 2.0**53  # what a double counts in whole seconds; JSON has longer numbers, NaN and infinity

TAGS_CLAIM = "https://aws.amazon.com/tags"
SOURCE_IDENTITY_CLAIM = "https://aws.amazon.com/source_identity"


class WebIdentity(NamedTuple):
    """Whom a verified token is about. ``provider``: the issuer without its scheme, as ARNs and condition keys have it."""

    issuer: str
    subject: str
    audiences: Sequence[str]
    authorised_party: str  # azp, empty without one
    amr: Sequence[str] = ()
    tags: Mapping[str, str] = {}
    transitive: Sequence[str] = ()
    source_identity: str = ""

    @property
    def provider(self) -> str:
        """``https://idp.example.com/realm`` -> ``idp.example.com/realm``."""
        return without_scheme(self.issuer)

    @property
    def parties(self) -> Sequence[str]:
        """Whom the token was made for."""
        return (self.authorised_party,) if self.authorised_party else self.audiences


def without_scheme(url: str) -> str:
    """An issuer's URL as ARNs and condition keys name it."""
    return url.partition("://")[2]


def read_issuer(jws: Jws) -> str:
    """The issuer that a token claims, to find its keys by; nothing is verified yet. Raises InvalidIdentityToken."""
    issuer = _read_claims(jws.unverified).get("iss")
    if not isinstance(issuer, str) or not without_scheme(issuer):
        raise InvalidIdentityToken("Missing a required claim: iss")
    return issuer


def read_identity(payload: bytes, *, issuer: str, client_ids: Sequence[str], now_s: float) -> WebIdentity:
    """Whom a verified payload is about. ``client_ids``: those of the provider; ``now_s``: seconds since 1970.

    Raises InvalidIdentityToken, ExpiredIdentityToken.
    """
    claims = _read_claims(payload)
    for name in ("iss", "aud", "sub", "exp", "iat"):
        if name not in claims:
            raise InvalidIdentityToken(f"Missing a required claim: {name}")
    if claims["iss"] != issuer:
        raise InvalidIdentityToken("Incorrect token issuer")
    _check_time(claims, now_s)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX:
        raise InvalidIdentityToken("Invalid claim: sub")
    identity = WebIdentity(
        issuer,
        subject,
        _texts(claims, "aud"),
        _text(claims, "azp"),
        _texts(claims, "amr"),
        *_read_tags(claims.get(TAGS_CLAIM, {})),
        _text(claims, SOURCE_IDENTITY_CLAIM),
    )
    if not any(party in client_ids for party in identity.parties):
        raise InvalidIdentityToken("Incorrect token audience")
    return identity


def _read_claims(payload: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(payload, "The token's payload")
    except BadJws as error:
        raise InvalidIdentityToken(error.message) from None


def _check_time(claims: Mapping[str, Any], now_s: float) -> None:
    if now_s >= _moment(claims, "exp"):
        raise ExpiredIdentityToken("Token expired")
    for name in ("iat", "nbf"):
        if name in claims and _moment(claims, name) > now_s + LEEWAY_S:
            raise InvalidIdentityToken(f"The token is not good yet: {name} is in the future")


def _moment(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519, 2)."""
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _MOMENT_MAX:
        raise InvalidIdentityToken(f"Invalid claim: {name}")
    return value


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        raise InvalidIdentityToken(f"Invalid claim: {name}")
    return value


def _texts(claims: Mapping[str, Any], name: str) -> Sequence[str]:
    value = claims.get(name, [])
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or len(items) > AUDIENCES_MAX:
        raise InvalidIdentityToken(f"Invalid claim: {name}")
    if not all(isinstance(item, str) and len(item) <= TEXT_CHARS_MAX for item in items):
        raise InvalidIdentityToken(f"Invalid claim: {name}")
    return tuple(items)


def _read_tags(claim: Any) -> tuple[Mapping[str, str], Sequence[str]]:
    """``{"principal_tags": {"team": ["a"]}, "transitive_tag_keys": ["team"]}``."""
    if not isinstance(claim, dict) or not isinstance(claim.get("principal_tags", {}), dict):
        raise InvalidIdentityToken(f"Invalid claim: {TAGS_CLAIM}")
    tags = {}
    for name in claim.get("principal_tags", {}):
        values = _texts(claim["principal_tags"], name)
        if len(values) != 1:
            raise InvalidIdentityToken(f"Invalid claim: {TAGS_CLAIM}")
        tags[name] = values[0]
    return tags, _texts(claim, "transitive_tag_keys")
