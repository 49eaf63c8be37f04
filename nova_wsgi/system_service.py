"""SystemService: a Manager whose exposed methods are run by messages from the queue.

It listens on its topic (one of all its processes, on all hosts, gets a message), on ``topic.host``, and on the topic's
fanout (every process gets it).

Laws:

- No message is taken before ``init_host`` has returned.
- A soft stop takes no new message, lets what was taken end and be answered, and only then cleans up. What is still
  going at the deadline is ended: over RabbitMQ another consumer gets it again, and what must happen is in the database.
- A broker that cannot be reached when the service starts does not keep it from starting: it takes messages once it can.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from nova_wsgi.errors import ConfigError
from nova_wsgi.rpc.dispatcher import Dispatcher
from nova_wsgi.rpc.messages import Address
from nova_wsgi.rpc.options import open_transport
from nova_wsgi.rpc.port import Consumer, Transport
from nova_wsgi.service import Service

log = logging.getLogger(__name__)

READY_WAIT_S = 2.0  # how long a start waits for the broker, so that READY means that messages are taken


class SystemService(Service):
    """Runs the messages to a topic by a Manager, which the option ``<topic>_manager`` names.

    ``transport``: the queue, by default the one of the options (group ``rpc``). Raises ConfigError without a Manager,
    and for a topic or host that cannot be an address.
    """

    def __init__(self, *, transport: Transport | None = None, **names: Any) -> None:
        super().__init__(**names)
        if self._manager_class is None:
            raise ConfigError(f"{self.topic.replace('-', '_')}_manager: a service of the queue needs a Manager class")
        try:
            Address(self.topic, self.host)
        except ValueError as error:
            raise ConfigError(f"{self.binary} cannot listen: {error}") from None
        self._given_transport = transport
        self._transport: Transport | None = None
        self._dispatcher: Dispatcher | None = None
        self._consumer: Consumer | None = None
        self._leaving: list[Consumer] = []  # paused: they end what they had taken

    def requests_total(self) -> int:
        """How many messages this process has run."""
        return 0 if self._dispatcher is None else self._dispatcher.calls_total

    # -- enabled and disabled -----------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether it takes no messages, though it is up."""
        return self.state == "up" and self._consumer is None

    def pause(self) -> None:
        """Take no more messages, until :meth:`resume`; what was taken goes on."""
        if self._consumer is not None:
            self._consumer.stop()
            self._leaving.append(self._consumer)
            self._consumer = None

    def resume(self) -> None:
        """Take messages again."""
        if not self.paused:
            return
        for consumer in [idle for idle in self._leaving if idle.wait_idle(0.0)]:
            consumer.close()
            self._leaving.remove(consumer)
        self._consumer = self._listen()

    # -- the life -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        super()._open()
        try:
            (manager,) = self._own.managers
            self._dispatcher = Dispatcher(manager)
            self._transport = self._given_transport or open_transport(self.conf)
            self._consumer = self._listen()
        except BaseException:  # a hard stop too: the Manager came up, and holds files and locks
            self._own.close(time.monotonic())
            raise
        if not self._consumer.wait_ready(READY_WAIT_S):
            log.warning("%s takes messages as soon as the queue can be reached", self.topic)

    def _listen(self) -> Consumer:
        assert self._transport is not None
        assert self._dispatcher is not None
        return self._transport.listen(self.topic, self.host, self._dispatcher.handle)

    def _close(self, deadline: float) -> bool:
        self.pause()
        if self._own.tasks is not None:
            self._own.tasks.stop()  # begin none while the last messages end
        clean = all(consumer.wait_idle(max(0.0, deadline - time.monotonic())) for consumer in self._leaving)
        self._disconnect()
        return super()._close(deadline) and clean

    def _kill_work(self) -> None:
        self.pause()
        self._disconnect()
        super()._kill_work()

    def _disconnect(self) -> None:
        """End what still goes on, and let go of the queue."""
        while self._leaving:
            self._leaving.pop().close()
        if self._transport is not None and self._given_transport is None:
            self._transport.close()
