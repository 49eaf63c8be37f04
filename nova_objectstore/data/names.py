"""Names that the file engine makes: refs and owners. Whatever does not look like one never becomes a path.

A ref is 26 characters of RFC 4648's base 32 alphabet in lower case: 128 random bits, which need no register to be
unique. An owner is a process's staging directory: its process id, for the administrator's eyes, and as much randomness.
"""

from __future__ import annotations

import base64
import re
import secrets

_RANDOM_BYTES = 16
_REF = re.compile(r"[a-z2-7]{26}")
_OWNER = re.compile(r"[0-9]{1,10}-[a-z2-7]{26}")

FAN_OUT_CHARS = 2  # 1,024 directories: a hundred million files are a hundred thousand in each


def new_ref() -> str:
    """A fresh ref."""
    return base64.b32encode(secrets.token_bytes(_RANDOM_BYTES)).decode("ascii").rstrip("=").lower()


def is_ref(name: str) -> bool:
    """Whether ``name`` is one of this engine's."""
    return _REF.fullmatch(name) is not None


def new_owner(pid: int) -> str:
    """A fresh name for the staging directory of process ``pid``."""
    return f"{pid}-{new_ref()}"


def is_owner(name: str) -> bool:
    """Whether ``name`` is that of a staging directory."""
    return _OWNER.fullmatch(name) is not None
