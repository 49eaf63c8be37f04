"""The house's own programs, as the tests start them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def program(name: str, *argv: str | Path) -> Sequence[str | Path]:
    """The command line of ``nova-api`` and so on, from this checkout: ``program("nova-api", "--osapi-listen-port=0")``."""
    module = name.removeprefix("nova-").replace("-", "_")
    return [sys.executable, "-m", f"nova_objectstore.cmd.{module}", *argv]
