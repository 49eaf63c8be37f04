"""The state directory is made whole, private and durable."""

import stat
from pathlib import Path

import pytest

from nova_objectstore.state_directory import make_state_directory


def test_each_directory_that_is_made_is_synced_into_the_one_above(tmp_path: Path) -> None:
    synced: list[Path] = []
    path = tmp_path / "var" / "lib" / "state"
    make_state_directory(path, sync=synced.append)
    assert synced == [tmp_path, tmp_path / "var", tmp_path / "var" / "lib"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    make_state_directory(path, sync=synced.append)
    assert len(synced) == 3


def test_it_is_synced_for_real_and_a_relative_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_state_directory(Path("./nova-state"))
    assert (tmp_path / "nova-state").is_dir()


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(FileExistsError):
        make_state_directory(tmp_path / "state")
