"""What every driver of the queue's port promises."""

import time

import pytest
from support.queues import Recorder, deep

from nova_wsgi import green, logs, rpc
from nova_wsgi.testing import wait_until


def seen(manager, count):
    """Wait until the manager has seen as many messages as that, and give them."""
    wait_until(lambda: len(manager.seen) >= count, what=f"{count} messages")
    return manager.seen


# -- calls and casts


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, 2**70, "", "Grüße \U0001f600 \x00", [], {}, {"a": [1, {"b": None}]}, "x" * 500_000],
    ids=lambda value: f"{value!r:.20}",
)
def test_a_call_returns_what_the_method_returned(site, value):
    manager = Recorder()
    site.consumer(manager)
    assert site.client().call("note", {"what": value}) == value
    assert manager.seen == [value]


def test_calls_at_the_same_time_each_get_their_own_answer(site):
    site.consumer(Recorder())
    client = site.client()
    threads = [green.spawn(client.call, "add", {"first": number}) for number in range(100)]
    assert [thread.wait() for thread in threads] == [number + 1 for number in range(100)]


def test_a_method_works_on_values_of_its_own(site):
    manager = Recorder()
    site.consumer(manager)
    given = {"what": ["one"]}
    returned = site.client().call("note", given)
    returned.append("two")
    assert given == {"what": ["one"]}
    assert manager.seen == [["one"]]


def test_casts_are_run_each_once_while_nothing_goes_wrong(site):
    manager = Recorder()
    site.consumer(manager)
    client = site.client()
    for number in range(50):
        client.cast("note", {"what": number})
    assert sorted(seen(manager, 50)) == list(range(50))


def test_a_cast_that_fails_harms_nobody(site):
    manager = Recorder()
    site.consumer(manager)
    client = site.client()
    client.cast("fail", {"how": "bug"})
    client.cast("no_such_method")
    assert client.call("note", {"what": "after"}) == "after"
    assert set(seen(manager, 2)) == {"bug", "after"}


# -- errors


@pytest.mark.parametrize(
    ("method", "arguments", "kind", "text"),
    [
        ("fail", {"how": "fact"}, "NoSuchImage", "ami-1"),
        ("fail", {"how": "bug"}, "KeyError", "'left out'"),
        ("fail", {"how": "long"}, "NovaError", "x" * 2000),
        ("return_odd", {"what": "bytes"}, "BadResult", "not JSON"),
        ("return_odd", {"what": "nan"}, "BadResult", "not JSON"),
        ("return_odd", {"what": "deep"}, "BadResult", "not JSON"),
        ("return_odd", {"what": "large"}, "BadResult", "bytes"),
    ],
)
def test_what_a_method_raises_is_a_remote_error_with_its_kind(site, method, arguments, kind, text):
    site.consumer(Recorder())
    with pytest.raises(rpc.RemoteError) as caught:
        site.client().call(method, arguments)
    assert caught.value.kind == kind
    assert text in caught.value.message
    assert len(caught.value.message) <= 2000


@pytest.mark.parametrize(
    ("method", "arguments", "kind"),
    [
        ("no_such_method", {}, "UnknownMethod"),
        ("helper", {}, "UnknownMethod"),  # public, but not exposed
        ("_private", {}, "UnknownMethod"),
        ("init_host", {}, "UnknownMethod"),  # a hook of every Manager
        ("__class__", {}, "UnknownMethod"),
        ("seen", {}, "UnknownMethod"),  # no method at all
        ("", {}, "UnknownMethod"),
        ("add", {}, "BadArguments"),
        ("add", {"first": 1, "third": 3}, "BadArguments"),
        ("add", {"self": 1, "first": 1}, "BadArguments"),
        ("add", {"first": "1"}, "BadArguments"),
        ("add", {"first": True}, "BadArguments"),
        ("add", {"first": 1.5}, "BadArguments"),
        ("add", {"first": None}, "BadArguments"),
        ("add", {"first": 1, "factor": "2"}, "BadArguments"),
        ("add", {"first": 1, "unit": 5}, "BadArguments"),
    ],
)
def test_what_cannot_be_run_is_a_remote_error_and_runs_nothing(site, method, arguments, kind):
    manager = Recorder()
    site.consumer(manager)
    with pytest.raises(rpc.RemoteError) as caught:
        site.client().call(method, arguments)
    assert caught.value.kind == kind
    assert manager.seen == []


@pytest.mark.parametrize(
    "arguments",
    [{"what": b"raw"}, {"what": {1, 2}}, {"what": float("inf")}, {"what": deep(100_000)}, {"what": "\ud800"}],
)
def test_arguments_that_cannot_travel_are_refused_before_they_do(site, arguments):
    manager = Recorder()
    site.consumer(manager)
    client = site.client()
    for send in (client.call, client.cast, client.fanout, client.hint):
        with pytest.raises(rpc.BadMessage):
            send("note", arguments)
    assert manager.seen == []


def test_a_message_larger_than_the_limit_is_refused(site):
    manager = Recorder()
    site.consumer(manager)
    client = site.client(message_size_max=2000)
    with pytest.raises(rpc.MessageTooLarge, match=r"note: .* bytes"):
        client.cast("note", {"what": "x" * 2000})
    assert client.call("note", {"what": "x" * 1000}) == "x" * 1000


def test_a_call_that_takes_too_long_times_out_and_disturbs_no_later_one(site):
    manager = Recorder()
    site.consumer(manager)
    client = site.client()
    began = time.monotonic()
    with pytest.raises(rpc.CallTimeout, match=r"wait within 0.3 s"):
        client.call("wait", {"what": "slow"}, timeout_s=0.3)
    assert 0.25 < time.monotonic() - began < 2
    manager.open_gate = True
    assert seen(manager, 1) == ["slow"]
    assert client.call("note", {"what": "later"}) == "later"


def test_a_call_whose_caller_has_given_up_is_not_begun(site):
    manager = Recorder()
    site.consumer(manager, handlers_max=1)
    client = site.client()
    client.cast("wait", {"what": "first"})
    wait_until(lambda: manager.waiting)
    for timeout_s in (0.2, 0.3):  # when the second one gives up, the first one did long ago
        with pytest.raises(rpc.CallTimeout):
            client.call("note", {"what": f"given up after {timeout_s}"}, timeout_s=timeout_s)
    manager.open_gate = True
    assert client.call("note", {"what": "last"}) == "last"
    assert "first" in manager.seen
    assert "given up after 0.2" not in manager.seen


# -- addresses


def test_one_consumer_of_the_topic_gets_each_message(site):
    managers = [Recorder("host-1"), Recorder("host-2"), Recorder("host-2")]
    for manager in managers:
        site.consumer(manager)
    client = site.client()
    for number in range(90):
        client.cast("note", {"what": number})
    wait_until(lambda: sum(len(manager.seen) for manager in managers) >= 90)
    assert sorted(what for manager in managers for what in manager.seen) == list(range(90))
    assert all(len(manager.seen) > 10 for manager in managers)


def test_a_busy_consumer_leaves_the_work_to_an_idle_one(site):
    busy, idle = Recorder("busy"), Recorder("idle")
    site.consumer(busy, handlers_max=1)
    client = site.client()
    client.cast("wait")
    wait_until(lambda: busy.waiting)
    site.consumer(idle, handlers_max=1)
    for number in range(20):
        client.call("note", {"what": number})
    assert idle.seen == list(range(20))
    assert busy.seen == []


def test_a_message_to_a_host_goes_there(site):
    managers = {host: Recorder(host) for host in ("host-1", "host-2", "host-2.example.org")}
    for manager in managers.values():
        site.consumer(manager)
    client = site.client()
    for host in managers:
        assert client.call("where", host=host) == host
        client.cast("note", {"what": host}, host=host)
    for host, manager in managers.items():
        assert seen(manager, 1) == [host]


def test_a_fanout_goes_to_every_consumer_once(site):
    managers = [Recorder("host-1"), Recorder("host-2"), Recorder("host-2")]
    for manager in managers:
        site.consumer(manager)
    client = site.client()
    client.fanout("note", {"what": "all"})
    client.fanout("note", {"what": "again"})
    for manager in managers:
        assert sorted(seen(manager, 2)) == ["again", "all"]


def test_a_fanout_to_nobody_is_no_error(site):
    site.client().fanout("note", {"what": "anybody"})


def test_topics_do_not_mix(site):
    manager = Recorder()
    site.consumer(manager)
    other = rpc.Client(site.transport(), f"{site.topic}-x")
    other.fanout("note", {"what": "elsewhere"})
    assert site.client().call("note", {"what": "here"}) == "here"
    assert manager.seen == ["here"]


@pytest.mark.parametrize("name", ["", "a.b", "../up", "a/b", "a b", "ä", "x" * 65, ".", "-" * 65, "a\n"])
def test_a_topic_that_is_no_name_is_refused(site, name):
    with pytest.raises(ValueError, match="topic"):
        rpc.Client(site.transport(), name)
    with pytest.raises(ValueError, match="topic"):
        site.transport().listen(name, "host", lambda message: rpc.Reply(message.id))


@pytest.mark.parametrize("host", ["", "../up", "a/b", "..", "x" * 254])
def test_a_host_that_is_no_name_is_refused(site, host):
    with pytest.raises(ValueError, match="host"):
        site.client().cast("note", {"what": 1}, host=host)


# -- context


def test_the_context_travels_with_the_message(site):
    manager = Recorder()
    site.consumer(manager)
    client = site.client()
    context = rpc.Context("req-1", account="123456789012")
    assert client.call("request_id_logged", context=context) == "req-1"
    client.call("note", {"what": "called"}, context=context)
    client.cast("note", {"what": "cast"}, context=context)
    client.fanout("note", {"what": "fanned"}, context=context)
    seen(manager, 3)
    assert manager.contexts == [context] * 3


def test_without_another_the_request_being_worked_on_is_the_context(site):
    manager = Recorder()
    site.consumer(manager)

    def work():
        logs.bind_request_id("req-of-a-request")
        return site.client().call("note", {"what": 1})

    green.spawn(work).wait()
    assert manager.contexts == [rpc.Context("req-of-a-request", account=None)]


# -- bounds


def test_a_flood_is_refused_and_what_was_accepted_is_run(site):
    manager = Recorder()
    limits = {"handlers_max": 2, "queue_max": 20}
    consumer = site.consumer(manager, **limits)
    client = site.client(**limits)
    for _ in range(2):
        client.cast("wait", {"what": "busy"})
    wait_until(lambda: manager.waiting == 2)
    accepted = 0
    with pytest.raises(rpc.QueueFull, match=r"as many messages as may wait|wait already"):  # noqa: PT012
        for number in range(200):
            client.cast("note", {"what": number})
            accepted = number + 1
    assert 15 <= accepted <= 60  # the broker counts what it has handed out apart
    manager.open_gate = True
    assert sorted(seen(manager, accepted + 2), key=str) == sorted(["busy", "busy", *range(accepted)], key=str)
    assert client.call("note", {"what": "room again"}) == "room again"
    consumer.stop()
    assert consumer.wait_idle(5)


def test_a_flood_is_refused_to_those_who_call_too(site):
    manager = Recorder()
    limits = {"handlers_max": 1, "queue_max": 5}
    site.consumer(manager, **limits)
    client = site.client(**limits)
    client.cast("wait", {"what": "busy"})
    wait_until(lambda: manager.waiting == 1)
    threads = [green.spawn(_outcome, client.call, "note", {"what": number}) for number in range(40)]
    refused = wait_until(lambda: sum(thread.dead for thread in threads) >= 15 and threads)
    manager.open_gate = True
    outcomes = [thread.wait() for thread in refused]
    assert outcomes.count(rpc.QueueFull) >= 15
    assert len([value for value in outcomes if isinstance(value, int)]) == len(manager.seen) - 1 >= 5


def _outcome(call, *arguments):
    try:
        return call(*arguments)
    except rpc.QueueError as error:
        return type(error)


def test_no_more_handlers_run_at_once_than_may(site):
    manager = Recorder()
    site.consumer(manager, handlers_max=3)
    client = site.client()
    for number in range(10):
        client.cast("wait", {"what": number})
    wait_until(lambda: manager.waiting == 3)
    manager.open_gate = True
    assert sorted(seen(manager, 10)) == list(range(10))
    assert manager.most_waiting == 3


# -- stopping


def test_a_soft_stop_answers_what_was_taken_and_takes_nothing_new(site):
    stopping, fresh = Recorder("stopping"), Recorder("fresh")
    consumer = site.consumer(stopping)
    client = site.client()
    call = green.spawn(client.call, "wait", {"what": "taken", "then_return": "answered"})
    wait_until(lambda: stopping.waiting)
    consumer.stop()
    site.consumer(fresh)
    for number in range(10):
        client.cast("note", {"what": number})
    assert sorted(seen(fresh, 10)) == list(range(10))
    assert consumer.wait_idle(0.05) is False
    stopping.open_gate = True
    assert call.wait() == "answered"
    assert consumer.wait_idle(5) is True
    consumer.close()
    assert stopping.seen == ["taken"]


def test_a_consumer_that_was_closed_leaves_nothing_running(site):
    manager = Recorder()
    consumer = site.consumer(manager)
    site.client().cast("wait", {"what": "ended"})
    wait_until(lambda: manager.waiting)
    consumer.close()
    assert manager.waiting == 0
    assert manager.in_flight() == []
    assert consumer.wait_idle(0) is True
    consumer.close()  # again is no error
    assert manager.seen == []


def test_every_call_is_tracked_by_its_manager(site):
    manager = Recorder()
    site.consumer(manager)
    client = site.client()
    client.cast("wait")
    wait_until(lambda: manager.waiting)
    ((name, since),) = manager.in_flight()
    assert name == "wait"
    assert 0 <= time.monotonic() - since < 5
    manager.open_gate = True
    seen(manager, 1)
    assert manager.calls.wait_idle(5)


# -- hints


def test_a_hint_neither_waits_nor_fails(site, caplog):
    manager = Recorder()
    site.consumer(manager)
    client = site.client()
    client.hint("note", {"what": "soon"})
    assert manager.seen == []
    assert seen(manager, 1) == ["soon"]
    client.close()


def test_the_same_hint_given_again_while_it_waits_is_one(site):
    manager = Recorder()
    site.consumer(manager)
    client = site.client()
    for number in range(50):
        client.hint("note", {"what": "collect"}, context=rpc.Context(f"req-{number}"))
    client.hint("note", {"what": "other"})
    client.close(timeout_s=5)
    wait_until(lambda: "other" in manager.seen)
    assert manager.seen.count("collect") == 1
