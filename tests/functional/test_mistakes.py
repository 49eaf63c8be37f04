"""A mistake in the options, the ini, the environment or the state is told in one line, with exit code 2."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.store import root_environ, store_command

PATIENCE_S = 60.0  # for all of them at once

MISTAKES = {
    "a flag that is none": (["--nope"], "--nope: no such option"),
    "a port that is none": (["--s3-listen-port=99999"], "--s3-listen-port: '99999' is not valid"),
    "no workers": (["--s3-workers=0"], "--s3-workers: '0' is not valid"),
    "a region with a space": (["--s3-region=a b"], "--s3-region: 'a b' is not valid"),
    "a choice that is none": (["--sync=perhaps"], "--sync: 'perhaps' is not valid"),
    "a file that is not there": (["--config-file=/nope"], "--config-file /nope: No such file"),
    "a value in a file": (["--config-file={wrong.conf}"], "wrong.conf: [DEFAULT] s3_workers: 'many' is not valid"),
    "a variable": ([], "NOVA_S3_WORKERS: 'many' is not valid"),
    "an address that is not ours": (["--s3-listen=192.0.2.1"], "cannot listen on 192.0.2.1:0"),
    "a port in use": (["--s3-listen-port={port}"], "the address is in use by another process"),
    "a certificate that is not there": (["--s3-cert-file=/nope.pem"], "/nope.pem: No such file"),
    "a certificate that is none": (["--s3-cert-file={wrong.conf}"], "wrong.conf: not a certificate with its key"),
    "a paste ini that is not there": (["--api-paste-config=/nope.ini"], "/nope.ini: No such file"),
    "a paste ini without the app": (["--api-paste-config={empty.ini}"], "there is no [app:s3]"),
    "a name twice in the paste ini": (
        ["--api-paste-config={ambiguous.ini}"],
        "[app:s3] and [pipeline:s3] have one name",
    ),
    "an API that is none": (["--enabled-apis=nope"], "there is no API 'nope'"),
    "a state path that is a file": (["--state-path={wrong.conf}"], "wrong.conf: File exists"),
    "a state path that cannot be": (["--state-path=/proc/nope"], "/proc/nope: No such file"),
    "a database that is none": (["--state-path={garbage}"], "file is not a database"),
    "data that is no directory": (["--state-path={halved}"], "halved/data/pending: Not a directory"),
    "half a root key pair": ([], "go together"),
}

ENVIRONS = {"a variable": {"NOVA_S3_WORKERS": "many"}, "half a root key pair": {"NOVA_ROOT_SECRET_KEY": ""}}


class Ended(NamedTuple):
    """How a start ended."""

    status: int
    output: str
    errors: str


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are wrong in some way."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "wrong.conf").write_text("[DEFAULT]\ns3_workers = many\n")
    (folder / "wrong.conf").chmod(0o600)  # as a TLS key it would be refused for its mode
    (folder / "empty.ini").write_text("")
    (folder / "ambiguous.ini").write_text("[app:s3]\nuse = x\n[pipeline:s3]\npipeline = x\n")
    for name in ("garbage", "halved"):
        (folder / name).mkdir()
    (folder / "garbage" / "metadata.sqlite").write_text("This is no database.\n" * 100)
    (folder / "halved" / "data").write_text("")
    return folder


@pytest.fixture(scope="module")
def ends(wrong: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ended]]:
    """How each start ended; all are made at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {path.name: str(path) for path in wrong.iterdir()} | {"port": str(taken.getsockname()[1])}
        started = {mistake: start(mistake, names, tmp_path_factory.mktemp("state")) for mistake in MISTAKES}
        try:
            ended = {}
            for mistake, process in started.items():
                output, errors = process.communicate(timeout=PATIENCE_S)
                ended[mistake] = Ended(process.returncode, output, errors)
            yield ended
        finally:
            for process in started.values():
                process.kill()


def start(mistake: str, names: dict[str, str], state_path: Path) -> subprocess.Popen[str]:
    given = MISTAKES[mistake][0]
    for name, value in names.items():
        given = [part.replace("{" + name + "}", value) for part in given]
    workers = [] if mistake == "a variable" else ["--s3-workers=2"]
    return subprocess.Popen(
        [*store_command(state_path)[:5], *workers, *given],
        env={**os.environ, **root_environ(ENVIRONS.get(mistake))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(ends: dict[str, Ended], mistake: str) -> None:
    ended = ends[mistake]
    lines = [line for line in ended.errors.splitlines() if " INFO " not in line]
    assert (ended.status, ended.output, len(lines)) == (2, "", 1), ended.errors
    assert lines[0].startswith("nova-objectstore: ")
    assert MISTAKES[mistake][1] in lines[0]
