"""The apps: versions and health. (The metrics app is tested with the filter that feeds it.)"""

import logging
from xml.etree import ElementTree

import pytest

from nova_wsgi import green
from nova_wsgi.apps.health import Health, reasons, register_check, unregister_check
from nova_wsgi.apps.versions import Versions
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import composing
from nova_wsgi.testing import Client

VERSIONS = """
    v1.0 deprecated /v1.0
    v2.0 current /v2.0
"""


@pytest.fixture
def versions():
    return Client(Versions(conf=None, host="h", versions=VERSIONS), host="api.example.com:8774")


@pytest.fixture
def health():
    return Client(Health(conf=None, host="h"))


@pytest.fixture
def check():
    """Registers checks for the time of a test."""
    registered = []

    def register(name, function):
        register_check(name, function)
        registered.append((name, function))

    yield register
    for name, function in registered:
        unregister_check(name, function)


# -- versions -------------------------------------------------------------------------------------------------------


def test_the_versions_are_told_in_json(versions):
    answer = versions.get("/")
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("Vary") == "Accept"
    assert answer.json()["versions"][1] == {
        "id": "v2.0",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": "http://api.example.com:8774/v2.0"}],
    }


@pytest.mark.parametrize(
    ("target", "accept"), [("/", "application/xml"), ("/versions.xml", "application/json"), ("/.xml", "")]
)
def test_the_versions_are_told_in_xml_by_preference_or_extension(versions, target, accept):
    answer = versions.get(target, headers={"Accept": accept})
    assert answer.header("Content-Type") == "application/xml"
    root = ElementTree.fromstring(answer.body)
    assert [version.get("id") for version in root] == ["v1.0", "v2.0"]
    assert root[0].get("status") == "DEPRECATED"
    assert root[0][0].get("href") == "http://api.example.com:8774/v1.0"


def test_an_extension_overrules_what_is_preferred(versions):
    answer = versions.get("/versions.json", headers={"Accept": "application/xml"})
    assert answer.header("Content-Type") == "application/json"


def test_other_paths_and_methods_are_refused(versions):
    assert versions.get("/versions.html").status == 404
    assert versions.get("/other.json").status == 404
    assert versions.post("/").status == 405


@pytest.mark.parametrize("line", ["v1", "v1 best /v1", "v1 current v1", "v1 current /v1 more"])
def test_a_bad_version_is_told_when_the_app_is_composed(line):
    with pytest.raises(ConfigError, match="versions: "):
        Versions(conf=None, host="h", versions=line)


def test_paste_makes_the_app_with_its_options():
    with composing(conf=None, host="h") as managers:
        app = Versions.factory({}, versions=VERSIONS)
    assert managers == [app]
    assert len(app.versions) == 2


# -- health ---------------------------------------------------------------------------------------------------------


def test_a_process_that_answers_lives(health, check):
    check("database", lambda: "gone")
    answer = health.get("/live")
    assert (answer.status, answer.json()) == (200, {"live": True, "reasons": {}})


def test_a_service_without_complaints_is_ready(health, check):
    check("database", lambda: None)
    answer = health.get("/ready")
    assert (answer.status, answer.json()) == (200, {"ready": True, "reasons": {}})
    assert answer.header("Cache-Control") == "no-store"


def test_a_failing_check_says_why(health, check):
    check("database", lambda: "cannot be reached")
    check("disk", lambda: None)
    answer = health.get("/ready")
    assert (answer.status, answer.json()) == (503, {"ready": False, "reasons": {"database": "cannot be reached"}})
    assert health.get("/ready", headers={"Accept": "text/plain"}).text == "not ready\ndatabase: cannot be reached\n"


def test_a_check_that_raises_is_a_reason_without_its_text(check, caplog):
    check("database", lambda: 1 / 0)
    check("disk", lambda: "full")
    assert reasons() == {"database": "the check failed; the log has the reason", "disk": "full"}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_check_that_hangs_is_given_up(check):
    check("database", lambda: green.sleep(60))
    check("disk", lambda: "full")
    assert reasons(timeout_s=0.05) == {"database": "no answer within 0.05 s", "disk": "full"}


def test_checks_are_not_run_for_every_question(health, check):
    calls = []
    check("database", lambda: calls.append(1))
    for _ in range(5):
        health.get("/ready")
    assert calls == [1]


def test_a_check_that_was_replaced_is_not_taken_back_by_its_former_owner(check):
    def old():
        return "old"

    def new():
        return "new"

    check("database", old)
    check("database", new)
    unregister_check("database", old)
    assert reasons() == {"database": "new"}


def test_other_paths_and_methods_of_health_are_refused(health):
    assert health.get("/").status == 404
    assert health.post("/live").status == 405
