"""Functional tests run against real processes: one store with two workers for a module."""

from collections.abc import Iterator

import pytest
from support.store import Store, running_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("state")) as running:
        yield running
