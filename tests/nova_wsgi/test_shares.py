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


def test_alone_all_are_its_own(shares):
    assert shares.share_of(7) == 7
    shares.join()
    shares.tell(0)
    shares.tell(1000)
    assert shares.share_of(7) == 7


@pytest.mark.parametrize(
    ("mine", "others", "waiting", "share"),
    [
        (2, [3], 1, 1),
        (3, [3], 1, 1),
        (4, [3], 1, 0),
        (4, [3], 2, 1),
        (0, [0], 32, 16),
        (0, [0], 33, 17),
        (0, [0, 0], 32, 11),
        (0, [0, 30], 6, 3),
        (30, [0, 0], 6, 0),
        (10, [20, 0], 3, 0),
        (5, [1], 2, 0),
    ],
)
def test_a_share_is_what_makes_all_alike(shares, mine, others, waiting, share):
    with ExitStack() as stack:
        for count in others:
            stack.enter_context(another_with(shares, count))
        shares.join()
        shares.tell(mine)
        assert shares.share_of(waiting) == share
        shares.leave()
        assert shares.share_of(waiting) == waiting


def test_the_dead_are_not_waited_for_and_their_place_is_free(shares):
    shares.join()
    shares.tell(5)
    for _ in range(CELLS + 1):
        with another_with(shares, 0):
            assert shares.share_of(1) == 0
        assert shares.share_of(1) == 1


def test_those_for_whom_there_is_no_place_do_without(shares):
    with ExitStack() as others:
        for _ in range(CELLS):
            others.enter_context(another_with(shares, 0))
        shares.join()
        shares.tell(6)
        assert shares.share_of(1) == 1
        shares.leave()
