"""The queue on RabbitMQ: what it promises beyond the port. A real broker."""

import contextlib
import time
import uuid

import kombu
import pytest
from support.queues import Recorder

from nova_wsgi import green, rpc
from nova_wsgi.errors import ConfigError
from nova_wsgi.rpc.amqp import AmqpTransport
from nova_wsgi.rpc.messages import encode_message
from nova_wsgi.testing import free_port, wait_until


@pytest.fixture
def proxy(rabbitmq):
    made = rabbitmq.proxied()
    yield made
    made.close()


@contextlib.contextmanager
def channel(site):
    with kombu.Connection(site.place) as connection:
        yield connection.default_channel


def publish(site, *bodies):
    """Put bytes of our own into the topic's queue."""
    with channel(site) as opened:
        for body in bodies:
            kombu.Producer(opened).publish(
                body, routing_key=f"nova.{site.topic}", content_type="application/json", content_encoding="binary"
            )


def left(site):
    """(messages that wait, consumers) of the topic's queue."""
    with channel(site) as opened:
        found = opened.queue_declare(f"nova.{site.topic}", passive=True)
        return found.message_count, found.consumer_count


def test_a_message_without_a_consumer_waits_for_one(amqp):
    client = amqp.client()
    client.cast("note", {"what": "kept"})
    client.cast("note", {"what": "kept for a host"}, host="host-1")
    call = green.spawn(client.call, "note", {"what": "called"})
    manager = Recorder("host-1")
    amqp.consumer(manager)
    assert call.wait() == "called"
    wait_until(lambda: sorted(manager.seen) == ["called", "kept", "kept for a host"])


def test_a_consumer_that_is_closed_gives_back_what_it_had_not_ended(amqp):
    first, second = Recorder("first"), Recorder("second")
    closing = amqp.consumer(first, handlers_max=1)
    client = amqp.client()
    call = green.spawn(client.call, "wait", {"what": "given back", "then_return": "by the second"})
    wait_until(lambda: first.waiting)
    second.open_gate = True
    amqp.consumer(second)
    closing.close()
    assert call.wait() == "by the second"
    assert second.seen == ["given back"]


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"id": "' + b"x" * 1000 + b'"}'])
def test_what_is_no_message_is_dropped(amqp, body):
    manager = Recorder()
    amqp.consumer(manager)
    publish(amqp, body, body)
    assert amqp.client().call("note", {"what": "after"}) == "after"
    wait_until(lambda: left(amqp) == (0, 1))
    assert manager.seen == ["after"]


def test_a_message_that_comes_twice_while_it_runs_is_run_once(amqp):
    manager = Recorder()
    consumer = amqp.consumer(manager, handlers_max=5)
    message = rpc.Message("wait", {"what": "twice"}, rpc.Context(), uuid.uuid4().hex)
    data = encode_message(message, size_max=10_000)
    publish(amqp, data, data, data)
    client = amqp.client()
    client.call("note", {"what": "it has come"})  # the queue is in order
    assert manager.waiting == 1
    manager.open_gate = True
    wait_until(lambda: len(manager.seen) == 2)
    consumer.stop()
    assert consumer.wait_idle(5)
    consumer.close()
    assert left(amqp) == (0, 0), "each copy was acknowledged"


def test_a_queue_made_with_other_limits_is_used_as_it_is(amqp, caplog):
    manager = Recorder()
    amqp.consumer(manager, queue_max=100)
    changed = amqp.client(queue_max=200)
    assert changed.call("note", {"what": "still works"}) == "still works"
    assert "is used as it is on the broker" in caplog.text


def test_a_queue_that_is_removed_is_made_again(amqp):
    manager = Recorder()
    amqp.consumer(manager)
    client = amqp.client()
    client.cast("note", {"what": "before"})
    with channel(amqp) as opened:
        opened.queue_delete(f"nova.{amqp.topic}")
    client.cast("note", {"what": "after"})
    wait_until(lambda: manager.seen == ["before", "after"])


def test_heartbeats_go_on_while_a_handler_works_long(amqp, caplog):
    manager = Recorder()
    amqp.heartbeat_s = 2  # the option's least; RabbitMQ cuts off who is silent for two to three times as long
    amqp.consumer(manager)
    opening = green.spawn_after(6.5, setattr, manager, "open_gate", True)
    assert amqp.client().call("wait", {"what": "long"}) == "waited"
    opening.wait()
    assert manager.seen == ["long"]
    assert "has lost" not in caplog.text


def test_a_handler_that_outlives_its_connection_is_not_run_again_beside_itself(amqp, proxy, caplog):
    manager = Recorder()
    client = amqp.client()
    amqp.place = proxy.url
    amqp.consumer(manager)
    call = green.spawn(client.call, "wait", {"what": "long"}, timeout_s=20)
    wait_until(lambda: manager.waiting)
    proxy.cut()
    wait_until(lambda: "has lost" in caplog.text)
    assert client.call("note", {"what": "given after the first again"}, timeout_s=20)
    assert manager.waiting == 1
    manager.open_gate = True
    assert call.wait() == "waited"
    assert sorted(manager.seen) == ["given after the first again", "long"]
    wait_until(lambda: left(amqp) == (0, 1))


def test_a_connection_that_has_gone_silent_is_made_again(amqp, proxy, caplog):
    manager = Recorder()
    client = amqp.client()
    amqp.place, amqp.heartbeat_s = proxy.url, 1
    amqp.consumer(manager)
    proxy.silence()
    assert client.call("note", {"what": "late"}, timeout_s=20) == "late"
    assert "has lost" in caplog.text


def test_the_queue_of_replies_is_removed_at_the_end(amqp):
    amqp.consumer(Recorder())
    transport = AmqpTransport(amqp.place)
    rpc.Client(transport, amqp.topic).call("where")
    name = transport._replies.queue.name
    with channel(amqp) as opened:
        assert opened.queue_declare(name, passive=True).consumer_count == 1
    transport.close()
    with channel(amqp) as opened, pytest.raises(opened.connection.channel_errors, match="NOT_FOUND"):
        opened.queue_declare(name, passive=True)


def test_over_tls_the_brokers_certificate_is_checked(amqp, rabbitmq, authority):
    manager = Recorder()
    amqp.consumer(manager)
    checked = AmqpTransport(rabbitmq.tls_url, ca_file=str(authority.path))
    assert rpc.Client(checked, amqp.topic, timeout_s=10).call("where") == "host-1"
    checked.close()
    unknown = AmqpTransport(rabbitmq.tls_url)
    with pytest.raises(rpc.QueueDown, match="certificate"):
        rpc.Client(unknown, amqp.topic, send_timeout_s=1).cast("where")
    unknown.close()


def test_a_broker_that_is_not_there_costs_no_more_than_the_timeout(caplog):
    url = f"amqp://somebody:hush@127.0.0.1:{free_port()}//"
    transport = AmqpTransport(url)
    client = rpc.Client(transport, "topic", timeout_s=0.3, send_timeout_s=0.3)
    began = time.monotonic()
    for send in (client.call, client.cast, client.fanout):
        with pytest.raises(rpc.QueueDown) as caught:
            send("note", {"what": 1})
        assert "hush" not in str(caught.value)
    client.hint("note", {"what": 1})
    wait_until(lambda: "hints to topic are dropped" in caplog.text)
    assert time.monotonic() - began < 5
    client.close()
    transport.close()
    assert "hush" not in caplog.text


def test_of_several_brokers_the_first_that_answers_is_used(amqp):
    amqp.consumer(Recorder())
    transport = AmqpTransport(f"amqp://guest:guest@127.0.0.1:{free_port()}//;{amqp.place}")
    client = rpc.Client(transport, amqp.topic, timeout_s=10)
    assert client.call("where") == "host-1"
    transport.close()


def test_a_wrong_password_is_told_and_not_shown(amqp, caplog):
    url = amqp.place.replace("guest:guest", "guest:hush")
    transport = AmqpTransport(url)
    client = rpc.Client(transport, amqp.topic, send_timeout_s=0.5)
    with pytest.raises(rpc.QueueDown, match="ACCESS_REFUSED"):
        client.cast("note", {"what": 1})
    transport.close()
    assert "hush" not in caplog.text


@pytest.mark.parametrize(
    "url", ["amqp://host:port//", "amqp://[::1//", "amqp://u:hush/x@host//", "amqp://u:hush#x@host//"]
)
def test_what_is_no_url_is_a_mistake_in_the_options_and_not_repeated(url):
    with pytest.raises(ConfigError, match="percent-encoded") as caught:
        AmqpTransport(url)
    assert "hush" not in str(caught.value)
