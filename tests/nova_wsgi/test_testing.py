"""The test tools: what the client sends and checks, and processes with deadlines."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from nova_wsgi.errors import BadRequest, ClientDisconnected
from nova_wsgi.response import FileBody, Response
from nova_wsgi.testing import (
    Client,
    Listening,
    LiveServer,
    LogLine,
    Notified,
    WsgiViolation,
    free_port,
    open_fds,
    resident_size,
    wait_until,
    workers,
)


def echo(environ, start_response):
    """Answers the request's body, and tells the rest in headers."""
    body = environ["wsgi.input"].read()
    headers = [(f"X-{key}", str(environ[key])) for key in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING")]
    return Response(body, headers=headers)(environ, start_response)


# -- what the client sends ----------------------------------------------------------------------------------------------


def test_a_request_arrives_as_the_server_would_parse_it():
    answer = Client(echo).put("/a%2Fb/ä?x=1&y=", body=b"content", headers={"X-Amz-Meta-A": "1"})
    assert answer.status == 200
    assert answer.reason == "OK"
    assert answer.body == b"content"
    environ = answer.environ
    assert environ["RAW_PATH_INFO"] == "/a%2Fb/%C3%A4"
    assert environ["PATH_INFO"] == "/a/b/Ã¤"
    assert environ["QUERY_STRING"] == "x=1&y="
    assert environ["CONTENT_LENGTH"] == "7"
    assert environ["HTTP_X_AMZ_META_A"] == "1"
    assert environ["HTTP_HOST"] == "localhost"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["wsgi.input_terminated"] is True


def test_every_method_has_a_shorthand():
    client = Client(echo, headers={"X-Every": "time"}, environ={"REMOTE_ADDR": "192.0.2.1"})
    for method in ("get", "put", "post", "delete", "options"):
        answer = getattr(client, method)("/")
        assert answer.header("x-request_method") == method.upper()
        assert answer.environ["HTTP_X_EVERY"] == "time"
        assert answer.environ["REMOTE_ADDR"] == "192.0.2.1"
    assert client.head("/").body == b""


def test_an_iterable_body_is_sent_in_chunks_with_trailers():
    def trailing(environ, start_response):
        body = environ["wsgi.input"]
        content = body.read()
        return Response(content + str(body.trailers).encode())(environ, start_response)

    answer = Client(trailing).put("/", body=[b"abc", b"", b"de"], trailers={"X-Sum": "1"})
    assert answer.body == b"abcde{'x-sum': '1'}"
    assert "CONTENT_LENGTH" not in answer.environ


def test_a_json_body_and_answer():
    def load(environ, start_response):
        return Response(environ["wsgi.input"].read(), content_type=environ["CONTENT_TYPE"])(environ, start_response)

    answer = Client(load).post("/", json={"a": [1]})
    assert answer.json() == {"a": [1]}
    assert answer.header("content-type") == "application/json"


def test_a_body_shorter_than_it_says_is_a_disconnect():
    with pytest.raises(ClientDisconnected):
        Client(echo).put("/", body=b"abc", headers={"Content-Length": "10"})


def test_a_request_that_the_server_would_refuse_is_refused():
    with pytest.raises(BadRequest):
        Client(echo).get("/", headers={"Bad Name": "1"})


def test_the_answer_tells_whether_the_body_was_asked_for():
    expecting = {"Expect": "100-continue"}
    assert Client(echo).put("/", body=b"abc", headers=expecting).continued
    assert not Client(Response(b"no")).put("/", body=b"abc", headers=expecting).continued


# -- what the client checks -----------------------------------------------------------------------------------------------


def starting(status="200 OK", headers=None, body=(b"",)):
    def app(environ, start_response):
        start_response(status, [] if headers is None else headers)
        return body

    return app


def late(environ, start_response):
    yield b"too early"
    start_response("200 OK", [])


def never(environ, start_response):
    return [b""]


def twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


VIOLATIONS = {
    "status as bytes": starting(status=b"200 OK"),
    "status as number": starting(status=200),
    "status without reason": starting(status="200"),
    "status with a line end": starting(status="200 OK\r\n"),
    "headers as tuple": starting(headers=(("A", "1"),)),
    "header as list": starting(headers=[["A", "1"]]),
    "header value as number": starting(headers=[("Content-Length", 5)]),
    "header value as bytes": starting(headers=[("A", b"1")]),
    "header name with a colon": starting(headers=[("A:", "1")]),
    "header value with a line end": starting(headers=[("A", "1\r\nB: 2")]),
    "header value beyond latin-1": starting(headers=[("A", "\u20ac")]),
    "header value with blanks around": starting(headers=[("A", " 1")]),
    "hop-by-hop header": starting(headers=[("Transfer-Encoding", "chunked")]),
    "two lengths": starting(headers=[("Content-Length", "0"), ("content-length", "0")]),
    "length that is none": starting(headers=[("Content-Length", "-0")]),
    "length too long": starting(headers=[("Content-Length", "5")], body=[b"abc"]),
    "length too short": starting(headers=[("Content-Length", "1")], body=[b"abc"]),
    "body as text": starting(body="abc"),
    "body as bytes": starting(body=b"abc"),
    "piece as text": starting(body=["abc"]),
    "body before start_response": late,
    "no start_response": never,
    "start_response twice": twice,
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_what_pep_3333_forbids_fails_the_test(name):
    with pytest.raises(WsgiViolation):
        Client(VIOLATIONS[name]).get("/")


def test_start_response_may_come_with_the_first_step_of_a_generator():
    def generator(environ, start_response):
        start_response("200 OK", [])
        yield b"abc"

    assert Client(generator).get("/").body == b"abc"


def test_write_is_supported():
    def writing(environ, start_response):
        start_response("200 OK", [])(b"written, ")
        return [b"returned"]

    assert Client(writing).get("/").body == b"written, returned"


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
)
def test_a_body_that_nobody_gets_is_closed_unread(method, status):
    class Body:
        closed = False

        def __iter__(self):
            raise AssertionError("nobody gets it")

        def close(self):
            self.closed = True

    body = Body()
    answer = Client(starting(status=status, headers=[("Content-Length", "5")], body=body)).request(method, "/")
    assert answer.body == b""
    assert body.closed


def test_a_file_body_is_recognised_read_and_closed(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    answer = Client(Response(FileBody.of_descriptor(fd, count=4))).get("/")
    assert answer.body == b"0123"
    assert answer.is_file_body
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_hooks_run_after_the_body_and_are_told_the_truth():
    order = []

    def app(environ, start_response):
        environ["nova.finish_hooks"].append(lambda environ, finished: order.append(finished))
        environ["wsgi.input"].read()
        start_response("201 Created", [])
        yield b"abc"
        order.append("body")

    answer = Client(app).put("/", body=b"12345")
    assert order == ["body", answer.finished]
    assert (answer.finished.status, answer.finished.bytes_sent, answer.finished.bytes_received) == (201, 3, 5)
    assert not answer.finished.aborted


def test_hooks_run_when_the_application_fails():
    told = []

    def app(environ, start_response):
        environ["nova.finish_hooks"].append(lambda environ, finished: told.append(finished))
        raise KeyError("broken")

    with pytest.raises(KeyError):
        Client(app).get("/")
    assert (told[0].status, told[0].aborted) == (500, True)


# -- waiting ------------------------------------------------------------------------------------------------------------------


def test_wait_until_returns_what_becomes_true():
    answers = iter([None, 0, "yes"])
    assert wait_until(lambda: next(answers)) == "yes"


def test_wait_until_gives_up_at_its_deadline_and_says_for_what():
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"not within 0\.05 s: the moon"):
        wait_until(lambda: False, 0.05, what="the moon")
    assert time.monotonic() - began < 5


# -- processes ---------------------------------------------------------------------------------------------------------------

SERVE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("it listens on http://127.0.0.1:%d" % server.server_port)
if "NOTIFY_SOCKET" in os.environ:
    import socket
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"STATUS=x\\nREADY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
"""


def serve(port=0):
    return [sys.executable, "-S", "-c", SERVE, str(port)]


@pytest.mark.parametrize("ready", [Notified, lambda: LogLine(r"on (?P<url>http://\S+)")])
def test_a_program_is_ready_when_it_says_so(ready):
    with LiveServer(serve(), ready=ready()) as server:
        status, headers, body = server.request("GET", "/path")
        assert (status, headers["content-length"], body) == (200, "5", b"/path")
        assert open_fds(server.pid) >= 3
        assert resident_size(server.pid) > 2**20
        server.wait_for_output(r'"GET /path HTTP/1\.1" 200')
    assert server.process.returncode == -signal.SIGTERM


def test_a_program_that_tells_nothing_is_ready_when_it_accepts():
    port = free_port()
    with LiveServer(serve(port), ready=Listening(port)) as server:
        assert server.port == port
        assert server.request("GET", "/")[0] == 200


def test_what_a_program_tells_its_supervisor_is_kept():
    ready = Notified()
    with LiveServer(serve(), ready=ready):
        assert ready.messages == ["STATUS=x\nREADY=1"]


def test_a_program_that_ends_before_it_is_ready_shows_its_output():
    with pytest.raises(ChildProcessError, match=r"ended with 3 .*\n(?s:.*)what went wrong"):
        LiveServer([sys.executable, "-S", "-c", "print('what went wrong'); raise SystemExit(3)"])


def test_a_program_that_is_never_ready_is_killed_at_the_deadline():
    silent = [sys.executable, "-S", "-c", "import signal; print('still here', flush=True); signal.pause()"]
    with pytest.raises(TimeoutError, match=r"not ready within 0\.5 s(?s:.*)still here"):
        LiveServer(silent, start_timeout_s=0.5)


def test_a_program_that_does_not_stop_is_killed_and_that_is_an_error():
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    server = LiveServer([sys.executable, "-S", "-c", deaf], ready=LogLine("up"), stop_timeout_s=0.3)
    with pytest.raises(TimeoutError, match="still running"):
        server.stop()
    assert server.process.returncode == -signal.SIGKILL


def test_nothing_that_a_program_started_outlives_it():
    parent = (
        "import os, signal\n"
        "pids = [os.fork() or signal.pause() for _ in range(2)]\n"
        "print('up', flush=True); signal.pause()\n"
    )
    with LiveServer([sys.executable, "-S", "-c", parent], ready=LogLine("up")) as server:
        children = wait_until(lambda: len(found := workers(server.pid)) == 2 and found)
        server.kill()
    wait_until(lambda: not any(_is_alive(pid) for pid in children), what="the children's end")


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_free_port_can_be_bound():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", free_port()))


# -- the fixtures -------------------------------------------------------------------------------------------------------------


def test_the_fixtures_make_clients_and_servers(wsgi_client, live_server):
    assert wsgi_client(echo).get("/").status == 200
    assert live_server(serve(), ready=Notified()).request("GET", "/x")[2] == b"/x"


HELD_UP = """
import sys, pytest
from nova_wsgi.testing import LiveServer, LogLine

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"

@pytest.fixture(scope="module")
def server():
    with LiveServer([sys.executable, "-S", "-c", DEAF], ready=LogLine("up"), stop_timeout_s=5) as running:
        yield running

def test_it(server):
    {body}

def test_another(server):
    assert server.process.poll() is None
"""


@pytest.mark.parametrize(
    ("body", "outcome"),
    [("assert not 'what failed'", "1 failed, 1 passed"), ("pytest.skip('not here')", "1 passed, 1 skipped, 1 error")],
)
def test_a_server_of_a_failed_test_is_not_waited_for_and_one_that_hangs_is_told_otherwise(tmp_path, body, outcome):
    path = tmp_path / "test_held_up.py"
    path.write_text(HELD_UP.format(body=body))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert re.search(rf"^{outcome} in ", run.stdout, re.MULTILINE), run.stdout
    assert ("still running after 5 s" in run.stdout) == ("error" in outcome)


def test_loading_the_plugin_imports_nothing_heavy():
    program = "import sys, nova_wsgi.pytest_plugin; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    heavy = {
        "eventlet",
        "greenlet",
        "webob",
        "routes",
        "oslo_config",
        "nova_wsgi.testing",
        "nova_wsgi.green",
        "socketserver",
    }
    assert not heavy & set(run.stdout.split())
