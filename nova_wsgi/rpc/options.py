"""The options of the queue, and the transport made of them."""

from __future__ import annotations

from oslo_config import cfg

from nova_wsgi.config import Section
from nova_wsgi.errors import ConfigError
from nova_wsgi.rpc.embedded import EmbeddedTransport
from nova_wsgi.rpc.port import QueueLimits, Transport

EMBEDDED = "embedded"
AMQP_SCHEMES = ("amqp", "amqps")

_DEFAULTS = QueueLimits()


def section(*, url: str = "embedded:") -> Section:
    """The options in group ``rpc``; ``url`` is the program's default, which may name other options ($state_path/rpc)."""
    return Section(
        "Queue",
        (
            cfg.StrOpt(
                "url", default=url, secret=True, metavar="URL",
                help="Where messages between services go: embedded: within the process; embedded:/directory between the"
                " processes of this host; amqp://user:password@host:port/vhost (or amqps:) over RabbitMQ.",
            ),
            cfg.FloatOpt(
                "call_timeout_s", default=60.0, min=0.1, help="Seconds a call waits for its reply.",
            ),
            cfg.FloatOpt(
                "send_timeout_s", default=30.0, min=0.1,
                help="Seconds the queue has to accept a message; a restart of the broker should fit in.",
            ),
            cfg.IntOpt(
                "handlers_max", default=_DEFAULTS.handlers_max, min=1,
                help="Messages a process works on at once; with RabbitMQ, each of its queues' prefetch.",
            ),
            cfg.IntOpt(
                "queue_max", default=_DEFAULTS.queue_max, min=1,
                help="Messages that wait in a queue; more are refused to their senders.",
            ),
            cfg.IntOpt(
                "message_size_max", default=_DEFAULTS.message_size_max, min=1024,
                help="Bytes of the largest message or reply.",
            ),
            cfg.IntOpt(
                "heartbeat_s", default=30, min=2,
                help="Seconds after which a silent RabbitMQ connection is asked for a sign of life; without one for"
                " twice as long it is taken for lost.",
            ),
            cfg.StrOpt(
                "ca_file", metavar="FILE",
                help="CA certificates (PEM) that an amqps: broker's is checked against, instead of the system's.",
            ),
        ),
        group="rpc",
    )  # fmt: skip


def queue_limits(conf: cfg.ConfigOpts) -> QueueLimits:
    """The bounds that the options set."""
    return QueueLimits(
        handlers_max=conf.rpc.handlers_max,
        queue_max=conf.rpc.queue_max,
        queue_size_max=max(_DEFAULTS.queue_size_max, conf.rpc.message_size_max),
        message_size_max=conf.rpc.message_size_max,
    )


def open_transport(conf: cfg.ConfigOpts) -> Transport:
    """The transport that the options name; after the fork. Nothing is connected yet. Raises ConfigError."""
    scheme, colon, rest = conf.rpc.url.partition(":")
    if not colon or scheme not in (EMBEDDED, *AMQP_SCHEMES):
        raise ConfigError(f"[rpc] url begins with {EMBEDDED}:, amqp:// or amqps://, not with {scheme!r}")
    if scheme == EMBEDDED:
        return EmbeddedTransport(rest.removeprefix("//") or None, limits=queue_limits(conf))
    try:
        from nova_wsgi.rpc.amqp import AmqpTransport  # kombu is an extra: only who uses RabbitMQ needs it
    except ImportError as error:
        raise ConfigError(f"[rpc] url {scheme}: needs pip install nova-wsgi[amqp] ({error})") from None
    return AmqpTransport(
        conf.rpc.url, limits=queue_limits(conf), heartbeat_s=conf.rpc.heartbeat_s, ca_file=conf.rpc.ca_file
    )
