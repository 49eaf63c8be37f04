"""A RabbitMQ of the tests' own: on the loopback, with ports, a node name and a folder that nobody else uses.

Debian's package is what is run (``apt-get install rabbitmq-server``), not its service. It is stopped by its process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import uuid
from pathlib import Path

import kombu
import pytest

from nova_wsgi import green
from nova_wsgi.testing import Listening, LiveServer, Notified, free_port

DEBIAN_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on the PATH insists on the package's own user
START_TIMEOUT_S = 120.0  # it takes 5 on an idle machine
STOP_TIMEOUT_S = 60.0
RESTART_TIMEOUT_S = STOP_TIMEOUT_S + START_TIMEOUT_S  # of what a restart interrupts: it ends after it


class RabbitMQ:
    """A broker that can be stopped and started again, with what it holds, at the same ``url``."""

    def __init__(self, folder: Path, *, certificate: Path | None = None) -> None:
        self._folder = folder
        self._node = f"nova-{uuid.uuid4().hex[:8]}@localhost"
        self._port, self._distribution_port, self._epmd_port = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        self.tls_url: str | None = None
        self._write_settings(certificate)
        self._servers = contextlib.ExitStack()
        epmd = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        self._servers.enter_context(LiveServer(epmd, ready=Listening(self._epmd_port)))
        self._server: LiveServer | None = None

    def _write_settings(self, certificate: Path | None) -> None:
        settings = ["vm_memory_high_watermark.absolute = 512MB", "disk_free_limit.absolute = 50MB"]
        if certificate is not None:
            port = free_port()
            self.tls_url = f"amqps://guest:guest@localhost:{port}//"
            settings += [f"listeners.ssl.default = 127.0.0.1:{port}", "ssl_options.verify = verify_none"]
            settings += [f"ssl_options.{name} = {certificate}" for name in ("cacertfile", "certfile", "keyfile")]
        (self._folder / "rabbitmq.conf").write_text("\n".join(settings) + "\n")
        (self._folder / "enabled_plugins").write_text("[].\n")
        (self._folder / "env.conf").write_text("")

    def start(self) -> None:
        """Start it, with what it held when it stopped; returns when it takes connections."""
        assert self._server is None
        environ = {
            "HOME": str(self._folder),  # the nodes' shared secret is made there
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "env.conf"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self._folder / "config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self._folder / "feature_flags"),
            # It shares the machine with the tests: no busy waiting, and the loopback alone.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none"
            " -kernel inet_dist_use_interface {127,0,0,1}",
        }
        server = LiveServer([_program()], ready=Notified(""), environ=environ, start_timeout_s=START_TIMEOUT_S)
        self._server = server

    def stop(self) -> None:
        """Stop it as its operator would; what was confirmed to senders stays."""
        assert self._server is not None
        server, self._server = self._server, None
        with server:
            server.stop(timeout_s=STOP_TIMEOUT_S)

    def ensure_started(self) -> None:
        """Start it if a test that failed has left it stopped."""
        if self._server is None:
            self.start()

    def forget(self, *queues: str) -> None:
        """Remove queues with what is in them."""
        with kombu.Connection(self.url) as connection:
            for name in queues:
                connection.default_channel.queue_delete(name)

    def proxied(self) -> Proxy:
        """A way to the broker that the caller can cut."""
        return Proxy(self.url, self._port)

    def close(self) -> None:
        """End it and all that belongs to it."""
        if self._server is not None:
            self.stop()
        self._servers.close()


class Proxy:
    """A way to a broker, at a ``url`` of its own, that can be cut or go silent while both ends live."""

    def __init__(self, url: str, port: int) -> None:
        self._target = "127.0.0.1", port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{port}", f":{self._listening.getsockname()[1]}")
        self._pairs: list[socket.socket] = []
        self._muted: set[socket.socket] = set()
        self._accepting = green.spawn(self._accept)

    def cut(self) -> None:
        """End every connection there is; new ones are carried."""
        pairs, self._pairs = self._pairs, []
        for one in pairs:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def silence(self) -> None:
        """Carry nothing more on the connections there are, not even their ends; new ones are carried."""
        self._muted.update(self._pairs)

    def close(self) -> None:
        """End all."""
        self._accepting.kill()
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            near, _ = self._listening.accept()
            far = socket.create_connection(self._target)
            self._pairs += [near, far]
            green.spawn(self._carry, near, far)
            green.spawn(self._carry, far, near)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source not in self._muted:
                    target.sendall(data)
            if source not in self._muted:
                target.shutdown(socket.SHUT_RDWR)
        source.close()


def _program() -> str:
    found = str(DEBIAN_SERVER) if DEBIAN_SERVER.exists() else shutil.which("rabbitmq-server")
    if found is None or shutil.which("epmd") is None:
        raise FileNotFoundError("rabbitmq-server is not installed (apt-get install rabbitmq-server)")
    return found


def started_rabbitmq(folder: Path, *, certificate: Path | None = None) -> RabbitMQ:
    """A broker that runs. Skips the test, or under CI fails it, with the reason why there is none."""
    try:
        _program()
        broker = RabbitMQ(folder, certificate=certificate)
        try:
            broker.start()
        except BaseException:
            broker.close()
            raise
    except (OSError, TimeoutError) as error:  # ChildProcessError is an OSError
        reason = f"no RabbitMQ to test against: {str(error).splitlines()[0]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return broker
