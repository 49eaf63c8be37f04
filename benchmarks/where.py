"""Where the time of a request goes: the store in one process under one load, its stack sampled by CPU time (see sampled).

python -m benchmarks.where get|get-many|head|put|list [--seconds N] [--stacks FILE] [--plot FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import flame
from benchmarks.lab import BUCKET, KIB, Lab, Settings
from benchmarks.loads import ROOT, generate
from benchmarks.placement import serving
from benchmarks.sampled import FORGET, INTERVAL_S
from benchmarks.servers import STORE_ENVIRON, Server, store_command
from benchmarks.signing import Request
from benchmarks.small import FEW, MANY, gets, puts
from nova_wsgi.testing import LiveServer

CONNECTIONS = 32
WIDTH = 60
OURS = ("nova_wsgi/", "nova_objectstore/")
NOBODY = "eventlet's hub: waiting, switching"
LAYERS: Mapping[str, str] = {  # the beginning of a module's path -> what it is; the longest that fits
    "nova_wsgi/": "server: connections, requests, finish hooks",
    "nova_wsgi/connection.py": "sockets",
    "nova_wsgi/http_parse.py": "HTTP: parsing",
    "nova_wsgi/http_write.py": "HTTP: writing",
    "nova_wsgi/middleware/": "filters: request id, log, metrics",
    "nova_objectstore/s3/": "S3: pipeline, headers, rendering",
    "nova_objectstore/s3/auth/": "S3: signatures",
    "nova_objectstore/s3/authenticate.py": "S3: signatures",
    "nova_objectstore/domain/": "domain: rules, digests",
    "nova_objectstore/checksums.py": "domain: rules, digests",
    "nova_objectstore/meta/": "metadata: SQLite",
    "nova_objectstore/data/": "data: files",
}


def _listing(lab: Lab, server: Server) -> Sequence[Request]:
    lab.store_objects(server, "listed", count=1000, size=0)
    return [Request("GET", f"/{BUCKET}", query={"list-type": "2", "prefix": "listed/"})]


LOADS: Mapping[str, Callable[[Lab, Server], Sequence[Request]]] = {
    "get": gets(4 * KIB, FEW),
    "get-many": gets(4 * KIB, MANY),
    "head": gets(4 * KIB, FEW, "HEAD"),
    "put": puts(4 * KIB),
    "list": _listing,
}


def layer_of(stack: str) -> tuple[str, str]:
    """The layer and the function of ours that a stack was seen in: the innermost frame of ours, whatever it has called."""
    frame = next((frame for frame in reversed(stack.split(";")) if frame.startswith(OURS)), "")
    fitting = [beginning for beginning in LAYERS if frame.startswith(beginning)]
    layer = LAYERS[max(fitting, key=len)] if fitting else "elsewhere" if frame else NOBODY
    return layer, frame


def count_layers(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """How often each layer, and each function, was seen, of lines of collapsed stacks."""
    layers: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        layer, function = layer_of(stack)
        layers[layer] += int(count)
        functions[function or layer] += int(count)
    return layers, functions


def sample(name: str, seconds: int, directory: Path) -> tuple[list[str], int]:
    """The collapsed stacks of the store under a load, without its preparation; and the requests answered."""
    stacks, state = directory / "stacks", directory / "state"
    state.mkdir()
    command = [sys.executable, "-m", "benchmarks.sampled", str(stacks), *store_command(state, workers=1)[1:]]
    with ExitStack() as stack:
        live = stack.enter_context(
            LiveServer(serving([*command, "--worker-processes", "0"]), environ=STORE_ENVIRON, cwd=ROOT)
        )
        server = Server("nova", live.url, (live.pid,))
        lab = Lab(Settings(directory, seconds, CONNECTIONS, print), stack)
        lab.make_bucket(server, BUCKET)
        requests = LOADS[name](lab, server)
        file = lab.write(server, requests)
        live.send_signal(FORGET)
        sent = generate(server, file, connections=CONNECTIONS, seconds=seconds)
    return stacks.read_text().splitlines(), sent.requests


def show(lines: Sequence[str], requests: int) -> None:
    """Print what a request costs, and the shares of layers and of the functions seen most."""
    layers, functions = count_layers(lines)
    total = sum(layers.values())
    cost_us = total * INTERVAL_S / max(1, requests) * 1e6
    print(
        f"{requests:,} requests, {total:,} samples {INTERVAL_S * 1000:.0f} ms of CPU time apart: {cost_us:.0f} us a request"
    )
    for counts, most in ((layers, None), (functions, 20)):
        print()
        for name, count in counts.most_common(most):
            print(f"{name:{WIDTH}} {count / total:6.1%} {count / total * cost_us:8.1f} us")


def main() -> None:
    """Sample, show, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.where", description=__doc__.partition("\n")[0])
    parser.add_argument("load", choices=LOADS, help="what to ask of the store")
    parser.add_argument("--seconds", type=int, default=10, help="how long (default: 10)")
    parser.add_argument("--stacks", metavar="FILE", help="write the collapsed stacks, for a flame graph")
    parser.add_argument("--plot", metavar="FILE", help="draw a flame graph into this PNG (extra `bench`)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nova-bench-") as directory:
        lines, requests = sample(options.load, options.seconds, Path(directory))
    if options.stacks:
        Path(options.stacks).write_text("\n".join(lines) + "\n")
    show(lines, requests)
    if options.plot:
        flame.draw(lines, Path(options.plot), f"{options.load}: where the CPU time of one process goes")


if __name__ == "__main__":
    main()
