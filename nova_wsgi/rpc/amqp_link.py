"""Connections to RabbitMQ: how one is made, and the links that are kept up to receive by.

Law: one greenthread reads a link's connection and nothing else; others only write to it, one at a time.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import kombu

from nova_wsgi import green
from nova_wsgi.errors import ConfigError
from nova_wsgi.loopingcall import BackOff

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
SET_UP_TIMEOUT_S = 30.0  # a broker that has just started elects its queues' leaders first
CLOSE_TIMEOUT_S = 2.0
RECONNECT_MIN_S = 0.1
RECONNECT_MAX_S = 5.0

SetUp = Callable[[Any, Any], None]  # (connection, channel), both py-amqp's


class Broker:
    """Where RabbitMQ is, and how to connect to it."""

    def __init__(self, url: str, *, heartbeat_s: int, ca_file: str | None = None) -> None:
        self.heartbeat_s = heartbeat_s
        self._url = url
        self._tls: dict[str, Any] | bool = False
        if url.startswith("amqps:"):
            self._tls = {
                "cert_reqs": ssl.CERT_REQUIRED,
                "ca_certs": ca_file,
                "server_hostname": None,
            }  # None: the URL's
        try:
            self.name = self._connection(heartbeat_s=0).as_uri()  # without the password
        except (ValueError, KeyError):  # their texts may repeat a piece of the password
            raise ConfigError(
                "[rpc] url: not the URL of a broker; is the port a number, and are / ? # [ and @ of the password"
                " percent-encoded?"
            ) from None

    def connect(self, *, heartbeat_s: int, confirms: bool = False) -> Any:
        """A new connection (py-amqp's), to the first host of the URL that answers.

        ``heartbeat_s`` 0: none, for connections that nobody reads meanwhile. ``confirms``: publishing waits until the
        broker has the message. Raises what kombu raises, OSError, TimeoutError.
        """
        connecting = self._connection(heartbeat_s=heartbeat_s, confirms=confirms)
        hosts = max(1, len(connecting.alt))
        with green.Timeout(CONNECT_TIMEOUT_S * hosts, TimeoutError(f"no connection to {self.name} in time")):
            connecting.ensure_connection(
                max_retries=hosts - 1, interval_start=0, interval_step=0, reraise_as_library_errors=False
            )
        return connecting.connection

    def _connection(self, *, heartbeat_s: int, confirms: bool = False) -> kombu.Connection:
        return kombu.Connection(
            self._url,
            heartbeat=heartbeat_s,
            connect_timeout=CONNECT_TIMEOUT_S,
            ssl=self._tls,
            transport_options={"confirm_publish": confirms},
        )


def hang_up(connection: Any, *, politely: bool) -> None:
    """Close a connection, with a word to the broker where it is whole. Never fails."""
    try:
        if politely:
            with green.Timeout(CLOSE_TIMEOUT_S, False):
                connection.close()
    except Exception as error:  # noqa: BLE001  py-amqp raises many things then, and the connection is given up anyway
        log.debug("a connection was not closed politely: %s", error)
    finally:
        with contextlib.suppress(Exception):
            connection.collect()


class Link:
    """A connection with one channel that is read all the time, and made again whenever it breaks.

    ``set_up(connection, channel)`` declares and consumes on a new one. The callbacks it registers run in the reading
    greenthread.
    """

    def __init__(self, broker: Broker, set_up: SetUp, *, name: str) -> None:
        self.name = name
        self.problem = "not yet connected"  # why it is not ready
        self._broker = broker
        self._set_up = set_up
        self._channel: Any = None
        self._writing = threading.RLock()  # callbacks that write may run inside set_up
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._thread = green.spawn(self._run)

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until it is connected and set up; False when it is not after ``timeout_s``."""
        return self._ready.wait(timeout_s)

    def write(self, command: Callable[[Any], None], *, channel: Any = None) -> None:
        """Run ``command(channel)``, which writes and does not wait for an answer.

        With ``channel``: only while that is the link's one, since delivery tags mean nothing on another. A link that
        is down writes nothing: the broker forgets with the connection whatever the command was about.
        """
        with self._writing:
            present = self._channel
            if present is None or channel not in (None, present):
                return
            try:
                command(present)
            except Exception as error:  # noqa: BLE001  see _run: a broken connection raises anything
                self._hear(error)
                with contextlib.suppress(Exception):  # a command cut short spoils the rest: let the reader see the end
                    present.connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnect for good."""
        self._closing.set()
        self._thread.kill()
        with contextlib.suppress(green.GreenletExit):
            self._thread.wait()

    # -- in the reading greenthread

    def _run(self) -> None:
        pace = BackOff(RECONNECT_MIN_S, RECONNECT_MAX_S)
        while not self._closing.is_set():
            began = time.monotonic()
            was_ready = False
            try:
                self._serve()
            except Exception as error:  # noqa: BLE001  py-amqp raises even AttributeError when a connection breaks under it
                was_ready = self._ready.is_set()
                self._hear(error)
            self._ready.clear()
            self._closing.wait(
                pace.next_delay_s(took_s=time.monotonic() - began, result=was_ready, failed=not was_ready)
            )

    def _serve(self) -> None:
        connection = self._broker.connect(heartbeat_s=self._broker.heartbeat_s)
        politely = False
        try:
            with self._writing, green.Timeout(SET_UP_TIMEOUT_S, TimeoutError("the broker did not set up the queues")):
                self._channel = connection.channel()
                self._set_up(connection, self._channel)
            if self.problem != "not yet connected":
                log.info("the %s is connected to %s again", self.name, self._broker.name)
            self.problem = ""
            self._ready.set()
            self._read(connection)
        except green.GreenletExit:
            politely = True
            raise
        finally:
            self._channel = None
            hang_up(connection, politely=politely)

    def _read(self, connection: Any) -> None:
        """Run the callbacks of what arrives; keep up the heartbeats. Ends with the error that broke the connection."""
        pause_s = max(0.5, (connection.heartbeat or self._broker.heartbeat_s) / 4)
        checked = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                connection.drain_events(timeout=pause_s)
            if time.monotonic() - checked >= pause_s:
                with self._writing:
                    connection.heartbeat_tick()
                checked = time.monotonic()

    def _hear(self, error: Exception) -> None:
        """Tell the log once that the link is down."""
        if not self.problem or self.problem == "not yet connected":
            log.warning("the %s has lost %s and connects again: %s", self.name, self._broker.name, describe(error))
        self.problem = describe(error)


def describe(error: BaseException) -> str:
    """An error of a connection in a line: its text, or what it is where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
