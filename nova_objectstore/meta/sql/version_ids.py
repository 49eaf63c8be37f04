"""Version ids: 32 URL-safe characters that look random and tell their version's sequence.

The sequence is in the primary key of ``hidden_versions``: an id that tells it is found without an index of its own, and a
listing can go on behind a version that has been removed meanwhile. Pure.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

RANDOM_SIZE = 16  # bytes: two ids are never the same
_SEQUENCE_SIZE = 8
_ID_CHARS = 32


def make_version_id(sequence: int, random: bytes) -> str:
    """The id of a version: its sequence, masked by the randomness that follows."""
    assert len(random) == RANDOM_SIZE
    masked = sequence ^ int.from_bytes(random[:_SEQUENCE_SIZE], "big")
    return urlsafe_b64encode(masked.to_bytes(_SEQUENCE_SIZE, "big") + random).decode("ascii")


def sequence_of(version_id: str) -> int | None:
    """The sequence in an id that looks like one of ours; None for any other string."""
    if len(version_id) != _ID_CHARS:
        return None
    try:
        raw = urlsafe_b64decode(version_id.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error):
        return None
    if len(raw) != _SEQUENCE_SIZE + RANDOM_SIZE:
        return None
    mask = int.from_bytes(raw[_SEQUENCE_SIZE : 2 * _SEQUENCE_SIZE], "big")
    sequence = int.from_bytes(raw[:_SEQUENCE_SIZE], "big") ^ mask
    return sequence if sequence < 1 << 63 else None
