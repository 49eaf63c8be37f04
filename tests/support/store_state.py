"""What must hold of a store at rest, whatever has happened to it before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nova_objectstore.assembly import DATA_DIRECTORY, Settings, open_metadata
from nova_objectstore.data.files import STAGING_DIRECTORY


def stored_files(state_path: Path) -> list[str]:
    """The names of all data files under final names."""
    data = state_path / DATA_DIRECTORY
    folders = [folder for folder in data.iterdir() if folder.name != STAGING_DIRECTORY]
    return sorted(name for folder in folders for name in os.listdir(folder))


def staged_files(state_path: Path) -> list[Path]:
    """What is on its way, or was left there by a process that was killed."""
    return [path for path in (state_path / DATA_DIRECTORY / STAGING_DIRECTORY).glob("*/*") if path.is_file()]


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
