"""Listening sockets: bound here or inherited, TCP or unix, with the TLS context that goes with one.

Laws:

- They are made once, in the launching process, before any fork; workers accept from the same ones, so that a worker
  that ends takes no waiting connection with it.
- A unix socket's file that nobody listens on is removed before binding; one that somebody does is never touched.
- What cannot be bound is a ConfigError of one line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nova_wsgi import green
from nova_wsgi.errors import ConfigError
from nova_wsgi.private_files import check_private
from nova_wsgi.shares import Shares

_blocking = green.original("socket")  # names are looked up before the fork: no native thread may start for it

LISTEN_FDS_START = 3  # sd_listen_fds(3): inherited sockets are descriptors 3 and up
UNIX_PREFIX = "unix:"
BACKLOG = 4096  # the kernel cuts it to net.core.somaxconn; a burst of clients waits instead of being refused

CLIENT_CERTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(slots=True)
class Listener:
    """A listening socket and what it is called."""

    name: str
    socket: socket.socket
    tls: TlsFiles | None = None
    inherited: bool = False
    unix_path: str | None = None  # the file we made for it
    owner_pid: int = field(default_factory=os.getpid)  # who removes that file in the end
    shares: Shares = field(default_factory=Shares)  # of the processes that will accept from it
    _bound_to: Any = None

    def __post_init__(self) -> None:
        self._bound_to = self.socket.getsockname()

    @property
    def url(self) -> str:
        """Where clients find it: ``https://127.0.0.1:3333``, ``unix:/run/nova.sock``."""
        if isinstance(self._bound_to, tuple):
            host, port = self._bound_to[:2]
            shown = f"[{host}]" if ":" in host else host
            return f"{'https' if self.tls else 'http'}://{shown}:{port}"
        return f"{UNIX_PREFIX}{os.fsdecode(self._bound_to)}"

    def release(self) -> None:
        """Close this process's copy; those that share the socket go on accepting. Its maker removes a unix socket's
        file, so that no new client finds it.
        """
        self.socket.close()
        self.shares.close()
        if self.unix_path is not None and self.owner_pid == os.getpid():
            with contextlib.suppress(OSError):
                os.unlink(self.unix_path)
            self.unix_path = None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a listener's certificate lies; read when a context is made, and again when it is reloaded."""

    cert_file: str
    key_file: str | None = None  # None: the key is in cert_file
    client_ca_file: str | None = None
    client_certs: str = "none"  # none | optional | required

    def context(self) -> ssl.SSLContext:
        """Read the files into a server context: TLS 1.2 or later (RFC 8996 retires what is older).

        Raises ConfigError that names the file; for a key that others may read, too.
        """
        for path in (self.cert_file, self.key_file, self.client_ca_file):
            if path is not None:
                _check_readable(path)
        key_file = self.key_file or self.cert_file
        check_private(key_file, os.stat(key_file), what="TLS key")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A client that asks for one handshake after another on a connection would make the server compute for it alone.
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.cert_file, self.key_file)
        except ssl.SSLError as error:
            names = self.cert_file if self.key_file is None else f"{self.cert_file} and {self.key_file}"
            raise ConfigError(f"{names}: not a certificate with its key: {error.reason or error}") from error
        self._ask_client(context)
        return context

    def _ask_client(self, context: ssl.SSLContext) -> None:
        if self.client_certs == "none":
            return
        if self.client_ca_file is None:
            raise ConfigError(f"client certificates are {self.client_certs}, but no CA file says whose are taken")
        try:
            context.load_verify_locations(self.client_ca_file)
        except ssl.SSLError as error:
            raise ConfigError(f"{self.client_ca_file}: not a CA certificate: {error.reason or error}") from error
        context.verify_mode = CLIENT_CERTS[self.client_certs]


def bind(name: str, address: str, port: int, *, backlog: int = BACKLOG, unix_mode: int = 0o660) -> Listener:
    """Bind and listen. ``address``: an IPv4 or IPv6 address, a host name, or ``unix:/path``; port 0 picks a free one.

    Raises ConfigError that names the address and why it cannot be used.
    """
    if address.startswith(UNIX_PREFIX):
        path = os.path.abspath(address[len(UNIX_PREFIX) :])
        listener = Listener(name, _bind_unix(path, unix_mode), unix_path=path)
    else:
        listener = Listener(name, _bind_tcp(address.strip("[]"), port))
    listener.socket.listen(backlog)
    return listener


def inherit(names: Sequence[str], environ: MutableMapping[str, str]) -> dict[str, Listener]:
    """Take the listening sockets a supervisor passes (sd_listen_fds(3)), by name.

    LISTEN_FDNAMES are matched to ``names``; sockets whose name is none of them (systemd names a socket after its unit
    unless told otherwise) go to the names left over, in order. The variables are removed, so that no child takes them
    for its own. Raises ConfigError for a descriptor that is not a listening stream socket, or that no name is left for.
    """
    count = _listen_fds(environ)
    given = (environ.get("LISTEN_FDNAMES") or "").split(":") if count else []
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(variable, None)
    found: dict[str, Listener] = {}
    nameless: list[int] = []
    for index in range(count):
        fd = LISTEN_FDS_START + index
        os.set_inheritable(fd, False)
        given_name = given[index] if index < len(given) else ""
        if given_name in names and given_name not in found:
            found[given_name] = Listener(given_name, _adopt(fd), inherited=True)
        else:
            nameless.append(fd)
    left = [name for name in names if name not in found]
    if len(nameless) > len(left):
        raise ConfigError(f"LISTEN_FDS: {count} sockets were passed for {', '.join(names) or 'nothing'}")
    for name, fd in zip(left, nameless, strict=False):
        found[name] = Listener(name, _adopt(fd), inherited=True)
    return found


def _listen_fds(environ: Mapping[str, str]) -> int:
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return 0  # meant for another process
    try:
        return int(environ.get("LISTEN_FDS", "0"))
    except ValueError:
        raise ConfigError(f"LISTEN_FDS: {environ['LISTEN_FDS']!r} is not a number of sockets") from None


def _adopt(fd: int) -> socket.socket:
    try:
        adopted = socket.socket(fileno=fd)
        listening = adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigError(f"LISTEN_FDS: descriptor {fd} is not a socket: {error.strerror}") from None
    if not listening:
        raise ConfigError(f"LISTEN_FDS: descriptor {fd} is not a listening stream socket")
    return adopted


def _bind_tcp(address: str, port: int) -> socket.socket:
    try:
        found = _blocking.getaddrinfo(address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"cannot listen on {address}: {error.strerror}") from None
    family, kind, protocol, _, target = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" else 1)
        made.bind(target)
    except OSError as error:
        made.close()
        shown = f"[{address}]" if ":" in address else address
        raise ConfigError(f"cannot listen on {shown}:{port}: {_reason(error)}") from None
    return made


def _bind_unix(path: str, mode: int) -> socket.socket:
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)  # never wider than asked for, not even for a moment
    try:
        made.bind(path)
        os.chmod(path, mode)
    except OSError as error:
        made.close()
        raise ConfigError(f"cannot listen on {UNIX_PREFIX}{path}: {_reason(error)}") from None
    finally:
        os.umask(before)
    return made


def _remove_stale(path: str) -> None:
    """Remove a socket file that nobody listens on any more."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ConfigError(f"cannot listen on {UNIX_PREFIX}{path}: a file that is no socket is in the way")
    except OSError:
        return  # nothing is there, or binding will tell
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            pass  # binding will tell
        else:
            raise ConfigError(f"cannot listen on {UNIX_PREFIX}{path}: another process listens there")


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use by another process"
    if error.errno == errno.EACCES:
        return "permission denied"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address"
    return error.strerror or str(error)


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
