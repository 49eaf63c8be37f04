"""Secret keys as they lie in the database: sealed under the keyring's key ``nova/access-keys``, and so under the master key.

Strategy: AES-256-GCM under a key derived for each sealed text, bound to the access key: a sealed secret that is put beside
another access key does not open. The form, ``nova1 <version of the key> <base64 of id, sealed secret, tag>``, has blanks,
which no secret key has: what lies there unsealed is told from it without a doubt.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nova_objectstore.crypto.envelope import derive
from nova_objectstore.crypto.keyring import ACCESS_KEYS_KEY, Keyring
from nova_objectstore.errors import DataCorrupt, NoSuchKmsKey
from nova_wsgi.errors import ConfigError

_FORM = "nova1"
_ID_SIZE = 16
_NONCE = bytes(12)  # one for each derived key: it seals one thing
_LABEL = b"nova secret key 1"


class SecretKeys:
    """Seals and opens secret keys; the ``meta.secrets_port.SecretSeal`` of the store."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, access_key: str, secret_key: str) -> str:
        """``secret_key`` for the database. Raises ConfigError. Blocking: the store's first makes the keyring."""
        under = self._keyring.ensure(ACCESS_KEYS_KEY)
        seal_id = os.urandom(_ID_SIZE)
        sealed = AESGCM(derive(under.secret, _LABEL, seal_id)).encrypt(_NONCE, secret_key.encode(), access_key.encode())
        return f"{_FORM} {under.number} {b64encode(seal_id + sealed).decode()}"

    def open(self, access_key: str, sealed: str) -> str:
        """The secret key in a sealed text.

        Raises ConfigError when the keyring has not the key it was sealed under, DataCorrupt for a text that is not as
        :meth:`seal` made it for that access key.
        """
        number, raw = _parse(sealed)
        try:
            under = self._keyring.version(ACCESS_KEYS_KEY, number)
        except NoSuchKmsKey:
            raise ConfigError(
                f"the keyring has not the version {number} of {ACCESS_KEYS_KEY} that secret keys are sealed under; "
                "it belongs to another database, or was lost"
            ) from None
        try:
            cipher = AESGCM(derive(under.secret, _LABEL, raw[:_ID_SIZE]))
            return cipher.decrypt(_NONCE, raw[_ID_SIZE:], access_key.encode()).decode()
        except (InvalidTag, ValueError):
            raise DataCorrupt(f"the sealed secret key of {access_key} does not open") from None


def _parse(sealed: str) -> tuple[int, bytes]:
    form, _, rest = sealed.partition(" ")
    number, _, text = rest.partition(" ")
    try:
        if form == _FORM:
            return int(number), b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        pass
    raise DataCorrupt("a secret key in the database is not sealed as this release seals it")
