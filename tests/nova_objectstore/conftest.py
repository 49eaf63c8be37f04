"""Whole stores in process, for tests of several packages."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.classes import ClassedPlace
from support.sts import House

from nova_wsgi import green


@pytest.fixture
def classed_place(tmp_path: Path) -> Iterator[ClassedPlace]:
    """A store with storage classes; at the end it has no file that nobody knows."""
    with green.Timeout(60), closing(ClassedPlace(tmp_path)) as made:
        yield made
        made.check()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A store of two accounts, with S3 and STS over it."""
    with green.Timeout(30), closing(House(tmp_path)) as made:
        yield made
