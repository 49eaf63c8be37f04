"""What applications answer to hostile requests, judged: no failure that is not meant, and nothing logged as one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DESIGNED = (501, 503)


class Caught(logging.Handler):
    """What was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.errors.append(error or AssertionError(f"logged: {record.getMessage()}"))

    @classmethod
    @contextmanager
    def of(cls, name: str) -> Iterator[Caught]:
        """Catch what a logger is told while the block runs, and let nobody else hear of it."""
        logger, caught = logging.getLogger(name), cls()
        propagates, logger.propagate = logger.propagate, False
        logger.addHandler(caught)
        try:
            yield caught
        finally:
            logger.removeHandler(caught)
            logger.propagate = propagates


def judge(answer: Any, caught: Caught) -> str:
    """The status, and the error's code; what was logged rises."""
    found = re.search(rb"<Code>([A-Za-z0-9.]+)</Code>", answer.body)
    code = found[1].decode() if found else ""
    if caught.errors:
        error, caught.errors = caught.errors[0], []
        if answer.status not in DESIGNED:
            raise error
    assert answer.status < 500 or answer.status in DESIGNED, f"{answer.status} {code}"
    return f"{answer.status} {code}"
