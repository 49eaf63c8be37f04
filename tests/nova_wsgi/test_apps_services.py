"""``os-services``: what it lists, what administrators change, in JSON and XML, and who may."""

import os
import stat
from xml.etree import ElementTree

import pytest
from support.registry import Place, beat

from nova_wsgi import admin_token, config
from nova_wsgi.apps.health import reasons
from nova_wsgi.apps.services import ServicesApp
from nova_wsgi.errors import ConfigError
from nova_wsgi.middleware.extension import Extension
from nova_wsgi.registry import options
from nova_wsgi.registry.database import open_database
from nova_wsgi.registry.services import Services
from nova_wsgi.testing import Client

SECTIONS = (*options.sections(), admin_token.section())


@pytest.fixture
def place(tmp_path):
    return Place(f"sqlite:///{tmp_path}/services.sqlite")


@pytest.fixture
def services(place):
    services = Services(open_database(place.url), down_time_s=60)
    yield services
    services.close()


@pytest.fixture
def app(place, tmp_path):
    """Make the app of the options; closed when the test ends."""
    made = []

    def make(*argv):
        conf = config.load(SECTIONS, program="x", argv=[f"--database-connection={place.url}", *argv], environ={})
        manager = ServicesApp(conf=conf, host="alpha")
        manager.init_host()
        made.append(manager)
        return Client(Extension(manager), environ={"SCRIPT_NAME": "/os-services"})

    yield make
    for manager in made:
        manager.cleanup_host()


@pytest.fixture
def client(app, tmp_path):
    """An administrator's client."""
    client = app(f"--api-admin-token-file={tmp_path}/token")
    client._headers.append(("X-Auth-Token", (tmp_path / "token").read_text().strip()))
    return client


# -- reading


def test_services_are_listed_with_all_that_is_known(client, services):
    services.report(beat(in_flight=2, version="1.5"))
    answer = client.get("/")
    (service,) = answer.json()["services"]
    times = {name: service.pop(name) for name in ("started_at", "last_seen_at")}
    assert service == {
        "id": 1, "host": "alpha", "binary": "nova-thing", "topic": "thing", "version": "1.5", "state": "up",
        "status": "enabled", "disabled_reason": None, "disabled_at": None, "processes": 1, "in_flight": 2,
    }  # fmt: skip
    assert all(len(time) == 24 and time.endswith("Z") for time in times.values())
    assert answer.header("Vary") == "Accept"
    assert client.get("/1").json()["service"]["id"] == 1
    assert client.head("/").status == 200


def test_services_are_chosen_by_host_and_binary(client, services):
    for host, binary in [("alpha", "nova-api"), ("alpha", "nova-thing"), ("beta", "nova-thing")]:
        services.report(beat(f"{host}{binary}", host=host, binary=binary))

    def names(query):
        return [(found["host"], found["binary"]) for found in client.get(f"/?{query}").json()["services"]]

    assert len(names("")) == 3
    assert names("host=alpha") == [("alpha", "nova-api"), ("alpha", "nova-thing")]
    assert names("binary=nova-thing") == [("alpha", "nova-thing"), ("beta", "nova-thing")]
    assert names("host=beta&binary=nova-api") == []
    refused = client.get("/?hots=alpha")
    assert (refused.status, refused.json()["error"]["hint"]) == (
        400,
        "services can be chosen by host and binary, not by hots",
    )


@pytest.mark.parametrize(
    ("path", "accept", "form"),
    [
        ("/", "", "application/json"),
        ("/", "application/xml", "application/xml"),
        ("/", "application/json;q=0.5, application/xml", "application/xml"),
        ("/.xml", "application/json", "application/xml"),
        ("/1.xml", "", "application/xml"),
        ("/1.json", "application/xml", "application/json"),
        ("/99.xml", "", "application/xml"),
        ("/99.json", "application/xml", "application/json"),
        ("/99", "", "application/json"),
        ("/99", "text/plain", "application/json"),
        ("/x/y", "application/xml", "application/xml"),
    ],
)
def test_the_extension_and_then_accept_choose_the_form_of_errors_too(client, services, path, accept, form):
    services.report(beat())
    assert client.get(path, headers={"Accept": accept} if accept else {}).header("Content-Type") == form


def test_xml_has_the_members_as_attributes(client, services):
    services.report(beat(in_flight=2))
    services.disable(1, "the disk <is> replaced \x01")
    root = ElementTree.fromstring(client.get("/.xml").body)
    assert (root.tag, [child.tag for child in root]) == ("services", ["service"])
    assert root[0].attrib["disabled_reason"] == "the disk <is> replaced"
    assert (root[0].get("id"), root[0].get("status"), root[0].get("in_flight")) == ("1", "disabled", "2")
    services.enable(1)
    single = ElementTree.fromstring(client.get("/1.xml").body)
    assert (single.tag, "disabled_at" in single.attrib) == ("service", False)


def test_errors_say_what_is_wrong_in_both_forms(client):
    error = client.get("/99").json()["error"]
    assert (error["status"], error["reason"], error["hint"]) == (404, "Not Found", "no service has the id 99")
    found = ElementTree.fromstring(client.get("/<&.xml").body)
    assert (found.tag, found.get("status"), found.get("hint")) == ("error", "404", "no service has the id <&")
    refused = client.post("/")
    assert (refused.status, refused.header("Allow")) == (405, "GET, HEAD")


# -- changing


def test_a_service_is_disabled_with_a_reason_and_enabled_again(client, services):
    services.report(beat())
    answer = client.put("/1", json={"status": "disabled", "disabled_reason": "the disk is replaced"})
    changed = answer.json()["service"]
    assert (changed["status"], changed["disabled_reason"]) == ("disabled", "the disk is replaced")
    assert changed["disabled_at"] is not None
    assert services.report(beat()).disabled
    assert client.put("/1", json={"status": "enabled"}).json()["service"]["status"] == "enabled"
    assert not services.report(beat()).disabled


@pytest.mark.parametrize("verb", ["disable", "disable-log-reason"])
def test_a_service_is_named_as_novas_clients_do(client, services, verb):
    services.report(beat("p1", topic="one"))
    services.report(beat("p2", topic="two"))
    named = {"host": "alpha", "binary": "nova-thing", "disabled_reason": "why"}
    assert client.put(f"/{verb}", json=named).status == 404
    assert client.put(f"/{verb}", json={**named, "topic": "two"}).json()["service"]["topic"] == "two"
    assert [entry.enabled for entry in services.list()] == [True, False]
    assert client.put("/enable", json={**named, "topic": "two"}).status == 200
    assert all(entry.enabled for entry in services.list())


def test_bodies_may_be_xml(client, services):
    services.report(beat())
    xml = {"Content-Type": "application/xml"}
    assert client.put("/1", body='<service status="disabled" disabled_reason="why"/>', headers=xml).status == 200
    assert services.get(1).disabled_reason == "why"
    assert client.put("/enable", body='<service host="alpha" binary="nova-thing"/>', headers=xml).status == 200
    assert services.get(1).enabled
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><service status="&b;"/>'
    encodings = [f'<?xml version="1.0" encoding="{name}"?><service/>' for name in ("no-such", "big5", "idna")]
    for broken in ("<service", bomb, *encodings):
        assert client.put("/1", body=broken, headers=xml).json()["error"]["hint"] == "the body is not valid XML"


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"", "the body is not valid JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'{"service": 1}', "the body is not a JSON object"),
        (b"{}", "status is enabled or disabled"),
        (b'{"status": "broken"}', "status is enabled or disabled"),
        (b'{"status": 1}', "status is a text"),
        (b'{"status": "disabled", "disabled_reason": ["x"]}', "disabled_reason is a text"),
    ],
)
def test_bodies_that_say_nothing_known_are_refused(client, services, body, hint):
    services.report(beat())
    answer = client.put("/1", body=body)
    assert (answer.status, answer.json()["error"]["hint"]) == (400, hint)
    assert services.get(1).enabled


def test_a_service_that_is_down_is_deleted_and_one_that_is_up_is_not(client, services, place):
    services.report(beat())
    refused = client.delete("/1")
    assert (refused.status, refused.json()["error"]["hint"]) == (409, "nova-thing on alpha is up: stop it first")
    place.age(61)
    assert client.delete("/1").status == 204
    assert client.delete("/1").status == 404
    assert services.list() == []


@pytest.mark.parametrize("text", ["0x1", "-1", "1" * 30, "\u0661", "9" * 18])
def test_what_is_no_id_is_not_found(client, text):
    assert client.get(f"/{text}").status == 404
    assert client.delete(f"/{text}").status == 404


# -- who may


CHANGES = [
    ("PUT", "/1", {"status": "disabled"}),
    ("PUT", "/disable", {"host": "alpha", "binary": "nova-thing"}),
    ("PUT", "/disable-log-reason", {"host": "alpha", "binary": "nova-thing"}),
    ("PUT", "/enable", {"host": "alpha", "binary": "nova-thing"}),
    ("DELETE", "/1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_changes_need_the_token(app, services, tmp_path, method, path, body):
    client = app(f"--api-admin-token-file={tmp_path}/token")
    token = (tmp_path / "token").read_text().strip()
    services.report(beat())
    for headers in [{}, {"X-Auth-Token": token[:-1]}, {"Authorization": f"Basic {token}"}, {"X-Auth-Token": "\xe4"}]:
        answer = client.request(method, path, json=body, headers=headers)
        assert (answer.status, answer.header("WWW-Authenticate")) == (401, 'Bearer realm="administration"')
    assert client.get("/1").json()["service"]["status"] == "enabled"
    answer = client.request(method, path, json=body, headers={"Authorization": f"bearer {token}"})
    assert answer.status in (200, 204, 409)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_without_a_token_file_nothing_can_be_changed(app, services, method, path, body):
    services.report(beat())
    answer = app().request(method, path, json=body, headers={"X-Auth-Token": ""})
    assert answer.status == 403
    assert "admin_token_file" in answer.json()["error"]["hint"]
    assert services.get(1).enabled


def test_the_token_is_made_for_its_owner_alone_and_another_counts_at_once(app, services, tmp_path):
    path = tmp_path / "token"
    client = app(f"--api-admin-token-file={path}")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(tmp_path) == ["token"]
    services.report(beat())
    old = path.read_text().strip()
    path.write_text("another-token-of-ours\n")
    assert client.put("/1", json={"status": "enabled"}, headers={"X-Auth-Token": old}).status == 401
    right = {"X-Auth-Token": "another-token-of-ours"}
    assert client.put("/1", json={"status": "enabled"}, headers=right).status == 200
    path.unlink()
    assert client.put("/1", json={"status": "enabled"}, headers=right).status == 403


@pytest.mark.parametrize(
    ("mode", "content", "problem"),
    [
        (0o644, "a-token-that-is-long-enough", "others than its owner may read or write it"),
        (0o620, "a-token-that-is-long-enough", "others than its owner may read or write it"),
        (0o600, "short", "at least 16 characters"),
    ],
)
def test_a_token_that_is_none_is_a_config_error(app, tmp_path, mode, content, problem):
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=problem):
        app(f"--api-admin-token-file={path}")
    with pytest.raises(ConfigError, match=r"admin_token_file .*: No such file or directory"):
        app(f"--api-admin-token-file={tmp_path}/nowhere/token")


# -- without its database


def test_a_lost_registry_is_503_and_a_reason_not_to_be_ready(client, services, place, tmp_path):
    services.report(beat())
    assert reasons() == {}
    services.close()
    for left in tmp_path.glob("services.sqlite*"):
        left.unlink()
    (tmp_path / "services.sqlite").mkdir()
    answer = client.get("/")
    assert (answer.status, answer.header("Retry-After")) == (503, "5")
    assert answer.json()["error"]["hint"] == "the services registry cannot be reached"
    assert list(reasons()) == ["services registry"]
    (tmp_path / "services.sqlite").rmdir()
    assert client.get("/").json() == {"services": []}
    assert reasons() == {}
