"""Fixtures of the domain's tests."""

import pytest
from support.encrypted import Place

from nova_wsgi import green


@pytest.fixture
def place(tmp_path):
    """A store with two keys of KMS, and a bucket."""
    with green.Timeout(60):
        made = Place(tmp_path / "state")
        yield made
        made.store.close()
