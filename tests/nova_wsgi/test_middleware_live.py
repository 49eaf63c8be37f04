"""The filters and apps in a real service of two workers, composed by an ini."""

import contextlib
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from nova_wsgi.testing import LiveServer, Notified, wait_until, workers

PROGRAM = Path(__file__).parent / "programs" / "counted.py"


@pytest.fixture(scope="module")
def server():
    ready = Notified(r"hello listens on (?P<url>\S+)(?s:.*)metrics listens on (?P<metrics_url>\S+)")
    command = [sys.executable, PROGRAM, "--api-paste-config", PROGRAM.with_suffix(".ini")]
    with LiveServer(command, ready=ready) as server:
        yield server


def metric(server, line_start):
    """The value of the metric whose line starts so; 0 when it is not there."""
    _, _, body = ask_metrics(server, "/metrics")
    match = re.search(rf"^{re.escape(line_start)}\S* (\S+)$", body.decode(), re.MULTILINE)
    return float(match[1]) if match else 0


def ask_metrics(server, target):
    return server.request("GET", target, url=server.facts["metrics_url"])


def ask_both_workers(server):
    """Ask until two workers have answered; the process ids of all answers."""
    answers = []

    def ask():
        answers.append(int(server.request("GET", "/worker")[2]))
        return len(set(answers)) == 2

    wait_until(ask, what="answers of both workers")
    return answers


def test_the_counts_of_all_workers_are_shown_and_survive_a_worker(server):
    name = 'nova_http_requests_total{api="hello",operation="Pages.worker",status="2xx"}'
    before = metric(server, name)
    answers = ask_both_workers(server)
    expected = before + len(answers)
    wait_until(lambda: metric(server, name) == expected, what="the counts of both workers")
    killed = answers[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(set(workers(server.pid)) - {killed}) == 2, what="the worker's successor")
    expected += len(ask_both_workers(server))
    wait_until(lambda: metric(server, name) == expected, what="the counts of all three")
    assert metric(server, "nova_http_requests_in_flight") == 0
    assert metric(server, "nova_http_workers") == 2


def test_a_request_has_one_id_in_its_response_and_its_log_line(server):
    _, headers, _ = server.request("GET", "/worker?X-Amz-Signature=abc")
    request_id = headers["x-amz-request-id"]
    assert request_id == headers["x-request-id"]
    line = server.wait_for_output(rf'(?m)^\{{.*"{request_id}".*\}}$')[0]
    fields = json.loads(line)
    assert fields["target"] == "/worker?X-Amz-Signature=REDACTED"
    assert fields["operation"] == "Pages.worker"
    assert fields["status"] == 200


def test_a_failure_is_logged_under_the_id_that_the_client_is_told(server):
    status, headers, body = server.request("GET", "/broken")
    assert status == 500
    assert headers["x-request-id"] in body.decode()
    assert b"secret" not in body
    server.wait_for_output(rf"\[{headers['x-request-id']}\] KeyError: 'a secret'")


REFUSED = {
    "no request": (b"nonsense\r\n\r\n", 400, "-"),
    "a bad header": (b"GET /worker?x=1 HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n", 400, "GET"),
    "two lengths": (b"PUT /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "PUT"),
    "a target too long": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414, "-"),
    "headers too large": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300_000 + b"\r\n\r\n", 431, "-"),
}


@pytest.mark.parametrize(("raw", "status", "method"), REFUSED.values(), ids=list(REFUSED))
def test_what_the_server_refuses_before_the_filters_is_logged_and_counted_too(server, raw, status, method):
    operation = "OTHER" if method == "-" else method
    name = f'nova_http_requests_total{{api="hello",operation="{operation}",status="4xx"}}'
    before, seen = metric(server, name), len(server.output())
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        with contextlib.suppress(ConnectionError):  # it answers before it has read all of it
            sock.sendall(raw)
        assert sock.recv(100).startswith(b"HTTP/1.1 %d " % status)

    def logged():
        lines = [line for line in server.output()[seen:].splitlines() if line.startswith('{"time"')]
        return [fields for fields in map(json.loads, lines) if fields["status"] == status]

    (fields,) = wait_until(logged, what="the line in the access log")
    assert (fields["method"], fields["remote_addr"]) == (method, "127.0.0.1")
    assert fields["request_id"]
    wait_until(lambda: metric(server, name) == before + 1, what="the count")
    assert metric(server, "nova_http_requests_in_flight") == 0


def test_refusals_are_told_after_a_reload_too(server):
    said = server.output().count("reloaded")
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: server.output().count("reloaded") > said, what="the reload")
    test_what_the_server_refuses_before_the_filters_is_logged_and_counted_too(server, *REFUSED["no request"])


def test_a_body_above_the_handlers_bound_is_413(server):
    assert server.request("PUT", "/length", body=b"0123456789")[2] == b"10"
    assert server.request("PUT", "/length", body=b"0123456789a")[0] == 413
    assert server.request("PUT", "/length", body=iter([b"0123456789", b"a"]))[0] == 413


def test_head_has_no_body_and_the_healthcheck_answers(server):
    status, headers, body = server.request("HEAD", "/worker")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0
    assert server.request("GET", "/healthcheck")[::2] == (200, b"OK\n")


def test_the_apps_answer_where_they_are_mounted(server):
    assert json.loads(ask_metrics(server, "/health/ready")[2]) == {"ready": True, "reasons": {}}
    document = json.loads(ask_metrics(server, "/")[2])
    assert [version["id"] for version in document["versions"]] == ["v1.0", "v2.0"]
    assert ask_metrics(server, "/versions.xml")[1]["content-type"] == "application/xml"
