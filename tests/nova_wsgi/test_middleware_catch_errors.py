"""The fault catcher: what is raised becomes an answer, and nothing of it leaks."""

import json
import logging

import pytest

from nova_wsgi import green
from nova_wsgi.errors import BodyTooLarge, ClientDisconnected, ServiceBusy
from nova_wsgi.middleware.catch_errors import CatchErrors
from nova_wsgi.middleware.request_id import RequestId
from nova_wsgi.response import Response
from nova_wsgi.testing import Client


def client_of(error):
    def app(environ, start_response):
        raise error

    return Client(RequestId(CatchErrors.filter_factory({})(app)))


def test_an_answer_passes_untouched():
    app = CatchErrors(Response(b"fine", status=201))
    answer = Client(app).get("/")
    assert (answer.status, answer.body) == (201, b"fine")


def test_a_failure_is_500_with_the_request_id_and_without_its_text(caplog):
    answer = client_of(ValueError("secret text")).get("/path%0a")
    assert answer.status == 500
    assert answer.header("X-Request-Id") in answer.text
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert "GET '/path%0a' failed" in record.getMessage()


def test_a_client_that_wants_json_gets_json():
    answer = client_of(ValueError("secret text")).get("/", headers={"Accept": "application/json"})
    error = answer.json()["error"]
    assert error["status"] == 500
    assert error["request_id"] == answer.header("X-Request-Id")
    assert "secret" not in json.dumps(error)


def test_the_clients_faults_have_their_own_status_and_are_not_logged(caplog):
    answer = client_of(BodyTooLarge("at most 5 bytes")).put("/")
    assert answer.status == 413
    assert "at most 5 bytes" in answer.text
    assert client_of(ClientDisconnected("gone")).put("/").status == 400
    assert not caplog.records


def test_a_busy_service_says_when_to_come_back(caplog):
    answer = client_of(ServiceBusy("queue of 17", retry_after_s=7)).get("/")
    assert answer.status == 503
    assert answer.header("Retry-After") == "7"
    assert "17" not in answer.text
    assert not caplog.records


def test_headers_already_started_are_replaced():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        raise ValueError("late")

    answer = Client(CatchErrors(app)).get("/")
    assert answer.status == 500


def test_a_failure_after_the_first_byte_is_the_servers_to_cut():
    def app(environ, start_response):
        start_response("200 OK", [])(b"begun")
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        Client(CatchErrors(app)).get("/")


@pytest.mark.parametrize("error", [green.GreenletExit(), SystemExit(), KeyboardInterrupt()])
def test_what_ends_a_greenthread_or_a_process_passes(error):
    with pytest.raises(type(error)):
        client_of(error).get("/")
