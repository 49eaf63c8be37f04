"""The EC2 API as nova-api's paste ini makes it: a Manager with a life."""

from pathlib import Path

import pytest

from nova_objectstore.config import api_sections
from nova_objectstore.ec2_manager import Ec2Manager
from nova_wsgi import config
from nova_wsgi.manager import composing
from nova_wsgi.testing import Client


@pytest.fixture
def manager(tmp_path: Path):
    conf = config.load(api_sections(), program="test", argv=[f"--state-path={tmp_path}"], environ={})
    with composing(conf=conf, host="here") as made:
        Ec2Manager.factory({})
    (manager,) = made
    manager.init_host()
    yield manager
    manager.cleanup_host()


def test_it_serves_and_ends(manager):
    answer = Client(manager).request("GET", "/?Action=DescribeImages&Version=2016-11-15")
    assert (answer.status, answer.header("Content-Type")) == (401, "text/xml;charset=UTF-8")
    assert b"AuthFailure" in answer.body
    manager.cleanup_host()
