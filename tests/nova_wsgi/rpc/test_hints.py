"""Hints: casts that nobody waits for, on a queue that fails when it is told to."""

import pytest

from nova_wsgi import green, rpc
from nova_wsgi.rpc.hints import HINTS_MAX
from nova_wsgi.testing import wait_until


class Failing:
    """A transport that takes casts while ``problem`` is None, and raises it otherwise."""

    def __init__(self):
        self.limits = rpc.QueueLimits()
        self.problem = None
        self.sent = []
        self.held = False

    def send(self, address, message, *, timeout_s):
        while self.held:
            green.sleep(0.001)
        if self.problem is not None:
            raise self.problem
        self.sent.append((str(address), message.method, dict(message.arguments)))


@pytest.fixture
def queue():
    return Failing()


@pytest.fixture
def client(queue):
    made = rpc.Client(queue, "topic")
    yield made
    made.close()


def test_hints_are_sent_in_order(queue, client):
    client.hint("first")
    client.hint("second", {"a": 1}, host="host")
    wait_until(lambda: len(queue.sent) == 2)
    assert queue.sent == [("topic", "first", {}), ("topic.host", "second", {"a": 1})]


def test_a_queue_that_is_away_is_told_once_and_its_return_too(queue, client, caplog):
    caplog.set_level("INFO")
    queue.problem = rpc.QueueDown("away")
    for number in range(20):
        client.hint("note", {"what": number})
    wait_until(lambda: "dropped" in caplog.text)
    client.close(timeout_s=5)
    queue.problem = None
    client.hint("note", {"what": "back"})
    wait_until(lambda: queue.sent == [("topic", "note", {"what": "back"})])
    wait_until(lambda: "get through again" in caplog.text)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "20 were dropped" in caplog.text


def test_those_that_wait_are_bounded(queue, client):
    queue.held = True
    for number in range(HINTS_MAX + 500):
        client.hint("note", {"what": number})
    queue.held = False
    wait_until(lambda: len(queue.sent) >= HINTS_MAX)
    client.close(timeout_s=5)
    assert len(queue.sent) == HINTS_MAX


def test_the_same_hint_for_another_account_is_another(queue, client):
    for account in ("1", "2", "1"):
        client.hint("note", context=rpc.Context("req", account))
    client.close(timeout_s=5)
    assert len(queue.sent) == 2


def test_closing_does_not_wait_longer_than_it_was_told(queue, client):
    queue.held = True
    client.hint("note")
    client.close(timeout_s=0.01)
    queue.held = False
    client.hint("note", {"what": "later"})
    wait_until(lambda: queue.sent == [("topic", "note", {"what": "later"})])
