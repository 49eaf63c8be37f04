"""The store in one process, its stack sampled by CPU time: FILE, then the arguments of nova-objectstore.

The signal of the profiling timer (setitimer(2), ITIMER_PROF) comes after so much CPU time of the process, whoever else the
machine works for. At the end FILE has a line for each different stack: frames from the outermost, ``;`` between them, and how
often it was seen. Native threads that run while the main one waits are counted as what it waits in.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.004  # of CPU time: the kernel's tick on most systems
FORGET = signal.SIGVTALRM  # what was seen so far does not count

_stacks: Counter[str] = Counter()


def _name(frame: FrameType) -> str:
    code = frame.f_code
    path = code.co_filename
    for root in ("/site-packages/", "/lib/python3", "/nova_objectstore/", "/nova_wsgi/"):
        _, found, rest = path.rpartition(root)
        if found:
            path = rest if root.startswith(("/site", "/lib")) else f"{root.strip('/')}/{rest}"
            break
    return f"{path}:{code.co_name}"


def _sample(number: int, frame: FrameType | None) -> None:
    names = []
    while frame is not None:
        names.append(_name(frame))
        frame = frame.f_back
    _stacks[";".join(reversed(names))] += 1


def _forget(number: int, frame: FrameType | None) -> None:
    _stacks.clear()


def main() -> None:
    """Run the store, which exits with its own status; write the stacks when it ends."""
    path = Path(sys.argv[1])
    from nova_objectstore.cmd.objectstore import main as run_store

    sys.argv = ["nova-objectstore", *sys.argv[2:]]
    signal.signal(signal.SIGPROF, _sample)
    signal.signal(FORGET, _forget)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    try:
        run_store()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_text("".join(f"{stack} {count}\n" for stack, count in _stacks.most_common()))


if __name__ == "__main__":
    main()
