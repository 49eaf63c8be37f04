"""A bundle's secret: the AES key and IV, and how they travel in a manifest. Pure, but for the randomness.

Facts (as ec2-bundle-image and euca2ools have it, whose pipe is ``openssl enc -aes-128-cbc -K KEY -iv IV``): what is
encrypted with RSA (PKCS#1 v1.5) are the 32 hexadecimal digits of the key, and again of the IV; the manifest holds the
outcome in hex.

Law: ``decrypt`` never tells whether the padding was right. Whoever registers manifests chooses what the cloud's key
decrypts; an answer to "was that well-formed?" would be enough to decrypt other people's keys, one question at a time
(Bleichenbacher 1998). A secret that is not one becomes a random key, whose image is then no gzip (as RFC 5246 section
7.4.7.1 does it for TLS).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from nova_objectstore.images.manifest import EncryptedSecret

KEY_BYTES = 16  # AES-128
BLOCK_BITS = 128


class BundleSecret(NamedTuple):
    """An AES-128 key and the IV of CBC, 16 bytes each."""

    key: bytes
    iv: bytes

    def cipher(self) -> Cipher[CBC]:
        """AES-128-CBC under this secret."""
        return Cipher(AES(self.key), CBC(self.iv))

    def __repr__(self) -> str:
        return "BundleSecret(...)"


def new_secret() -> BundleSecret:
    """A fresh secret."""
    return BundleSecret(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))


def encrypt_secret(secret: BundleSecret, public_key: RSAPublicKey) -> EncryptedSecret:
    """The secret as a manifest carries it, for the holder of ``public_key``'s other half."""
    key, iv = (public_key.encrypt(value.hex().encode(), padding.PKCS1v15()).hex() for value in secret)
    return EncryptedSecret(key, iv)


def decrypt_secret(encrypted: EncryptedSecret, private_key: RSAPrivateKey) -> BundleSecret:
    """The secret out of a manifest; a random one where it is not for this key. Blocking: a millisecond of arithmetic."""
    return BundleSecret(_decrypt(encrypted.key, private_key), _decrypt(encrypted.iv, private_key))


def _decrypt(text: str, private_key: RSAPrivateKey) -> bytes:
    substitute = os.urandom(KEY_BYTES)
    try:
        digits = private_key.decrypt(bytes.fromhex(text), padding.PKCS1v15())
        value = bytes.fromhex(digits.decode("ascii"))
    except ValueError:  # a length or a padding that is wrong, digits that are none
        return substitute
    return value if len(value) == KEY_BYTES else substitute
