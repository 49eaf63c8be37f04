"""Real processes over the stores of earlier releases: brought forward once, whoever starts, is killed or loses power."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.crash import BUCKETS, seed_of
from support.power_check import ClientReader
from support.power_disk import FIXED, KEPT, Disk, torn
from support.power_trace import Journal
from support.store import ACCESS_KEY, BIN, SECRET_KEY, Store, root_environ, running_store, store_command
from support.traced import need_strace, traced, wait_for_end
from support.upgrades import (
    check_upgraded,
    connected,
    make_older,
    new_schema,
    older_revisions,
    revision_of,
    rows_of,
)

from nova_objectstore.assembly import Settings
from nova_objectstore.manager import prepare_state
from nova_objectstore.meta.sql.revisions import HEAD
from nova_wsgi import green
from nova_wsgi.testing import LiveServer

DATABASE = "metadata.sqlite"
SEALED = "access_keys"  # the table that is rewritten
PAIR = (ACCESS_KEY, SECRET_KEY)
CUTS = 10
SEED = seed_of()

Contents = dict[str, Any]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Contents]:
    """A state directory of this release, stopped, and what clients read from it."""
    state_path = tmp_path_factory.mktemp("filled") / "state"
    with running_store(state_path, workers=1) as store:
        s3 = store.client()
        for bucket in BUCKETS:
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        for bucket in BUCKETS:
            for size in (0, 10, 20_000, 200_000):
                body = random.Random(size).randbytes(size)
                s3.put_object(Bucket=bucket, Key=f"size/{size}", Body=body, Metadata={"a": "b"}, Tagging="c=d")
            s3.put_object(Bucket=bucket, Key="size/10", Body=b"anew")
        s3.delete_object(Bucket="versioned", Key="size/0")
        s3.put_object(Bucket="versioned", Key="sealed", Body=bytes(50_000), ServerSideEncryption="AES256")
        upload = s3.create_multipart_upload(Bucket="plain", Key="parts")["UploadId"]
        s3.upload_part(Bucket="plain", Key="parts", UploadId=upload, PartNumber=1, Body=bytes(30_000))
        contents = read(s3)
    return state_path, contents


def read(s3: Any) -> Contents:
    """All that there is, as clients see it."""
    reader = ClientReader(s3)
    return {bucket: _read_bucket(reader, bucket) for bucket in BUCKETS}


def _read_bucket(reader: ClientReader, bucket: str) -> Contents:
    versions = reader.versions(bucket)
    bodies = {
        (key, entry["VersionId"]): reader.read(bucket, key, entry["VersionId"])
        for key, entries in versions.items()
        for entry in entries
        if entry["ETag"]
    }
    order = {key: [(entry["VersionId"], entry["ETag"]) for entry in entries] for key, entries in versions.items()}
    return {"order": order, "bodies": bodies, "uploads": reader.uploads(bucket)}


def older_store(state_path: Path, filled: Path, revision: str) -> Path:
    """A state directory as a release of that revision would have left it: secret keys were not sealed then."""
    shutil.copytree(filled, state_path, ignore=shutil.ignore_patterns(f"{DATABASE}*", "rpc"))
    make_older(filled / DATABASE, state_path / DATABASE, revision)
    with connected(state_path / DATABASE) as connection:
        connection.execute("UPDATE access_keys SET secret_key = ?", (SECRET_KEY,))
    return state_path


@pytest.mark.parametrize("revision", [older_revisions()[0], older_revisions()[-1]])
def test_a_server_goes_on_with_an_earlier_store(tmp_path: Path, filled: tuple[Path, Contents], revision: str) -> None:
    path, contents = filled
    state_path = older_store(tmp_path / "state", path, revision)
    with running_store(state_path, workers=2) as store:
        assert read(store.client()) == contents
        store.client().put_object(Bucket="plain", Key="new", Body=b"new")
        store.run(BIN / "nova-manage", "--state-path", state_path, "check")

    assert revision_of(state_path / DATABASE) == [(HEAD,)]


def test_two_servers_that_start_at_once_upgrade_once(tmp_path: Path, filled: tuple[Path, Contents]) -> None:
    path, contents = filled
    state_path = older_store(tmp_path / "state", path, older_revisions()[0])
    before = rows_of(state_path / DATABASE)
    starting = [green.spawn(start, state_path) for _ in range(2)]
    servers = [greenthread.wait() for greenthread in starting]

    for server in servers:
        assert read(Store(server, state_path).client()) == contents
        assert server.stop() == 0
    check_upgraded(state_path / DATABASE, before, new_schema(tmp_path), but=SEALED)


def start(state_path: Path) -> LiveServer:
    return LiveServer(store_command(state_path, workers=1), environ=root_environ())


PROGRAMS = (
    ("nova-objectstore",),
    ("nova-objectstore-worker",),
    ("nova-manage", "db", "upgrade"),
    ("nova-manage", "check"),
)


@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_a_later_store_is_refused_in_a_line(
    tmp_path: Path, filled: tuple[Path, Contents], program: tuple[str, ...]
) -> None:
    state_path = older_store(tmp_path / "state", filled[0], HEAD)
    with connected(state_path / DATABASE) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0042'")
    before = rows_of(state_path / DATABASE)
    name, *verbs = program
    command = [BIN / name, "--state-path", state_path, *verbs]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **root_environ()}
    )

    said = [line for line in done.stderr.splitlines() if "0042" in line]
    assert done.returncode == 2, done.stderr
    assert len(said) == 1
    assert HEAD in said[0]
    assert "Traceback" not in done.stderr
    assert rows_of(state_path / DATABASE) == before


def test_an_upgrade_survives_a_kill_and_a_power_failure_at_any_call(
    tmp_path: Path, filled: tuple[Path, Contents]
) -> None:
    need_strace()
    state_path = older_store(tmp_path / "state", filled[0], older_revisions()[0])
    for name in ("keyring", "master-key"):  # as if the release had made none: what seals the secret keys is new
        (state_path / name).unlink()
    before, schema = rows_of(state_path / DATABASE), new_schema(tmp_path)
    journal = Journal(str(state_path))
    journal.begin_with_what_is_there()
    begun = len(journal.operations)
    upgrade(state_path, journal, tmp_path / "trace")
    check_upgraded(state_path / DATABASE, before, schema, but=SEALED)

    print(f"CRASH_SEED={SEED}")
    rng = random.Random(SEED)
    cuts = rng.sample(range(begun, len(journal.operations)), CUTS)
    disk = Disk(journal.root)
    for index, operation in enumerate(journal.operations):
        if index in cuts:
            for fate in (KEPT, FIXED[0], torn(rng.getrandbits(32))):
                disk.lay_out(tmp_path / "cut", fate)
                assert prepare_state(Settings(state_path=tmp_path / "cut", sync="never")).pair == PAIR
                check_upgraded(tmp_path / "cut" / DATABASE, before, schema, but=SEALED)
                shutil.rmtree(tmp_path / "cut")
        disk.apply(index, operation)


def upgrade(state_path: Path, journal: Journal, trace: Path) -> None:
    """``nova-manage db upgrade``, traced."""
    command = traced([BIN / "nova-manage", "--state-path", state_path, "db", "upgrade"], trace)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert HEAD in output
    wait_for_end(trace, process.pid)
    journal.read(trace)
