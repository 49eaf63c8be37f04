"""``nova-manage`` over directories that somebody else has prepared: it takes nothing from outside of them, and never waits.

Every kind of trap, in process and with what is exchanged in the very moment: tests/nova_objectstore/images/test_legacy_paths.py,
tests/nova_objectstore/jobs/test_backup_paths.py.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.store import BIN, Store, root_environ, running_store

SECRET = b"secret" * 20_000
TIMEOUT_S = 120  # for a process that would wait for a pipe


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("state") / "state", "--sync=never", workers=1) as running:
        running.client().create_bucket(Bucket="bucket")
        running.client().put_object(Bucket="bucket", Key="key", Body=SECRET[::-1])
        yield running


def manage(state_path: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "nova-manage", "--state-path", state_path, "--sync=never", "--json", *words]
    return subprocess.run(
        [str(word) for word in command], env={**os.environ, **root_environ()}, capture_output=True, text=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


def test_an_old_store_with_traps_in_it(store: Store, tmp_path: Path) -> None:
    buckets, images, outside = tmp_path / "buckets", tmp_path / "images", tmp_path / "outside"
    for directory in (buckets / "good", buckets / "piped", images, outside / "image"):
        directory.mkdir(parents=True)
    (outside / "secret").write_bytes(SECRET)
    (outside / "image" / "image").write_bytes(SECRET)
    (outside / "image" / "info.json").write_text('{"imageOwnerId": "root", "imageState": "available"}')
    (buckets / "good.json").write_text('{"ownerId": "root"}')
    (buckets / "good" / "fine").write_bytes(b"fine")
    (buckets / "good" / "link").symlink_to(outside / "secret")
    (buckets / "good" / "way").symlink_to(outside)
    os.mkfifo(buckets / "good" / "pipe")
    os.mkfifo(buckets / "piped.json")
    (images / "ami-1").symlink_to(outside / "image")

    done = manage(store.state_path, "bucket", "import-legacy", "--buckets-path", buckets, "--images-path", images)

    told: Any = json.loads(done.stdout)
    assert (told["buckets"], told["objects"], told["images"]) == (1, 1, 0)
    assert sorted(Path(problem.partition(": ")[0]).name for problem in told["problems"]) == [
        "image", "link", "pipe", "piped", "way",
    ]  # fmt: skip
    listed = store.client().list_objects_v2(Bucket="good")["Contents"]
    assert [entry["Key"] for entry in listed] == ["fine"]
    assert (outside / "secret").stat().st_nlink == 1


def test_a_backup_where_others_may_write_and_one_that_others_wrote(store: Store, tmp_path: Path) -> None:
    shared, backup, outside = tmp_path / "shared", tmp_path / "backup", tmp_path / "outside"
    shared.mkdir()
    shared.chmod(0o777)
    refused = manage(store.state_path, "backup", shared)
    assert refused.returncode == 2
    assert "others may write" in refused.stderr
    assert list(shared.iterdir()) == []

    outside.mkdir()
    assert manage(store.state_path, "backup", backup).returncode == 0
    manifest = json.loads((backup / "manifest.json").read_text())
    planted = backup.joinpath("generations", manifest["generation"], "state", *outside.parts[1:], "planted")
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"planted")
    digest = hashlib.sha256(b"planted").hexdigest()
    manifest["files"].append([f"state/{outside}/planted", 7, digest, 0o600])
    (backup / "manifest.json").write_text(json.dumps(manifest))
    refused = manage(tmp_path / "again", "restore", backup)
    assert refused.returncode == 2
    assert "not a name of a file in a backup" in refused.stderr
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "again").exists()
