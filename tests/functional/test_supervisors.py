"""The supervisors' files of etc/, each under its real supervisor: start, reload, crash and restart, stop."""

import configparser
import http.client
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import boto3
import psutil
import pytest
from support.supervisors import BIN, ETC, Machine, Runit, Supervisord, Systemd, is_alive, unavailable

from nova_wsgi.testing import LiveServer, LogLine, free_port, wait_until

SUPERVISORS = {"supervisord": Supervisord, "runit": Runit, "systemd": Systemd}
PROGRAMS = ("nova-objectstore", "nova-objectstore-worker", "nova-api")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture(params=SUPERVISORS)
def supervisor(request, machine):
    made = SUPERVISORS[request.param](machine)
    yield made
    made.close()


def answers(machine, name, path="/"):
    """The status with which a service answers; None while it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", machine.ports[name], timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def is_up(machine, name):
    return answers(machine, name) == {"nova-api": 200, "nova-objectstore": 403}[name]


def put_and_get(machine):
    """An object through the store, as its administrator."""
    credentials = (machine.state / "root-credentials").read_text()
    access_key, secret_key = (re.search(rf"{name} *= *(\S+)", credentials)[1] for name in
                              ("aws_access_key_id", "aws_secret_access_key"))  # fmt: skip
    s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{machine.ports['nova-objectstore']}", region_name="us-east-1",
                      aws_access_key_id=access_key, aws_secret_access_key=secret_key)  # fmt: skip
    s3.create_bucket(Bucket="supervised")
    for size in (100, 3_000_000):  # in the database, and in a file of its own
        s3.put_object(Bucket="supervised", Key=str(size), Body=bytes(size))
        assert s3.get_object(Bucket="supervised", Key=str(size))["Body"].read() == bytes(size)
    s3.close()


def test_services_start_reload_are_restarted_when_they_crash_and_stop(supervisor):
    machine = supervisor.machine
    pids = {}
    for name in machine.ports:
        if not supervisor.pid(name):
            supervisor.start(name)
        wait_until(lambda name=name: is_up(machine, name), 20)
        pids[name] = supervisor.pid(name)
    put_and_get(machine)

    for name in machine.ports:
        supervisor.reload(name)
        wait_until(lambda name=name: " reloaded" in supervisor.log(name))
        assert supervisor.pid(name) == pids[name]

    left = psutil.Process(pids["nova-api"]).children()
    for name in machine.ports:
        os.kill(pids[name], signal.SIGKILL)
    for name in machine.ports:
        wait_until(lambda name=name: supervisor.pid(name) not in (0, pids[name]) and is_up(machine, name), 30)
    wait_until(lambda: not any(map(is_alive, left)), what="the end of the workers whose parent died")

    for name in machine.ports:
        pid = supervisor.pid(name)
        supervisor.stop(name)
        wait_until(lambda pid=pid: not psutil.pid_exists(pid))
        assert answers(machine, name) is None
        assert "stopping on SIGTERM" in supervisor.log(name).rpartition("listens on")[2]


# -- what only one of them does


def test_supervisord_gives_up_a_service_that_is_misconfigured(machine):
    machine.write_options("log_level = LOUD")
    supervisor = Supervisord(machine)
    try:
        wait_until(lambda: supervisor.status("nova-api") == "BACKOFF")
        wait_until(lambda: "log_level" in supervisor.log("nova-api"))
    finally:
        supervisor.close()


def test_runit_waits_before_it_starts_a_misconfigured_service_again(machine):
    machine.write_options("log_level = LOUD")
    supervisor = Runit(machine)
    try:
        wait_until(lambda: "log_level" in supervisor.log("nova-api"))
        wait_until(lambda: supervisor.status("nova-api") == "finish")
        assert supervisor.log("nova-api").count("\n") == 1
    finally:
        supervisor.close()


@pytest.fixture
def systemd(machine):
    made = Systemd(machine)
    yield made
    made.close()


def test_systemd_hears_how_a_service_is_and_restarts_one_that_is_stuck(systemd):
    systemd.start("nova-api")  # returns when READY=1 was said
    assert is_up(systemd.machine, "nova-api")
    wait_until(lambda: systemd.show("nova-api", "StatusText") == "2 workers, 0 calls in flight")
    stuck = systemd.pid("nova-api")
    os.kill(stuck, signal.SIGSTOP)
    wait_until(lambda: systemd.pid("nova-api") not in (0, stuck) and is_up(systemd.machine, "nova-api"), 20)
    assert systemd.show("nova-api", "NRestarts") == "1"


def test_systemd_holds_the_socket_while_the_service_restarts(systemd):
    systemd.start("nova-objectstore.socket")
    assert systemd.pid("nova-objectstore") == 0
    assert answers(systemd.machine, "nova-objectstore") == 403, "the first connection starts the service"
    assert "(inherited)" in systemd.log("nova-objectstore")
    systemd.ctl("restart", "--no-block", "nova-objectstore")
    for _ in range(20):
        assert answers(systemd.machine, "nova-objectstore") == 403, "no connection is refused"
    systemd.ctl("stop", "nova-objectstore.socket", "nova-objectstore")


def test_systemd_finds_nothing_wrong_with_the_units_and_them_well_hardened(machine):
    if shutil.which("systemd-analyze") is None:
        unavailable("no systemd-analyze: apt-get install systemd")
    units = machine.folder / "units"
    for source in (ETC / "systemd").iterdir():
        machine.install(source, units / source.name)
    for program in PROGRAMS:
        missing = BIN / program
        if not missing.exists():  # not a program of this release yet
            unit = units / f"{program}.service"
            unit.write_text(unit.read_text().replace(str(missing), "/bin/true"))
    found = sorted(str(path) for path in units.iterdir())
    verified = subprocess.run(["systemd-analyze", "verify", *found], capture_output=True, text=True, timeout=30)
    assert (verified.returncode, verified.stderr) == (0, "")
    for unit in (path for path in found if path.endswith(".service")):
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit]
        secured = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert secured.returncode == 0, secured.stdout[-500:]


def test_sockets_that_systemd_passes_are_taken(machine):
    activate = shutil.which("systemd-socket-activate")
    if activate is None:
        unavailable("no systemd-socket-activate: apt-get install systemd")
    port = free_port()
    command = [
        activate,
        f"--listen=127.0.0.1:{port}",
        "--fdname=osapi",
        BIN / "nova-api",
        "--config-file",
        machine.options,
    ]
    with LiveServer(command, ready=LogLine("Listening on")) as server:
        status, _, _ = server.request("GET", "/", url=f"http://127.0.0.1:{port}")
        assert status == 200
        server.wait_for_output(rf"osapi listens on http://127.0.0.1:{port} \(inherited\)")


# -- what all files have in common


def test_every_supervisor_runs_the_same_commands():
    conf = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
    conf.read(ETC / "supervisord.conf")
    for program in PROGRAMS:
        command = f"/opt/nova/bin/{program} --config-file /etc/nova/nova.conf"
        assert conf[f"program:{program}"]["command"] == command
        assert f"\nExecStart={command}\n" in (ETC / "systemd" / f"{program}.service").read_text()
        assert (ETC / "runit" / program / "run").read_text().endswith(f" {command}\n")


def test_runits_scripts_can_be_run():
    scripts = [path for path in (ETC / "runit").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(ETC / "runit")) for path in scripts) == sorted(
        str(Path(program) / name) for program in PROGRAMS for name in ("run", "finish", "log/run")
    )
    for script in scripts:
        assert os.access(script, os.X_OK), script
        subprocess.run(["sh", "-n", script], check=True, timeout=10)
