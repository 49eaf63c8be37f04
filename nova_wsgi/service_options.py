"""The options of services and of the APIs they serve, and the values made of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from oslo_config import cfg

from nova_wsgi.config import Section
from nova_wsgi.errors import ConfigError
from nova_wsgi.http_limits import HttpLimits
from nova_wsgi.sockets import BACKLOG, CLIENT_CERTS, TlsFiles

_DEFAULTS = HttpLimits()

# Bounds that an operator may have a reason to change: option -> (field of HttpLimits, help).
_LIMITS = {
    "http_connections_max": (
        "connections_max",
        "Connections a worker holds at once; for more the longest idle are closed, and when none is idle they are answered 503.",
    ),
    "http_connections_per_address_max": (
        "connections_per_address_max",
        "Connections a worker holds of one client address, or of one IPv6 /64; more are answered 503. 0 is no bound.",
    ),
    "http_requests_max": ("requests_in_flight_max", "Requests a worker works on at once; more are answered 503."),
    "http_requests_per_connection": (
        "requests_per_connection_max",
        "Requests after which a connection is closed, to spread clients over the workers; 0 is no bound.",
    ),
    "http_request_line_max": ("request_line_max", "Bytes of a request line; longer ones are answered 414."),
    "http_header_count_max": (
        "header_count_max",
        "Header fields of a request; more are answered 431. So are trailers.",
    ),
    "http_header_size_max": ("header_size_max", "Bytes of one header field; longer ones are answered 431."),
    "http_headers_total_max": (
        "headers_total_max",
        "Bytes of a request's header block, its request line included; longer ones are answered 431.",
    ),
    "http_chunk_extensions_max": (
        "chunk_extensions_max",
        "Bytes of all chunk extensions of a body, which mean nothing; more are answered 400.",
    ),
    "http_handshake_timeout_s": (
        "handshake_timeout_s",
        "Seconds a client has for the PROXY header and the TLS handshake together.",
    ),
    "http_header_timeout_s": ("header_timeout_s", "Seconds a client has to send a request's header block."),
    "http_body_idle_timeout_s": ("body_idle_timeout_s", "Seconds a request's body may pause."),
    "http_body_min_rate": ("body_min_rate_bytes", "Bytes a second below which a body or its reader is given up."),
    "http_keepalive_timeout_s": ("keepalive_timeout_s", "Seconds an idle connection is kept for a next request."),
    "http_write_timeout_s": ("write_timeout_s", "Seconds a client may pause in reading a response."),
    "http_linger_timeout_s": (
        "linger_timeout_s",
        "Seconds for which what a refused client still sends is thrown away, so that it gets to read the answer.",
    ),
}


def section(*, enabled_apis: Sequence[str] = (), api_paste_config: str = "api-paste.ini") -> Section:
    """What every service reads; the arguments are a program's defaults."""
    return Section(
        "Service",
        (
            cfg.StrOpt(
                "host", sample_default="the machine's name",
                help="What this host is called in the services registry and on the queue.",
            ),
            cfg.ListOpt("enabled_apis", default=list(enabled_apis), help="The APIs that are served."),
            cfg.StrOpt(
                "api_paste_config", default=api_paste_config, sample_default="the one that was installed", metavar="FILE",
                help="The PasteDeploy ini whose app of each API's name is served.",
            ),
            cfg.StrOpt(
                "lock_path", metavar="DIR",
                help="Directory of the locks that keep periodic tasks to one process of a host; without it they are"
                " kept to one process of each program.",
            ),
            cfg.FloatOpt("report_interval_s", default=10.0, min=0.1, help="Seconds between two heartbeats."),
        ),
    )  # fmt: skip


def http_section() -> Section:
    """What every HTTP listener has in common."""
    return Section(
        "HTTP",
        (
            cfg.IntOpt(
                "listen_backlog", default=BACKLOG, min=1,
                help="Connections the kernel holds that no worker has accepted yet.",
            ),
            cfg.StrOpt(
                "unix_socket_mode", default="660", regex=r"^[0-7]{3,4}$",
                help="File mode, octal, of unix sockets: who may connect.",
            ),
            cfg.ListOpt(
                "proxy_protocol_networks", default=[], metavar="NET,NET",
                help="Networks (10.0.0.0/8) of the proxies that begin each connection with a PROXY protocol header;"
                " their word on the client's address is taken, nobody else's. Headers of HTTP proxies (X-Forwarded-For) are"
                " not read here but by the filter proxy of the paste ini, which has networks of its own.",
            ),
            *(_limit_option(name, field, text) for name, (field, text) in _LIMITS.items()),
        ),
    )  # fmt: skip


def _limit_option(name: str, field: str, text: str) -> cfg.Opt:
    default = getattr(_DEFAULTS, field)
    kind = cfg.FloatOpt if isinstance(default, float) else cfg.IntOpt
    return kind(name, default=default, min=0, help=text)


def api_section(api: str, *, listen: str = "127.0.0.1", port: int = 0, workers: int | None = None) -> Section:
    """Where and how one API is served: ``<api>_listen``, ``<api>_listen_port``, ``<api>_workers``, and its TLS."""
    return Section(
        f"API {api}",
        (
            cfg.StrOpt(
                f"{api}_listen", default=listen, metavar="ADDR",
                help="Address to listen on: IPv4, IPv6, a name, or unix:/path.",
            ),
            cfg.PortOpt(
                f"{api}_listen_port", default=port, help="TCP port to listen on; 0 picks a free one and logs it."
            ),
            cfg.IntOpt(
                f"{api}_workers", default=workers, min=1, sample_default=None if workers else "number of cores",
                help="Processes that serve; with 1 the launching process serves itself.",
            ),
            cfg.StrOpt(
                f"{api}_cert_file", metavar="FILE",
                help="Serve TLS with this certificate chain (PEM); it is read again on SIGHUP.",
            ),
            cfg.StrOpt(f"{api}_key_file", metavar="FILE", help="The certificate's key (PEM), if not in the same file."),
            cfg.StrOpt(
                f"{api}_client_ca_file", metavar="FILE", help="CA certificates (PEM) of those whose clients are let in."
            ),
            cfg.StrOpt(
                f"{api}_client_certs", default="none", choices=list(CLIENT_CERTS),
                help="Whether a client is asked for a certificate, and whether it must have one.",
            ),
        ),
    )  # fmt: skip


def manager_option(topic: str, default: str) -> cfg.Opt:
    """``<topic>_manager``: which class does the service's work."""
    return cfg.StrOpt(
        f"{topic.replace('-', '_')}_manager",
        default=default,
        metavar="CLASS",
        help=f"The Manager class (package.module:Class) that does the work of the service {topic}.",
    )


def http_limits(conf: cfg.ConfigOpts) -> HttpLimits:
    """The bounds of the HTTP servers."""
    return HttpLimits(**{field: conf[name] for name, (field, _) in _LIMITS.items()})


def proxy_networks(conf: cfg.ConfigOpts) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Who may name a client's address. Raises ConfigError for what is no network."""
    networks = []
    for text in conf.proxy_protocol_networks:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ConfigError(f"proxy_protocol_networks: {error}") from None
    return networks


def tls_files(conf: cfg.ConfigOpts, api: str) -> TlsFiles | None:
    """Where an API's certificate lies; None when it serves plain HTTP. Raises ConfigError when files are missing."""
    cert_file, key_file = conf[f"{api}_cert_file"], conf[f"{api}_key_file"]
    ca_file, client_certs = conf[f"{api}_client_ca_file"], conf[f"{api}_client_certs"]
    if cert_file is None:
        if key_file or ca_file or client_certs != "none":
            raise ConfigError(f"{api}_cert_file is needed for TLS, and is not set")
        return None
    return TlsFiles(cert_file, key_file, ca_file, client_certs)
