"""Loops: their pace, their end, and what an exception does to them."""

import time

import pytest

from nova_wsgi import green
from nova_wsgi.loopingcall import BackOff, Dynamic, FixedInterval, LoopDone, LoopingCall
from nova_wsgi.testing import wait_until


def loop_of(call, pace, **settings):
    return LoopingCall(call, pace, name="test", **settings)


def test_it_calls_at_the_interval_until_it_is_stopped():
    began, times = time.monotonic(), []
    loop = loop_of(lambda: times.append(time.monotonic() - began), FixedInterval(0.05)).start()
    wait_until(lambda: len(times) >= 4)
    loop.stop()
    loop.wait(1)
    assert not loop.running
    for number, at in enumerate(times):
        assert at == pytest.approx(0.05 * number, abs=0.04)


def test_the_first_call_can_be_later():
    began, times = time.monotonic(), []
    loop = loop_of(lambda: times.append(time.monotonic() - began), FixedInterval(10), initial_delay_s=0.1).start()
    wait_until(lambda: times)
    loop.stop()
    assert times[0] >= 0.1


def test_stop_ends_the_wait_and_lets_a_call_finish():
    done = []

    def call():
        green.sleep(0.05)
        done.append(True)

    loop = loop_of(call, FixedInterval(100)).start()
    green.sleep(0)
    loop.stop()
    assert not done
    loop.wait(1)
    assert done == [True]
    waiting = loop_of(lambda: None, FixedInterval(100)).start()
    wait_until(lambda: waiting.calls)
    waiting.stop()
    waiting.wait(1)


def test_late_ticks_are_skipped_not_bunched():
    starts, began = [], time.monotonic()

    def call():
        starts.append(time.monotonic() - began)
        if len(starts) == 1:
            green.sleep(0.25)  # misses the ticks at 0.1 and 0.2

    loop = loop_of(call, FixedInterval(0.1)).start()
    wait_until(lambda: len(starts) == 3)
    loop.stop()
    assert starts[1] == pytest.approx(0.3, abs=0.04)
    assert starts[2] == pytest.approx(0.4, abs=0.04)


def test_it_never_overlaps_itself():
    running, most = [], []

    def call():
        running.append(True)
        most.append(len(running))
        green.sleep(0.03)
        running.pop()

    loop = loop_of(call, FixedInterval(0.01)).start()
    wait_until(lambda: len(most) >= 4)
    loop.stop()
    loop.wait(1)
    assert max(most) == 1


def test_an_exception_is_logged_and_the_loop_goes_on(caplog):
    def call():
        raise OSError("away")

    loop = loop_of(call, FixedInterval(0.01)).start()
    wait_until(lambda: loop.failures >= 3)
    loop.stop()
    loop.wait(1)
    assert "test failed" in caplog.text
    assert "OSError: away" in caplog.text


def test_an_exception_ends_a_loop_that_was_told_so():
    def call():
        raise OSError("away")

    loop = loop_of(call, FixedInterval(0.01), stop_on_error=True).start()
    with pytest.raises(OSError, match="away"):
        loop.wait(1)
    assert loop.calls == 1


def test_a_call_can_end_its_loop_with_a_result():
    def call():
        raise LoopDone(42)

    assert loop_of(call, FixedInterval(0.01)).start().wait(1) == 42


def test_wait_has_a_limit_and_kill_has_none():
    loop = loop_of(lambda: green.sleep(100), FixedInterval(0.01)).start()
    wait_until(lambda: loop.calls)
    with pytest.raises(TimeoutError):
        loop.wait(0.05)
    loop.kill()
    loop.wait(0.05)
    assert not loop.running


def test_a_dynamic_loop_waits_as_long_as_its_call_says():
    answers, times, began = [0.02, 0.02, None], [], time.monotonic()

    def call():
        times.append(time.monotonic() - began)
        return answers.pop(0) if answers else None

    loop = loop_of(call, Dynamic(0.2)).start()
    wait_until(lambda: len(times) == 4)
    loop.stop()
    assert times[2] == pytest.approx(0.04, abs=0.03)
    assert times[3] - times[2] == pytest.approx(0.2, abs=0.05)


def waits(pace, outcomes):
    return [pace.next_delay_s(took_s=0, result=outcome == "done", failed=outcome == "failed") for outcome in outcomes]


def test_a_back_off_grows_while_nothing_is_done_and_starts_again_after_success():
    outcomes = ["idle", "failed", "idle", "idle", "done", "done", "idle", "failed"]
    assert waits(BackOff(1, 5, jitter=0), outcomes) == [1, 2, 4, 5, 1, 1, 1, 2]
    assert all(0.9 <= wait <= 1 for wait in waits(BackOff(1, 5), ["done"] * 20))


def test_a_fixed_interval_is_counted_from_begin_to_begin():
    pace = FixedInterval(10)
    for took_s, delay_s in [(0, 10), (3, 7), (10, 10), (25, 5)]:
        assert pace.next_delay_s(took_s=took_s, result=None, failed=False) == delay_s
    with pytest.raises(ValueError, match="more than 0"):
        FixedInterval(0)
