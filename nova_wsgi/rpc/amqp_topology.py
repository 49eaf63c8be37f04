"""What the queue has on RabbitMQ: its queues and exchanges, by name and arguments.

nova.<topic>             quorum queue: one consumer of the topic gets each message
nova.<topic>.<host>      quorum queue: one on that host; gone when nobody has listened to it for a week
nova.<topic>.fanout      fanout exchange, and a queue of each consumer's own on it
nova.reply.<unique>      a sending process's replies: it survives the broker's restart, and a while without its owner
"""

from __future__ import annotations

import logging
from typing import Any

from amqp.exceptions import PreconditionFailed
from kombu import Exchange, Queue

from nova_wsgi.rpc.messages import Address
from nova_wsgi.rpc.port import QueueLimits

log = logging.getLogger(__name__)

PREFIX = "nova"
DELIVERIES_MAX = 20  # of one message: restarts and lost connections count, so it is more than a few
HOST_QUEUE_EXPIRES_S = (
    7 * 24 * 3600
)  # a host that is down for a holiday finds its messages; one that is gone leaves none
REPLY_QUEUE_EXPIRES_S = 600  # a caller that has been away from the broker for so long has given up


def address_queue(address: Address, limits: QueueLimits) -> Queue:
    """The queue of a topic, or of a topic on a host. Beyond ``queue_max`` the broker refuses (reject-publish)."""
    name = f"{PREFIX}.{address.topic}" if address.host is None else f"{PREFIX}.{address.topic}.{address.host}"
    arguments = {
        "x-queue-type": "quorum",
        "x-max-length": limits.queue_max,
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERIES_MAX,
    }
    if address.host is not None:
        arguments["x-expires"] = HOST_QUEUE_EXPIRES_S * 1000
    return Queue(name, durable=True, queue_arguments=arguments)


def fanout_exchange(topic: str) -> Exchange:
    """Hands what it gets to every consumer of the topic."""
    return Exchange(f"{PREFIX}.{topic}.fanout", type="fanout", durable=True)


def fanout_queue(topic: str, unique: str, limits: QueueLimits) -> Queue:
    """A consumer's own copy of what is sent to every one; gone with its connection."""
    return Queue(
        f"{PREFIX}.{topic}.fanout.{unique}",
        exchange=fanout_exchange(topic),
        durable=False,
        exclusive=True,
        auto_delete=True,
        queue_arguments={"x-max-length": limits.queue_max, "x-overflow": "reject-publish"},
    )


def reply_queue(unique: str) -> Queue:
    """A sending process's replies."""
    return Queue(
        f"{PREFIX}.reply.{unique}",
        durable=True,
        queue_arguments={"x-expires": REPLY_QUEUE_EXPIRES_S * 1000},
    )


def declare(connection: Any, entity: Queue | Exchange) -> None:
    """Make sure the queue or exchange is there; ``connection`` is py-amqp's, and no other greenthread reads it.

    One that is there with other arguments (made by another release, or before ``queue_max`` was changed) is used as
    it is: it cannot be changed in place, and deleting it would lose its messages.
    """
    channel = connection.channel()
    try:
        entity(channel).declare()
    except PreconditionFailed as error:
        log.warning("%s is used as it is on the broker: %s", entity.name, error.reply_text)
    finally:
        if channel.is_open:
            channel.close()
