"""The healthcheck: answered before the application, and only at its own path."""

import pytest

from nova_wsgi.middleware.healthcheck import Healthcheck
from nova_wsgi.response import Response
from nova_wsgi.testing import Client

APP = Response(b"application")


def test_the_check_answers_for_the_application():
    answer = Client(Healthcheck(APP)).get("/healthcheck")
    assert (answer.status, answer.body) == (200, b"OK\n")
    assert answer.header("Cache-Control") == "no-store"
    assert answer.environ["nova.operation"] == "Healthcheck"
    assert Client(Healthcheck(APP)).head("/healthcheck").status == 200


@pytest.mark.parametrize("target", ["/", "/healthcheck/", "/healthcheck/object", "/healthchecks", "//healthcheck"])
def test_other_paths_are_the_applications(target):
    assert Client(Healthcheck(APP)).get(target).body == b"application"


def test_other_methods_are_the_applications():
    assert Client(Healthcheck(APP)).put("/healthcheck").body == b"application"


def test_the_path_is_configurable():
    client = Client(Healthcheck.filter_factory({}, path="/_/health")(APP))
    assert client.get("/_/health").body == b"OK\n"
    assert client.get("/healthcheck").body == b"application"
    with pytest.raises(ValueError, match="slash"):
        Healthcheck.filter_factory({}, path="health")


def test_a_file_takes_the_host_out_and_back_in(tmp_path):
    file = tmp_path / "disabled"
    client = Client(Healthcheck.filter_factory({}, disable_by_file_path=str(file))(APP))
    assert client.get("/healthcheck").status == 200
    file.touch()
    answer = client.get("/healthcheck")
    assert (answer.status, answer.body) == (503, b"DISABLED BY FILE\n")
    assert client.get("/").body == b"application"
    file.unlink()
    assert client.get("/healthcheck").status == 200
