"""Directories of an old store that others could write in: nothing from outside of them is taken in. Rows: vectors/paths."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.images import ALICE
from support.metadata import new_account

from nova_objectstore.assembly import Settings, build_store
from nova_objectstore.assembly_images import build_legacy_import
from nova_objectstore.errors import NoSuchKey
from nova_objectstore.images.errors import InvalidManifest
from nova_objectstore.images.legacy import ImportProgress, ImportReport
from nova_objectstore.images.manifest import check_part_name
from nova_objectstore.images.source import Location

VECTORS = Path(__file__).parents[2] / "vectors" / "paths"
CASES = json.loads((VECTORS / "legacy.json").read_text("utf-8"))["cases"]
PART_NAMES = json.loads((VECTORS / "part_names.json").read_text("utf-8"))
SECRET = b"secret" * 20_000
INFO = json.dumps({"imageOwnerId": "admin", "imageLocation": "b/m.manifest.xml", "imageState": "available"})


class Place:
    """An old store's directories, one beside them, and a store that takes them in."""

    def __init__(self, path: Path, *, adopt: bool) -> None:
        self.path = path
        for directory in ("buckets/good", "images", "outside/bucket", "outside/image"):
            (path / directory).mkdir(parents=True)
        (path / "buckets" / "good.json").write_text('{"ownerId": "admin"}')
        (path / "buckets" / "good" / "fine").write_bytes(b"fine" * 10_000)
        for name in ("secret", "bucket/secret", "image/image"):
            (path / "outside" / name).write_bytes(SECRET)
        (path / "outside" / "owner.json").write_text('{"ownerId": "admin"}')
        for name in ("info.json", "image/info.json"):
            (path / "outside" / name).write_text(INFO)
        self.settings = Settings(state_path=path / "state", sync="never")
        self.store = build_store(self.settings)
        self.store.open()
        self.store.meta.create_account(new_account(ALICE, "admin"), None)
        self.adopt = adopt

    def make(self, kind: str, at: str, *what: str) -> None:
        path = self.path / at
        if kind == "link":
            path.symlink_to(what[0] if what[0].startswith("..") else self.path / what[0])
        elif kind == "text":
            path.write_text(what[0])
        elif kind == "info":
            path.write_text(INFO)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(os.path.relpath(path))
        else:
            path.mkdir()

    def run(self, told: Any = None, *, before_linking: Callable[[], None] | None = None) -> ImportReport:
        job = build_legacy_import(self.store, self.settings, resolve_owner=lambda _: ALICE, progress=told)
        adopt = job._adopt
        if not self.adopt:
            job._adopt = None
        elif before_linking is not None and adopt is not None:
            job._adopt = lambda path: (before_linking(), adopt(path))[1]
        return job.run(buckets_path=self.path / "buckets", images_path=self.path / "images")

    def read(self, bucket: str, key: str) -> bytes:
        found = self.store.buckets.find(bucket)
        return b"".join(self.store.egress.read(self.store.objects.get(found, key, inline=True)))

    def assert_nothing_from_outside(self) -> None:
        """No file of the store has the secret's bytes or is one of its names."""
        for root, _, names in os.walk(self.path / "state" / "data"):
            for name in names:
                assert b"secretsecret" not in (Path(root) / name).read_bytes()
        for path in (self.path / "outside").rglob("*"):
            assert path.is_dir() or path.stat().st_nlink == 1
        assert (self.path / "outside" / "secret").read_bytes() == SECRET


@pytest.fixture(params=[True, False], ids=["linked", "copied"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(tmp_path, adopt=request.param)
    yield made
    made.store.close()


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_what_may_lie_there(place: Place, case: Any) -> None:
    for step in case["make"]:
        place.make(*step)

    report = place.run()

    assert place.read("good", "fine") == b"fine" * 10_000, "one file's trouble does not end the rest"
    assert (report.objects, report.images) == (1, 0)
    assert report.problems or "bucket that is a link" in case["name"]
    place.assert_nothing_from_outside()


def when_it_comes_to(name: str, change: Any) -> Any:
    """Do something in the moment between the look at a file and its opening."""

    def told(progress: ImportProgress) -> None:
        if Path(progress.path).name == name:
            change()

    return told


def test_a_file_that_becomes_a_link_after_it_was_looked_at(place: Place) -> None:
    path = place.path / "buckets" / "good" / "key"
    path.write_bytes(b"x" * 100_000)

    def exchange() -> None:
        path.unlink()
        path.symlink_to(place.path / "outside" / "secret")

    report = place.run(when_it_comes_to("key", exchange))

    assert [Path(problem.path).name for problem in report.problems] == ["key"]
    with pytest.raises(NoSuchKey):
        place.read("good", "key")
    place.assert_nothing_from_outside()


@pytest.mark.parametrize("what", ["the directory of keys", "the bucket's directory"])
def test_a_directory_that_becomes_a_link_after_it_was_looked_at(place: Place, what: str) -> None:
    directory = place.path / "buckets" / "good" / ("dir" if what == "the directory of keys" else "")
    directory.mkdir(exist_ok=True)
    (directory / "secret").write_bytes(b"x" * 100_000)

    def exchange() -> None:
        directory.rename(place.path / "aside")
        directory.symlink_to(place.path / "outside" / "bucket")

    report = place.run(when_it_comes_to("secret", exchange))

    assert any(Path(problem.path).name == "secret" for problem in report.problems)
    place.assert_nothing_from_outside()


def test_a_directory_that_becomes_a_link_between_opening_and_linking(place: Place) -> None:
    """Data are linked by name: what the link leads to is compared with the file that is open."""
    (place.path / "buckets" / "good" / "fine").unlink()
    directory = place.path / "buckets" / "good" / "dir"
    directory.mkdir()
    (directory / "secret").write_bytes(b"x" * 100_000)

    def exchange() -> None:
        directory.rename(place.path / "aside")
        directory.symlink_to(place.path / "outside" / "bucket")

    report = place.run(before_linking=exchange)

    assert len(report.problems) == place.adopt
    place.assert_nothing_from_outside()


def test_a_file_that_is_exchanged_for_a_hard_link_after_it_was_looked_at(place: Place) -> None:
    path = place.path / "buckets" / "good" / "key"
    path.write_bytes(b"x" * 100_000)

    def exchange() -> None:
        path.unlink()
        os.link(place.path / "outside" / "secret", path)

    report = place.run(when_it_comes_to("key", exchange))

    assert [Path(problem.path).name for problem in report.problems] == ["key"]
    path.unlink()
    place.assert_nothing_from_outside()


def test_a_pipe_in_a_file_s_place_is_not_waited_for(place: Place) -> None:
    path = place.path / "buckets" / "good" / "key"
    path.write_bytes(b"x" * 100_000)

    def exchange() -> None:
        path.unlink()
        os.mkfifo(path)

    report = place.run(when_it_comes_to("key", exchange))

    assert [problem.sentence for problem in report.problems] == ["It cannot be read: not a regular file."]


# -- bundles -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PART_NAMES["refused"], ids=ascii)
def test_a_part_s_name_that_is_none(name: str) -> None:
    if name.strip(" \t\r\n"):  # what a manifest has around its texts does not count
        with pytest.raises(InvalidManifest):
            check_part_name(name)
    else:
        with pytest.raises(InvalidManifest):
            check_part_name(name.strip(" \t\r\n"))


@pytest.mark.parametrize("name", PART_NAMES["taken"], ids=ascii)
def test_a_part_lies_beside_its_manifest(name: str) -> None:
    assert Location("bucket", "some/prefix/m.manifest.xml").beside(check_part_name(name)) == f"some/prefix/{name}"
    assert Location("bucket", "m.manifest.xml").beside(name) == name
