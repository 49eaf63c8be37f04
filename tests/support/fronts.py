"""HAProxy and nginx before a store, with the very configuration in ``etc/``, as the invoking user, on free ports.

Only addresses, files and the log's place are replaced, each of them exactly once; a front's own log says which requests
it has read, and which of them it handed on.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from support.certificates import Authority
from support.store import need_program

from nova_wsgi.testing import Listening, LiveServer, free_port

ETC = Path(__file__).parent.parent.parent / "etc"

# What it wrote, a request a line: haproxy's `option httplog`, and nginx's format below. A server that was not chosen is
# <NOSRV> for the one, and "-" for the other.
_HAPROXY_ESCAPE, _NGINX_ESCAPE = re.compile("#([0-9A-F]{2})"), re.compile(r"\\x([0-9A-F]{2})")
_HAPROXY_LINE = re.compile(
    r'^\S+ \[[^]]*\] \S+ \S+/(?P<server>\S+) \S+ (?P<status>-?\d+) .*? "(?P<line>[^"]*)"$', re.MULTILINE
)
_NGINX_FORMAT = """'request $upstream_addr $status "$request"'"""
_NGINX_LINE = re.compile(r'^request (?P<server>\S+) (?P<status>\d+) "(?P<line>[^"]*)"$', re.MULTILINE)
_REFUSED = ("<NOSRV>", "-")
_AUTHORITY = re.compile("^[a-z]+://[^/]*")  # haproxy logs requests of HTTP/2 as whole URLs


class Logged(NamedTuple):
    """A request as a front has read it."""

    target: str
    status: int
    forwarded: bool


@dataclass(frozen=True)
class Front:
    """A front that runs."""

    port: int
    tls_port: int
    authority: Authority
    server: LiveServer
    log: Callable[[], str]
    line: re.Pattern[str]
    escape: re.Pattern[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://localhost:{self.tls_port}"

    def requests(self) -> list[Logged]:
        """What it has logged so far, the first first."""
        return [
            Logged(self._target(match["line"]), int(match["status"]), match["server"] not in _REFUSED)
            for match in self.line.finditer(self.log())
        ]

    def _target(self, line: str) -> str:
        parts = line.split()
        if parts[-1:] == ["HTTP/2.0"] and not parts[1].startswith("/"):
            parts[1] = _AUTHORITY.sub("", parts[1])
        return self.escape.sub(lambda match: chr(int(match[1], 16)), parts[1]) if len(parts) > 1 else ""


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """``text`` with each key replaced, which must be there exactly once."""
    for old, new in changes.items():
        assert text.count(old) == 1, f"{text.count(old)} times {old!r}"
        text = text.replace(old, new)
    return text


def proxied_ini(folder: Path) -> Path:
    """The paste ini of a store that takes a front's word on who asks."""
    path = folder / "proxied.ini"
    changes = {"pipeline = request_id access_log metrics h": "pipeline = proxy request_id access_log metrics h"}
    path.write_text(replaced((ETC / "api-paste.ini").read_text(), changes))
    return path


@contextmanager
def haproxy(folder: Path, store_port: int, changes: Mapping[str, str] | None = None) -> Iterator[Front]:
    """HAProxy before the store that listens on ``store_port``. ``changes`` are made to its configuration too."""
    program = need_program("haproxy")
    authority, port, tls_port = Authority(folder), free_port(), free_port()
    config = folder / "haproxy.cfg"
    own = {
        "log /dev/log local0": "log stdout format raw local0",
        "bind :80\n": f"bind 127.0.0.1:{port}\n",
        "bind :443 ": f"bind 127.0.0.1:{tls_port} ",
        "/etc/haproxy/nova-objectstore.pem": str(authority.issue(COMMON_NAME="localhost")),
        "127.0.0.1:3333": f"127.0.0.1:{store_port}",
    }
    text = replaced((ETC / "haproxy" / "nova-objectstore.cfg").read_text(), own)
    config.write_text(replaced(text, changes or {}))
    # The master of -W would only be another process to end; -db keeps it in the foreground.
    with LiveServer([program, "-db", "-f", config], ready=Listening(port), stop_timeout_s=5) as server:
        yield Front(port, tls_port, authority, server, server.output, _HAPROXY_LINE, _HAPROXY_ESCAPE)


@contextmanager
def nginx(folder: Path, store_port: int, changes: Mapping[str, str] | None = None) -> Iterator[Front]:
    """nginx before the store that listens on ``store_port``. ``changes`` are made to its configuration too."""
    program = need_program("nginx")
    authority, port, tls_port = Authority(folder), free_port(), free_port()
    certificate = str(authority.issue(COMMON_NAME="localhost"))
    own = {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "listen 443 ssl ": f"listen 127.0.0.1:{tls_port} ssl ",
        "/etc/nginx/nova-objectstore.crt": certificate,
        "/etc/nginx/nova-objectstore.key": certificate,
        "127.0.0.1:3333": f"127.0.0.1:{store_port}",
    }
    text = replaced((ETC / "nginx" / "nova-objectstore.conf").read_text(), own)
    site = folder / "nova-objectstore.conf"
    site.write_text(replaced(text, changes or {}))
    config = folder / "nginx.conf"
    config.write_text(_nginx_main(folder, site))
    with LiveServer([program, "-c", config, "-e", "stderr"], ready=Listening(port), stop_timeout_s=5) as server:
        yield Front(port, tls_port, authority, server, (folder / "access.log").read_text, _NGINX_LINE, _NGINX_ESCAPE)


def _nginx_main(folder: Path, site: Path) -> str:
    """What Debian's nginx.conf is to the site: one worker, so that all clients share its connections to the store."""
    user = f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"  {place}_temp_path {folder}/{place};\n" for place in places)
    return (
        f"{user}worker_processes 1;\ndaemon off;\npid {folder}/nginx.pid;\nerror_log stderr warn;\n"
        "events { worker_connections 256; }\n"
        f"http {{\n{temporary}  log_format requests {_NGINX_FORMAT};\n  access_log {folder}/access.log requests;\n"
        f"  include {site};\n}}\n"
    )
