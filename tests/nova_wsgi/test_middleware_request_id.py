"""Request ids: made or taken over, told to the application, the log and the client."""

import os
import subprocess
import sys

import pytest

from nova_wsgi import logs
from nova_wsgi.middleware.request_id import RequestId, new_request_id
from nova_wsgi.response import Response
from nova_wsgi.testing import Client


def app(environ, start_response):
    """Answers the id it was given, and the one the log would write."""
    text = f"{environ['nova.request_id']} {logs.current_request_id()}"
    return Response(text)(environ, start_response)


def test_a_request_gets_an_id_in_the_environ_the_log_and_the_response():
    answer = Client(RequestId(app)).get("/")
    request_id, logged = answer.text.split()
    assert request_id == logged == answer.header("X-Request-Id")
    assert len(request_id) == 16
    assert request_id.isalnum()
    assert request_id == request_id.upper()


def test_ids_differ():
    assert len({new_request_id() for _ in range(1000)}) == 1000


def test_a_forked_child_does_not_repeat_its_parents_ids():
    program = (
        "import os; from nova_wsgi.middleware.request_id import new_request_id; new_request_id()\n"
        "pid = os.fork()\n"
        "if pid: os.waitpid(pid, 0)\n"  # so that the lines come one after the other
        "print(new_request_id(), flush=True)\n"
    )
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    run = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, timeout=20, check=True)
    first, second = run.stdout.split()
    assert first[:8] != second[:8]


def test_the_response_headers_are_those_configured():
    filtered = RequestId.filter_factory({}, response_headers="x-amz-request-id x-amz-id-2")(app)
    answer = Client(filtered).get("/")
    assert answer.header("x-amz-request-id") == answer.header("x-amz-id-2")
    assert answer.header("X-Request-Id") is None


def test_a_clients_id_is_not_taken_unless_trusted():
    answer = Client(RequestId(app)).get("/", headers={"X-Request-Id": "abcdefgh-1"})
    assert "abcdefgh" not in answer.text


def test_a_trusted_clients_id_is_taken():
    trusting = RequestId.filter_factory({}, trust="true", header="X-Trace")(app)
    answer = Client(trusting).get("/", headers={"X-Trace": "abcdefgh-1"})
    assert answer.text == "abcdefgh-1 abcdefgh-1"
    assert answer.header("x-request-id") == "abcdefgh-1"


@pytest.mark.parametrize(
    "given", ["short", "a" * 65, "with blank 1", 'quote"1234', "semi;colon1", "\xe4\xf6\xfc\xdf\xe4\xf6\xfc\xdf", ""]
)
def test_an_ill_formed_id_is_replaced_even_when_trusted(given):
    answer = Client(RequestId(app, trust=True)).get("/", headers={"X-Request-Id": given})
    assert answer.text.split()[0] != given


def test_the_applications_header_list_is_left_alone():
    shared = [("X-A", "1")]

    def constant(environ, start_response):
        start_response("200 OK", shared)
        return [b""]

    client = Client(RequestId(constant))
    client.get("/")
    client.get("/")
    assert shared == [("X-A", "1")]
