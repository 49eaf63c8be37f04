"""The access log: what a line says, and what no client can make it say."""

import json
import re

import pytest

from nova_wsgi import logs
from nova_wsgi.http import Finished
from nova_wsgi.middleware.access_log import REDACTED, AccessLog, combined_line, json_line, redact_query
from nova_wsgi.middleware.request_id import RequestId
from nova_wsgi.response import Response
from nova_wsgi.testing import Client

SECRETS = frozenset(REDACTED)


def app(environ, start_response):
    environ["nova.operation"] = "GetObject"
    environ["nova.account"] = "123456789012"
    return Response(b"x" * 5)(environ, start_response)


@pytest.fixture
def log_file(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def log(log_file):
    log = logs.AccessLog(logs.LogFile(str(log_file)))
    yield log
    log.flush()


def lines_of(log, log_file):
    log.flush()
    return log_file.read_text().splitlines()


def line(form=combined_line, aborted=False, **environ):
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "192.0.2.1"}
    finished = Finished(
        status=200, bytes_sent=5, bytes_received=3, duration_s=0.25, first_byte_s=0.125, aborted=aborted
    )
    return form({**base, **environ}, finished, SECRETS)


def test_a_request_is_one_combined_line_with_id_duration_and_operation(log, log_file):
    client = Client(RequestId(AccessLog(app, log=lambda: log)))
    headers = {"User-Agent": "curl/8.0", "Referer": "http://example.com/"}
    answer = client.get("/b/k%20ey?versionId=1", headers=headers)
    (written,) = lines_of(log, log_file)
    pattern = (
        r"127\.0\.0\.1 - 123456789012 \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
        r'"GET /b/k%20ey\?versionId=1 HTTP/1\.1" 200 5 "http://example\.com/" "curl/8\.0" '
        rf"{answer.header('x-request-id')} \d+ GetObject \+"
    )
    assert re.fullmatch(pattern, written)


def test_a_request_that_tells_little_has_dashes():
    assert line().endswith('"GET / HTTP/1.1" 200 5 "-" "-" - 250000 - +')
    assert line(REMOTE_ADDR="").startswith("- - - [")


def test_an_aborted_response_is_marked():
    assert line(aborted=True).endswith(" X")


def test_json_has_a_field_for_everything():
    fields = json.loads(
        line(
            json_line,
            QUERY_STRING="a=1",
            HTTP_USER_AGENT="curl",
            HTTP_HOST="localhost:3333",
            **{"nova.request_id": "R1", "nova.operation": "GetObject", "nova.account": "A"},
        )
    )
    assert fields.pop("time") > 1.7e9
    assert fields == {
        "request_id": "R1",
        "remote_addr": "192.0.2.1",
        "account": "A",
        "method": "GET",
        "host": "localhost:3333",
        "target": "/?a=1",
        "protocol": "HTTP/1.1",
        "operation": "GetObject",
        "status": 200,
        "bytes_sent": 5,
        "bytes_received": 3,
        "duration_us": 250000,
        "first_byte_us": 125000,
        "aborted": False,
        "referrer": None,
        "user_agent": "curl",
    }


@pytest.mark.parametrize("form", [combined_line, json_line])
def test_no_client_can_forge_a_line_or_a_field(form):
    evil = 'x" 200 0 "\n127.0.0.1 - - \r\x1b[31m\x9b\x85\\'
    written = line(form, HTTP_USER_AGENT=evil, HTTP_REFERER=evil, RAW_PATH_INFO=f"/{evil}")
    assert written.isascii()
    assert written.isprintable()
    if form is json_line:
        assert json.loads(written)["user_agent"] == evil
    else:
        assert '"x\\" 200 0 \\"\\x0a127.0.0.1 - - \\x0d\\x1b[31m\\x9b\\x85\\\\"' in written


@pytest.mark.parametrize(
    ("query", "logged"),
    [
        ("X-Amz-Credential=AK%2Fs3&X-Amz-Signature=abc", "X-Amz-Credential=AK%2Fs3&X-Amz-Signature=REDACTED"),
        ("x-amz-security-TOKEN=abc&a=1", "x-amz-security-TOKEN=REDACTED&a=1"),
        ("AWSAccessKeyId=AK&Signature=a%3D&Expires=1", "AWSAccessKeyId=AK&Signature=REDACTED&Expires=1"),
        ("X%2dAmz-Signature=abc", "X%2dAmz-Signature=REDACTED"),
        ("uploads&prefix=signature", "uploads&prefix=signature"),
        ("signature", "signature"),
        ("", ""),
    ],
)
def test_secrets_of_a_query_are_not_written(query, logged):
    assert redact_query(query, SECRETS) == logged


def test_secrets_of_the_referrers_query_are_not_written():
    written = line(HTTP_REFERER="http://h/b?X-Amz-Signature=abc&x=1", QUERY_STRING="Signature=def")
    assert "abc" not in written
    assert "def" not in written
    assert "http://h/b?X-Amz-Signature=REDACTED&x=1" in written


def test_further_parameters_can_be_redacted(log, log_file):
    client = Client(AccessLog(app, redact=["Code"], log=lambda: log))
    client.get("/?code=abc&signature=def")
    assert "/?code=REDACTED&signature=def " in lines_of(log, log_file)[0]


def test_the_factory_takes_forms_it_knows():
    assert Client(AccessLog.filter_factory({}, form="json", redact="code")(app)).get("/").status == 200
    with pytest.raises(ValueError, match="combined, json"):
        AccessLog.filter_factory({}, form="xml")


def test_under_a_foreign_server_a_request_is_logged_too(log, log_file):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "CONTENT_LENGTH": ""}
    body = AccessLog(app, log=lambda: log)(environ, lambda *_: None)
    assert b"".join(body) == b"xxxxx"
    assert lines_of(log, log_file) == []
    body.close()
    (written,) = lines_of(log, log_file)
    assert '"GET / -" 200 5' in written
    assert written.endswith(" +")


def test_a_log_that_is_off_costs_no_formatting():
    client = Client(AccessLog(app, log=lambda: logs.AccessLog(None)))
    assert client.get("/").status == 200
