"""Small damages to bytes: what a hostile client, or a tired one, does to an input that was good."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

INPUT_MAX = 4096  # bytes of a mutated input: sizes are the matter of growths
DAMAGES_MAX = 6

_BYTES = bytes(
    (0, 9, 10, 11, 13, 32, 0x1C, 0x22, 0x25, 0x2B, 0x2F, 0x3A, 0x3B, 0x3C, 0x3D, 0x5C, 0x7F, 0x80, 0x85, 0xA0, 0xFF)
)
_TEXTS = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"%", b"%00", b"%2F", b"%25", b"%C3%A9", b"%ff", b"%E2%82", b"..", b"//",
    b"*", b"?", b"&",
    b"=", b";", b",", b"\"", b"'", b"<", b">", b"&#0;", b"\xc3\xa9", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe",
    "²".encode(), "٣".encode(), "\u2028".encode(), b"-1", b"0", b"00", b"+1", b"1e9", b"0x10", b"1_0", b"2147483648",
    b"9223372036854775808", b"18446744073709551616", b"9" * 40, b"NaN", b"null", b"true", b"[]", b"{}", b"\\u0000",
    b"\\ud800",
)  # fmt: skip

Damage = Callable[[random.Random, bytearray, Sequence[bytes], Sequence[bytes]], None]


def mutate(rng: random.Random, data: bytes, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """``data`` with one to six damages; ``corpus`` to graft from, ``words`` of the language it is in."""
    made = bytearray(data[:INPUT_MAX])
    for _ in range(min(DAMAGES_MAX, 1 + int(rng.expovariate(0.9)))):
        rng.choice(_DAMAGES)(rng, made, corpus, words)
    return bytes(made[:INPUT_MAX])


def _slice(rng: random.Random, data: bytes | bytearray) -> tuple[int, int]:
    """A short piece, mostly."""
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + 1 + int(rng.expovariate(0.1)))


def _set_byte(rng: random.Random, data: bytearray, _corpus: Sequence[bytes], _words: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(_BYTES) if rng.random() < 0.6 else rng.randrange(256)


def _flip_bit(rng: random.Random, data: bytearray, _corpus: Sequence[bytes], _words: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _insert(rng: random.Random, data: bytearray, _corpus: Sequence[bytes], words: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(words) if words and rng.random() < 0.5 else rng.choice(_TEXTS)


def _replace(rng: random.Random, data: bytearray, _corpus: Sequence[bytes], words: Sequence[bytes]) -> None:
    start, end = _slice(rng, data)
    data[start:end] = rng.choice(words) if words and rng.random() < 0.5 else rng.choice(_TEXTS)


def _drop(rng: random.Random, data: bytearray, _corpus: Sequence[bytes], _words: Sequence[bytes]) -> None:
    start, end = _slice(rng, data)
    del data[start:end]


def _repeat(rng: random.Random, data: bytearray, _corpus: Sequence[bytes], _words: Sequence[bytes]) -> None:
    start, end = _slice(rng, data)
    data[end:end] = data[start:end] * (1 if rng.random() < 0.8 else rng.randrange(1, 64))


def _graft(rng: random.Random, data: bytearray, corpus: Sequence[bytes], _words: Sequence[bytes]) -> None:
    other = rng.choice(corpus)
    start, end = _slice(rng, data)
    from_, to = _slice(rng, other)
    data[start:end] = other[from_:to]


def _cross(rng: random.Random, data: bytearray, corpus: Sequence[bytes], _words: Sequence[bytes]) -> None:
    other = rng.choice(corpus)
    data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other) + 1) :]


def _cut(rng: random.Random, data: bytearray, _corpus: Sequence[bytes], _words: Sequence[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _replace_number(rng: random.Random, data: bytearray, _corpus: Sequence[bytes], _words: Sequence[bytes]) -> None:
    at = next((place for place in range(rng.randrange(len(data) + 1), len(data)) if 48 <= data[place] <= 57), -1)
    if at >= 0:
        data[at : at + 1] = str(rng.choice((0, 1, 7, 255, 65536, 2**31, 2**63, 10 ** rng.randrange(25)))).encode()


_DAMAGES: Sequence[Damage] = (
    _set_byte, _flip_bit, _insert, _insert, _replace, _drop, _drop, _repeat, _graft, _cross, _cut, _replace_number,
)  # fmt: skip


# -- JSON --------------------------------------------------------------------------------------------------------------

_ODD_VALUES: Sequence[object] = (
    None, True, False, 0, -1, 1.5, 1e308, 10**400, "", " ", "a", "*", "\0", "\ud800", "\U0001f40d", "é" * 300, [],
    [[]], {}, {"": ""},
    ["a", "a"], [None], {"a": []}, "2012-10-17", "https://a", "\u2028",
)  # fmt: skip


def damage_json(rng: random.Random, value: object) -> object:
    """``value`` with one of its parts another, gone, twice there, in a list, or under another name."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        kind = rng.randrange(8)
        if kind == 0:
            return {other: part for other, part in value.items() if other != name}
        if kind == 1:
            return {**value, str(rng.choice(_ODD_VALUES)): value[name]}
        return {**value, name: damage_json(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], *([value[at]] * rng.randrange(2)), damage_json(rng, value[at]), *value[at + 1 :]]
    return rng.choice(([value], {"a": value}, rng.choice(_ODD_VALUES), rng.choice(_ODD_VALUES)))
