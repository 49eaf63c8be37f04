"""Reads tests/vectors/http: one case a file, a raw request and what is expected of the server.

``expect: 400 closed`` are the statuses of the answers in order and whether the connection is open or closed after
them; ``environ: KEY = JSON``, ``body: JSON`` and ``trailers: JSON`` what the application got of the first request.
After ``---`` stands the request: the file's line ends mean nothing, ``\\r \\n \\t \\0 \\xNN \\\\`` mean what they mean in
Python, ``<<text*N>>`` is text N times. Lines with ``#`` before it say why.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vectors" / "http"


@dataclass
class Vector:
    name: str
    request: bytes
    statuses: list[int] = field(default_factory=list)
    stays_open: bool = False
    environ: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)  # body, trailers

    def __str__(self) -> str:
        return self.name


def read(path: Path) -> Vector:
    head, _, request = path.read_text("utf-8").partition("---\n")
    vector = Vector(path.stem, decode(request))
    for line in head.splitlines():
        key, _, value = line.partition(": ")
        if line.startswith("#"):
            continue
        if key == "expect":
            *statuses, state = value.split()
            assert state in ("open", "closed"), path
            vector.statuses, vector.stays_open = [int(status) for status in statuses], state == "open"
        elif key == "environ":
            name, _, expected = value.partition(" = ")
            vector.environ[name] = json.loads(expected)
        else:
            assert key in ("body", "trailers"), path
            vector.others[key] = json.loads(value)
    assert vector.statuses, path
    return vector


def decode(text: str) -> bytes:
    joined = re.sub(r"<<(.+?)\*(\d+)>>", lambda match: match[1] * int(match[2]), text.replace("\n", ""))
    return joined.encode("ascii").decode("unicode_escape").encode("latin-1")


def read_all() -> list[Vector]:
    return [read(path) for path in sorted(FOLDER.glob("*.txt"))]
