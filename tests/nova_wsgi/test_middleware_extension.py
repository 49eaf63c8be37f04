"""Extensions: what those below see of the path and the Accept header, and the forms of failures."""

import json
from xml.etree import ElementTree

import pytest

from nova_wsgi.middleware.extension import Extension
from nova_wsgi.response import Response, error_response
from nova_wsgi.testing import Client


def told(environ, start_response):
    """Answers what it sees."""
    seen = {name: environ.get(name) for name in ("PATH_INFO", "RAW_PATH_INFO", "HTTP_ACCEPT")}
    return Response.of_json(seen)(environ, start_response)


@pytest.mark.parametrize(
    ("path", "seen", "accept"),
    [
        ("/things", "/things", "text/csv"),
        ("/things.json", "/things", "application/json"),
        ("/things.xml", "/things", "application/xml"),
        ("/.xml", "/", "application/xml"),
        ("/things.html", "/things.html", "text/csv"),
        ("/things.xml/1", "/things.xml/1", "text/csv"),
        ("/things.XML", "/things.XML", "text/csv"),
        ("/a.json.xml", "/a.json", "application/xml"),
        ("/a.xml.json", "/a.xml", "application/json"),
    ],
)
def test_a_known_extension_becomes_the_accept_header(path, seen, accept):
    answer = Client(Extension.filter_factory({})(told)).get(path, headers={"Accept": "text/csv"}).json()
    assert answer == {"PATH_INFO": seen, "RAW_PATH_INFO": path, "HTTP_ACCEPT": accept}


def failing(environ, start_response):
    return error_response(environ, 418, 'a "hint" <& \x01')(environ, start_response)


def test_failures_below_are_json_or_xml():
    client = Client(Extension(failing), environ={"nova.request_id": "r1"})
    for path, accept in [("/x", "text/plain"), ("/x", ""), ("/x.json", "application/xml")]:
        answer = client.get(path, headers={"Accept": accept} if accept else {})
        assert answer.header("Content-Type") == "application/json"
        assert json.loads(answer.body)["error"]["hint"] == 'a "hint" <& \x01'
    for path, accept in [("/x", "application/xml"), ("/x.xml", "application/json")]:
        answer = client.get(path, headers={"Accept": accept})
        assert (answer.status, answer.header("Content-Type")) == (418, "application/xml")
        assert ElementTree.fromstring(answer.body).attrib == {
            "status": "418", "reason": "I'm a Teapot", "hint": 'a "hint" <& ?', "request_id": "r1",
        }  # fmt: skip


def test_failures_without_it_are_text_or_json():
    assert Client(failing).get("/x.xml", headers={"Accept": "application/xml"}).header("Content-Type") == (
        "text/plain; charset=utf-8"
    )
