"""The queue's drivers: every test that asks for ``site`` runs on each of them."""

import pytest
from support.queues import DRIVERS, Site
from support.rabbitmq import started_rabbitmq


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory, authority):
    broker = started_rabbitmq(tmp_path_factory.mktemp("rabbitmq"), certificate=authority.issue(COMMON_NAME="localhost"))
    yield broker
    broker.close()


def _site(driver, request, tmp_path):
    place = request.getfixturevalue("rabbitmq").url if driver == "amqp" else str(tmp_path / "queue")
    return Site(driver, place)


@pytest.fixture(params=DRIVERS)
def site(request, tmp_path):
    made = _site(request.param, request, tmp_path)
    yield made
    made.close()


@pytest.fixture
def embedded(request, tmp_path):
    """The embedded driver between processes."""
    made = _site("sockets", request, tmp_path)
    yield made
    made.close()


@pytest.fixture
def amqp(request, tmp_path):
    made = _site("amqp", request, tmp_path)
    yield made
    made.close()
