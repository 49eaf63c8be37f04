"""What the program tells a new user works when it is pasted: its examples, its credentials, its next start."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.store import BIN, store_command

from nova_wsgi.testing import LiveServer


def plain_environ(tmp_path: Path) -> dict[str, str]:
    """As a user has it who has never heard of AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "NOVA_"))}
    return {**kept, "HOME": str(tmp_path), "PATH": f"{BIN}:{os.environ['PATH']}", "AWS_EC2_METADATA_DISABLED": "true"}


def read_examples(banner: str) -> tuple[str, str]:
    """The commands for a shell, and the program for Python."""
    shell, python = re.split(r"With boto3:\n", banner.partition("With the AWS command line:\n")[2])
    return shell, "\n".join(line[4:] for line in python.splitlines() if line.startswith("    "))


def run(command: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash to paste into")
def test_the_examples_work_when_pasted_and_again_after_a_restart(tmp_path: Path) -> None:
    environ, state = plain_environ(tmp_path), tmp_path / "nova state"
    for _ in range(2):
        with LiveServer(store_command(state), environ=environ) as server:
            banner = server.wait_for_output(r"(?s)S3 endpoint .*?\n\n.*?\n\n.*?\n\n")[0]
            shell, python = read_examples(banner)
            assert "hello.txt" in run(["bash", "-c", shell], environ)
            assert run([sys.executable, "-c", python], environ) == "b'hello'\n"
            kept = state / "root-credentials"
            assert f"Secret key     in {kept}\n" in banner
            secret = re.findall(r"^aws_secret_access_key = (\S+)$", kept.read_text(), re.MULTILINE)[0]
            assert secret not in server.output()
            assert server.stop(signal.SIGINT) == 128 + signal.SIGINT
    assert kept.stat().st_mode & 0o777 == 0o600


def test_help_and_version_need_no_state(tmp_path: Path) -> None:
    environ = plain_environ(tmp_path)
    text = run([str(BIN / "nova-objectstore"), "--help"], environ)
    assert text.startswith("usage: nova-objectstore [options]")
    for flag in ("--state-path", "--s3-listen-port", "--config-file", "--s3-domain"):
        assert flag in text
    assert max(map(len, text.splitlines())) <= 80
    assert re.fullmatch(r"nova-objectstore \d+\.\d+\S*\n", run([str(BIN / "nova-objectstore"), "--version"], environ))
    assert list(tmp_path.iterdir()) == []
