"""Names that the file engine makes: refs and owners. Whatever does not look like one never becomes a path.

A ref is 26 characters of RFC 4648's base 32 alphabet in lower case: 128 random bits, which need no register to be
unique. Once its bytes are known it has 13 more, their CRC64NVME: so whoever holds a ref can tell whether the bytes are
those that were written, and knowing costs the metadata no column. Bytes that were taken over unread have none.
An owner is a process's staging directory: its process id, for the administrator's eyes, and as much randomness.
"""

from __future__ import annotations

import base64
import re
import secrets

_RANDOM_BYTES = 16
_REF = re.compile(r"[a-z2-7]{26}(?:[a-z2-7]{13})?")
_OWNER = re.compile(r"[0-9]{1,10}-[a-z2-7]{26}")

_RANDOM_CHARS = 26
_DIGEST_SIZE = 8  # a CRC64
_DIGEST_CHARS = 13

FAN_OUT_CHARS = 2  # 1,024 directories: a hundred million files are a hundred thousand in each


def new_ref() -> str:
    """A fresh ref."""
    return _encode(secrets.token_bytes(_RANDOM_BYTES))


def _encode(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def add_digest(ref: str, digest: bytes) -> str:
    """The ref of bytes with that CRC64NVME (8 bytes, big-endian), made of one without a digest."""
    assert len(ref) == _RANDOM_CHARS
    assert len(digest) == _DIGEST_SIZE
    return ref + _encode(digest)


def digest_of(ref: str) -> bytes | None:
    """The CRC64NVME of the bytes under a ref (8 bytes, big-endian); None of a ref that has none."""
    text = ref[_RANDOM_CHARS:]
    return base64.b32decode(text.upper() + "===") if text else None


def new_twin(ref: str) -> str:
    """A fresh ref to the same bytes."""
    return new_ref() + ref[_RANDOM_CHARS:]


def is_ref(name: str) -> bool:
    """Whether ``name`` is one of this engine's."""
    return _REF.fullmatch(name) is not None


def new_owner(pid: int) -> str:
    """A fresh name for the staging directory of process ``pid``."""
    return f"{pid}-{new_ref()}"


def is_owner(name: str) -> bool:
    """Whether ``name`` is that of a staging directory."""
    return _OWNER.fullmatch(name) is not None
