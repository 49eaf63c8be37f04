"""Processes that share a listening socket know of each other's connections."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest
from support.forks import another_process

from nova_wsgi.shares import CELLS, Shares

pytestmark = pytest.mark.filterwarnings("ignore:Using fork")


def another_with(shares: Shares, connections: int) -> AbstractContextManager[bool]:
    """Another process that takes part, and ends without having left."""

    def begin() -> None:
        shares.join()
        shares.tell(connections)

    return another_process(begin)


@pytest.fixture
def shares() -> Iterator[Shares]:
    made = Shares()
    yield made
    made.close()
    made.close()


def test_alone_nobody_has_fewer(shares):
    assert not shares.has_more_than_another()
    shares.join()
    shares.tell(0)
    shares.tell(1000)
    assert not shares.has_more_than_another()


def test_who_has_more_than_another_knows(shares):
    with another_with(shares, 3):
        shares.join()
        shares.tell(2)
        assert not shares.has_more_than_another()
        shares.tell(3)
        assert not shares.has_more_than_another()
        shares.tell(4)
        assert shares.has_more_than_another()
        shares.leave()
        assert not shares.has_more_than_another()


def test_the_dead_are_not_waited_for_and_their_place_is_free(shares):
    shares.join()
    shares.tell(5)
    for _ in range(CELLS + 1):
        with another_with(shares, 0):
            assert shares.has_more_than_another()
        assert not shares.has_more_than_another()


def test_those_for_whom_there_is_no_place_do_without(shares):
    with ExitStack() as others:
        for _ in range(CELLS):
            others.enter_context(another_with(shares, 0))
        shares.join()
        shares.tell(6)
        assert not shares.has_more_than_another()
        shares.leave()
