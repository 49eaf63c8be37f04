"""Publish to AMQP 0-9-1 exchanges, with the broker's confirmation: what RabbitMQ has confirmed, it keeps."""

from __future__ import annotations

from collections import OrderedDict

from nova_objectstore.delivery.endpoints import Endpoint, Networks
from nova_objectstore.delivery.errors import DeliveryFailed
from nova_objectstore.delivery.limits import ANSWER_TIMEOUT_S
from nova_wsgi.errors import ConfigError
from nova_wsgi.rpc.amqp_link import Broker
from nova_wsgi.rpc.amqp_send import Letter, Publishers
from nova_wsgi.rpc.errors import QueueError

BROKERS_MAX = 32  # whose connections are kept; of each a few


class Brokers:
    """Connections to brokers that the networks allow."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._publishers: OrderedDict[str, Publishers] = OrderedDict()

    def publish(
        self, endpoint: Endpoint, body: bytes, *, message_id: str, exchange: str, routing_key: str, must_arrive: bool
    ) -> None:
        """Send, and return when the broker has confirmed it. ``must_arrive``: a queue must have taken it.

        The exchange must be there; it is not made. Raises DeliveryFailed.
        """
        self._networks.resolve(endpoint)
        letter = Letter(body, message_id, exchange=exchange, routing_key=routing_key, must_arrive=must_arrive)
        try:
            self._publishers_of(endpoint).post(letter, timeout_s=ANSWER_TIMEOUT_S)
        except (QueueError, ConfigError) as error:
            raise DeliveryFailed(str(error).replace("[rpc] url: ", "")) from None  # without the password: see Broker

    def _publishers_of(self, endpoint: Endpoint) -> Publishers:
        found = self._publishers.pop(endpoint.url, None) or Publishers(Broker(endpoint.url, heartbeat_s=0))
        self._publishers[endpoint.url] = found
        while len(self._publishers) > BROKERS_MAX:
            self._publishers.popitem(last=False)[1].close()
        return found

    def close(self) -> None:
        """Close the connections. Idempotent."""
        while self._publishers:
            self._publishers.popitem()[1].close()
