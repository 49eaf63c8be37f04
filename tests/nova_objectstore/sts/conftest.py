"""A store with STS over it, in process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sts import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()
