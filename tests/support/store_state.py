"""What must hold of a store at rest, whatever has happened to it before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nova_objectstore.assembly import DATA_DIRECTORY, Settings, open_metadata
from nova_objectstore.data.files import STAGING_DIRECTORY


def stored_paths(state_path: Path) -> list[Path]:
    """All data files under final names."""
    folders = [folder for folder in _entries(state_path / DATA_DIRECTORY) if folder.name != STAGING_DIRECTORY]
    return [path for folder in folders for path in _entries(folder)]


def stored_files(state_path: Path) -> list[str]:
    """The names of all data files under final names."""
    return sorted(path.name for path in stored_paths(state_path))


def all_paths(directory: Path) -> set[Path]:
    """Everything below a directory, as it is while others write there: os.walk passes over what vanishes."""
    return {Path(root) / name for root, folders, files in os.walk(directory) for name in (*folders, *files)}


def staged_files(state_path: Path, *, size_min: int = 0) -> list[Path]:
    """What is on its way, or was left there by a process that was killed: the files of at least ``size_min`` bytes.

    The store may be running: a file that is settled, or a directory cleared up, between two looks is not there.
    """
    staging = state_path / DATA_DIRECTORY / STAGING_DIRECTORY
    found = [path for owner in _entries(staging) if owner.is_dir() for path in _entries(owner)]
    return [path for path in found if (size := size_of(path)) is not None and size >= size_min]


def size_of(path: Path) -> int | None:
    """The bytes of a file that somebody else may remove any moment; None when it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _entries(directory: Path) -> list[Path]:
    try:
        return [directory / name for name in os.listdir(directory)]
    except FileNotFoundError:
        return []


def check_files(state_path: Path, *, at_rest: bool = True) -> None:
    """Every data file is named by the metadata; ``at_rest`` nothing is staged either."""
    meta = open_metadata(Settings(state_path=state_path))
    meta.open()
    try:
        files = stored_files(state_path)
        assert sorted(meta.known_refs(files)) == files, "a data file that nobody knows"
    finally:
        meta.close()
    if at_rest:
        assert staged_files(state_path) == []


def check_listing(s3: Any, wanted: Mapping[str, Mapping[str, int]]) -> None:
    """The buckets of ``s3``'s account hold just these keys with these sizes, and no upload is under way."""
    assert sorted(bucket["Name"] for bucket in s3.list_buckets()["Buckets"]) == sorted(wanted)
    for bucket, sizes in wanted.items():
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        found = {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", ())}
        assert found == dict(sizes)
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
