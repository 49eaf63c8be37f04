"""``nova-manage service``: the registry and the control sockets, of services that really run."""

import io
import json

import pytest
from support.programs import program
from support.registry import beat

from nova_objectstore.cmd.manage import run
from nova_wsgi.registry.database import open_database
from nova_wsgi.registry.services import Services
from nova_wsgi.testing import LiveServer, wait_until, workers


class Shell:
    """Runs command lines over one state directory."""

    def __init__(self, state) -> None:
        self.state = state

    def run(self, *argv, code=0):
        out, err = io.StringIO(), io.StringIO()
        got = run([f"--state-path={self.state}", *argv], environ={}, out=out, err=err)
        assert got == code, err.getvalue()
        return out.getvalue() if code == 0 else err.getvalue()

    def json(self, *argv):
        return json.loads(self.run("--json", *argv))


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "state")


@pytest.fixture
def services(shell):
    shell.state.mkdir()
    with Services(open_database(f"sqlite:///{shell.state}/services.sqlite"), down_time_s=60) as services:
        yield services


# -- the registry


def test_services_are_listed_and_chosen(shell, services):
    services.report(beat("p1", in_flight=3))
    services.report(beat("p2", host="beta", binary="nova-api", topic="api", state="down"))
    alpha, beta = shell.json("service", "list")
    assert (alpha["host"], alpha["binary"], alpha["state"], alpha["enabled"]) == ("alpha", "nova-thing", "up", True)
    assert (alpha["processes"], alpha["in_flight"], alpha["version"]) == (1, 3, "1.0")
    assert alpha["started"] <= alpha["last_seen"]
    assert (beta["host"], beta["state"], beta["processes"]) == ("beta", "down", 0)
    assert [found["host"] for found in shell.json("service", "list", "--host", "beta")] == ["beta"]
    assert shell.json("service", "list", "--binary", "nova-other") == []
    lines = shell.run("service", "list").splitlines()
    assert [line.split("\t")[1:5] for line in lines] == [
        ["host", "binary", "topic", "state"],
        ["alpha", "nova-thing", "thing", "up"],
        ["beta", "nova-api", "api", "down"],
    ]


def test_a_service_is_disabled_enabled_and_deleted(shell, services):
    services.report(beat())
    disabled = shell.json("service", "disable", "alpha", "nova-thing", "--reason", "the disk is replaced")
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "the disk is replaced")
    assert services.report(beat()).disabled
    assert shell.json("service", "enable", "alpha", "nova-thing")["enabled"] is True
    refused = shell.run("service", "delete", "alpha", "nova-thing", code=1)
    assert refused == "nova-manage: nova-thing on alpha is up: stop it first\n"
    services.report(beat(state="down"))
    assert shell.json("service", "delete", "alpha", "nova-thing")["host"] == "alpha"
    assert services.list() == []


def test_what_is_not_there_is_one_line_and_makes_nothing(shell):
    path = shell.state / "services.sqlite"
    assert shell.run("service", "list", code=1) == f"nova-manage: {path}: no service has reported there\n"
    assert not shell.state.exists()


def test_a_name_that_is_no_service_is_one_line(shell, services):
    services.report(beat())
    problem = "nova-manage: no service nova-other has reported from the host alpha\n"
    assert shell.run("service", "disable", "alpha", "nova-other", code=1) == problem


# -- the processes of this host


@pytest.fixture
def server(tmp_path, shell):
    """nova-api with two workers and control sockets."""
    control = f"--control-path={tmp_path}/control"
    ports = ["--osapi-listen-port=0", "--ec2-listen-port=0", "--iam-listen-port=0"]
    command = program("nova-api", f"--state-path={shell.state}", *ports, "--osapi-workers=2", control)
    with LiveServer(command, cwd=tmp_path) as server:
        server.control = control
        yield server


def test_workers_in_flight_calls_and_stacks_of_running_processes(shell, server):
    found = wait_until(lambda: len(said := shell.json(server.control, "service", "workers")) == 2 and said)
    assert sorted(process["pid"] for process in found) == sorted(workers(server.pid))
    assert {process["parent_pid"] for process in found} == {server.pid}
    assert {(process["topic"], process["binary"], process["state"]) for process in found} == {("api", "nova-api", "up")}
    assert all(process["resident"] > 2**20 and process["started"] for process in found)
    assert shell.json(server.control, "service", "inflight") == []
    one = found[0]["pid"]
    stacks = shell.json(server.control, "service", "stacks", "--pid", str(one))
    assert {stack["pid"] for stack in stacks} == {one}
    assert any("Runner._hear_signals" in stack["thread"] for stack in stacks)
    assert all(stack["count"] >= 1 and stack["stack"][0].startswith("  File ") for stack in stacks)
    text = shell.run(server.control, "service", "stacks", "--pid", str(one))
    assert f"api {one}: greenthread Runner._hear_signals" in text
    assert shell.json(server.control, "service", "workers", "--topic", "other") == []


def test_without_control_path_nothing_can_be_asked(shell):
    for question in ("workers", "inflight", "stacks"):
        assert "control_path is not set" in shell.run("service", question, code=2)
