"""A real ``nova-objectstore`` for tests: a process with workers, on a free port, with clients for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from nova_wsgi.testing import LiveServer, workers

ACCESS_KEY = "AKIATESTTESTTESTTEST"
SECRET_KEY = "test/secret+key0123456789abcdefghijklmno"
REGION = "us-east-1"
BIN = Path(sys.executable).parent


class Store:
    """A running store and what a client needs to know of it."""

    def __init__(self, server: LiveServer, state_path: Path) -> None:
        self.server = server
        self.state_path = state_path
        self.url = server.url
        self.port = server.port

    def client(
        self,
        *,
        access_key: str = ACCESS_KEY,
        secret_key: str = SECRET_KEY,
        url: str | None = None,
        verify: str | None = None,
        **config: Any,
    ) -> Any:
        """A boto3 client of today's defaults; ``config`` goes to botocore's Config, ``verify`` is a file of CAs."""
        settings = {"retries": {"max_attempts": 1}, "read_timeout": 60, **config}
        return boto3.session.Session().client(
            "s3",
            endpoint_url=url or self.url,
            verify=verify,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(**settings),
        )

    def workers(self) -> list[int]:
        """The process ids of the workers that serve S3, those that are ready and live."""
        ready = set(map(int, re.findall(r"worker objectstore/\d+ \((\d+)\) is ready", self.server.output())))
        return [pid for pid in workers(self.server.pid) if pid in ready]

    def environ(self) -> dict[str, str]:
        """The environment of the AWS command line and its like."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_PAGER": "",
        }

    def run(self, *command: str | Path, environ: Mapping[str, str] | None = None, timeout_s: float = 120) -> str:
        """Run a client program to its end; its output. Fails the test when it fails."""
        done = subprocess.run(
            [str(part) for part in command],
            env={**self.environ(), **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout


@contextmanager
def running_store(
    state_path: Path, *arguments: str, workers: int = 2, environ: Mapping[str, str] | None = None
) -> Iterator[Store]:
    """Start ``nova-objectstore`` over ``state_path`` and stop it at the end."""
    with LiveServer(store_command(state_path, *arguments, workers=workers), environ=root_environ(environ)) as server:
        yield Store(server, state_path)


def store_command(state_path: Path, *arguments: str, workers: int = 2, port: int = 0) -> Sequence[str | Path]:
    """The command line of a store on a free port."""
    return [
        BIN / "nova-objectstore", "--state-path", state_path, "--s3-listen-port", str(port),
        "--s3-workers", str(workers), *arguments,
    ]  # fmt: skip


def root_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The administrator's key pair, as the environment gives it."""
    return {"NOVA_ROOT_ACCESS_KEY": ACCESS_KEY, "NOVA_ROOT_SECRET_KEY": SECRET_KEY, **(environ or {})}


def need_program(name: str) -> str:
    """The path of a client program; without it the test is skipped, or fails where everything must be there."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path
