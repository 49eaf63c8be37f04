"""Another process that shares what was made before it: a fork of the test's own, which ends as crashes do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nova_wsgi import green

blocking = green.original("os")  # a forked child must not run its parent's hub


@contextmanager
def another_process(begin: Callable[[], object]) -> Iterator[bool]:
    """A fork that has called ``begin`` and is killed where the block ends. Yields whether ``begin`` answered something."""
    answer_read, answer_write = os.pipe()
    end_read, end_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end_write)
            blocking.write(answer_write, b"1" if begin() else b"0")
            blocking.read(end_read, 1)  # or until nobody is left who could kill
        finally:
            os._exit(1)
    os.close(answer_write)
    os.close(end_read)
    try:
        answer = blocking.read(answer_read, 1)
        assert answer, "the other process did not come that far"
        yield answer == b"1"
    finally:
        os.kill(pid, signal.SIGKILL)
        blocking.waitpid(pid, 0)
        os.close(answer_read)
        os.close(end_write)
