"""The one door to eventlet: native threads and back, names looked up beside the hub, forks with nothing alive."""

import os
import socket
import subprocess
import sys
import weakref

import pytest

from nova_wsgi import green

native = green.original("time")


def test_blocking_calls_run_beside_the_hub():
    turns = []

    def turn():
        while True:
            turns.append(True)
            green.sleep(0.001)

    thread = green.spawn(turn)
    green.run_native(native.sleep, 0.1)
    thread.kill()
    assert len(turns) > 20


def test_an_error_comes_back():
    with pytest.raises(ZeroDivisionError):
        green.run_native(lambda: 1 // 0)


def test_before_a_fork_no_native_thread_is_left():
    waiting = [green.submit_native(native.sleep, 0.02) for _ in range(12)]  # more than there are threads
    green.before_fork()
    assert all(completion.ready() for completion in waiting)
    assert green.run_native(lambda: 5) == 5, "and it begins anew"
    green.before_fork()
    green.before_fork()


def test_names_are_looked_up_without_stopping_the_hub():
    assert socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)[0][4] == ("127.0.0.1", 80)
    assert {found[4][0] for found in socket.getaddrinfo("localhost", 80)} <= {"127.0.0.1", "::1"}
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("nothing.invalid", 80)


def test_a_descriptor_can_be_waited_for():
    reading, writing = os.pipe()
    waiting = green.spawn(green.wait_readable, reading)
    green.sleep(0)
    green.wait_writable(writing)
    os.close(writing)
    waiting.wait()
    os.close(reading)


def test_suspended_greenthreads_are_named():
    def waits_here():
        green.sleep(10)

    thread = green.spawn(waits_here)
    green.sleep(0)
    names = [name for name, _ in green.suspended()]
    thread.kill()
    assert any(name.endswith("waits_here") for name in names)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import oslo_config; from nova_wsgi import green; green.patch()", "before these are imported: oslo_config"),
        ("from nova_wsgi import green; green.patch(); green.patch(); print(green.is_patched())", "True"),
        ("import os; from nova_wsgi import green; print(os.environ.get('EVENTLET_NO_GREENDNS'))", "None"),
    ],
)
def test_patching_comes_first(code, told):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert told in done.stdout + done.stderr


FORK = """
from nova_wsgi import green; green.patch()
import os
green.run_native(int)
green.before_fork()
pid = os.fork()
if pid == 0:
    green.after_fork()
    green.sleep(0.01)
    os._exit(green.run_native(lambda: 7))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), green.run_native(lambda: 8))
"""


def test_a_child_has_a_hub_of_its_own():
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "7 8\n"


def test_what_was_handed_to_a_native_thread_is_free_when_its_outcome_is_there():
    class Buffer:
        pass

    for _ in range(300):
        outcome = green.submit_native(lambda given: [given], Buffer()).wait()
        seen = weakref.ref(outcome.pop())
        assert seen() is None


def test_a_long_computation_gives_others_their_turn_and_a_short_one_does_not_wait():
    ran = []
    other = green.spawn(ran.append, "other")
    green.Turn(turn_s=60.0).pause()
    assert not ran
    green.Turn(turn_s=0.0).pause()
    assert ran == ["other"]
    other.wait()


# -- lanes -------------------------------------------------------------------------------------------------------------


class Work:
    """What a lane does in a test: it waits until it may go on, then answers or fails."""

    def __init__(self):
        self.may_go_on = green.original("_thread").allocate_lock()
        self.lane = green.Lane("test", self.run)

    def run(self, jobs):
        for job in jobs:
            with self.may_go_on:
                if job.request is None:
                    raise ValueError("nothing to do")
                job.result = job.request * 2


@pytest.fixture
def work():
    work = Work()
    yield work
    work.lane.stop()


@pytest.mark.parametrize("patience_s", [0.0, 0.0001, 10.0])
def test_a_lane_answers_and_fails_with_patience_and_without(work, patience_s):
    for number in range(200):
        assert work.lane.call(number, patience_s=patience_s) == 2 * number
    with pytest.raises(ValueError, match="nothing to do"):
        work.lane.call(None, patience_s=patience_s)
    assert work.lane.call(1, patience_s=patience_s) == 2


def test_the_hub_waits_no_longer_than_its_patience(work):
    work.may_go_on.acquire()
    green.spawn_after(0.01, work.may_go_on.release)  # which only a hub that goes on can do
    assert work.lane.call(4, patience_s=0.001) == 8


def test_with_patience_nobody_else_runs_meanwhile(work):
    others = []
    green.spawn(others.append, 1)
    assert work.lane.call(4, patience_s=10.0) == 8
    assert not others
    green.sleep(0)
    assert others
