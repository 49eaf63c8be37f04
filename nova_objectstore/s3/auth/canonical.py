"""Canonical forms: the one spelling of a path, a query and headers on which a signer and a verifier agree.

Strategy: clients nearly always send the canonical spelling, so a regular expression first asks whether there is anything
to do; only then is the text decoded and encoded again.

Laws (AWS: "Create a signed AWS API request", and S3's page "Signature Calculations for the Authorization Header"):

- S3's path is encoded once and not normalised: ``//``, ``.`` and ``..`` stay; a raw ``+`` is a plus.
- In a query ``+`` is a space, as the front reads it.
- Unreserved characters (RFC 3986 section 2.3) are never escaped, all others always, in upper-case hex.
- A text with a spelling of its own decodes to what its canonical spelling decodes to, so whichever of the two was signed,
  the same resource was meant. That is why both may be tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

from nova_objectstore.errors import InvalidURI

EMPTY_SHA256 = sha256(b"").hexdigest()

_UNRESERVED = r"A-Za-z0-9\-._~"
# An escape that has to be one: of anything but an unreserved character (and, in paths, a slash).
_ESCAPE = "%(?:[0189A-F][0-9A-F]|2[0-9A-C]|3[A-F]|40|5[B-E]|60|7[BCDF])"
# PERF: possessive, so that a long text which fails at its end is not tried again in every split
_is_canonical_path = re.compile(rf"(?:[{_UNRESERVED}/]++|{_ESCAPE})*+").fullmatch
_is_canonical_component = re.compile(rf"(?:[{_UNRESERVED}]++|{_ESCAPE}|%2F)*+").fullmatch

_spaces = re.compile(r"[ \t]+")

_SECRET_NAMES = "x-amz-(?:security-token|(?:copy-source-)?server-side-encryption-customer-key)"  # noqa: S105  their names
_secret_header = re.compile(rf"^({_SECRET_NAMES}):.*$", re.MULTILINE).sub
_secret_parameter = re.compile(rf"(?<=[\n&?])({_SECRET_NAMES})=[^&\n]*", re.IGNORECASE).sub
REDACTED = "REDACTED"


def wire_bytes(text: str) -> bytes:
    """The bytes that came over the wire as ``text`` (latin-1, as in WSGI; UTF-8 for text that cannot have been)."""
    if text.isascii():
        return text.encode()  # PERF: the name of an encoding takes longer to look up than the text to encode
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def without_secrets(signed: str) -> str:
    """What was signed, for an error's answer: without session tokens and customers' keys, which answers would put into logs.

    ``signed``: a canonical request of SigV4, or a string to sign of SigV2.
    """
    signed = _secret_header(rf"\1:{REDACTED}", signed)
    return _secret_parameter(rf"\1={REDACTED}", signed)


def canonical_path(path: str) -> str:
    """S3's canonical URI of a raw path: ``/b/%7ea+b`` -> ``/b/~a%2Bb``."""
    if _is_canonical_path(path):
        return path
    return quote(unquote_to_bytes(wire_bytes(path)), safe="/-._~")


def encode_component(text: str) -> str:
    """The canonical spelling of a raw query name or value."""
    return _encode_cached(text) if len(text) <= _COMPONENT_CACHED_CHARS_MAX else _encode(text)


def _encode(text: str) -> str:
    if _is_canonical_component(text):
        return text
    return quote(unquote_to_bytes(wire_bytes(text.replace("+", " "))), safe="-._~")


# PERF: the names of a presigned URL's parameters, and most of their values, are those of the one before it.
_COMPONENT_CACHED_CHARS_MAX = 128
_encode_cached = lru_cache(maxsize=512)(_encode)


def decode_component(text: str) -> str:
    """A raw query name or value, decoded. Raises InvalidURI when it is not UTF-8."""
    if "%" not in text and "+" not in text and text.isascii():
        return text
    return _decode_cached(text) if len(text) <= _COMPONENT_CACHED_CHARS_MAX else _decode(text)


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(wire_bytes(text.replace("+", " "))).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidURI("The query string is not UTF-8.", uri=text) from None


_decode_cached = lru_cache(maxsize=512)(_decode)


def split_query(query: str) -> list[tuple[str, str]]:
    """The raw (name, value) pairs of a raw query, in their order; ``acl`` has the value ``""``."""
    pairs = []
    for item in query.split("&"):
        if item:
            name, _, value = item.partition("=")
            pairs.append((name, value))
    return pairs


def _join_query(pairs: Iterable[tuple[str, str]]) -> str:
    # AWS sorts by name, then by value: of the pairs, not of the joined text, where "=" would sort after "-".
    return "&".join([f"{name}={value}" for name, value in sorted(pairs)])


def canonical_query(query: str) -> str:
    """The canonical query string of a raw query: encoded, sorted, ``acl`` as ``acl=``."""
    if not query:
        return ""
    return _join_query([(encode_component(name), encode_component(value)) for name, value in split_query(query)])


def query_spellings(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What a client may have signed for these raw pairs: the canonical query, then the pairs sorted as sent."""
    encoded = [(encode_component(name), encode_component(value)) for name, value in pairs]
    canonical = _join_query(encoded)
    if encoded == pairs:
        return [canonical]
    as_sent = _join_query(pairs)
    return [canonical] if canonical == as_sent else [canonical, as_sent]


def trim(value: str) -> str:
    """A header value without white space around it and with single spaces inside (AWS: Trimall)."""
    if "  " in value or "\t" in value:
        value = _spaces.sub(" ", value)
    return value.strip(" ")


def canonical_headers(headers: Mapping[str, str], names: Iterable[str]) -> str:
    """``name:value`` lines, each with its newline, for the signed names in the order given; absent headers are empty."""
    text = "".join([f"{name}:{headers.get(name, '')}\n" for name in names])
    # PERF: nearly always there is nothing to trim, and a look or two at all of them tell
    if "\t" not in text and (" " not in text or ("  " not in text and ": " not in text and " \n" not in text)):
        return text
    return "".join([f"{name}:{trim(headers.get(name, ''))}\n" for name in names])
