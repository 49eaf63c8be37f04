"""Core dumps: a process that crashes leaves its memory, secrets and data, to whoever may read the dump; so there is none."""

from __future__ import annotations

import resource


def forbid_core_dumps() -> None:
    """Have the kernel dump neither this process nor those that it starts.

    core(5): a limit of 0 keeps a dump from being a file, but not from being piped to a program (``core_pattern = |...``).
    The kernel refuses that as well at a limit of exactly 1 byte (fs/coredump.c), which is too little for any file.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = 1 if hard == resource.RLIM_INFINITY else min(1, hard)  # a limit of 0 that we were given cannot be raised
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
