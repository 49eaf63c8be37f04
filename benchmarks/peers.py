"""Other S3 servers, those that are installed here: each with our key pair, on loopback, over a fresh directory."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import ceph
from benchmarks.servers import Server, find_program, listening
from benchmarks.signing import ACCESS_KEY, SECRET_KEY
from nova_wsgi.testing import free_port


class Peer(NamedTuple):
    """How to know that a peer is here, and how to start it over a directory."""

    is_here: Callable[[], bool]
    start: Callable[[Path], AbstractContextManager[Server]]


def _on_path(program: str) -> Callable[[], bool]:
    return lambda: find_program(program) is not None


@contextmanager
def _moto(directory: Path) -> Iterator[Server]:
    """moto's server: everything in memory, one process."""
    with listening("moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}"]) as server:
        yield server


@contextmanager
def _minio(directory: Path) -> Iterator[Server]:
    environ = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off"}
    command = ["minio", "server", "--address", "127.0.0.1:{port}", str(directory)]
    with listening("minio", command, environ=environ) as server:
        yield server


@contextmanager
def _versitygw(directory: Path) -> Iterator[Server]:
    environ = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    command = ["versitygw", "--port", "127.0.0.1:{port}", "posix", str(directory)]
    with listening("versitygw", command, environ=environ) as server:
        yield server


def _has_rclone() -> bool:
    """Whether rclone is here and has ``serve s3`` (from 1.65 on)."""
    if find_program("rclone") is None:
        return False
    told = subprocess.run(["rclone", "serve", "--help"], capture_output=True, text=True, check=False).stdout
    return any(line.split()[:1] == ["s3"] for line in told.splitlines())


@contextmanager
def _rclone(directory: Path) -> Iterator[Server]:
    command = [
        "rclone",
        "serve",
        "s3",
        "--addr",
        "127.0.0.1:{port}",
        "--auth-key",
        f"{ACCESS_KEY},{SECRET_KEY}",
        str(directory),
    ]
    with listening("rclone", command) as server:
        yield server


@contextmanager
def _weed(directory: Path) -> Iterator[Server]:
    """SeaweedFS: master, volume server, filer and gateway in one process."""
    identity = {
        "name": "bench",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    command = ["weed", "server", f"-dir={directory}", "-ip=127.0.0.1", "-filer", "-s3", f"-s3.config={config}"]
    for part in ("master", "volume", "filer"):
        command += [f"-{part}.port={free_port()}", f"-{part}.port.grpc={free_port()}"]
    port = free_port()
    with listening("weed", [*command, f"-s3.port.grpc={free_port()}", f"-s3.port={port}"], port=port) as server:
        yield server


PEERS: Mapping[str, Peer] = {
    "radosgw": Peer(ceph.is_installed, ceph.radosgw),
    "moto": Peer(lambda: importlib.util.find_spec("moto") is not None, _moto),
    "minio": Peer(_on_path("minio"), _minio),
    "versitygw": Peer(_on_path("versitygw"), _versitygw),
    "rclone": Peer(_has_rclone, _rclone),
    "weed": Peer(_on_path("weed"), _weed),
}


def start(stack: ExitStack, name: str, directory: Path) -> Server | None:
    """Start a peer till the end of ``stack``; None where it is not installed."""
    peer = PEERS[name]
    if not peer.is_here():
        return None
    directory.mkdir(parents=True)
    return stack.enter_context(peer.start(directory))
