"""Looks as the database has them: encoded with a bucket's row, decoded once into what writes ask. Pure.

See ``meta/lifecycle_port.py`` for what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from nova_objectstore.meta.lifecycle_port import Look, LookKind, first_look_us

_PLANS_KEPT = 1024  # buckets with rules that a process writes to; a plan of a few rules is 1 KB


class Plan(NamedTuple):
    """A bucket's looks by kind, and the numbers of newer versions that some of them wait for."""

    looks: tuple[tuple[Look, ...], ...]  # by LookKind
    counts: tuple[int, ...]

    def first_us(
        self, kind: LookKind, key: str, size: int | None, tags: Mapping[str, str], *, since_us: int, newer: int = 0
    ) -> int | None:
        """When the first look of that kind is due; None when there is none."""
        return first_look_us(self.looks[kind], key, size, tags, since_us=since_us, newer=newer)


def encode_looks(looks: Sequence[Look]) -> str:
    """JSON, one list a look."""
    return json.dumps(looks, separators=(",", ":"))


def decode_looks(text: str) -> tuple[Look, ...]:
    """The looks that ``encode_looks`` wrote."""
    return tuple(
        Look(LookKind(kind), after, not_before, round_, prefix, tuple((name, value) for name, value in tags), *rest)
        for kind, after, not_before, round_, prefix, tags, *rest in json.loads(text)
    )


@lru_cache(_PLANS_KEPT)
def decode_plan(text: str) -> Plan:
    """The plan of a bucket's looks."""
    looks = decode_looks(text)
    by_kind = tuple(tuple(look for look in looks if look.kind is kind) for kind in LookKind)
    return Plan(by_kind, tuple(sorted({look.newer for look in looks if look.newer})))
