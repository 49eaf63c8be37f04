"""Client: send messages to the services of a topic.

    worker = rpc.Client(transport, "objectstore-worker")
    worker.hint("collect")                                           # soon, by somebody; the next sweep would anyway
    worker.cast("register_image", {"image_id": image_id})            # accepted by the queue, or an error
    state = worker.call("image_state", {"image_id": image_id}, timeout_s=5)

A message is a hint and the database the truth: what must happen is written there first. So most senders want
:meth:`Client.hint`: it never waits, never fails, and nothing is lost that the next sweep would not find.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from nova_wsgi.rpc.context import Context, current_context
from nova_wsgi.rpc.hints import Hints
from nova_wsgi.rpc.messages import Address, Message
from nova_wsgi.rpc.port import Transport

CALL_TIMEOUT_S = 60.0
SEND_TIMEOUT_S = 30.0  # what a restart of the broker takes, and some


class Client:
    """Sends messages to one topic, with the context of the message or request that is being worked on.

    ``timeout_s``: how long a call waits for its reply unless it says otherwise. ``send_timeout_s``: how long a cast
    may wait until the queue takes it. Raises ValueError for a topic that is no name.
    """

    def __init__(
        self,
        transport: Transport,
        topic: str,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        self.topic = topic
        self._transport = transport
        self._anyone = Address(topic)
        self._timeout_s = timeout_s
        self._send_timeout_s = send_timeout_s
        self._hints = Hints(transport, send_timeout_s=send_timeout_s)

    def call(
        self,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        host: str | None = None,
        timeout_s: float | None = None,
        context: Context | None = None,
    ) -> Any:
        """Have one consumer (of ``host``) run the method; return what it returned.

        Raises RemoteError for what it raised or why it was not run, CallTimeout after ``timeout_s``, and the other
        QueueErrors when the message did not get through. After a CallTimeout, a ConsumerLost or a QueueDown the
        method may have run.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        message = _message(method, arguments, context, timeout_s)
        return self._transport.request(self._address(host), message).value()

    def cast(
        self,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        host: str | None = None,
        context: Context | None = None,
    ) -> None:
        """Have one consumer (of ``host``) run the method, some time; returns when the queue has accepted it.

        Raises QueueFull, NoConsumer, QueueDown, BadMessage.
        """
        message = _message(method, arguments, context)
        self._transport.send(self._address(host), message, timeout_s=self._send_timeout_s)

    def fanout(
        self, method: str, arguments: Mapping[str, Any] | None = None, *, context: Context | None = None
    ) -> None:
        """Have every consumer there is at the moment run the method; none is no error. Raises what cast does."""
        message = _message(method, arguments, context)
        self._transport.send(Address(self.topic, fanout=True), message, timeout_s=self._send_timeout_s)

    def hint(
        self,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        host: str | None = None,
        context: Context | None = None,
    ) -> None:
        """Cast later, from a greenthread of the client's: never waits and never fails.

        The same hint given again while it waits is sent once. One that cannot be sent is dropped; the log says so
        once, until one gets through again. Raises BadMessage for arguments that cannot travel.
        """
        self._hints.put(self._address(host), _message(method, arguments, context))

    def close(self, timeout_s: float = 0.0) -> None:
        """Send the hints that wait, within ``timeout_s``; drop the others. The transport is the caller's."""
        self._hints.close(timeout_s)

    def _address(self, host: str | None) -> Address:
        return self._anyone if host is None else Address(self.topic, host)


def _message(
    method: str, arguments: Mapping[str, Any] | None, context: Context | None, timeout_s: float | None = None
) -> Message:
    return Message(
        method=method,
        arguments=arguments or {},
        context=context or current_context(),
        id=uuid.uuid4().hex,
        timeout_s=timeout_s,
    )
