"""Real processes, killed in the middle: what they had acknowledged is there, and nothing else after a recovery."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support import file_writer
from support.file_systems import check_state

from nova_objectstore.data.files import FilesEngine
from nova_wsgi import green

WRITERS = 2
ROUNDS = 4


class Writers:
    """Writing processes over one place, and the metadata that their lines make up."""

    def __init__(self, root: Path, seed: int) -> None:
        self.named: dict[str, bytes] = {}
        self.given_up: set[str] = set()
        self.processes = [
            subprocess.Popen(
                [sys.executable, file_writer.__file__, str(root), str(seed + number)], stdout=subprocess.PIPE
            )
            for number in range(WRITERS)
        ]

    def read_lines(self, count: int) -> None:
        for process in self.processes:
            for _ in range(count):
                self.take(process.stdout.readline())

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            for line in process.stdout:
                self.take(line)
            process.stdout.close()
            assert process.wait() == -9

    def take(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        verb, words = line[:1], line[1:].decode().split()
        if verb == b"+":
            self.named[words[0]] = file_writer.content_of(int(words[1]))
        else:
            del self.named[words[0]]
            self.given_up.add(words[0])


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_writers_lose_nothing_and_leave_nothing(tmp_path, seed):
    root = tmp_path / "data"
    rng = random.Random(seed)
    named: dict[str, bytes] = {}
    with green.Timeout(50):
        for number in range(ROUNDS):
            writers = Writers(root, seed * 100 + number * 10)
            writers.read_lines(rng.randrange(1, 30))
            writers.kill()
            named |= writers.named
            collect(root, writers.given_up)
            check_state(root, named)


def collect(root: Path, refs: set[str]) -> None:
    """What jobs/collect does with what the metadata gave up, twice because it may have died half-way."""
    engine = FilesEngine(root)
    engine.start()
    for ref in [*refs, *refs]:
        engine.delete(ref)
    engine.stop()
    assert not any(os.path.exists(root / ref[:2] / ref) for ref in refs)
