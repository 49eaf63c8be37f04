"""Databases of every earlier release are brought to this one's schema, whatever happens meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import killed_upgrade
from support.metadata import OWNER, Metadata, new_account, new_key, new_part, sqlite_metadata, sqlite_rows
from support.upgrades import (
    check_upgraded,
    connected,
    make_older,
    new_schema,
    older_revisions,
    revision_of,
    rows_of,
    schema_of,
)

from nova_objectstore.errors import SchemaTooNew, StorageFailed
from nova_objectstore.meta.sql.revisions import HEAD
from nova_objectstore.meta.sqlite import SqliteEngine
from nova_objectstore.types import Versioning

KILL_STEP = 5  # every statement in turn would take a minute


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of this release with something of everything that the first one knew."""
    directory = tmp_path_factory.mktemp("filled")
    with sqlite_metadata(directory) as meta:
        fill(meta)
        meta.check_state()
    return directory / "metadata.sqlite"


def fill(meta: Metadata) -> None:
    meta.engine.create_account(new_account(), new_key("AKIAROOT"))
    plain, versioned = meta.bucket("plain"), meta.bucket("versioned", Versioning.ENABLED)
    meta.engine.put_document(plain.id, "cors", b"<CORSConfiguration/>")
    for number in range(60):
        meta.put(plain, f"small/{number}", b"%d" % number, tags={"colour": "red"}, headers={"x-amz-meta-a": "b"})
        meta.put_data(versioned, f"large/{number % 7}", f"ref-{number}", size=100_000)
    meta.delete(versioned, "large/0")
    meta.delete(plain, "small/0")
    for upload in ("upload-1", "upload-2"):
        begun = meta.begin(plain, "parts", upload)
        for number in (1, 2):
            part = new_part(number, size=6_000_000)
            part = part._replace(content=part.content._replace(ref=f"{upload}-{number}"))
            meta.engine.put_part(plain.id, "parts", begun.upload_id, part)
    meta.put_data(plain, "overwritten", "old-ref", size=50_000)
    meta.put(plain, "overwritten", b"new")


def test_every_earlier_release_is_there() -> None:
    assert older_revisions() == [f"{number:04}" for number in range(1, int(HEAD))]


@pytest.mark.parametrize("revision", older_revisions())
def test_an_earlier_database_is_upgraded_with_all_it_holds(tmp_path: Path, filled: Path, revision: str) -> None:
    path = tmp_path / "metadata.sqlite"
    make_older(filled, path, revision)
    before = rows_of(path)
    assert revision_of(path) == [(revision,)]
    assert len(before["objects"]) > 60

    with sqlite_metadata(tmp_path) as meta:
        meta.check_state()
        meta.put(meta.engine.find_bucket("plain"), "k")
        meta.engine.delete_object(meta.engine.find_bucket("plain"), "k", owner_id=OWNER, now_us=meta.tick())

    after = rows_of(path)
    assert after["objects"] == before["objects"]
    assert after["parts"] == before["parts"]
    assert sqlite_rows(path, "part_usage") == [{"bucket_id": before["buckets"][0][0], "bytes": 24_000_000}]
    assert schema_of(path) == new_schema(tmp_path)


@pytest.mark.parametrize("revision", [older_revisions()[0], older_revisions()[-1]])
def test_an_upgrade_that_is_killed_at_a_statement_has_happened_or_not(
    tmp_path: Path, filled: Path, revision: str
) -> None:
    older = tmp_path / "older.sqlite"
    make_older(filled, older, revision)
    before, old_schema, schema = rows_of(older), schema_of(older), new_schema(tmp_path)
    copies = tmp_path / "copies"
    copies.mkdir()
    command = [sys.executable, killed_upgrade.__file__, older, copies, str(KILL_STEP)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120, check=True)

    lines = [line.split() for line in done.stdout.splitlines()]
    print(f"{len(lines)} kills of an upgrade from {revision}")
    assert len(lines) > 3
    assert old_schema != schema
    assert {revision_after for _, revision_after, _ in lines[:-1]} <= {revision, HEAD}
    assert lines[0][1] == revision
    assert {status for *_, status in lines} == {"0"}
    for number, *_ in lines:
        check_upgraded(copies / number, before, schema)


@pytest.mark.parametrize("revision", ["9999", f"{int(HEAD) + 1:04}"])
def test_a_later_database_is_refused_in_words_that_name_both(tmp_path: Path, filled: Path, revision: str) -> None:
    path = marked(filled, tmp_path, revision)
    before = rows_of(path)

    with pytest.raises(SchemaTooNew, match=rf"{revision}\b.*\b{HEAD}"):
        SqliteEngine(path).open()

    assert rows_of(path) == before
    assert revision_of(path) == [(revision,)]


@pytest.mark.parametrize("revision", ["0000", "0003x", "", "main"])
def test_a_revision_that_never_was_is_refused(tmp_path: Path, filled: Path, revision: str) -> None:
    path = marked(filled, tmp_path, revision)
    before = rows_of(path)

    with pytest.raises(StorageFailed, match=f"schema '{revision}'"):
        SqliteEngine(path).open()

    assert rows_of(path) == before


def marked(filled: Path, directory: Path, revision: str) -> Path:
    path = directory / "metadata.sqlite"
    shutil.copyfile(filled, path)
    with connected(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    return path
