"""Places of shared memory belong to living processes, one each."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.forks import another_process

from nova_wsgi.shared_places import SharedPlaces, take_place

pytestmark = pytest.mark.filterwarnings("ignore:Using fork")


@pytest.fixture
def places() -> Iterator[SharedPlaces]:
    made = SharedPlaces("test-places", places=3, size=4096)
    yield made
    made.close()
    made.close()


def test_what_a_process_writes_all_of_them_read_and_it_stays(places):
    assert places.memory[:] == bytes(4096)

    def write() -> None:
        places.memory[4092:] = b"last"

    with another_process(write):
        assert places.memory[4092:] == b"last"
    assert places.memory[4092:] == b"last"


def test_a_place_belongs_to_one_process_while_that_lives(places):
    with another_process(lambda: places.take(1)) as taken:
        assert taken
        assert not places.take(1)
        assert places.is_taken(1)
        assert [place for place in range(3) if places.is_taken(place)] == [1]
    assert not places.is_taken(1)
    assert places.take(1)
    with another_process(lambda: places.take(1)) as taken:
        assert not taken


def test_it_is_kept_when_taken_again_and_free_when_given_back(places):
    assert places.take(0)
    assert places.take(0)
    with another_process(lambda: places.is_taken(0)) as taken:
        assert taken
    places.give_back(0)
    with another_process(lambda: places.take(0)) as taken:
        assert taken


def test_to_ask_whether_a_place_is_taken_takes_none(places):
    assert not places.is_taken(2)
    with another_process(lambda: places.take(2)) as taken:
        assert taken


def test_the_first_free_place_is_found_until_there_is_none(places):
    with ExitStack() as others:
        for place in range(3):
            assert others.enter_context(another_process(lambda place=place: places.take_first() == place))
        assert places.take_first() is None
        assert others.enter_context(another_process(lambda: places.take_first() is None))
    with another_process(lambda: places.take(1)):
        assert places.take_first() == 0
        assert places.take_first() == 0, "its own again"
        with another_process(places.take_first) as found:
            assert found


def test_a_child_has_none_of_its_parents_places(places):
    assert places.take(0)
    with another_process(lambda: places.is_taken(0) and places.take_first() == 1) as others:
        assert others
        assert places.is_taken(1)


def test_who_closes_the_file_has_no_place_any_more_and_the_memory_still(places):
    def close() -> int:
        places.take(0)
        places.close()
        places.memory[0] = 7
        return places.memory[0]

    with another_process(close) as written:
        assert written
        assert places.take(0)
        assert places.memory[0] == 7


def test_a_place_may_lie_beyond_the_files_end(tmp_path):
    with open(tmp_path / "places", "w+b") as file:
        assert take_place(file.fileno(), 2**32 - 1)
        with another_process(lambda: take_place(file.fileno(), 2**32 - 1)) as taken:
            assert not taken
