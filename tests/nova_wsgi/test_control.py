"""The control socket: what running services tell, to whom, and what is told of those that cannot."""

import os
import socket
import stat
import subprocess
import sys
import time

import pytest

from nova_wsgi import config, control, green, launcher, logs, service_options
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager
from nova_wsgi.service import Service
from nova_wsgi.testing import wait_until

SECTIONS = (service_options.section(), launcher.section(), logs.section(), control.section())


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / "control")


@pytest.fixture
def start(directory):
    """Start services with a control socket; they are stopped when the test ends."""
    started = []

    def start(topic="thing"):
        conf = config.load(SECTIONS, program="nova-thing", argv=[f"--control-path={directory}"], environ={})
        service = Service.create(conf=conf, host="alpha", binary="nova-thing", topic=topic, manager=Manager)
        control.attach(service)
        service.prepare()
        service.start()
        started.append(service)
        return service

    yield start
    for service in started:
        if service.state != "down":
            service.stop(5)


def test_workers_tell_who_they_are(start, directory):
    start()
    (told,) = control.ask(directory, "workers")
    assert (told.topic, told.pid, told.problem) == ("thing", os.getpid(), "")
    answer = told.answer
    assert (answer["host"], answer["binary"], answer["state"]) == ("alpha", "nova-thing", "up")
    assert (answer["parent_pid"], answer["in_flight"], answer["requests"]) == (os.getppid(), 0, 0)
    assert abs(answer["started"] - time.time()) < 60
    assert answer["resident_bytes"] > 2**20


def test_calls_in_flight_are_told_with_their_age_the_oldest_first(start, directory):
    manager = start()._own.managers[0]
    with manager.tracked("first"), manager.tracked("second"):
        (told,) = control.ask(directory, "inflight")
    calls = told.answer["calls"]
    assert [call["name"] for call in calls] == ["first", "second"]
    assert 0 <= calls[1]["age_s"] <= calls[0]["age_s"] < 60


def test_stacks_are_told_and_equal_ones_counted(start, directory):
    start()

    def wait_here():
        green.sleep(60)

    waiting = [green.spawn(wait_here) for _ in range(5)]
    green.sleep(0)
    (told,) = control.ask(directory, "stacks")
    for thread in waiting:
        thread.kill()
    here = [found for found in told.answer["stacks"] if "in wait_here" in found["stack"]]
    assert [(found["who"].rpartition(".")[2], found["count"]) for found in here] == [("wait_here", 5)]
    assert any(found["who"].startswith("native thread") for found in told.answer["stacks"])


def test_services_of_one_process_and_one_directory_are_told_apart(start, directory):
    start("one")
    start("two")
    assert [told.topic for told in control.ask(directory, "workers")] == ["one", "two"]
    assert [told.topic for told in control.ask(directory, "workers", topic="two")] == ["two"]
    assert len(control.ask(directory, "workers", pid=os.getpid())) == 2
    assert control.ask(directory, "workers", pid=1) == []


def test_the_socket_is_its_owners_alone_and_goes_with_the_service(start, directory):
    service = start()
    (name,) = os.listdir(directory)
    assert stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    service.stop(5)
    assert os.listdir(directory) == []
    assert control.ask(directory, "workers") == []


def test_a_service_that_hangs_in_its_start_can_be_asked(directory):
    class Hanging(Manager):
        def init_host(self):
            green.sleep(60)

    conf = config.load(SECTIONS, program="nova-thing", argv=[f"--control-path={directory}"], environ={})
    service = Service.create(conf=conf, topic="thing", manager=Hanging)
    control.attach(service)
    service.prepare()
    starting = green.spawn(service.start)
    (told,) = wait_until(lambda: control.ask(directory, "workers"))
    assert (told.answer["state"], told.answer["started"]) == ("starting", None)
    (told,) = control.ask(directory, "stacks")
    assert any("in init_host" in found["stack"] for found in told.answer["stacks"])
    starting.kill()
    service.kill()


def test_an_unknown_question_and_a_broken_one_are_answered(start, directory):
    start()
    (told,) = control.ask(directory, "secrets")
    assert (told.answer, told.problem) == (None, "the questions are workers, inflight, stacks")
    (name,) = os.listdir(directory)
    for sent in (b"no json\n", b"[]\n", b"x" * 5000):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.path.join(directory, name))
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert b"the questions are" in client.recv(1000)


def test_an_answer_that_fails_is_told_and_logged(start, directory, caplog):
    service = start()
    service._own = None
    (told,) = control.ask(directory, "inflight")
    assert told.problem.startswith("AttributeError")
    assert "could not be answered" in caplog.text
    service.state = "down"  # it cannot be stopped any more
    service.reporters[0].close()
    service._heart.kill()


def test_clients_that_say_nothing_do_not_keep_others_from_asking_for_long(start, directory):
    start()
    (name,) = os.listdir(directory)
    silent = [socket.socket(socket.AF_UNIX) for _ in range(control.CLIENTS_MAX)]
    for client in silent:
        client.connect(os.path.join(directory, name))
    green.sleep(0)
    asking = green.spawn(control.ask, directory, "workers", timeout_s=20)
    silent[0].close()
    (told,) = asking.wait()
    assert told.answer is not None
    for client in silent:
        client.close()


STUCK = """
import os, signal, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(os.path.join(sys.argv[1], "stuck.%d.sock" % os.getpid()))
listening.listen()
print("up", flush=True)
signal.pause()
"""


def test_a_process_that_is_stuck_or_dead_is_told(start, directory):
    start()
    stuck = subprocess.Popen([sys.executable, "-S", "-c", STUCK, directory], stdout=subprocess.PIPE)
    try:
        stuck.stdout.readline()
        (told,) = control.ask(directory, "stacks", topic="stuck", timeout_s=0.2)
        assert (told.pid, told.answer) == (stuck.pid, None)
        assert told.problem == "no answer within 0.2 s: its hub is stuck, or it is stopped"
    finally:
        stuck.kill()
        stuck.wait()
        stuck.stdout.close()
    assert control.ask(directory, "stacks", topic="stuck") == []
    assert len(os.listdir(directory)) == 2
    start("another")  # sweeps up what dead processes left
    assert sorted(name.partition(".")[0] for name in os.listdir(directory)) == ["another", "thing"]


def test_without_the_option_there_is_no_socket():
    conf = config.load(SECTIONS, program="nova-thing", argv=[], environ={})
    service = Service.create(conf=conf, topic="thing", manager=Manager)
    control.attach(service)
    assert service.reporters == []


def test_a_directory_that_cannot_be_used_is_a_config_error(tmp_path):
    def attach(path):
        conf = config.load(SECTIONS, program="nova-thing", argv=[f"--control-path={path}"], environ={})
        control.attach(Service.create(conf=conf, topic="thing", manager=Manager))

    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"control_path .*: File exists"):
        attach(tmp_path / "file")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match="others could write there"):
        attach(tmp_path / "open")
    with pytest.raises(ConfigError, match="too long for the path of a unix socket"):
        attach(tmp_path / ("x" * 100))


def test_a_directory_that_goes_away_costs_the_socket_not_the_service(directory, caplog):
    conf = config.load(SECTIONS, program="nova-thing", argv=[f"--control-path={directory}"], environ={})
    service = Service.create(conf=conf, topic="thing", manager=Manager)
    control.attach(service)
    os.rmdir(directory)
    service.prepare()
    service.start()
    assert service.state == "up"
    assert "no control socket" in caplog.text
    service.stop(5)
