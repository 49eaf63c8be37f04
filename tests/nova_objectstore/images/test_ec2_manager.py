"""The EC2 API as nova-api's paste ini makes it: a Manager with a life."""

from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from nova_objectstore.bootstrap import ensure_root
from nova_objectstore.config import api_sections
from nova_objectstore.ec2_manager import Ec2Manager
from nova_wsgi import config
from nova_wsgi.manager import composing
from nova_wsgi.middleware.ratelimit import RateLimit
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


def test_an_account_that_asks_too_often_is_told_when_to_come_back(manager, tmp_path):
    pair = ensure_root(manager._store.meta, tmp_path).pair
    client = Client(RateLimit(manager, account_requests_per_s=0.01, account_burst=1))

    def describe():
        asked = AWSRequest("GET", "http://localhost/?Action=DescribeImages&Version=2016-11-15")
        SigV4Auth(Credentials(*pair), "ec2", "us-east-1").add_auth(asked)
        return client.request("GET", "/?Action=DescribeImages&Version=2016-11-15", headers=dict(asked.headers))

    assert describe().status == 200
    answer = describe()
    assert answer.status == 429
    assert int(answer.header("Retry-After")) > 1
    assert b"RequestLimitExceeded" in answer.body
