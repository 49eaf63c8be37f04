"""``make bench``: CPU time per request and bytes per second, as ratios to yardsticks measured in the same run."""

from __future__ import annotations

from nova_wsgi import green

green.patch()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import Progress  # noqa: E402

from benchmarks import servers  # noqa: E402
from benchmarks.load import Request, curl_get, sign, wrk  # noqa: E402
from benchmarks.report import Result, show  # noqa: E402

KIB, MIB = 1024, 1024 * 1024
BUCKET = "bench"


def client(url: str) -> Any:
    """A boto3 client for the store."""
    return boto3.client(
        "s3", endpoint_url=url, region_name=servers.REGION, aws_access_key_id=servers.ACCESS_KEY,
        aws_secret_access_key=servers.SECRET_KEY, config=Config(signature_version="s3v4"),
    )  # fmt: skip


def fill(s3: Any) -> None:
    """What the workloads read."""
    s3.create_bucket(Bucket=BUCKET)
    for size in (1 * KIB, 4 * KIB, 128 * KIB):
        s3.put_object(Bucket=BUCKET, Key=f"get/{size}", Body=b"x" * size)
    s3.put_object(Bucket=BUCKET, Key="large", Body=os.urandom(64 * MIB))
    for number in range(1000):
        s3.put_object(Bucket=BUCKET, Key=f"list/{number:04}", Body=b"")


def requests_of(name: str) -> Sequence[Request]:
    """The requests of a small workload."""
    body = b"y" * 4 * KIB
    return {
        "GET 4 KiB": [Request("GET", f"/{BUCKET}/get/{4 * KIB}")],
        "PUT 4 KiB": [Request("PUT", f"/{BUCKET}/put/{number:03}", body) for number in range(200)],
        "GET 128 KiB": [Request("GET", f"/{BUCKET}/get/{128 * KIB}")],
        "LIST 1,000 keys": [Request("GET", f"/{BUCKET}?list-type=2&prefix=list%2F")],
    }[name]


# name -> the bound of its ratio to hello world's CPU, None where it is only told
# (wrk waits for the body of a HEAD, so none is measured.)
SMALL = {"GET 4 KiB": 1.0, "PUT 4 KiB": None, "GET 128 KiB": None, "LIST 1,000 keys": None}


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each pair is measured (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each small load runs (default: 3)")
    parser.add_argument("--connections", type=int, default=32, help="keep-alive connections of a load (default: 32)")
    parser.add_argument("--workers", type=int, default=1, help="workers of the store (default: 1, as hello world has)")
    parser.add_argument("--json", metavar="FILE", help="write every sample to this file")
    options = parser.parse_args()
    console = Console(stderr=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nova-bench-")))
        (directory / "state").mkdir()
        store = stack.enter_context(servers.store(directory / "state", workers=options.workers))
        s3 = client(store.url)
        fill(s3)
        # As many bytes under the same headers as a GET of 4 KiB.
        answer = s3.get_object(Bucket=BUCKET, Key=f"get/{4 * KIB}")["ResponseMetadata"]["HTTPHeaders"]
        headers = {name: value for name, value in answer.items() if name not in ("content-length", "date", "server")}
        hello = stack.enter_context(servers.hello(4 * KIB, headers))
        results = small(store, hello, options, console)
        results.append(large(stack, s3, store, directory, options, console))
    wide = Console()
    show(results, wide if wide.is_terminal else Console(width=140))
    if options.json:
        Path(options.json).write_text(json.dumps([result.as_json() for result in results], indent=1))


def small(store: servers.Server, hello: servers.Server, options: argparse.Namespace, console: Console) -> list[Result]:
    """Small requests, store and hello world in turns."""
    results = []
    with Progress(console=console) as progress:
        task = progress.add_task("small requests", total=len(SMALL) * options.rounds)
        for name, bound in SMALL.items():
            result = Result(name, "cpu", bound, yardstick_name="hello world 4 KiB")
            for _ in range(options.rounds):
                ours = [sign(store.url, request) for request in requests_of(name)]
                theirs = [sign(hello.url, request) for request in requests_of(name)]
                load = {"connections": options.connections, "seconds": options.seconds}
                result.yardstick.append(wrk(hello, theirs, **load))
                result.ours.append(wrk(store, ours, **load))
                progress.advance(task)
            results.append(result)
    return results


def large(
    stack: ExitStack, s3: Any, store: servers.Server, directory: Path, options: argparse.Namespace, console: Console
) -> Result:
    """A GET of 64 MiB beside nginx with sendfile on the same bytes."""
    root = directory / "nginx"
    (root / "www").mkdir(parents=True)
    (root / "www" / "large").write_bytes(s3.get_object(Bucket=BUCKET, Key="large")["Body"].read())
    root.chmod(0o755)
    directory.chmod(0o755)
    nginx = stack.enter_context(servers.nginx(root, workers=1))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "large"})
    result = Result("GET 64 MiB", "bytes", 0.7, yardstick_name="nginx sendfile")
    with Progress(console=console) as progress:
        task = progress.add_task("large bodies", total=options.rounds)
        for _ in range(options.rounds):
            result.yardstick.append(curl_get(nginx, f"{nginx.url}/large", times=10))
            result.ours.append(curl_get(store, url, times=10))
            progress.advance(task)
    return result


if __name__ == "__main__":
    main()
