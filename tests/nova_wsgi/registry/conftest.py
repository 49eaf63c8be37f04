"""The registry on each of its databases."""

from collections.abc import Iterator

import pytest
from support.postgres import started_postgres
from support.registry import Place

from nova_wsgi.registry.database import open_database
from nova_wsgi.registry.services import Services


@pytest.fixture(scope="session")
def postgres():
    server = started_postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path) -> Place:
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path}/services.sqlite")
    return Place(request.getfixturevalue("postgres").make_schema())


@pytest.fixture
def database(place):
    database = open_database(place.url)
    yield database
    database.close()


@pytest.fixture
def services(database) -> Iterator[Services]:
    return Services(database, down_time_s=60)
