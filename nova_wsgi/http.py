"""The HTTP protocol class: one object per connection, from its first byte to its last.

Strategy: eventlet.wsgi hands every accepted connection to a protocol class; this is ours, and it replaces all that lies
on the path of a request. While nothing has arrived the object costs no greenthread: the hub wakes it
(:meth:`HttpProtocol.wake`), the server lends it one, and it serves what is there: parse (http_parse), body (body), the
application, response (http_write).

Laws:

- Requests of a connection are answered in order, and after every answer the place of the next request is known, or the
  connection is closed.
- One bad client costs nobody else anything: every wait has a deadline, and a head is never waited for in a greenthread.
- What goes wrong before the header is sent is answered, what goes wrong later breaks the connection: a client never
  takes half a response for a whole one. No traceback leaves the process.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nova_wsgi import green, proxy_protocol

import eventlet.wsgi  # isort: skip  # after green: it silences the deprecation warnings

from nova_wsgi.body import NO_BODY, Body, ChunkedBody, SizedBody
from nova_wsgi.connection import NEVER, Connection, Pace
from nova_wsgi.errors import BodyTooLarge, ClientDisconnected, RequestError, RequestTimeout, ServiceBusy
from nova_wsgi.http_parse import Framing, find_head_end, head_start, parse_head
from nova_wsgi.http_write import UNREAD_BODY_MAX, ResponseWriter
from nova_wsgi.response import STATUS_LINES, FileBody

if TYPE_CHECKING:
    from nova_wsgi.server import HttpServer

LOG = logging.getLogger(__name__)

HEAD_RECEIVE: Final = 16 * 1024  # bytes: any ordinary head, and a small body with it
UNREAD_BODY_S: Final = 1.0
NEWCOMER_GRACE_S: Final = 0.5  # while draining: for the first request of a connection that was just accepted

FinishHook = Callable[[dict[str, Any], "Finished"], None]

# What logs and metrics read of a request that was refused before these were known of it.
UNPARSED: Final = {"REQUEST_METHOD": "-", "RAW_PATH_INFO": "-", "PATH_INFO": "-", "QUERY_STRING": ""}


class Finished(NamedTuple):
    """How a request ended, for the hooks in ``environ['nova.finish_hooks']``.

    ``status`` is 0 when the client left before there was one. ``bytes_sent`` and ``bytes_received`` count bodies,
    without framing. ``duration_s`` runs from the complete request head to the last byte handed to the socket,
    ``first_byte_s`` to the first (equal to it when none was sent). ``aborted``: the client did not get the whole
    response.
    """

    status: int
    bytes_sent: int
    bytes_received: int
    duration_s: float
    first_byte_s: float
    aborted: bool


class HttpProtocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
    """One client connection and the requests on it."""

    def __init__(self, conn_state: list[Any], server: HttpServer) -> None:
        # Not the parent's constructor: it serves the connection to its end before it returns.
        address, sock, _ = conn_state
        self.server = server
        self.client_address = address
        self.remote_addr, self.remote_port = _name_peer(address)
        self.connection = Connection(sock, server.hub, server.limits)
        self.close_connection = False
        self.greenthread: Any = None  # the one that serves this connection now
        self.network = ""  # what it was counted for, where the connections of one address are bounded
        self._is_set_up = server.tls is None and not server.expects_proxy_header(address)
        self._extra: dict[str, Any] | None = None  # environ keys that only this connection has
        self._requests = 0
        self._scanned = 0  # bytes of an incomplete head that were looked at
        self._head_deadline = 0.0  # of the head that is being received; 0.0 between requests
        self._is_late = False
        self._has_unread = False  # bytes that nobody will read may follow: close with care
        self._await_more()

    @property
    def is_new(self) -> bool:
        """Tell whether no request has come on this connection yet."""
        return not self._requests

    # -- the connection's life ------------------------------------------------------------------------------------

    def head_age_s(self) -> float:
        """How long the head that is not complete has been on its way, or the connection open before its first byte."""
        if not self._head_deadline:
            return 0.0
        return monotonic() - (self._head_deadline - self.server.limits.header_timeout_s)

    def wake(self) -> None:
        """In the hub: bytes have come. Have a greenthread serve them."""
        self.connection.on_ready = None
        self.connection.deadline = NEVER
        self.server.idle.pop(self, None)
        self.server.lend_greenthread(self)

    def handle(self) -> None:
        """In a greenthread: serve what has arrived, then return; the connection is closed, or waits for more."""
        try:
            if self._is_late:
                return self._refuse_late()
            if not self._is_set_up:
                self.setup()
            self._serve_arrived()
        except RequestError as error:
            LOG.debug("%s: connection with %s given up: %s", self.server.name, self.remote_addr, error)
            self.close()
        except Exception:  # a fault of the server's own: it must not take the greenthread's other connections along
            LOG.exception("%s: connection with %s broken by an error", self.server.name, self.remote_addr)
            self.abort()
        except BaseException:  # a kill, an interrupt: the client must not wait for an answer that nobody gives
            self.abort()
            raise

    def setup(self) -> None:
        """Do what comes before HTTP: the PROXY header and the TLS handshake, both within one deadline."""
        connection, server = self.connection, self.server
        connection.reading = Pace(server.limits.handshake_timeout_s)
        if server.expects_proxy_header(self.client_address):
            client = proxy_protocol.read_header(self._receive_exactly)
            if client is not None:
                self._believe(client)
        if server.tls is not None:
            try:
                connection.start_tls(server.tls)
            except OSError as error:
                raise ClientDisconnected(f"TLS handshake failed: {error}") from None
            self._note_tls()
        connection.reading = None
        self._is_set_up = True
        self._head_deadline = 0.0

    def finish(self) -> None:
        """Close in good order."""
        if self._has_unread or self.connection.buffer:
            self._scanned = 0
            self.server.linger(self)
            self.connection.linger(self.server.limits.linger_timeout_s, self.close)
        else:
            self.close()

    def close(self) -> None:
        """Close now."""
        self.connection.close()
        self.server.forget(self)

    def abort(self) -> None:
        """Break the connection."""
        self.connection.abort()
        self.server.forget(self)

    def expire(self) -> None:
        """The watchdog found the connection's deadline passed: end what the client is too slow for."""
        connection = self.connection
        if connection.expire():
            return  # the greenthread that waits gets to know
        if self._scanned and connection.on_ready is not None:
            self._is_late = True
            connection.on_ready = None
            connection.deadline = NEVER
            self.server.hub.schedule_call_global(0, self.server.lend_greenthread, self)
        else:
            self.close()

    def _refuse_late(self) -> None:
        self._refuse_unserved(RequestTimeout("the header block did not arrive in time"), {})
        self.finish()

    # -- requests -------------------------------------------------------------------------------------------------

    def _serve_arrived(self) -> None:
        connection = self.connection
        rounds = 0
        while True:
            data = connection.receive_now(HEAD_RECEIVE)
            if data is None:
                return self._await_more()
            if not data:
                return self.close()
            connection.buffer += data
            if not self._serve_buffered():
                return self.finish()
            if not connection.tls:  # TLS may hold decrypted bytes that the hub knows nothing of: ask again
                return self._await_more()
            rounds += 1
            if rounds > 1:
                green.sleep(0)  # who sends without a pause gets no more turns than others

    def _serve_buffered(self) -> bool:
        """Answer the complete requests in the buffer; False when the connection is to be closed."""
        connection, limits = self.connection, self.server.limits
        while buffer := connection.buffer:
            try:
                end = find_head_end(buffer, self._scanned, limits)
            except RequestError as error:
                self._refuse_unserved(error, {})
                return False
            if end < 0:
                self._scanned = len(buffer)
                self.server.unfinished[self] = None
                return True
            if self._scanned:
                self._scanned = 0
                self.server.unfinished.pop(self, None)
            connection.buffer = buffer[end + 4 :]
            self._serve_one(buffer[head_start(buffer) : end])
            if self.close_connection:
                return False
            if connection.buffer:
                green.sleep(0)  # pipelined requests are answered one a turn, as everybody's are
        return True

    def _await_more(self) -> None:
        """Give the greenthread back until more bytes come."""
        connection, server = self.connection, self.server
        if connection.buffer or not self._requests:
            if not self._head_deadline:
                limits = server.limits
                wait_s = limits.header_timeout_s if self._is_set_up else limits.handshake_timeout_s
                self._head_deadline = monotonic() + wait_s
            if server.draining and not connection.buffer:
                self._head_deadline = min(self._head_deadline, monotonic() + NEWCOMER_GRACE_S)
            connection.deadline = self._head_deadline
        elif server.draining:
            return self.finish()
        else:
            connection.deadline = monotonic() + server.limits.keepalive_timeout_s
        if not connection.buffer:
            server.idle[self] = None
        connection.on_ready = self.wake
        connection.watch()
        return None

    def _serve_one(self, head: bytes) -> None:
        """Answer one request; ``close_connection`` says what becomes of the connection."""
        began = monotonic()
        server, connection = self.server, self.connection
        self._head_deadline = 0.0
        self._requests += 1
        connection.reading = connection.writing = None
        environ = self.get_environ()
        try:
            framing = parse_head(head, environ, server.limits)
            body = self._open_body(framing)
        except RequestError as error:
            self._refuse_unserved(error, environ)
            return
        if server.in_flight >= server.limits.requests_in_flight_max:
            self._refuse_unserved(ServiceBusy(retry_after_s=server.limits.retry_after_s), environ)
            self._has_unread = not body.ended
            return
        hooks: list[FinishHook] = []
        added_headers: list[tuple[str, str]] = []
        environ["wsgi.input"] = body
        environ["nova.finish_hooks"] = hooks
        environ["nova.added_headers"] = added_headers
        writer = ResponseWriter(
            connection,
            server.tail,
            body,
            added_headers,
            keep_alive=framing.keep_alive and self._may_keep(),
            is_1_1=framing.is_1_1,
            is_head=environ["REQUEST_METHOD"] == "HEAD",
        )
        server.in_flight += 1
        is_whole = False
        try:
            writer, is_whole = self._answer(environ, writer)
        finally:
            server.in_flight -= 1
            self._close_request(body, writer, is_whole)
            if hooks:
                _run_hooks(hooks, environ, _summarize(began, writer, body, is_whole))
            server.count_request()
        if not self.close_connection and not body.ended:
            self._drop_body(body)

    def get_environ(self) -> dict[str, Any]:
        """The environ's part that does not come from the request."""
        environ = self.server.base_environ.copy()
        environ["REMOTE_ADDR"] = self.remote_addr
        environ["REMOTE_PORT"] = self.remote_port
        if self._extra is not None:
            environ.update(self._extra)
        return environ

    def _open_body(self, framing: Framing) -> Body:
        if not framing.body_length:
            return NO_BODY
        limits = self.server.limits
        if framing.body_length < 0:
            return ChunkedBody(self.connection, limits, expects_continue=framing.expects_continue)
        if limits.body_max is not None and framing.body_length > limits.body_max:
            raise BodyTooLarge(f"a body has at most {limits.body_max} bytes")
        return SizedBody(self.connection, framing.body_length, expects_continue=framing.expects_continue)

    def _may_keep(self) -> bool:
        requests_max = self.server.limits.requests_per_connection_max
        return not 0 < requests_max <= self._requests

    # -- responses ------------------------------------------------------------------------------------------------

    def _answer(self, environ: dict[str, Any], writer: ResponseWriter) -> tuple[ResponseWriter, bool]:
        """Run the application and send what it answers, or what its failure deserves.

        Return the writer of the response that was sent, and whether the client got all of it.
        """
        try:
            self._run_application(environ, writer)
        except ClientDisconnected as error:
            LOG.debug("%s: %s left: %s", self.server.name, self.remote_addr, error)
            return writer, False
        except RequestError as error:
            if not writer.header_sent:
                return self._refuse(error.status, error.reason, error.hint, environ)
            LOG.info("%s: response to %s broken off: %s", self.server.name, self.remote_addr, error)
        except ServiceBusy as busy:
            if not writer.header_sent:
                return self._refuse_busy(busy, environ)
            LOG.info("%s: response to %s broken off: %s", self.server.name, self.remote_addr, busy)
        except (Exception, green.Timeout):
            LOG.exception("%s: %s %s failed", self.server.name, environ["REQUEST_METHOD"], environ["RAW_PATH_INFO"])
            if not writer.header_sent:
                return self._refuse(500, "Internal Server Error", "", environ)
        else:
            if writer.missing:
                LOG.error("%s: %d bytes of the promised Content-Length are missing", self.server.name, writer.missing)
            else:
                return writer, True  # it was finished
        return writer, writer.is_whole

    def _run_application(self, environ: dict[str, Any], writer: ResponseWriter) -> None:
        result = self.server.app(environ, writer.start)
        try:
            if isinstance(result, list | tuple):
                writer.send_whole(result)
            elif isinstance(result, FileBody):
                writer.send_files(result)
            else:
                writer.send_iterable(result)
            writer.finish()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _close_request(self, body: Body, writer: ResponseWriter, is_whole: bool) -> None:
        """Decide what becomes of the connection after a response."""
        if not is_whole:
            self.connection.abort()
            self.close_connection = True
        elif not writer.keep_alive:
            self.close_connection = True
            self._has_unread = self._has_unread or not body.ended

    def _drop_body(self, body: Body) -> None:
        """Read what the application left of a body, if it is little and comes soon: the next request is behind it."""
        self.connection.reading = Pace(UNREAD_BODY_S)
        try:
            if body.discard(UNREAD_BODY_MAX):
                return
        except RequestError:
            pass  # the response is sent already; there is nothing to tell
        self.close_connection = self._has_unread = True

    # -- refusals -------------------------------------------------------------------------------------------------

    def _refuse(
        self,
        status: int,
        reason: str,
        hint: str,
        environ: dict[str, Any] | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> tuple[ResponseWriter, bool]:
        """Answer for the application, and close the connection."""
        environ = {} if environ is None else environ
        request_id = environ.get("nova.request_id") or uuid.uuid4().hex
        self.server.tell_refusal(self.remote_addr, status, reason, hint)
        given, content = self.server.render_refusal(status, reason, hint, request_id)
        is_head = environ.get("REQUEST_METHOD") == "HEAD"
        connection = self.connection
        writer = ResponseWriter(connection, self.server.tail, NO_BODY, keep_alive=False, is_1_1=True, is_head=is_head)
        self.close_connection = self._has_unread = True
        try:
            writer.start(STATUS_LINES.get(status, f"{status} {reason}"), [*given, *headers])
            writer.send_whole((content,))
            writer.finish()
        except ClientDisconnected:
            return writer, False
        return writer, True

    def _refuse_unserved(self, error: RequestError | ServiceBusy, environ: dict[str, Any]) -> None:
        """Answer what no application gets to see, and tell those of its filters that want to know of every request.

        ``environ`` has what was parsed of the request, perhaps nothing.
        """
        began = monotonic()
        environ = {**UNPARSED, **self.get_environ(), **environ, "nova.request_id": uuid.uuid4().hex}
        if isinstance(error, ServiceBusy):
            writer, is_whole = self._refuse_busy(error, environ)
        else:
            writer, is_whole = self._refuse(error.status, error.reason, error.hint, environ)
        hooks = getattr(self.server.app, "refusal_hooks", ())
        _run_hooks(hooks, environ, _summarize(began, writer, NO_BODY, is_whole))

    def _refuse_busy(self, busy: ServiceBusy, environ: dict[str, Any]) -> tuple[ResponseWriter, bool]:
        retry_after = ("Retry-After", str(busy.retry_after_s))
        return self._refuse(503, "Service Unavailable", busy.hint, environ, [retry_after])

    # -- before HTTP ----------------------------------------------------------------------------------------------

    def _believe(self, client: proxy_protocol.ProxiedClient) -> None:
        self.remote_addr, self.remote_port = client.address, str(client.port)
        if not self.server.admit(self, client.address):
            raise ClientDisconnected("its address has too many connections")
        if client.tls:
            self._extra = {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def _receive_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.connection.receive(size - len(data))
            if not more:
                raise ClientDisconnected("the connection ended inside the PROXY header")
            data += more
        return data

    def _note_tls(self) -> None:
        self._extra = {"wsgi.url_scheme": "https", "HTTPS": "on"}
        self._extra["nova.tls_version"] = (self.connection.sock.version() or "").removeprefix("TLSv")
        certificate = self.connection.sock.getpeercert()
        if certificate:
            self._extra["nova.tls_client_subject"] = name_subject(certificate)


def tell_of_refusal(app: Any, environ: dict[str, Any], address: Any, status: int) -> None:
    """Tell the filters that want to know of every request of a connection that was turned away unread."""
    name, port = _name_peer(address)
    peer = {"REMOTE_ADDR": name, "REMOTE_PORT": port, "nova.operation": "TurnAway"}
    environ = {**UNPARSED, **environ, **peer, "nova.request_id": uuid.uuid4().hex}
    _run_hooks(getattr(app, "refusal_hooks", ()), environ, Finished(status, 0, 0, 0.0, 0.0, False))


def _name_peer(address: Any) -> tuple[str, str]:
    """REMOTE_ADDR and REMOTE_PORT of a socket address; empty for a unix socket's peer, which has no name."""
    if not isinstance(address, tuple):
        return "", ""
    return address[0].removeprefix("::ffff:"), str(address[1])


_SHORT_NAMES: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
    "domainComponent": "DC",
    "userId": "UID",
}


def name_subject(certificate: dict[str, Any]) -> str:
    """The subject of a certificate (as ``SSLSocket.getpeercert`` gives it) after RFC 4514: ``CN=alice,O=Example``."""
    names = []
    for relative_name in reversed(certificate.get("subject", ())):
        parts = [f"{_SHORT_NAMES.get(key, key)}={_escape_name(value)}" for key, value in relative_name]
        names.append("+".join(parts))
    return ",".join(names)


def _escape_name(value: str) -> str:
    """RFC 4514 2.4."""
    escaped = "".join(f"\\{char}" if char in ',+"\\<>;=' else char for char in value).replace("\0", "\\00")
    if escaped[:1] in (" ", "#"):
        escaped = "\\" + escaped
    return escaped[:-1] + "\\ " if len(value) > 1 and escaped.endswith(" ") else escaped


def _summarize(began: float, writer: ResponseWriter, body: Body, is_whole: bool) -> Finished:
    now = monotonic()
    first_byte_s = (writer.first_byte_at or now) - began
    # PERF: without the call of a NamedTuple's __new__, which takes three times as long
    facts = (writer.status, writer.bytes_sent, body.received, now - began, first_byte_s, not is_whole)
    return tuple.__new__(Finished, facts)


def _run_hooks(hooks: Iterable[FinishHook], environ: dict[str, Any], finished: Finished) -> None:
    for hook in hooks:
        try:
            hook(environ, finished)
        except Exception:  # a hook is a bystander: the connection and the other hooks go on
            LOG.exception("a finish hook failed")
