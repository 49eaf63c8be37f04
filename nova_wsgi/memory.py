"""The C library's heap: memory that a process has freed goes back to the system, and is not kept for a use that never comes.

glibc gives each native thread an arena of its own, and returns only what is free at an arena's very end. Measured in an hour's
worth of mixed requests: of 19 MiB in the twelve arenas of a process that compares and moves files in native threads, 1 MiB
was in use; of the 22 MiB of the hub's thread, 16. So there are two arenas, one for the hub's thread and one for all others,
which hold the interpreter's lock for most of what they allocate; and now and then every free page of both is returned
(malloc_trim(3)), wherever it lies: less than a millisecond, in a native thread.

Law: where the C library is another one, nothing is done, and nothing fails.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

ARENAS_MAX = 2

_M_ARENA_MAX = -8  # malloc.h
_SETTINGS = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")  # whoever sets one knows better


def limit_arenas() -> bool:
    """Allow ``ARENAS_MAX`` arenas from now on; tell whether that was done. Before the process has threads."""
    if any(name in os.environ for name in _SETTINGS):
        return False
    mallopt = _function("mallopt", ctypes.c_int, ctypes.c_int)
    return mallopt is not None and mallopt(_M_ARENA_MAX, ARENAS_MAX) == 1


def return_free_pages() -> bool:
    """Return to the system what nobody uses; tell whether there was anything. For a native thread."""
    malloc_trim = _function("malloc_trim", ctypes.c_size_t)
    return malloc_trim is not None and malloc_trim(0) == 1


def _function(name: str, *parameters: type[ctypes.c_int] | type[ctypes.c_size_t]) -> Callable[..., int] | None:
    """One of the C library's, which answers an int; None where it has none of that name."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function.argtypes, function.restype = parameters, ctypes.c_int
    return function
