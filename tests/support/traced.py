"""Programs under strace, which writes down every call that changes a file or directory, syncs one, or sends to a socket."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.store import need_program

from nova_wsgi.testing import wait_until

TRACED = (
    "openat,open,creat,write,pwrite64,pwritev,pwritev2,writev,ftruncate,truncate,fallocate,copy_file_range,splice,"
    "sendfile,lseek,fsync,fdatasync,sync,syncfs,msync,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,"
    "unlinkat,mkdir,mkdirat,rmdir,mmap,sendto,sendmsg,bind"
)
STRING_MAX = 64 * 1024 * 1024  # bytes of one call that are written down: more than any call of ours has
END_S = 20.0  # how long the tracer may take to write down the last call


def need_strace() -> None:
    """Skip the test where nothing can be traced; fail it where everything must be there."""
    strace = need_program("strace")
    tried = subprocess.run([strace, "-f", "--seccomp-bpf", "-o", "/dev/null", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"strace can't trace here: {tried.stderr}")


def traced(command: Sequence[str | Path], trace: Path) -> list[str | Path]:
    """``command``, traced into ``trace``. The process that is started is the program itself, for signals and its end."""
    options = ("-DDD", "-f", "--seccomp-bpf", "-y", "-xx", "-e", "signal=none", "-s", str(STRING_MAX))
    return ["strace", *options, "-o", trace, "-e", f"trace={TRACED}", *command]


def wait_for_end(trace: Path, pid: int) -> None:
    """Wait until the tracer has written down the end of process ``pid``, which has ended."""
    mark = re.compile(rb"^%d +\+\+\+ " % pid, re.MULTILINE)

    def is_written() -> bool:
        with open(trace, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            return mark.search(file.read()) is not None

    wait_until(is_written, END_S, what="the end of the trace")
