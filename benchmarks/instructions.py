"""How many instructions a request takes: the same from run to run, whatever else the machine does (valgrind's callgrind).

python -m benchmarks.instructions get|get-many|head|put|list ... [--seconds N]

All of the store's process but the kernel's part, between the first and the last answer. What valgrind does not know it
emulates: SHA-256 takes ten times as many instructions there. So compare figures of two trees, not of two operations.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.lab import BUCKET, Lab, Settings
from benchmarks.loads import ROOT, generate
from benchmarks.servers import STORE_ENVIRON, Server, find_program, store_command
from benchmarks.where import CONNECTIONS, LOADS
from nova_wsgi.testing import LiveServer

START_TIMEOUT_S = 180.0  # everything takes fifty times as long


def count(name: str, seconds: int, directory: Path) -> tuple[int, int]:
    """The instructions of the store under a load, without start and preparation; and the requests answered."""
    state, counts = directory / "state", directory / "counts"
    state.mkdir()
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={counts}"]
    program = [sys.executable, *store_command(state, workers=1), "--worker-processes", "0"]
    with ExitStack() as stack:
        live = stack.enter_context(
            LiveServer([*valgrind, *program], environ=STORE_ENVIRON, cwd=ROOT, start_timeout_s=START_TIMEOUT_S)
        )
        server = Server("nova", live.url, (live.pid,))
        lab = Lab(Settings(directory, seconds, CONNECTIONS, print), stack)
        lab.make_bucket(server, BUCKET)
        file = lab.write(server, LOADS[name](lab, server))
        generate(server, file, connections=CONNECTIONS, seconds=1)  # caches
        _control(live.pid, "on")
        sent = generate(server, file, connections=CONNECTIONS, seconds=seconds)
        _control(live.pid, "off")
    return sum(read_total(path.read_text()) for path in directory.glob("counts*")), sent.requests


def read_total(text: str) -> int:
    """The instructions of a file of callgrind's."""
    return sum(map(int, re.findall(r"^totals: (\d+)", text, re.MULTILINE)))


def _control(pid: int, state: str) -> None:
    command = ["callgrind_control", "--instr=" + state, str(pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Count, show."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "loads", nargs="+", choices=LOADS, metavar="LOAD", help=f"what to ask of the store: {', '.join(LOADS)}"
    )
    parser.add_argument("--seconds", type=int, default=20, help="how long, of each (default: 20)")
    options = parser.parse_args()
    if find_program("valgrind") is None:
        parser.error("valgrind is not installed (Debian's package of that name)")
    for name in options.loads:
        with tempfile.TemporaryDirectory(prefix="nova-bench-") as directory:
            instructions, requests = count(name, options.seconds, Path(directory))
        print(f"{name}: {instructions / max(1, requests):,.0f} instructions a request ({requests:,} requests)")


if __name__ == "__main__":
    main()
