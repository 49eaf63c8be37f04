"""Tell the supervisor how we are: the sd_notify protocol (sd_notify(3)), one datagram a message.

READY when the listeners accept, RELOADING and READY again around a reload, STOPPING, STATUS in words, and WATCHDOG
from the loop that does the work: a hub, or a supervising parent, that is stuck stops feeding it, and is restarted.

Without NOTIFY_SOCKET in the environment everything here does nothing.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping

from nova_wsgi import green

log = logging.getLogger(__name__)

_socket = green.original("socket")  # a datagram is sent or dropped: there is nothing to wait for


class Notifier:
    """Sends messages to the supervisor that started this process."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._owner = os.getpid()
        self._status = ""
        self.watchdog_interval_s = _watchdog_interval_s(environ) if self._address else None
        self._fed_at = 0.0

    def ready(self) -> None:
        """The service's start, or its reload, is finished."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload begins; the time lets systemd (Type=notify-reload) tell this one from an earlier one."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service's stop begins."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in one line how it goes; the same text twice is sent once."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def feed_watchdog(self) -> None:
        """Say that we live. Call it often: it sends twice in the time the supervisor allows."""
        now = time.monotonic()
        if self.watchdog_interval_s is not None and now - self._fed_at >= self.watchdog_interval_s:
            self._fed_at = now
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address or os.getpid() != self._owner:
            return
        with _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(message.encode(), self._address)
            except OSError as error:
                log.debug("the supervisor's socket %s takes no message: %s", self._address, error)


def _address(path: str) -> str:
    """NOTIFY_SOCKET as an address; one that begins with @ is in the abstract namespace (unix(7))."""
    if path.startswith("@"):
        return "\0" + path[1:]
    return path if path.startswith("/") else ""


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    """Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises; None when no watchdog waits for this process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        allowed_us = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return allowed_us / 2_000_000 if allowed_us > 0 else None
