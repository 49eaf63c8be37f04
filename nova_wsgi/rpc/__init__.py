"""The queue: messages from service to service, by the names of topics, hosts and Manager methods.

    class WorkerManager(Manager):
        @rpc.exposed
        def register_image(self, image_id: str) -> None: ...

    transport = rpc.open_transport(conf)                       # in init_host: after the fork
    worker = rpc.Client(transport, "objectstore-worker")
    worker.hint("register_image", {"image_id": image_id})      # see Client: hint, cast, fanout, call

    sender                                             consumer (SystemService)
    client.py --- Message --->  a driver of port.py  --- Message ---> inbox.py -> dispatcher.py -> the Manager
                                embedded.py: in the process, or over unix sockets (rendezvous, peers, frames)
                                amqp.py: over RabbitMQ (amqp_link, amqp_send, amqp_topology); loaded when asked for

The map: ``port.py`` what a driver promises; ``messages.py`` the values and their JSON; ``context.py`` what travels with
each; ``errors.py`` what can go wrong; ``hints.py`` casts nobody waits for; ``options.py`` the options.

Messages are hints, the database is the truth: a job that must happen is a row, and a lost message only delays it until
the next sweep. So methods are idempotent, and who sends may treat a full queue or an absent consumer as no error.
"""

from nova_wsgi.rpc.client import Client
from nova_wsgi.rpc.context import Context, current_context
from nova_wsgi.rpc.dispatcher import Dispatcher, exposed
from nova_wsgi.rpc.errors import (
    BadMessage,
    CallTimeout,
    ConsumerLost,
    MessageTooLarge,
    NoConsumer,
    QueueDown,
    QueueError,
    QueueFull,
    RemoteError,
)
from nova_wsgi.rpc.messages import Address, Message, Reply
from nova_wsgi.rpc.options import open_transport, queue_limits, section
from nova_wsgi.rpc.port import Consumer, Handler, QueueLimits, Transport

__all__ = [
    "Address",
    "BadMessage",
    "CallTimeout",
    "Client",
    "Consumer",
    "ConsumerLost",
    "Context",
    "Dispatcher",
    "Handler",
    "Message",
    "MessageTooLarge",
    "NoConsumer",
    "QueueDown",
    "QueueError",
    "QueueFull",
    "QueueLimits",
    "RemoteError",
    "Reply",
    "Transport",
    "current_context",
    "exposed",
    "open_transport",
    "queue_limits",
    "section",
]
