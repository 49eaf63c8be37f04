"""Keys sealed under keys. Pure, but for the randomness of new keys.

A key is sealed with AES-256-GCM under a key of its own, derived from the outer key and the sealed key's random id:
however many keys an outer key seals, no nonce repeats. What is sealed is bound to a ``context``, the facts that it must
not be moved away from.

Form: the id (16 bytes), then the sealed secret (32) and its tag (16).
"""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nova_objectstore.crypto.frames import KEY_ID_SIZE, KEY_SIZE, TAG_SIZE, DataKey
from nova_objectstore.errors import DataCorrupt

ENVELOPE_SIZE = KEY_ID_SIZE + KEY_SIZE + TAG_SIZE

_NONCE = bytes(12)  # one for each derived key: it seals one thing
_SEAL, _PART = b"nova envelope 1", b"nova part 1"


def derive(secret: bytes, label: bytes, salt: bytes) -> bytes:
    """A key of 32 bytes of ``secret``'s, for one purpose: HMAC-SHA-256 as a pseudorandom function."""
    return hmac.digest(secret, label + b"\0" + salt, "sha256")


def new_data_key() -> DataKey:
    """A fresh random key."""
    random = os.urandom(KEY_ID_SIZE + KEY_SIZE)
    return DataKey(random[:KEY_ID_SIZE], random[KEY_ID_SIZE:])


def part_key(key: DataKey, part_id: bytes) -> DataKey:
    """The key of one part of the object whose key is ``key``; ``part_id``: 16 random bytes, fresh for each upload of a part."""
    return DataKey(part_id, derive(key.secret, _PART, part_id))


def seal_key(outer: bytes, key: DataKey, context: bytes) -> bytes:
    """``key`` under the 32 bytes of ``outer``."""
    return key.id + AESGCM(derive(outer, _SEAL, key.id)).encrypt(_NONCE, key.secret, context)


def open_key(outer: bytes, envelope: bytes, context: bytes) -> DataKey:
    """The key in an envelope. Raises DataCorrupt for another outer key, another context, or a flipped bit."""
    if len(envelope) != ENVELOPE_SIZE:
        raise DataCorrupt("a sealed key has not the length of one")
    key_id = envelope[:KEY_ID_SIZE]
    try:
        return DataKey(key_id, AESGCM(derive(outer, _SEAL, key_id)).decrypt(_NONCE, envelope[KEY_ID_SIZE:], context))
    except InvalidTag:
        raise DataCorrupt("a sealed key does not open") from None
