"""The port of what seals secret keys: the engine keeps what ``seal`` gives and hands out what ``open`` gives back."""

from __future__ import annotations

from typing import Protocol


class SecretSeal(Protocol):
    """Turns secret keys into what may lie on a disk, and back. Both are called on the hub's thread."""

    def seal(self, access_key: str, secret_key: str) -> str:
        """The sealed form: text with a blank in it, which no secret key has. Raises ConfigError. Blocking, but short."""
        ...

    def open(self, access_key: str, sealed: str) -> str:
        """The secret key of that access key. Raises ConfigError when its key is not here, DataCorrupt for what was changed."""
        ...


class NoSeal:
    """Secret keys as they are: for engines that keep none, such as the copies in backups, and for tests."""

    def seal(self, access_key: str, secret_key: str) -> str:
        """The secret key itself."""
        return secret_key

    def open(self, access_key: str, sealed: str) -> str:
        """What was given to ``seal``."""
        return sealed
