"""nova-api as a real process: what it mounts, several APIs, reports of its processes, limits, and its end."""

import json
import re
import signal
import subprocess
from xml.etree import ElementTree

import psutil
import pytest
from support.programs import program

from nova_wsgi.testing import LiveServer, Notified, wait_until, workers


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def start(live_server, state, tmp_path):
    """Start nova-api on a free port."""

    def start(*argv, **settings):
        ports = ["--osapi-listen-port=0", "--ec2-listen-port=0", "--iam-listen-port=0"]
        given = ["--state-path", state, *ports, "--report-interval-s=0.1", "--host=alpha", *argv]
        return live_server(program("nova-api", *given), cwd=tmp_path, **settings)

    return start


def ask(server, path, **headers):
    status, _, body = server.request("GET", path, headers=headers)
    return status, json.loads(body)


def services(server):
    return ask(server, "/os-services")[1]["services"]


def test_it_mounts_versions_services_health_and_metrics(start):
    server = start()
    assert ask(server, "/")[1]["versions"][0]["links"][0]["href"] == server.url + "/"
    (service,) = wait_until(lambda: services(server))
    assert (service["host"], service["binary"], service["topic"]) == ("alpha", "nova-api", "api")
    assert (service["state"], service["processes"], service["status"]) == ("up", 1, "enabled")
    assert ask(server, "/health/live") == (200, {"live": True, "reasons": {}})
    assert ask(server, "/health/ready") == (200, {"ready": True, "reasons": {}})
    status, headers, metrics = server.request("GET", "/metrics")
    assert (status, headers["x-request-id"] != "") == (200, True)
    assert b'nova_http_requests_total{api="osapi",operation="Versions",status="2xx"} 1.0' in metrics
    assert b"nova_scrub_damaged 0.0" in metrics
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("path", "status"), [("/nothing", 404), ("/os-services/77", 404), ("/os-services?x=1", 400), ("/health/x", 404)]
)
def test_failures_are_json_or_xml_by_accept_and_extension(server, path, status):
    assert ask(server, path)[1]["error"]["status"] == status
    assert ask(server, path, Accept="text/html")[0] == status
    _, headers, body = server.request("GET", path, headers={"Accept": "application/xml"})
    assert (headers["content-type"], ElementTree.fromstring(body).get("status")) == ("application/xml", str(status))
    name, question, query = path.partition("?")
    _, headers, body = server.request("GET", f"{name}.xml{question}{query}")
    assert (headers["content-type"], ElementTree.fromstring(body).tag) == ("application/xml", "error")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for the tests that only ask."""
    state = tmp_path_factory.mktemp("api")
    command = program(
        "nova-api",
        "--state-path",
        state,
        "--osapi-listen-port=0",
        "--ec2-listen-port=0",
        "--iam-listen-port=0",
        "--host=alpha",
    )
    with LiveServer(command, cwd=state) as server:
        yield server


def test_the_administrator_changes_services_with_the_token_of_the_state_path(start, state):
    server = start()
    wait_until(lambda: services(server))
    change = json.dumps({"status": "disabled", "disabled_reason": "maintenance"})
    assert server.request("PUT", "/os-services/1", body=change)[0] == 401
    token = (state / "api-token").read_text().strip()
    status, _, body = server.request("PUT", "/os-services/1", body=change, headers={"X-Auth-Token": token})
    assert (status, json.loads(body)["service"]["disabled_reason"]) == (200, "maintenance")
    server.wait_for_output("api is disabled: maintenance")
    assert server.request("DELETE", "/os-services/1", headers={"X-Auth-Token": token})[0] == 409


def test_each_worker_reports_and_a_stopped_service_is_down(start, state):
    first = start("--osapi-workers=2")
    (service,) = wait_until(lambda: [found for found in services(first) if found["processes"] == 2])
    assert service["state"] == "up"
    second = start("--host=beta", "--osapi-workers=1")
    wait_until(
        lambda: [(found["host"], found["state"]) for found in services(second)] == [("alpha", "up"), ("beta", "up")]
    )
    assert first.stop() == 0
    assert [(found["host"], found["state"]) for found in services(second)] == [("alpha", "down"), ("beta", "up")]
    assert second.stop() == 0


def test_a_worker_that_is_killed_is_replaced_in_the_registry_too(start):
    server = start("--osapi-workers=2", "--service-down-time=1")
    wait_until(lambda: [found["processes"] for found in services(server)] == [2])
    before = set(workers(server.pid))
    victim = workers(server.pid)[0]
    subprocess.run(["kill", "-KILL", str(victim)], check=True)
    wait_until(lambda: len(now := set(workers(server.pid))) == 2 and now != before)
    wait_until(lambda: [found["processes"] for found in services(server)] == [2], 20)


INI = """
[pipeline:osapi]
pipeline = limit health

[filter:limit]
paste.filter_factory = nova_wsgi.middleware.ratelimit:RateLimit.filter_factory
requests_per_s = 0.01
burst = 2

[app:ec2]
paste.app_factory = nova_wsgi.apps.versions:Versions.factory
versions = 2016-11-15 current /

[app:health]
paste.app_factory = nova_wsgi.apps.health:Health.factory
"""


def test_several_apis_each_have_a_port_and_their_own_limits(start, tmp_path):
    ini = tmp_path / "api.ini"
    ini.write_text(INI)
    ready = Notified(r"osapi listens on (?P<url>\S+)[\s\S]*ec2 listens on (?P<ec2>\S+)")
    server = start("--enabled-apis=osapi,ec2", "--api-paste-config", ini, ready=ready)
    ec2 = server.facts["ec2"]
    assert ec2 != server.url
    assert json.loads(server.request("GET", "/", url=ec2)[2])["versions"][0]["id"] == "2016-11-15"
    assert [server.request("GET", "/live")[0] for _ in range(4)] == [200, 200, 429, 429]
    status, headers, _ = server.request("GET", "/live")
    assert (status, headers["retry-after"]) == (429, headers["retry-after"])
    assert 1 <= int(headers["retry-after"]) <= 100
    assert server.request("GET", "/", url=ec2)[0] == 200


def test_an_api_that_is_not_there_is_one_line(state, tmp_path):
    for argv, problem in [
        (["--enabled-apis=soap"], "enabled_apis: there is no API 'soap' in nova-api"),
        (["--api-admin-token-file=/nowhere/token"], "admin_token_file /nowhere/token: No such file or directory"),
    ]:
        command = program(
            "nova-api",
            "--state-path",
            state,
            "--osapi-listen-port=0",
            "--ec2-listen-port=0",
            "--iam-listen-port=0",
            *argv,
        )
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path)
        assert run.returncode == 2, run.stderr
        assert re.fullmatch(rf"nova-api: {problem}", run.stderr.splitlines()[-1]), run.stderr


def test_a_reload_and_a_lost_registry_leave_it_serving(start, state):
    server = start()
    wait_until(lambda: services(server))
    server.send_signal(signal.SIGHUP)
    server.wait_for_output("reloaded")
    assert services(server)[0]["state"] == "up"
    for left in state.glob("services.sqlite*"):
        left.unlink()
    (state / "services.sqlite").mkdir()
    server.wait_for_output("the services registry is lost")
    status, body = ask(server, "/health/ready")
    assert (status, list(body["reasons"])) == (503, ["services registry"])
    assert ask(server, "/os-services")[0] == 503
    assert ask(server, "/")[0] == 200
    (state / "services.sqlite").rmdir()
    wait_until(lambda: ask(server, "/os-services")[0] == 200 and services(server))
    assert server.stop() == 0


def test_it_answers_after_less_than_a_second_of_work(start):
    """In processor time, to which what else the machine does adds little."""
    server = start()
    assert server.request("GET", "/os-services")[0] == 200
    used = psutil.Process(server.pid).cpu_times()
    assert used.user + used.system < 1
