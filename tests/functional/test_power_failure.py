"""The power fails at any moment, and nothing that was answered is lost. ``make power`` is the long form.

A store is recorded once; see ``tests/support/power.py``. That the instrument finds losses is shown by forgetting syncs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.crash import seed_of
from support.power import Recording
from support.power_cuts import Cutter, look_by_processes, look_for_the_untold
from support.power_disk import KEPT, Disk
from support.traced import need_strace

REQUESTS = 80
CUTS = 24
WAYS = 3
SEED = seed_of()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    need_strace()
    recorded = Recording(tmp_path_factory.mktemp("recorded"), SEED)
    recorded.run(REQUESTS)
    return recorded


def sample(recording: Recording, count: int) -> list[int]:
    print(f"CRASH_SEED={SEED}")
    return recording.cuts(count, random.Random(SEED))


def test_the_journal_is_what_happened(recording: Recording, tmp_path: Path) -> None:
    disk = Disk(recording.journal.root)
    for index, operation in enumerate(recording.journal.operations):
        disk.apply(index, operation)
    disk.lay_out(tmp_path / "state", KEPT)

    assert contents(tmp_path / "state") == contents(recording.state_path)
    assert recording.result.acknowledged.total() >= REQUESTS
    assert all(call.request_id in recording.journal.answers for call in recording.calls())


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_nothing_answered_is_lost(recording: Recording, tmp_path: Path) -> None:
    result = Cutter(recording, tmp_path, seed=SEED).run(sample(recording, CUTS), ways_each=WAYS)

    print(result.table(SEED))
    assert result.losses == []
    assert result.ways.total() == result.cuts * WAYS
    assert result.versions > 0


def test_a_real_server_starts_over_what_is_left(recording: Recording, tmp_path: Path) -> None:
    (cut, *_) = sample(recording, 12)[-2:]
    result = Cutter(recording, tmp_path, seed=SEED, look=look_by_processes).run([cut], ways_each=2)

    assert result.losses == []


def is_data(path: str) -> bool:
    return "/data/" in path


def is_wal(path: str) -> bool:
    return path.endswith("metadata.sqlite-wal")


def is_fan_out(path: str) -> bool:
    return path.rpartition("/data/")[2].isalnum() and "/data/" in path and "." not in path


def is_state_directory(path: str) -> bool:
    return path.endswith("/state")


@pytest.mark.parametrize("forget", [is_data, is_wal, is_fan_out, is_state_directory])
def test_a_sync_that_is_forgotten_is_a_loss(
    recording: Recording, tmp_path: Path, forget: Callable[[str], bool]
) -> None:
    result = Cutter(recording, tmp_path, seed=SEED, forget=forget).run(sample(recording, CUTS)[::-1], ways_each=1)

    assert result.losses


def test_without_syncs_the_database_is_whole_and_what_is_lost_is_told(tmp_path: Path) -> None:
    need_strace()
    recorded = Recording(tmp_path / "recorded", SEED, sync="never")
    recorded.state_path.parent.mkdir()
    recorded.run(REQUESTS // 2)
    cuts = recorded.cuts(6, random.Random(SEED))

    assert Cutter(recorded, tmp_path, seed=SEED).run(cuts, ways_each=2).losses, "nothing was synced, and nothing lost"

    result = Cutter(recorded, tmp_path, seed=SEED, look=look_for_the_untold).run(cuts, ways_each=2)

    assert result.losses == []
