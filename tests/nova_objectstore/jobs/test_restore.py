"""The job that makes restored copies: killed or failing at any step, it ends with one whole copy and nothing else."""

import contextlib
import itertools
import os

import pytest
from support.classes import Died, SteppingProcess, Steps

from nova_objectstore.assembly import build_restore_job
from nova_objectstore.errors import StorageFailed
from nova_objectstore.jobs.restore import ATTEMPTS_MAX, LEASE_S, RETRY_DELAY_S
from nova_objectstore.limits import PART_SIZE_MIN

CONTENT = os.urandom(3000)
S = 1_000_000


@pytest.fixture
def place(classed_place):
    return classed_place


def put_inline(place, key):
    return place.put(key, b"meow", "GLACIER"), b"meow"


def put_data(place, key):
    return place.put(key, CONTENT, "GLACIER"), CONTENT


def put_parts(place, key):
    contents = [os.urandom(PART_SIZE_MIN), CONTENT]
    return place.multipart(key, contents, "GLACIER"), b"".join(contents)


KINDS = [put_inline, put_data, put_parts]


@pytest.mark.parametrize("put", KINDS)
def test_a_worker_that_dies_at_any_step_is_followed_by_another(place, put):
    for at in itertools.count(1):
        version, content = put(place, f"cat-{at}")
        place.request_restore(version)
        steps = Steps(at)
        process = SteppingProcess(place, steps)
        with contextlib.suppress(Died):
            process.restores.run()
        process.end()

        place.now_us += int(LEASE_S * S) + 1
        place.open().close()  # the next start recovers
        build_restore_job(place.store, clock_us=place.clock).run()
        assert place.read(version) == content
        place.check()
        if not steps.struck:
            break
    assert at > 3


@pytest.mark.parametrize("put", KINDS)
def test_a_disk_that_fails_at_any_step_is_tried_again(place, put):
    for at in itertools.count(1):
        version, content = put(place, f"cat-{at}")
        place.request_restore(version)
        steps = Steps(at, StorageFailed())
        process = SteppingProcess(place, steps)
        with contextlib.suppress(StorageFailed):
            process.restores.run()
        process.end()

        place.now_us += int(max(LEASE_S, RETRY_DELAY_S) * S) + 1
        place.open().close()
        build_restore_job(place.store, clock_us=place.clock).run()
        assert place.read(version) == content
        place.check()
        if not steps.struck:
            break


def test_a_disk_that_fails_for_good_ends_the_request(place):
    version, content = put_data(place, "cat")
    (file,) = (place.path / "ice").glob("??/*")
    aside = file.rename(place.path / "aside")
    place.request_restore(version)
    job = build_restore_job(place.store, clock_us=place.clock)
    for _ in range(ATTEMPTS_MAX):
        assert place.store.restores.status(version).is_ongoing
        assert job.run() == 0
        place.now_us += int(RETRY_DELAY_S * S) + 1
    assert place.store.restores.status(version) is None

    aside.rename(file)
    place.request_restore(version)
    assert job.run() == 1
    assert place.read(version) == content


def test_a_lease_is_renewed_while_much_is_copied(place):
    version, _ = put_parts(place, "cat")
    place.request_restore(version)
    taken = []

    class Clock:
        def __call__(self) -> int:
            place.now_us += int(LEASE_S * S) // 2
            return place.now_us

    job = build_restore_job(place.store, clock_us=Clock())
    taken.append(job.run(lambda: not taken))
    assert taken == [1]


def test_a_stop_waits_for_one_copy(place):
    for key in "abc":
        version, _ = put_data(place, key)
        place.request_restore(version)
    turns = iter([True, False])
    job = build_restore_job(place.store, clock_us=place.clock)
    assert job.run(lambda: next(turns)) == 1
    assert job.run() == 2
