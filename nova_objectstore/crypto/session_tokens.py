"""The credentials of sessions: a token that holds what it says, sealed, and the key pair that goes with it.

Strategy: each session has a random id of its own. Access key, secret key and the key that seals the token are derived from
it (the latter two under a key of the keyring), so that nothing of a session is kept anywhere but in its token, which its
holder presents with every request.

Form of a token, in base64: the form (1 byte), the version of the keyring's key (4), the session's id (16), the sealed
payload, and its tag (16). AES-256-GCM under a key that seals one token, so its nonce is none.

Laws:

- A token opens in the store that made it, whole, unchanged and beside its own access key: anything else is InvalidToken.
- Who reads a token learns nothing of what it says, and cannot find its secret key.
- While the keyring's key is disabled no session is begun, and none goes on.
"""

from __future__ import annotations

import os
from base64 import b32encode, b64decode, b64encode
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nova_objectstore.crypto.envelope import derive
from nova_objectstore.crypto.frames import TAG_SIZE
from nova_objectstore.crypto.keyring import SESSIONS_KEY, Keyring, KeyVersion
from nova_objectstore.errors import InvalidToken, KmsKeyDisabled, NoSuchKmsKey

ACCESS_KEY_PREFIX = "ASIA"  # AWS: the prefix of temporary access keys
TOKEN_CHARS_MAX = 16 * 1024  # what a session can say is bounded far below, and so is a request's head

_FORM = b"\1"
_NUMBER_SIZE = 4
_ID_SIZE = 16
_HEAD_SIZE = len(_FORM) + _NUMBER_SIZE + _ID_SIZE
_ACCESS_KEY_BYTES = 10  # 80 random bits are 16 characters of base32: a key id of AWS's form
_SECRET_BYTES = 30  # 40 characters of base64, as AWS's secrets have
_NONCE = bytes(12)

_SEAL, _SECRET = b"nova session seal 1", b"nova session secret 1"


class TemporaryKey(NamedTuple):
    """A session's key pair and token."""

    access_key: str
    secret_key: str
    token: str

    def __repr__(self) -> str:
        return f"TemporaryKey(access_key={self.access_key!r})"


class OpenedToken(NamedTuple):
    """What a token says, and the secret key of its session."""

    payload: bytes
    secret_key: str
    key_number: int

    def __repr__(self) -> str:
        return f"OpenedToken({len(self.payload)} bytes)"


class SessionTokens:
    """Makes and opens them under the keyring's key SESSIONS_KEY."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def make(self, payload: bytes) -> TemporaryKey:
        """The credentials of a session that says ``payload``. Raises KmsKeyDisabled. Blocks when it is the store's first."""
        under = self._keyring.ensure(SESSIONS_KEY)
        session_id = os.urandom(_ID_SIZE)
        access_key = _access_key(session_id)
        head = _FORM + under.number.to_bytes(_NUMBER_SIZE, "big") + session_id
        sealed = _cipher(under, session_id).encrypt(_NONCE, payload, _bound_to(head, access_key))
        return TemporaryKey(access_key, _secret_key(under, session_id), b64encode(head + sealed).decode())

    def open(self, access_key: str, token: str) -> OpenedToken:
        """What the session of an access key says. Raises InvalidToken."""
        raw = _decode(token)
        number, session_id = int.from_bytes(raw[1 : 1 + _NUMBER_SIZE], "big"), raw[1 + _NUMBER_SIZE : _HEAD_SIZE]
        under = self._find(number)
        bound_to = _bound_to(raw[:_HEAD_SIZE], access_key)
        try:
            payload = _cipher(under, session_id).decrypt(_NONCE, raw[_HEAD_SIZE:], bound_to)
        except InvalidTag:
            raise InvalidToken from None
        return OpenedToken(payload, _secret_key(under, session_id), number)

    def check(self, key_number: int) -> None:
        """Make sure, of a token that was opened before, that its key still opens. Raises InvalidToken."""
        # PERF: a stat of the keyring, and two look-ups
        self._find(key_number)

    def _find(self, number: int) -> KeyVersion:
        try:
            return self._keyring.version(SESSIONS_KEY, number)
        except (NoSuchKmsKey, KmsKeyDisabled):
            raise InvalidToken from None


def _decode(token: str) -> bytes:
    if len(token) > TOKEN_CHARS_MAX or not token.isascii():
        raise InvalidToken
    try:
        raw = b64decode(token, validate=True)
    except ValueError:
        raise InvalidToken from None
    # One token has one spelling: base64 would let the bits of its last character that say nothing be anything.
    if raw[:1] != _FORM or len(raw) < _HEAD_SIZE + TAG_SIZE or b64encode(raw).decode() != token:
        raise InvalidToken
    return raw


def _cipher(under: KeyVersion, session_id: bytes) -> AESGCM:
    return AESGCM(derive(under.secret, _SEAL, session_id))


def _bound_to(head: bytes, access_key: str) -> bytes:
    return head + access_key.encode("utf-8", "surrogatepass")


def _access_key(session_id: bytes) -> str:
    return ACCESS_KEY_PREFIX + b32encode(session_id[:_ACCESS_KEY_BYTES]).decode()


def _secret_key(under: KeyVersion, session_id: bytes) -> str:
    return b64encode(derive(under.secret, _SECRET, session_id)[:_SECRET_BYTES]).decode()
