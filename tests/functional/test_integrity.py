"""Damaged, checked, backed up and restored: a real store with two workers, and the command line beside it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from support.raw_store import clients
from support.store import BIN, Store, running_store
from support.store_state import stored_paths
from support.watched import flip

from nova_wsgi import green
from nova_wsgi.testing import wait_until

LARGE = 300_000
UNCHECKED = {"response_checksum_validation": "when_required"}  # boto3 would find out by itself
PATIENCE_S = 30.0


def manage(state_path: Path, *words: str | Path) -> tuple[int, Any]:
    """Run nova-manage; its exit code and what it printed."""
    command = [BIN / "nova-manage", "--state-path", state_path, "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == "", done.stderr
    return done.returncode, json.loads(done.stdout)


def data_file(state_path: Path, size: int) -> Path:
    (path,) = [path for path in stored_paths(state_path) if path.stat().st_size == size]
    return path


@pytest.fixture
def s3(store: Store) -> Any:
    return store.client()


@pytest.fixture
def bucket(store: Store, s3: Any) -> Iterator[str]:
    s3.create_bucket(Bucket="watched")
    yield "watched"
    for entry in s3.list_objects_v2(Bucket="watched").get("Contents", ()):
        s3.delete_object(Bucket="watched", Key=entry["Key"])
    s3.delete_bucket(Bucket="watched")
    assert manage(store.state_path, "scrub") == (0, {"contents": 0, "bytes": 0, "found": 0, "damaged": 0})


def test_what_the_scrubber_finds_is_an_error_in_every_worker_until_it_is_released(
    store: Store, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="damaged", Body=os.urandom(LARGE))
    s3.put_object(Bucket=bucket, Key="sound", Body=os.urandom(LARGE + 1))
    flip(data_file(store.state_path, LARGE))

    status, summed = manage(store.state_path, "scrub", "--bucket", bucket)
    assert (status, summed["found"], summed["bytes"]) == (1, 1, 2 * LARGE + 1)
    for _ in range(6):
        with pytest.raises(ClientError) as refused:
            store.client().get_object(Bucket=bucket, Key="damaged")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert len(s3.get_object(Bucket=bucket, Key="sound")["Body"].read()) == LARGE + 1
    assert s3.head_object(Bucket=bucket, Key="damaged")["ContentLength"] == LARGE

    (finding,) = manage(store.state_path, "scrub", "list")[1]
    assert (finding["bucket"], finding["key"], finding["reason"]) == (bucket, "damaged", "digest")
    assert manage(store.state_path, "scrub", "release", str(finding["id"]))[0] == 0
    assert manage(store.state_path, "scrub", "list") == (0, [])
    assert len(store.client(**UNCHECKED).get_object(Bucket=bucket, Key="damaged")["Body"].read()) == LARGE


def test_a_copy_of_damaged_data_fails(store: Store, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=os.urandom(LARGE + 2))
    flip(data_file(store.state_path, LARGE + 2))

    with pytest.raises(ClientError):  # another encryption: the bytes are read and written
        s3.copy_object(
            Bucket=bucket, Key="target", CopySource={"Bucket": bucket, "Key": "source"}, ServerSideEncryption="AES256"
        )
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["source"]


def test_a_store_that_verifies_reads_cuts_a_damaged_answer_off(tmp_path: Path) -> None:
    with running_store(tmp_path, "--verify-reads", "always") as store:
        s3 = store.client(**UNCHECKED)
        s3.create_bucket(Bucket="watched")
        s3.put_object(Bucket="watched", Key="small", Body=os.urandom(LARGE))
        s3.put_object(Bucket="watched", Key="large", Body=os.urandom(4 * LARGE))
        assert len(s3.get_object(Bucket="watched", Key="large")["Body"].read()) == 4 * LARGE
        flip(data_file(tmp_path, LARGE), LARGE - 1)
        flip(data_file(tmp_path, 4 * LARGE), 17)

        with pytest.raises(ClientError) as refused:  # one buffer holds it: it is known before the answer begins
            s3.get_object(Bucket="watched", Key="small")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        with pytest.raises(BotoCoreError):  # a connection that ended early
            s3.get_object(Bucket="watched", Key="large")["Body"].read()


def test_the_worker_scrubs_in_its_own_time(tmp_path: Path) -> None:
    with running_store(tmp_path) as store:
        s3 = store.client()
        s3.create_bucket(Bucket="watched")
        s3.put_object(Bucket="watched", Key="key", Body=os.urandom(LARGE))
        flip(data_file(tmp_path, LARGE))
        assert manage(tmp_path, "scrub", "list") == (0, [])
    with running_store(tmp_path, "--scrub-period-s", "1") as store:
        store.server.wait_for_output(r"damaged \(digest\): 'key', version null", PATIENCE_S)
        store.server.wait_for_output(r"scrubbed 1 contents, 300000 bytes: 1 found damaged", PATIENCE_S)
        with pytest.raises(ClientError):
            store.client().get_object(Bucket="watched", Key="key")


def test_a_check_beside_a_busy_store_finds_nothing_and_repairs_what_is_broken(
    store: Store, s3: Any, bucket: str
) -> None:
    def write(index: int, load: Any) -> None:
        client = store.client()
        while load.goes_on:
            client.put_object(Bucket=bucket, Key=f"key{index}", Body=os.urandom(20_000))
            client.delete_object(Bucket=bucket, Key=f"key{index}")
            load.count += 1

    with clients(3, write) as load:
        load.wait_for(3)
        assert green.run_native(manage, store.state_path, "check", "--young-s", "0") == (0, [])
    orphan = store.state_path / "data" / "aa" / ("a" * 26)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody's")
    assert manage(store.state_path, "check") == (0, []), "it is young"
    status, (problem,) = manage(store.state_path, "check", "--young-s", "0")
    assert (status, problem["problem"], problem["data"]) == (1, "orphan", "a" * 26)
    assert manage(store.state_path, "check", "--young-s", "0", "--repair")[0] == 0
    assert not orphan.exists()


def test_a_backup_under_load_is_the_store_at_one_moment_and_serves(tmp_path: Path) -> None:
    """Each client writes rounds of three keys in order: what a backup holds of a round is a prefix of it."""
    written: dict[int, list[bytes]] = {index: [] for index in range(3)}

    def write(index: int, load: Any) -> None:
        client = store.client()
        while load.goes_on:
            body = os.urandom(20_000 + len(written[index]))
            written[index].append(body)
            for key in ("a", "b", "c"):
                client.put_object(Bucket="busy", Key=f"{index}/{key}", Body=body)
            load.count += 1

    with running_store(tmp_path / "state", "--collect-delay-s", "0") as store:
        s3 = store.client()
        s3.create_bucket(Bucket="busy")
        s3.put_object(Bucket="busy", Key="sealed", Body=b"x" * LARGE, ServerSideEncryption="AES256")
        with clients(3, write) as load:
            load.wait_for(3)
            for _ in range(2):  # the second renews the first
                status, saved = green.run_native(manage, tmp_path / "state", "backup", tmp_path / "backup")
                assert (status, saved["left_out"]) == (0, [])
        acknowledged = {index: len(bodies) for index, bodies in written.items()}
    status, restored = manage(tmp_path / "again", "restore", tmp_path / "backup")
    assert (status, restored["data_files"]) == (0, saved["data_files"])

    with running_store(tmp_path / "again") as again:
        s3 = again.client()
        assert s3.get_object(Bucket="busy", Key="sealed")["Body"].read() == b"x" * LARGE
        for index, bodies in written.items():
            rounds = [bodies.index(s3.get_object(Bucket="busy", Key=f"{index}/{key}")["Body"].read()) for key in "abc"]
            assert rounds == sorted(rounds, reverse=True), "one moment: none of a round's keys is ahead of one before"
            assert rounds[0] - rounds[2] <= 1
            assert rounds[0] < acknowledged[index]
        s3.put_object(Bucket="busy", Key="new", Body=b"it takes writes")
        assert manage(tmp_path / "again", "scrub")[1]["damaged"] == 0
        assert manage(tmp_path / "again", "check", "--young-s", "0") == (0, [])


def test_progress_is_not_drawn_on_a_pipe(store: Store) -> None:
    wait_until(lambda: store.workers(), PATIENCE_S)
    assert manage(store.state_path, "check")[0] == 0
