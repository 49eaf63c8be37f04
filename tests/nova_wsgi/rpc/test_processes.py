"""The queue between real processes, on both drivers: soft and hard ends, losses, floods."""

import contextlib
import json
import signal
import statistics
import time

import pytest
from support.queues import PROGRAM_TOPIC, Worker
from support.rabbitmq import RESTART_TIMEOUT_S

from nova_wsgi import green, rpc
from nova_wsgi.rpc.amqp import AmqpTransport
from nova_wsgi.rpc.amqp_link import RECONNECT_MAX_S
from nova_wsgi.rpc.embedded import EmbeddedTransport
from nova_wsgi.testing import resident_size, wait_until, workers

MiB = 1 << 20


@pytest.fixture(params=["embedded", "amqp"])
def url(request, tmp_path):
    if request.param == "embedded":
        return f"embedded:{tmp_path / 'queue'}"
    broker = request.getfixturevalue("rabbitmq")
    broker.forget(f"nova.{PROGRAM_TOPIC}")
    return broker.url


@contextlib.contextmanager
def sender(url, *, timeout_s=20, send_timeout_s=30, **limits):
    bounds = rpc.QueueLimits(**limits)
    scheme, _, rest = url.partition(":")
    transport = EmbeddedTransport(rest, limits=bounds) if scheme == "embedded" else AmqpTransport(url, limits=bounds)
    try:
        yield rpc.Client(transport, PROGRAM_TOPIC, timeout_s=timeout_s, send_timeout_s=send_timeout_s)
    finally:
        transport.close()


def test_calls_and_casts_reach_another_process(url, tmp_path):
    with Worker(tmp_path / "worker", url) as worker, sender(url) as client:
        assert client.call("note", {"what": "called"}) == worker.pid
        client.cast("note", {"what": "cast"})
        client.fanout("note", {"what": "fanned"})
        assert sorted(worker.wait_said("noted", 3)) == ["called", "cast", "fanned"]
        with pytest.raises(rpc.RemoteError, match="UnknownMethod"):
            client.call("init_host")


def test_each_process_of_a_service_takes_messages(url, tmp_path):
    options = ("--worker-processes=3", "--rpc-handlers-max=4")
    with Worker(tmp_path / "worker", url, *options) as worker, sender(url) as client:
        processes = set(workers(worker.pid))
        assert len(processes) == 3
        answered = wait_until(lambda: _answered_by(client, 30) == processes and processes)
        assert answered == processes
        client.fanout("note", {"what": "to all"})
        wait_until(lambda: worker.said("noted").count("to all") == 3)
        assert worker.stop() == 0
    assert len(worker.said("cleanup")) == 3


def _answered_by(client, count):
    calls = [green.spawn(client.call, "note", {"what": "who"}) for _ in range(count)]
    return {call.wait() for call in calls}


def test_a_soft_stop_waits_for_the_call_in_flight_and_takes_nothing_new(url, tmp_path):
    with Worker(tmp_path / "worker", url) as worker, sender(url) as client:
        call = green.spawn(client.call, "hold", {"what": "taken"})
        worker.wait_said("begun")
        worker.send_signal(signal.SIGTERM)
        worker.wait_for_output("stopping on SIGTERM: 1 calls in flight")
        with contextlib.suppress(rpc.NoConsumer):  # RabbitMQ keeps it for the next one
            client.cast("note", {"what": "too late"})
        worker.open_gate()
        assert call.wait() == "taken"
        assert worker.wait() == 0
    assert worker.said("ended") == ["taken"]
    assert worker.said("noted") == []
    assert len(worker.said("cleanup")) == 1


@pytest.mark.parametrize("signals", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGINT]], ids=["two SIGTERM", "SIGINT"])
def test_a_hard_stop_ends_the_call_in_flight(url, tmp_path, signals):
    with Worker(tmp_path / "worker", url) as worker, sender(url) as client:
        client.cast("hold", {"what": "ended"})
        worker.wait_said("begun")
        for number in signals:
            worker.send_signal(number)
            worker.wait_for_output(number.name)
        assert worker.wait(5) == 128 + signals[-1]
    assert worker.said("ended") == []
    if not url.startswith("embedded"):  # what was not acknowledged is given to the next one
        worker.open_gate()
        with Worker(tmp_path / "worker", url) as second:
            assert second.wait_said("ended") == ["ended"]


def test_at_the_deadline_of_a_soft_stop_what_still_goes_on_is_ended(url, tmp_path):
    options = ("--graceful-shutdown-timeout=0.5",)
    with Worker(tmp_path / "worker", url, *options) as worker, sender(url) as client:
        client.cast("hold", {"what": "too long"})
        worker.wait_said("begun")
        began = time.monotonic()
        assert worker.stop() == 1
        assert time.monotonic() - began < 4
    assert worker.said("ended") == []
    assert len(worker.said("cleanup")) == 1


def test_a_flood_is_refused_and_the_consumers_memory_stays_bounded(tmp_path):
    url = f"embedded:{tmp_path / 'queue'}"
    options = ("--rpc-handlers-max=1", "--rpc-queue-max=1000000")
    with Worker(tmp_path / "worker", url, *options) as worker, sender(url) as client:
        client.cast("hold", {"what": "busy"})
        worker.wait_said("begun")
        before = resident_size(worker.pid)
        what = "x" * (512 << 10)
        accepted = 0
        with pytest.raises(rpc.QueueFull):  # noqa: PT012
            for _ in range(1000):
                client.cast("note", {"what": what})
                accepted += 1
        assert 100 <= accepted <= 128  # 64 MiB
        for _ in range(50):
            with pytest.raises(rpc.QueueFull):
                client.cast("note", {"what": what})
        assert resident_size(worker.pid) - before < 110 * MiB
        worker.open_gate()
        assert len(worker.wait_said("noted", accepted)) == accepted


def test_without_a_broker_a_cast_between_processes_arrives_at_once(tmp_path):
    url = f"embedded:{tmp_path / 'queue'}"
    with Worker(tmp_path / "worker", url) as worker, sender(url) as client:
        for _ in range(100):
            client.cast("note_arrival", {"sent_at": time.monotonic()})
        latencies_s = [float(line) for line in worker.wait_said("arrived", 100)]
        assert statistics.median(latencies_s) < 0.020
        (tmp_path / "latency.json").write_text(json.dumps(sorted(latencies_s)))


def test_without_a_broker_a_killed_consumers_call_fails_and_the_next_goes_to_another(tmp_path):
    url = f"embedded:{tmp_path / 'queue'}"
    sockets = tmp_path / "queue" / PROGRAM_TOPIC
    with sender(url) as client, Worker(tmp_path / "second", url) as second:
        with Worker(tmp_path / "first", url) as first:
            assert len(list(sockets.rglob("*.sock"))) == 2
            calls = [green.spawn(_outcome, client.call, "hold", {"what": f"{number}"}) for number in range(2)]
            first.wait_said("begun")
            second.wait_said("begun")
            first.kill()
            outcomes = wait_until(lambda: [call.wait() for call in calls if call.dead])
            assert outcomes == [rpc.ConsumerLost]
            for _ in range(10):
                assert client.call("note", {"what": "next"}) == second.pid
            second.open_gate()
            assert sorted(str(call.wait()) for call in calls)[0] in ("0", "1")
        with sender(url) as newcomer:  # it finds the dead socket in the directory
            for _ in range(4):
                newcomer.cast("note", {"what": "from a newcomer"})
        assert len(list(sockets.rglob("*.sock"))) == 1
    with sender(url) as client, pytest.raises(rpc.NoConsumer):
        client.cast("note", {"what": "nobody"})
    assert list(sockets.rglob("*.sock")) == []


def _outcome(call, *arguments):
    try:
        return call(*arguments)
    except rpc.QueueError as error:
        return type(error)


def test_over_rabbitmq_a_killed_consumers_messages_are_done_by_the_next(rabbitmq, tmp_path):
    url = rabbitmq.url
    rabbitmq.forget(f"nova.{PROGRAM_TOPIC}")
    with sender(url) as client:
        with Worker(tmp_path / "worker", url, "--rpc-handlers-max=1") as first:
            for number in range(5):
                client.cast("die_once", {"what": f"{number}"})
            assert first.wait() == -signal.SIGKILL
        call = green.spawn(client.call, "note", {"what": "asked while nobody is there"})
        with Worker(tmp_path / "worker", url) as second:
            assert sorted(second.wait_said("survived", 5)) == ["0", "1", "2", "3", "4"]
            assert call.wait() == second.pid


def test_rabbitmq_stops_and_starts_during_200_casts_and_all_are_done(rabbitmq, tmp_path):
    url = rabbitmq.url
    rabbitmq.forget(f"nova.{PROGRAM_TOPIC}")
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(Worker(tmp_path / "worker", url))
        # They span the broker's restart, which takes as long as its machine makes it: ours is what comes after.
        client = stack.enter_context(sender(url, timeout_s=RESTART_TIMEOUT_S, send_timeout_s=RESTART_TIMEOUT_S))

        def cast_all():
            for number in range(200):
                client.cast("note", {"what": f"{number}"})

        casting = green.spawn(cast_all)
        worker.wait_said("noted", 50)
        held = green.spawn(client.call, "hold", {"what": "across the restart"})
        worker.wait_said("begun")
        rabbitmq.stop()
        stack.callback(rabbitmq.ensure_started)
        assert len(set(worker.said("noted"))) < 200
        # One that starts meanwhile is up at once, and takes messages when the broker is there.
        second = stack.enter_context(Worker(tmp_path / "second", url, "--host=second"))
        second.wait_for_output("takes messages as soon as the queue can be reached")
        rabbitmq.start()
        casting.wait()

        def noted():
            return {what for each in (worker, second) for what in each.said("noted")}

        wait_until(lambda: len(noted()) == 200, 2 * RECONNECT_MAX_S, what="200 distinct casts")
        worker.open_gate()
        second.open_gate()
        assert held.wait() == "across the restart"
        assert client.call("note", {"what": "200"}, host="second") == second.pid
        assert worker.stop() == second.stop() == 0
        assert noted() == {f"{number}" for number in range(201)}
