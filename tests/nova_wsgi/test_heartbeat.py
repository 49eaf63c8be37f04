"""What a worker tells its parent."""

import os
import time

import pytest

from nova_wsgi import green
from nova_wsgi.errors import ConfigError
from nova_wsgi.heartbeat import Board, WorkerVoice


def test_cells_are_taken_beating_and_given_back():
    board = Board(2)
    first, second = board.take(), board.take()
    assert board.take() is None
    assert time.monotonic() - board.read(first).at < 1
    board.write(first, 3, 400)
    assert board.read(first)[1:] == (3, 400)
    assert board.read(second)[1:] == (0, 0)
    board.give_back(first)
    again = board.take()
    assert again == first
    assert board.read(again)[1:] == (0, 0)


@pytest.mark.filterwarnings("ignore:Using fork")
def test_a_child_writes_where_its_parent_reads():
    board = Board(1)
    cell = board.take()
    pid = os.fork()
    if pid == 0:
        board.write(cell, 1, 2)
        os._exit(0)
    green.original("os").waitpid(pid, 0)
    assert board.read(cell)[1:] == (1, 2)


def test_a_voice_says_lines_and_asks_for_a_successor_once():
    board = Board(1)
    pipe_read, pipe_write = os.pipe()
    life_read, life_write = os.pipe()
    voice = WorkerVoice(
        board=board, cell=board.take(), pipe_fd=pipe_write, life_fd=life_read, beat_s=1, requests_max=10
    )
    voice.ready()
    voice.beat(1, 9)
    voice.beat(2, 10)
    voice.beat(3, 11)
    voice.reloaded(None)
    voice.reloaded("a\nreason")
    voice.unfit(ConfigError("x" * 10_000))
    lines = os.read(pipe_read, 65536).decode().split("\n")
    assert lines[:4] == ["ready", "recycle", "reloaded", "refused a reason"]
    assert lines[4].startswith("unfit xxx")
    assert len(lines[4]) < 4096
    assert lines[5:] == [""]
    assert board.read(0)[1:] == (3, 11)
    waiting = green.spawn(voice.wait_parent_end)
    green.sleep(0)
    os.close(life_write)
    waiting.wait()
    os.close(pipe_read)
    voice.ready()  # nobody listens any more
    os.close(pipe_write)
    os.close(life_read)
