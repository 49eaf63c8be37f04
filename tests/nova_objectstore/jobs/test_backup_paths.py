"""Backups that somebody has tampered with: a restore, or the next backup, never leaves its directories. Rows: vectors/paths."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.store_state import all_paths
from support.watched import Watched

from nova_objectstore.assembly import Settings
from nova_objectstore.assembly_integrity import build_restore
from nova_objectstore.jobs.backup_manifest import GENERATIONS, NotABackup, copy_private, sha256_of
from nova_wsgi.errors import ConfigError

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "paths" / "backups.json").read_text("utf-8"))["cases"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup."""
    path = tmp_path_factory.mktemp("whole")
    watched = Watched(path / "state", collect_delay_s=-1)
    watched.fill()
    try:
        watched.backup.run(path / "backup", link=False)
    finally:
        watched.close()
    return path / "backup"


@pytest.fixture
def backup(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, and a directory beside it that nobody may touch."""
    shutil.copytree(whole, tmp_path / "backup", symlinks=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return tmp_path / "backup"


def tamper(backup: Path, case: Any) -> None:
    outside = str(backup.parent / "outside")
    path = backup / "manifest.json"
    manifest = json.loads(path.read_text())
    generation = backup / GENERATIONS / manifest["generation"]
    if "manifest" in case:
        name, value = case["manifest"]
        manifest[name] = value.format(outside=outside) if isinstance(value, str) else value
    elif "file_path" in case:  # with the digest of what it would be, were it taken for a path
        name = case["file_path"].format(outside=outside)
        named = Path(outside, "secret")
        if "plant" in case:
            named = generation.joinpath(*Path(name.replace("//", "/")).parts)
            named.parent.mkdir(parents=True)
            named.write_bytes(b"secret")
        manifest["files"].append([name, 6, sha256_of(named), 0o4777])
    elif "list" in case:
        listing = generation / "data.list"
        listing.write_bytes(case["list"].format(outside=outside).encode("latin-1") + b"\n" + listing.read_bytes())
        for row in manifest["files"]:
            if row[0] == "data.list":
                row[1:3] = listing.stat().st_size, sha256_of(listing)
    else:
        (found,) = generation.rglob(case["link"])
        found.rename(backup.parent / "outside" / "elsewhere")
        found.symlink_to(backup.parent / "outside" / "elsewhere")
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_a_restore_stays_in_its_place(backup: Path, case: Any) -> None:
    tamper(backup, case)
    top = backup.parent
    before, outside = all_paths(top), all_paths(top / "outside")

    with pytest.raises(NotABackup):
        build_restore(Settings(state_path=top / "deep" / "again")).run(backup, link=False)

    new = {
        path for path in all_paths(top) - before if backup not in path.parents
    }  # SQLite's own files beside a database
    assert all(path == top / "deep" or top / "deep" / "again" in (path, *path.parents) for path in new), new
    assert not (top / "deep" / "again" / "metadata.sqlite").exists(), "nothing takes it for a store"
    assert not any("secret" in path.name for path in all_paths(top) - before)
    assert all_paths(top / "outside") == outside
    assert (top / "outside" / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_directory_that_others_may_write_to_takes_no_backup(backup: Path, mode: int, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    (shared / "data").symlink_to(tmp_path / "outside")  # what a backup does not name there it would remove
    watched = Watched(tmp_path / "other", collect_delay_s=-1)
    try:
        with pytest.raises(ConfigError, match="others may write"):
            watched.backup.run(shared, link=False)
    finally:
        watched.close()
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"


def test_permissions_beyond_the_owner_s_bits_do_not_come_back(backup: Path) -> None:
    path = backup / "manifest.json"
    manifest = json.loads(path.read_text())
    for row in manifest["files"]:
        row[3] |= 0o7000
    path.write_text(json.dumps(manifest))
    target = backup.parent / "again"

    build_restore(Settings(state_path=target)).run(backup, link=False)

    assert not any(found.stat().st_mode & 0o7000 for found in target.rglob("*"))


def test_a_link_is_not_copied_through(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic"):
        copy_private(tmp_path / "link", tmp_path / "copy", mode=0o600)
    assert not os.path.lexists(tmp_path / "copy")
