"""Secrets that are looked for, in every spelling in which they might be somewhere; and what processes show of themselves."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import psutil

SECRET_CHARS_MIN = 8  # a shorter one would be found by chance


class Secret(NamedTuple):
    """Something nobody may find. ``holders`` are the names of the files that may have it as it is."""

    name: str
    value: bytes
    holders: frozenset[str] = frozenset()

    def spellings(self) -> frozenset[bytes]:
        """The secret in each encoding that a log, an answer or a file might have it in."""
        assert len(self.value) >= SECRET_CHARS_MIN, self.name
        found = {
            self.value,
            base64.b64encode(self.value),
            base64.urlsafe_b64encode(self.value).rstrip(b"="),
            self.value.hex().encode(),
            self.value.hex().upper().encode(),
        }
        if self.value.isascii():
            text = self.value.decode()
            spelled = (
                quote(text, safe=""),
                quote(text),
                quote_plus(text),
                json.dumps(text)[1:-1],
                escape(text),
                repr(text)[1:-1],
            )
            found.update(each.encode() for each in spelled)
        return frozenset(found)


def secret(name: str, value: str | bytes, *holders: str) -> Secret:
    """A secret by its value."""
    return Secret(name, value.encode() if isinstance(value, str) else value, frozenset(holders))


class Place(NamedTuple):
    """Somewhere that a secret might have got to."""

    name: str
    content: bytes


def leaks(
    secrets: Iterable[Secret], places: Iterable[Place], *, allowed: Mapping[str, Iterable[str]] | None = None
) -> list[str]:
    """Which secret stands where. ``allowed`` names the places that may have a secret, by the secret's name."""
    allowed = allowed or {}
    found = []
    spelled = [(each, each.spellings()) for each in secrets]
    for place in places:
        for each, spellings in spelled:
            if place.name not in allowed.get(each.name, ()) and any(text in place.content for text in spellings):
                found.append(f"{each.name} in {place.name}")
    return found


def files_below(root: Path) -> Iterator[Place]:
    """Every file of a directory; sockets and the like are none."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield Place(str(path.relative_to(root)), path.read_bytes())


def process_tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    process = psutil.Process(pid)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


def shown_by(pid: int) -> list[Place]:
    """What other users of the host, or the same one, see of a process without stopping it."""
    return [
        Place(f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes())
        for name in ("cmdline", "environ", "comm")
    ]


def core_limit(pid: int) -> list[str]:
    """The soft and the hard limit of core dumps."""
    line = next(
        line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core file")
    )
    return line.split()[4:6]


def without_variables(*names: str) -> dict[str, str]:
    """This process's environment without some variables."""
    return {name: value for name, value in os.environ.items() if name not in names}
