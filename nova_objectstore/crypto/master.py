"""The master key: 32 random bytes under which the keyring is sealed.

It comes from ``NOVA_MASTER_KEY`` in the environment (64 hexadecimal digits, or base64 of 32 bytes), else from a file of
the same form. The file in the state directory is made at first use; one that an option names must be there already: it
lies elsewhere on purpose, and a new key in its place would open nothing.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nova_objectstore.crypto.envelope import derive
from nova_objectstore.crypto.frames import KEY_SIZE
from nova_objectstore.crypto.private import create_private, read_private
from nova_wsgi.errors import ConfigError

MASTER_KEY_VARIABLE = "NOVA_MASTER_KEY"
MASTER_KEY_NAME = "master-key"

_FILE_BYTES_MAX = 1024  # a key in hexadecimal has 64 and a newline
_HEX = re.compile(r"[0-9A-Fa-f]{64}")


class MasterKey(NamedTuple):
    """The key itself."""

    secret: bytes

    @property
    def id(self) -> str:
        """16 hexadecimal digits that tell it from others, and nothing about it."""
        return derive(self.secret, b"nova master key id", b"")[:8].hex()

    def __repr__(self) -> str:
        return f"MasterKey(id={self.id})"


@dataclass(frozen=True, slots=True)
class MasterKeyPlace:
    """Where the master key is looked for. ``given`` is the environment's, which comes first."""

    path: Path
    is_made: bool  # the file is made at first use
    given: MasterKey | None = None

    @classmethod
    def of(
        cls, state_path: Path, *, file: Path | None = None, environ: Mapping[str, str] = os.environ
    ) -> MasterKeyPlace:
        """``file`` is what the option names. Raises ConfigError when the environment has no key where it should."""
        text = environ.get(MASTER_KEY_VARIABLE, "")
        given = _parse(text, MASTER_KEY_VARIABLE) if text else None
        return cls(file or state_path / MASTER_KEY_NAME, is_made=file is None, given=given)

    def find(self) -> MasterKey | None:
        """The master key; None when there is none yet. Raises ConfigError for a file that is no key or not private."""
        if self.given is not None:
            return self.given
        content = read_private(self.path, size_max=_FILE_BYTES_MAX)
        if content is not None:
            return _parse(content.decode("ascii", "replace"), str(self.path))
        if not self.is_made:
            raise ConfigError(f"{self.path}: the master key's file does not exist")
        return None

    def obtain(self) -> MasterKey:
        """The master key, made if there is none. Raises ConfigError. Blocking."""
        found = self.find()
        if found is None:
            create_private(self.path, f"{secrets.token_hex(KEY_SIZE)}\n".encode())
            found = self.find()
            assert found is not None, "it was just made"
        return found


def _parse(text: str, where: str) -> MasterKey:
    text = text.strip()
    if _HEX.fullmatch(text):
        return MasterKey(bytes.fromhex(text))
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_SIZE:
        raise ConfigError(f"{where}: a master key is 64 hexadecimal digits, or base64 of {KEY_SIZE} bytes")
    return MasterKey(secret)
