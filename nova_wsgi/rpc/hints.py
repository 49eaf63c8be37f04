"""Hints: casts that nobody waits for. A bounded number wait; the same one given again while it waits is one."""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from nova_wsgi import green
from nova_wsgi.rpc.context import Context
from nova_wsgi.rpc.errors import QueueError
from nova_wsgi.rpc.messages import Address, Message, encode_message
from nova_wsgi.rpc.port import Transport

log = logging.getLogger(__name__)

HINTS_MAX = 1000  # different ones that wait while the queue is away: the sweeps find the work of the others


class _Key(NamedTuple):
    address: Address
    method: str
    arguments: bytes


class Hints:
    """Sends casts one after the other in a greenthread that lives while there are any."""

    def __init__(self, transport: Transport, *, send_timeout_s: float) -> None:
        self._transport = transport
        self._send_timeout_s = send_timeout_s
        self._waiting: dict[_Key, Message] = {}
        self._sender: green.GreenThread | None = None
        self._failing = False
        self._dropped = 0

    def put(self, address: Address, message: Message) -> None:
        """Take a hint; beyond HINTS_MAX it is dropped. Raises BadMessage for one that cannot travel."""
        key = _Key(address, message.method, _arguments(message, self._transport.limits.message_size_max))
        if key in self._waiting:
            return
        if len(self._waiting) >= HINTS_MAX:
            self._dropped += 1
            return
        self._waiting[key] = message
        if self._sender is None:
            self._sender = green.spawn(self._send_all)

    def close(self, timeout_s: float) -> None:
        """Wait at most ``timeout_s`` until all are sent, then drop the rest."""
        sender = self._sender
        if sender is not None:
            with green.Timeout(timeout_s, False):
                sender.wait()
            sender.kill()
        self._waiting.clear()

    def _send_all(self) -> None:
        try:
            while self._waiting:
                key = next(iter(self._waiting))
                self._send(key.address, self._waiting.pop(key))
        finally:
            self._sender = None

    def _send(self, address: Address, message: Message) -> None:
        began = time.monotonic()
        try:
            self._transport.send(address, message, timeout_s=self._send_timeout_s)
        except QueueError as error:
            if not self._failing:
                log.warning("hints to %s are dropped, the sweeps do their work: %s", address, error)
            self._failing = True
            self._dropped += 1
            return
        except Exception:  # a mistake of ours costs this hint, not those behind it
            log.exception("a hint to %s cannot be sent", address)
            return
        if self._failing or self._dropped:
            took_s = time.monotonic() - began
            log.info("hints to %s get through again (%.1f s); %d were dropped", address, took_s, self._dropped)
        self._failing = False
        self._dropped = 0


def _arguments(message: Message, size_max: int) -> bytes:
    """What makes two hints the same one: all but their ids and the requests that gave them."""
    plain = Message(message.method, message.arguments, Context(account=message.context.account), id="")
    return encode_message(plain, size_max=size_max)
