"""Bytes at rest in authenticated frames. Pure: no storage, no clock, no randomness.

Strategy: a body is cut into frames of 64 KiB, and each is sealed with AES-256-GCM on its own, so that a range opens only
the frames that it touches. What is stored is frame after frame, each its ciphertext and a tag of 16 bytes. The last
frame has up to 64 KiB, all others exactly that; an empty body has one empty frame.

The nonce is a prefix of the body's own, the frame's number, and whether it is the last: the STREAM construction (Hoang,
Reyhanitabar, Rogaway, Vizar: "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015). The same
facts and the key's id are bound to the frame as associated data.

Laws:

- A DataKey seals one body, ever: that is what keeps nonces from repeating.
- No byte comes out before the tag of its frame was verified. A flipped bit, a frame that was moved, repeated or taken
  from another body, a missing end: DataCorrupt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nova_objectstore.errors import DataCorrupt
from nova_objectstore.limits import KiB

FRAME_SIZE = 64 * KiB  # plaintext; a tag is then 0.02 % of it, and one byte of a range costs 15 us of decryption
TAG_SIZE = 16
STORED_FRAME_SIZE = FRAME_SIZE + TAG_SIZE
FRAMES_MAX = 1 << 32  # four bytes of the nonce; 256 TiB

KEY_SIZE = 32
KEY_ID_SIZE = 16
_PREFIX_SIZE = 7  # of the nonce: 7 + 4 + 1 are GCM's 96 bits

_LABEL = b"nova frame 1"  # the form of what is stored: another form gets another label

Bytes = bytes | memoryview


class DataKey(NamedTuple):
    """What seals one body: a random id of 16 bytes, no secret, and the AES-256 key."""

    id: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"DataKey(id={self.id.hex()})"


def stored_size(size: int) -> int:
    """What ``size`` bytes take up when they are sealed."""
    return size + TAG_SIZE * frame_count(size)


def frame_count(size: int) -> int:
    """The frames of a body of ``size`` bytes: at least one."""
    return max(1, -(-size // FRAME_SIZE))


class _Frames:
    """The cipher of one body's frames."""

    __slots__ = ("_cipher", "_id", "_prefix")

    def __init__(self, key: DataKey) -> None:
        assert len(key.id) == KEY_ID_SIZE
        assert len(key.secret) == KEY_SIZE
        self._cipher = AESGCM(key.secret)
        self._prefix = key.id[:_PREFIX_SIZE]
        self._id = key.id

    def seal(self, number: int, data: Bytes, *, last: bool) -> bytes:
        place = _place(number, last)
        return self._cipher.encrypt(self._prefix + place, data, _LABEL + self._id + place)

    def open(self, number: int, sealed: Bytes, *, last: bool) -> bytes:
        place = _place(number, last)
        return self._cipher.decrypt(self._prefix + place, sealed, _LABEL + self._id + place)


def _place(number: int, last: bool) -> bytes:
    assert number < FRAMES_MAX
    return number.to_bytes(4, "big") + (b"\1" if last else b"\0")


class FrameSealer:
    """Seals one body, in order. It holds at most a frame of it, and the pieces that the frame lies in."""

    __slots__ = ("_frames", "_held", "_number", "_room")

    def __init__(self, key: DataKey) -> None:
        self._frames = _Frames(key)
        self._held: list[Bytes] = []
        self._room = FRAME_SIZE
        self._number = 0

    def update(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Take more of the body; yield each frame that it fills, sealed when it is asked for: go through all of them.

        A full one waits until it is known not to be the last.
        """
        for piece in pieces:
            view = memoryview(piece)
            while len(view) > self._room:
                self._held.append(view[: self._room])
                view = view[self._room :]
                yield self._seal(last=False)
            if len(view):
                self._held.append(view)
                self._room -= len(view)

    def finish(self) -> bytes:
        """The last frame."""
        return self._seal(last=True)

    def _seal(self, *, last: bool) -> bytes:
        held, self._held = self._held, []
        data = held[0] if len(held) == 1 else b"".join(held)
        self._room = FRAME_SIZE
        number, self._number = self._number, self._number + 1
        return self._frames.seal(number, data, last=last)


def seal_whole(key: DataKey, pieces: Iterable[bytes]) -> bytes:
    """A whole body, sealed: for those that are kept in memory anyway."""
    sealer = FrameSealer(key)
    return b"".join((*sealer.update(pieces), sealer.finish()))


class FrameRun(NamedTuple):
    """Whole frames that lie beside each other: ``frames`` of them from number ``first``, and where they are stored."""

    first: int
    frames: int
    offset: int  # of the first stored byte
    size: int  # of the stored bytes


class FrameOpener:
    """Opens frames of one body of ``size`` bytes. ``name`` is what a DataCorrupt tells as its ``ref``."""

    __slots__ = ("_frames", "_name", "_total", "size")

    def __init__(self, key: DataKey, size: int, *, name: str = "") -> None:
        self._frames = _Frames(key)
        self._total = frame_count(size)
        self._name = name
        self.size = size

    def runs(self, first: int, size: int, *, frames_max: int) -> Iterable[FrameRun]:
        """The frames that hold the ``size`` bytes from ``first`` on, at least one, in runs of at most ``frames_max``."""
        assert 0 <= first < first + size <= self.size
        number, end = first // FRAME_SIZE, -(-(first + size) // FRAME_SIZE)
        while number < end:
            count = min(frames_max, end - number)
            offset = number * STORED_FRAME_SIZE
            stop = min((number + count) * STORED_FRAME_SIZE, stored_size(self.size))
            yield FrameRun(number, count, offset, stop - offset)
            number += count

    def open(self, run: FrameRun, sealed: bytes) -> list[bytes]:
        """The plaintext of a run's frames from its stored bytes. Raises DataCorrupt."""
        if len(sealed) != run.size:
            raise DataCorrupt(ref=self._name, frame=run.first)
        view = memoryview(sealed)
        return [
            self._open(run.first + index, view[index * STORED_FRAME_SIZE : (index + 1) * STORED_FRAME_SIZE])
            for index in range(run.frames)
        ]

    def _open(self, number: int, sealed: Bytes) -> bytes:
        try:
            return self._frames.open(number, sealed, last=number == self._total - 1)
        except InvalidTag:
            raise DataCorrupt(ref=self._name, frame=number) from None

    def cut(self, run: FrameRun, opened: Sequence[bytes], first: int, size: int) -> Iterable[bytes]:
        """Of a run's plaintext what belongs to the ``size`` bytes from ``first`` on."""
        position = run.first * FRAME_SIZE
        for data in opened:
            begin, end = max(first - position, 0), min(first + size - position, len(data))
            yield data if begin == 0 and end == len(data) else data[begin:end]
            position += len(data)


def open_whole(key: DataKey, sealed: bytes, size: int, *, name: str = "") -> bytes:
    """A whole body of ``size`` bytes from all its stored bytes. Raises DataCorrupt."""
    if len(sealed) != stored_size(size):
        raise DataCorrupt(ref=name)
    opener = FrameOpener(key, size, name=name)
    return b"".join(opener.open(FrameRun(0, frame_count(size), 0, len(sealed)), sealed))
