"""Which bucket and key a request is for: Host header and raw path in, decoded names out.

Laws (AWS: "Virtual hosting of general purpose buckets", "Naming Amazon S3 objects"):

- Path style is ``/bucket/key``. Virtual-host style is ``bucket.domain`` under one of the configured domains; the longest
  that fits counts. A host that is no domain's, or a domain itself, means path style.
- Nothing strips slashes: ``/b/`` is the bucket, ``/b//x`` is the key ``/x``, ``/b/dir/`` the key ``dir/``.
- Dots are characters like others. Keys are UTF-8 of at most 1,024 bytes, without NUL.
- A raw ``+`` in a path is a plus (RFC 3986); SDKs send ``%2B``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from nova_objectstore.errors import InvalidBucketName, InvalidURI, KeyTooLongError
from nova_objectstore.limits import BUCKET_NAME_MAX, BUCKET_NAME_MIN, KEY_BYTES_MAX
from nova_objectstore.types import new_tuple

_bad_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_port = re.compile(r":[0-9]*$")


class Address(NamedTuple):
    """A bucket and a key, decoded; ``""`` where the request names none. ``is_virtual``: the bucket is in the host."""

    bucket: str
    key: str
    is_virtual: bool = False


def host_name(host: str) -> str:
    """A Host header's name: without its port, in lower-case, without the root's dot."""
    return _port.sub("", host.strip()).rstrip(".").lower()


class AddressParser:
    """Knows the domains under which buckets have host names."""

    def __init__(self, domains: Sequence[str] = ()) -> None:
        wanted = {"." + domain.strip().strip(".").lower() for domain in domains if domain.strip(" .")}
        self._suffixes = tuple(sorted(wanted, key=len, reverse=True))  # the longest match counts

    def bucket_of_host(self, host: str) -> str:
        """The bucket that a Host header names; ``""`` for none. The port and the case of letters do not count."""
        if not self._suffixes:
            return ""  # PERF: path style only
        name = host_name(host)
        for suffix in self._suffixes:
            if name == suffix[1:]:
                return ""  # a domain itself, even where it is another's subdomain
            if name.endswith(suffix):
                return name[: -len(suffix)]
        return ""

    def parse(self, host: str, path: str) -> Address:
        """The address of a raw path (undecoded, with its leading slash) sent to a host.

        Raises InvalidURI, KeyTooLongError.
        """
        if not path.startswith("/"):
            raise InvalidURI(uri=path)
        if not self._suffixes and "%" not in path and path.isascii():
            # PERF: path style only, nothing to decode
            bucket, _, key = path[1:].partition("/")
            if len(key) > KEY_BYTES_MAX or "\0" in key:
                check_key(key)
            return new_tuple(Address, (bucket, key, False))
        bucket = self.bucket_of_host(host)
        if bucket:
            key = decode_path(path[1:])
            check_key(key)
            return Address(bucket, key, True)
        raw_bucket, _, raw_key = path[1:].partition("/")
        key = decode_path(raw_key)
        check_key(key)
        return Address(decode_path(raw_bucket), key)


def decode_path(raw: str) -> str:
    """A raw path (or a piece of one) decoded: escapes are bytes, bytes are UTF-8. Raises InvalidURI."""
    if "%" not in raw and raw.isascii():
        return raw
    if _bad_escape(raw):
        raise InvalidURI(uri=raw)
    try:
        return unquote_to_bytes(raw.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise InvalidURI(uri=raw) from None


def check_key(key: str) -> None:
    """Whether a key is one. Raises KeyTooLongError (``size``, ``max_size_allowed``), InvalidURI for a NUL."""
    if len(key) * 4 > KEY_BYTES_MAX:  # PERF: no character has more than four bytes
        try:
            size = len(key.encode("utf-8"))
        except UnicodeEncodeError:
            raise InvalidURI(uri=ascii(key)) from None
        if size > KEY_BYTES_MAX:
            raise KeyTooLongError(size=size, max_size_allowed=KEY_BYTES_MAX)
    if "\0" in key:
        raise InvalidURI(uri=key.replace("\0", "%00"))


# -- bucket names (AWS: "General purpose bucket naming rules") ---------------------------------------------------------

_label = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_dotted_labels = re.compile(rf"{_label}(?:\.{_label})*").fullmatch
_looks_like_ip = re.compile(r"[0-9]+(?:\.[0-9]+){3}").fullmatch
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def is_bucket_name(name: str) -> bool:
    """Whether AWS would let a general purpose bucket be made under this name."""
    return (
        BUCKET_NAME_MIN <= len(name) <= BUCKET_NAME_MAX
        and _dotted_labels(name) is not None
        and _looks_like_ip(name) is None
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )


def check_bucket_name(name: str) -> None:
    """Raises InvalidBucketName (``bucket_name``). For making buckets; one that exists is found whatever its name."""
    if not is_bucket_name(name):
        raise InvalidBucketName(bucket_name=name)
