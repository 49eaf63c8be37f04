"""Subprocesses: bounded in number, time and output; every failure tells what happened; nothing is left behind."""

import contextlib
import os
import time

import psutil
import pytest

from nova_wsgi import green, processes
from nova_wsgi.processes import ProcessFailed, ProcessPool
from nova_wsgi.testing import wait_until


@pytest.fixture
def pool():
    pool = ProcessPool(size=2, timeout_s=5, stdout_max=1 << 20)
    yield pool
    pool.close()


def shell(pool, script, **settings):
    return pool.run(["sh", "-c", script], **settings)


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_output_and_errors_come_back(pool):
    output = shell(pool, "echo out; echo err >&2")
    assert (output.stdout, output.stderr) == (b"out\n", b"err\n")


def test_input_is_fed_beside_reading(pool):
    data = os.urandom(900_000)
    assert pool.run(["cat"], stdin=data).stdout == data


def test_input_need_not_be_read(pool):
    assert pool.run(["true"], stdin=bytes(3_000_000)).stdout == b""


def test_place_and_environment(pool, tmp_path):
    assert (
        shell(pool, "pwd; echo $COLOUR", cwd=str(tmp_path), env={"COLOUR": "red"}).stdout
        == f"{tmp_path}\nred\n".encode()
    )


@pytest.mark.parametrize(
    ("script", "told", "status"),
    [
        ("echo first >&2; echo second >&2; exit 3", "sh: exit status 3: second", 3),
        ("exit 1", "sh: exit status 1", 1),
        ("kill -9 $$", "sh: ended by SIGKILL", -9),
    ],
)
def test_a_failure_tells_status_and_errors(pool, script, told, status):
    with pytest.raises(ProcessFailed) as caught:
        shell(pool, script)
    assert str(caught.value) == told
    assert caught.value.status == status


def test_a_command_that_does_not_exist(pool):
    with pytest.raises(ProcessFailed, match=r"^nothing-like-it: not started: No such file or directory$"):
        pool.run(["nothing-like-it"])


def test_too_long(pool):
    began = time.monotonic()
    with pytest.raises(ProcessFailed, match=r"^sh: ended: it took longer than 0.2 s: patience$"):
        shell(pool, "echo patience >&2; sleep 60", timeout_s=0.2)
    assert time.monotonic() - began < 2


def test_too_much(pool):
    with pytest.raises(ProcessFailed, match=r"^yes: ended: it wrote more than 1048576 bytes$"):
        pool.run(["yes"])
    assert len(pool.run(["head", "-c", "100", "/dev/zero"], stdout_max=100).stdout) == 100


def test_the_last_of_many_errors_is_kept(pool):
    with pytest.raises(ProcessFailed, match="last words") as caught:
        shell(pool, "head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last words >&2; false")
    assert len(caught.value.stderr) == processes.STDERR_KEPT


def test_what_it_started_ends_with_it(pool):
    output = shell(pool, "sleep 314 & echo $!")
    pid = int(output.stdout)
    wait_until(lambda: gone(pid))


def test_no_more_than_its_size_run_at_once(pool):
    most, began = [], time.monotonic()

    def run():
        pool.run(["sleep", "0.1"])

    threads = [green.spawn(run) for _ in range(5)]
    while any(not thread.dead for thread in threads):
        most.append(pool.running)
        green.sleep(0.005)
    assert max(most) == 2
    assert time.monotonic() - began >= 0.3


def test_closing_ends_what_runs_and_starts_nothing(pool):
    def run():
        with pytest.raises(ProcessFailed, match=r"^sh: ended: the pool was closed$"):
            shell(pool, "sleep 60; echo never")
        return True

    thread = green.spawn(run)
    wait_until(lambda: pool.running)
    pool.close()
    assert thread.wait()
    with pytest.raises(ProcessFailed, match="not started: the pool is closed"):
        pool.run(["true"])


def test_nothing_is_left_open(pool):
    shell(pool, "true")
    before = len(os.listdir("/proc/self/fd"))
    for script in ("echo x", "exit 1", "kill -9 $$"):
        for _ in range(3):
            with contextlib.suppress(ProcessFailed):
                shell(pool, script)
    assert len(os.listdir("/proc/self/fd")) == before
    assert not [child for child in psutil.Process().children() if child.name() in ("sh", "sleep")]
