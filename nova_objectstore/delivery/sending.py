"""One message to one endpoint, by whichever protocol it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_objectstore.delivery.endpoints import BROKERS, Networks, read_endpoint
from nova_objectstore.delivery.errors import DeliveryFailed, InvalidTopicParameter
from nova_objectstore.delivery.messages import compose
from nova_objectstore.delivery.ports import Subscription, Waiting
from nova_objectstore.delivery.topics import ACK_LEVELS, AMQP_ACK_LEVEL, AMQP_EXCHANGE, VERIFY_TLS
from nova_objectstore.delivery.webhooks import Webhooks

if TYPE_CHECKING:
    from nova_objectstore.delivery.brokers import Brokers


class Sender:
    """Sends over the networks that may be reached. Kombu is imported when the first broker is to be reached."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._webhooks = Webhooks(networks)
        self._brokers: Brokers | None = None

    def __call__(self, subscription: Subscription, waiting: Waiting, /) -> None:
        """Send a message; return when the endpoint has taken it. Raises DeliveryFailed."""
        try:
            endpoint = read_endpoint(subscription.endpoint, schemes=(subscription.protocol,))
        except InvalidTopicParameter as error:  # it was taken by another release
            raise DeliveryFailed(error.message) from None
        message = compose(subscription, waiting)
        attributes = subscription.attributes
        if endpoint.scheme not in BROKERS:
            verifies_tls = attributes.get(VERIFY_TLS) != "false"
            self._webhooks.post(endpoint, message.body, message.headers, verifies_tls=verifies_tls)
            return
        self._open_brokers().publish(
            endpoint,
            message.body,
            message_id=message.id,
            exchange=attributes.get(AMQP_EXCHANGE, ""),
            routing_key=subscription.topic_arn.rpartition(":")[2],
            must_arrive=attributes.get(AMQP_ACK_LEVEL, ACK_LEVELS[0]) == "routable",
        )

    def _open_brokers(self) -> Brokers:
        if self._brokers is None:
            try:
                from nova_objectstore.delivery.brokers import Brokers
            except ImportError:
                raise DeliveryFailed("AMQP needs the extra: pip install nova-wsgi[amqp]") from None
            self._brokers = Brokers(self._networks)
        return self._brokers

    def close(self) -> None:
        """Close what is open. Idempotent."""
        if self._brokers is not None:
            self._brokers.close()
