"""An HTTP server on one listening socket: accepting, the registry of connections, deadlines, and the way to stop.

Strategy: everything that only waits is a listener of the hub's, not a greenthread: the listening socket and each idle
connection. A connection with bytes to serve borrows a greenthread from a small stock (:meth:`HttpServer.
lend_greenthread`) and returns it when it waits for the next request. One watchdog greenthread compares the deadlines of
all connections a few times per shortest limit; no request sets a timer.

Laws:

- The registry is keyed by connection object; drain and kill behave alike on TCP, unix and TLS, and never hang.
- Stopping loses no request that has arrived: the backlog is emptied, what has bytes to read is answered.
- The listening socket belongs to the caller, who closes it after :meth:`HttpServer.stop_accepting`.
"""

from __future__ import annotations

import ipaddress
import itertools
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import greenlet

from nova_wsgi import green, logs

import eventlet.event  # isort: skip  # after green: it silences the deprecation warnings
import eventlet.hubs  # isort: skip
import eventlet.wsgi  # isort: skip

from nova_wsgi.acceptor import Acceptor
from nova_wsgi.client_network import client_network
from nova_wsgi.http import NEWCOMER_GRACE_S, Finished, HttpProtocol, tell_of_refusal
from nova_wsgi.http_limits import HttpLimits
from nova_wsgi.http_write import HeaderTail
from nova_wsgi.response import file_wrapper
from nova_wsgi.shares import Shares

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Finished", "HttpLimits", "HttpServer", "RefusalRenderer"]

LOG = logging.getLogger(__name__)

RefusalRenderer = Callable[[int, str, str, str], tuple[list[tuple[str, str]], bytes]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

STOCK_MAX: Final = 64  # greenthreads kept for the next request; each keeps a stack of some KiB
EVICTION_LOOKS: Final = 16  # idle connections looked at for one that can be closed in favour of a new one
COMPLAINT_PAUSE_S: Final = 10.0  # a flood of connections must not become a flood of log lines
REFUSALS_TOLD_MAX: Final = 50  # lines in that time on single requests that were refused; the access log has them all
HEAD_GRACE_S: Final = 1.0  # a head that takes longer gives way where connections are short
EXPIRED_TURN: Final = 16  # connections ended before others get their turn: those of an attack are late all at once


class HttpServer(eventlet.wsgi.Server):  # type: ignore[misc]  # eventlet has no types
    """Serves a WSGI application on a listening socket.

    :param sock: a listening stream socket, TCP or unix; several processes may share it.
    :param app: the WSGI application; see :meth:`replace_app`. Its attribute ``refusal_hooks``, if it has one, are finish
        hooks that run for the requests that the server refuses before it.
    :param limits: what clients may send, hold and delay.
    :param name: what the log calls this server.
    :param tls: a server-side context, or None for plain HTTP; see :meth:`replace_tls`.
    :param proxy_networks: the networks whose connections begin with a PROXY header, and must; when there are any, so
        do connections on a unix socket. A PROXY header from anywhere else is a malformed request.
    :param server_name: the Server header.
    :param environ: keys put into each request's environ.
    :param on_request: called after each request that reached the application.
    :param shares: the connections of all processes that accept from ``sock``, where there are several.
    :param refusal_renderer: words refusals given before the application: (status, reason, hint, request id) to
        (headers, body). Without it they are plain text.
    """

    def __init__(
        self,
        sock: Any,
        app: WSGIApplication,
        *,
        limits: HttpLimits | None = None,
        name: str = "http",
        tls: ssl.SSLContext | None = None,
        proxy_networks: Sequence[Network] = (),
        server_name: str = "nova",
        environ: Mapping[str, Any] | None = None,
        on_request: Callable[[], None] | None = None,
        refusal_renderer: RefusalRenderer | None = None,
        shares: Shares | None = None,
    ) -> None:
        address = sock.getsockname()
        super().__init__(sock, address, app, environ=dict(environ or {}), protocol=HttpProtocol, log_output=False)
        self.limits = limits or HttpLimits()
        self.name = name
        self.tls = tls
        self.hub: Any = None
        self.tail = HeaderTail(server_name)
        self.base_environ = self._make_base_environ(address, tls is not None)
        self.draining = False
        self.in_flight = 0
        self.requests_total = 0
        self.idle: dict[HttpProtocol, None] = {}  # nobody serves them; the longest idle first
        self.lingering: set[HttpProtocol] = set()  # answered; swallowing what their clients still send
        self.unfinished: dict[HttpProtocol, None] = {}  # the beginning of a head has come; the earliest first
        self._protocols: dict[HttpProtocol, None] = {}
        self._proxy_networks = tuple(proxy_networks)
        self._on_request = on_request
        self._render = refusal_renderer or render_plainly
        # eventlet's socket waits by itself; what it wraps says at once that there is nothing.
        self._raw = getattr(sock, "fd", sock)
        self._acceptor = Acceptor(self._raw, self, shares)
        self._stock: list[Any] = []
        self._unserved: deque[HttpProtocol] = deque()  # for greenthreads that are about to run
        self._watchdog: Any = None
        self._ended: Any = None  # an event for drain(): the last connection is gone
        self._complained_at: dict[str, float] = {}
        self._by_network: dict[str, int] = {}  # connections of each client, where they are bounded
        self._refusals = 0  # told since, and
        self._refusals_since = 0.0  # this moment

    def _make_base_environ(self, address: Any, is_tls: bool) -> dict[str, Any]:
        host, port = ("localhost", "0") if not isinstance(address, tuple) else (address[0], str(address[1]))
        environ = self.get_environ()
        environ.update(
            {
                "SCRIPT_NAME": "",
                "SERVER_NAME": host,
                "SERVER_PORT": port,
                "SERVER_SOFTWARE": "nova",
                "GATEWAY_INTERFACE": "CGI/1.1",
                "wsgi.url_scheme": "https" if is_tls else "http",
                "wsgi.input_terminated": True,
                "wsgi.file_wrapper": file_wrapper,
            }
        )
        return environ  # type: ignore[no-any-return]

    # -- what it can tell -----------------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """Connections that are open, idle ones included."""
        return len(self._protocols)

    # -- its life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to accept, in the hub of the calling thread: after the fork, where there is one."""
        self.hub = eventlet.hubs.get_hub()
        self._raw.setblocking(False)
        if self._raw.family in (socket.AF_INET, socket.AF_INET6):
            # Accepted sockets inherit it. Header and body may leave in two pieces; neither waits for the other's ACK.
            self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watchdog = green.spawn(self._watch_deadlines, self.limits.tick_s)
        self._acceptor.start(self.hub)

    def stop_accepting(self) -> None:
        """Take what the kernel has accepted already, and nothing after it. The caller then closes the socket."""
        self._acceptor.stop(take_waiting=True)

    def close_idle(self) -> None:
        """Close connections that wait for a request. One whose request has come, unseen so far, is answered first.

        A connection on which nothing has come yet is given half a second: its first request is probably on its way.
        """
        soon = monotonic() + NEWCOMER_GRACE_S
        for protocol in list(self.idle):
            if protocol.connection.has_arrived():
                continue  # the hub is about to tell
            if protocol.is_new:
                protocol.connection.deadline = min(protocol.connection.deadline, soon)
            else:
                protocol.close()

    def drain(self, timeout_s: float) -> bool:
        """Stop accepting, let every request that has arrived be answered, close every connection.

        Answers carry ``Connection: close``. Waits at most ``timeout_s`` seconds; True when all ended within them.
        """
        self.draining = self.tail.closing = True
        self.stop_accepting()
        self.close_idle()
        if self._has_unfinished():
            self._end_greenthread(self._watchdog)
            self._watchdog = green.spawn(self._watch_deadlines, NEWCOMER_GRACE_S / 10)
            self._ended = eventlet.event.Event()
            self._ended.wait(timeout_s)
            self._ended = None
        if self._has_unfinished():
            return False
        self.kill()  # those that only linger, the watchdog and the spare greenthreads
        return True

    def kill(self) -> None:
        """End everything now: connections are broken, their greenthreads killed (but for the caller's own)."""
        self.draining = True
        self._acceptor.stop(take_waiting=False)
        current = greenlet.getcurrent()
        for protocol in list(self._protocols):
            if protocol in self.lingering or protocol in self.idle:
                protocol.close()
            elif protocol.greenthread is not current:
                protocol.abort()
                self._end_greenthread(protocol.greenthread)
        for spare in self._stock:
            self._end_greenthread(spare)
        self._stock = []
        if self._watchdog is not None and self._watchdog is not current:
            self._end_greenthread(self._watchdog)
        self._watchdog = None

    def _end_greenthread(self, greenthread: Any) -> None:
        if greenthread is not None:
            self.hub.schedule_call_global(0, _kill_if_alive, greenthread)

    def replace_app(self, app: WSGIApplication) -> None:
        """Serve requests that come from now on with ``app``; those in flight end with the former one."""
        self.app = app

    def replace_tls(self, context: ssl.SSLContext) -> None:
        """Use ``context`` for connections whose handshake has not begun; the others keep theirs."""
        self.tls = context

    def _has_unfinished(self) -> bool:
        return len(self._protocols) > len(self.lingering)

    # -- accepting ------------------------------------------------------------------------------------------------

    def take(self, sock: Any, address: Any) -> None:
        """A connection was accepted: begin to serve it, or turn it away."""
        sock.setblocking(False)
        eventlet.hubs.notify_opened(sock.fileno())  # the hub may remember a descriptor closed behind its back
        if not self._has_room_for(address):
            self._turn_away(sock, address, "too many connections from one address")
        elif len(self._protocols) >= self.limits.connections_max and not self.make_room():
            self._turn_away(sock, address, "too many connections")
        else:
            self.process_request([address, sock, None])

    def process_request(self, conn_state: list[Any]) -> None:
        """Begin to serve an accepted connection: [peer's address, socket, unused]."""
        protocol = self.protocol(conn_state, self)
        self._protocols[protocol] = None
        self._acceptor.count(len(self._protocols))
        address = conn_state[0]
        if self.limits.connections_per_address_max and not self.expects_proxy_header(address):
            self.admit(protocol, protocol.remote_addr)

    def admit(self, protocol: HttpProtocol, address: str) -> bool:
        """Count a connection for its client's address, if those are bounded; False when it is one too many."""
        most = self.limits.connections_per_address_max
        if not most or not address or protocol.network:
            return True
        protocol.network = client_network(address)
        count = self._by_network.get(protocol.network, 0) + 1
        self._by_network[protocol.network] = count
        if count > most:
            self.complain("an address has too many connections")
        return count <= most

    def _discount(self, network: str) -> None:
        left = self._by_network[network] - 1
        if left:
            self._by_network[network] = left
        else:
            del self._by_network[network]

    def _has_room_for(self, address: Any) -> bool:
        """Whether who connects from there may have one connection more; a proxy's clients are known only later."""
        most = self.limits.connections_per_address_max
        if not most or not isinstance(address, tuple) or self.expects_proxy_header(address):
            return True
        return self._by_network.get(client_network(address[0]), 0) < most

    def make_room(self) -> bool:
        """Close the connection that has waited longest for a request; False when each has work, or is about to get it.

        A head that comes in drops goes first: else who sends such would cost everybody else their connections.
        """
        slowest = next(iter(self.unfinished), None)
        if slowest is not None and slowest.head_age_s() > HEAD_GRACE_S:
            slowest.close()
            return True
        for protocol in itertools.islice(self.idle, EVICTION_LOOKS):
            if not protocol.connection.has_arrived():
                protocol.close()
                return True
        return False

    def _turn_away(self, sock: Any, address: Any, hint: str) -> None:
        """All connections are busy: 503, as far as it can be said without waiting."""
        self.complain(f"new connections are turned away: {hint}")
        green.spawn(tell_of_refusal, self.app, self.base_environ, address, 503)
        if self.tls is None:
            given, content = self.render_refusal(503, "Service Unavailable", hint, "")
            lines = [
                "HTTP/1.1 503 Service Unavailable",
                *(f"{name}: {value}" for name, value in given),
                f"Content-Length: {len(content)}",
                f"Retry-After: {self.limits.retry_after_s}",
                "Connection: close\r\n",
            ]
            try:
                sock.send("\r\n".join(lines).encode("latin-1") + self.tail.whole() + content)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(64 * 1024)  # what has come of the request: a close with unread bytes would reset
            except OSError:
                pass  # the client is gone, or has sent nothing yet
        sock.close()

    def complain(self, message: str, error: BaseException | None = None) -> None:
        """Log from the hub, which may not wait for the lock of a log handler: in a greenthread of its own."""
        now = monotonic()
        if now - self._complained_at.get(message, -COMPLAINT_PAUSE_S) < COMPLAINT_PAUSE_S:
            return
        self._complained_at[message] = now
        text = "%s: %s; %d connections are open"
        green.spawn(LOG.error, text, self.name, message, self.connections, exc_info=error)

    # -- greenthreads and deadlines -------------------------------------------------------------------------------

    def lend_greenthread(self, protocol: HttpProtocol) -> None:
        """In the hub: have a greenthread run ``protocol.handle()``."""
        if self._stock:
            self._stock.pop().switch(protocol)
        else:
            self._unserved.append(protocol)
            green.spawn(self._serve)

    def _serve(self) -> None:
        """A greenthread's life: serve a connection while it has requests, then wait in stock for another."""
        current = greenlet.getcurrent()
        protocol = self._unserved.popleft()  # not an argument: that would live as long as the greenthread
        while True:
            if current.gr_context is not None:
                current.gr_context = None  # context variables end with their request
            protocol.greenthread = current
            try:
                protocol.handle()
            finally:
                protocol.greenthread = None
                logs.bind_request_id(logs.NO_REQUEST)
            if len(self._stock) >= STOCK_MAX or self.draining:
                return
            self._stock.append(current)
            del protocol  # in stock it must not keep a connection alive
            protocol = self.hub.switch()

    def _watch_deadlines(self, tick_s: float) -> None:
        """The watchdog: end what the clients are too slow for."""
        while True:
            green.sleep(tick_s)
            now = monotonic()
            # PERF: ten thousand comparisons take less than a millisecond.
            late = [protocol for protocol in self._protocols if protocol.connection.deadline < now]
            for number, protocol in enumerate(late, 1):
                if protocol.connection.deadline < now:  # still: others have run since
                    protocol.expire()
                if not number % EXPIRED_TURN:
                    green.sleep(0)

    # -- what protocols ask ---------------------------------------------------------------------------------------

    def expects_proxy_header(self, address: Any) -> bool:
        """Tell whether a connection from this address begins with a PROXY header."""
        if not self._proxy_networks:
            return False
        if not isinstance(address, tuple):
            return True
        peer = ipaddress.ip_address(address[0].removeprefix("::ffff:").partition("%")[0])
        return any(peer in network for network in self._proxy_networks)

    def render_refusal(
        self, status: int, reason: str, hint: str, request_id: str
    ) -> tuple[list[tuple[str, str]], bytes]:
        """Word a refusal: headers and body."""
        return self._render(status, reason, hint, request_id)

    def tell_refusal(self, address: str, status: int, reason: str, hint: str) -> None:
        """Log that a request was refused, unless many have been in the last seconds."""
        now = monotonic()
        if now - self._refusals_since > COMPLAINT_PAUSE_S:
            untold, self._refusals = self._refusals - REFUSALS_TOLD_MAX, 0
            self._refusals_since = now
            if untold > 0:
                LOG.info("%s: refused %d requests more", self.name, untold)
        self._refusals += 1
        if self._refusals <= REFUSALS_TOLD_MAX:
            LOG.info("%s: refused %s: %d %s: %s", self.name, address, status, reason, hint)

    def count_request(self) -> None:
        """A request that reached the application has ended."""
        self.requests_total += 1
        if self._on_request is not None:
            self._on_request()

    def forget(self, protocol: HttpProtocol) -> None:
        """A connection is closed."""
        if self._protocols.pop(protocol, self) is self:
            return  # a second time
        self._acceptor.count(len(self._protocols))
        self.idle.pop(protocol, None)
        self.unfinished.pop(protocol, None)
        self.lingering.discard(protocol)
        if protocol.network:
            self._discount(protocol.network)
        self.notice_progress()

    def linger(self, protocol: HttpProtocol) -> None:
        """A connection is answered and only swallows what its client still sends."""
        self.lingering.add(protocol)
        self.notice_progress()

    def notice_progress(self) -> None:
        """Wake drain() when nothing is left to wait for."""
        if self._ended is not None and not self._ended.ready() and not self._has_unfinished():
            self._ended.send()


def render_plainly(status: int, reason: str, hint: str, request_id: str) -> tuple[list[tuple[str, str]], bytes]:
    """The default wording of refusals: plain text."""
    lines = [f"{status} {reason}", hint, f"Request id: {request_id}" if request_id else ""]
    text = "".join(f"{line}\n" for line in lines if line)
    return [("Content-Type", "text/plain; charset=utf-8")], text.encode()


def _kill_if_alive(greenthread: Any) -> None:
    if not greenthread.dead:
        greenthread.throw(green.GreenletExit)
