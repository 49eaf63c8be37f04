"""IAM in process: a store for each module, emptied for each test of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.iam import OTHER_KEY, ROOT_KEY, House, iam_house
from support.metadata import OTHER, OWNER


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with iam_house(tmp_path_factory.mktemp("iam")) as made:
        yield made


@pytest.fixture
def house(shared_house: House) -> House:
    """One store for all tests of a module, empty for each."""
    for account_id, key in ((OWNER, ROOT_KEY), (OTHER, OTHER_KEY)):
        account = shared_house.engine.find_account(account_id)
        root_key = shared_house.engine.find_access_key(key)
        shared_house.engine.delete_account(account_id)
        shared_house.engine.create_account(account, root_key)
    return shared_house


@pytest.fixture
def iam(house: House) -> Any:
    """A boto3 client of the root's."""
    return house.iam()
