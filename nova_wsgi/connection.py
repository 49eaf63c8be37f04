"""One client's connection: bytes in and out, cooperatively, with deadlines on progress. It knows nothing of HTTP.

Strategy: the operating system is asked first, without waiting; only when it would block does the greenthread wait on
the hub. The read listener stays registered with the hub between requests, so that an idle connection is a listener and
this object, without a greenthread, and a request that arrives whole costs no registration.

Laws:

- ``buffer`` holds what was received and not consumed; everybody takes from there first.
- A wait always has a deadline, kept in ``deadline``. The server's watchdog compares; nothing here sets timers.
- Callbacks from the hub never raise: the hub would drop the descriptor, and with it the connection's only waker.
- Works alike on TCP, unix and TLS sockets; nothing is keyed by address.
"""

from __future__ import annotations

import _socket
import errno
import math
import os
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, Protocol

import greenlet

from nova_wsgi import green
from nova_wsgi.errors import ClientDisconnected, RequestTimeout
from nova_wsgi.http_limits import HttpLimits

BLOCKED: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
NEVER: Final = math.inf
JOIN_MAX: Final = 32 * 1024  # bytes: up to here copying parts together is cheaper than sendmsg
TURN_MAX: Final = 1024 * 1024  # bytes a greenthread sends without waiting before it lets others run
TURN_MIN: Final = 128 * 1024  # the same while a body begins beside others, and what may then wait in the kernel
TRUSTED_FROM: Final = 1024 * 1024  # bytes of a body: who reads nearly as many will read what the kernel then holds
COPY_SIZE: Final = 256 * 1024
LINGER_RECEIVE: Final = 256 * 1024
LINGER_BYTES_MAX: Final = 64 * 1024 * 1024  # of an unread body swallowed so that the client gets to read its answer
# Errors that say something of the peer, not of the file that is being sent to it.
_PEER_GONE: Final = frozenset(
    (errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTUNREACH)
)
_NO_SENDFILE: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))

_giving_way = 0  # greenthreads that send, and let others run

# Below TLS: to look at what has come without taking it, and to swallow ciphertext that nobody will read.
_receive_raw = _socket.socket.recv


def turn_size(sent: int) -> int:
    """How many bytes of a body, ``sent`` of which are on their way, go out before others run: an eighth of those, in bounds.

    The buffers of many clients who begin at once, and may never read, are filled in small steps with everybody's
    requests between; a long body soon takes turns as large as can be.
    """
    return min(max(TURN_MIN, sent >> 3), TURN_MAX)


class Hub(Protocol):
    """What is used of eventlet's hub."""

    READ: str
    WRITE: str

    def add(self, kind: str, fd: int, wake: Callable[..., Any], throw: Callable[..., Any], closed: Any, /) -> Any:
        """Call ``wake(fd)`` in the hub's greenlet whenever ``fd`` is ready."""

    def remove(self, listener: Any) -> None:
        """Stop listening."""

    def switch(self) -> Any:
        """Run others until somebody switches back."""

    def schedule_call_global(self, delay_s: float, call: Callable[..., Any], /, *args: Any) -> Any:
        """Call later, in the hub's greenlet."""


class DeadlineExpired(Exception):
    """Thrown by the watchdog into a greenthread that waits for a client beyond the deadline."""


class Pace:
    """How long one direction of one message may wait for the client.

    It starts with a credit of ``idle_s`` seconds; waiting spends it, and each byte moved wins 1 / ``rate_min`` seconds
    back. No single wait exceeds ``idle_s``. So a client that is slow but steady goes on for ever, and one that sends a
    byte now and then does not. A ``rate_min`` of 0 wins nothing back: ``idle_s`` bounds the whole.
    """

    __slots__ = ("idle_s", "moved", "rate_min", "waited_s")

    def __init__(self, idle_s: float, rate_min: int = 0) -> None:
        self.idle_s = idle_s
        self.rate_min = rate_min
        self.moved = 0
        self.waited_s = 0.0

    def deadline(self, now: float) -> float:
        """The monotonic time at which a wait that begins now has taken too long."""
        won_s = self.moved / self.rate_min if self.rate_min else 0.0
        return now + min(self.idle_s, self.idle_s + won_s - self.waited_s)


class Connection:
    """A non-blocking stream socket on a hub. Owns the socket.

    ``on_ready`` is called in the hub's greenlet when bytes have arrived and no greenthread waits for them; while it is
    None the connection is busy, and what arrives stays in the kernel. ``reading`` and ``writing`` are the paces of the
    messages now on their way, made at the first wait; set them to None when a new message begins.
    """

    __slots__ = (
        "_hub",
        "_is_held",
        "_limits",
        "_listener",
        "_reader",
        "_swallowed",
        "_turn",
        "_writer",
        "buffer",
        "closed",
        "deadline",
        "fd",
        "file_bytes_sent",
        "on_ready",
        "reading",
        "sock",
        "tls",
        "writing",
    )

    def __init__(self, sock: Any, hub: Hub, limits: HttpLimits) -> None:
        self.sock = sock
        self.tls = False
        self.fd: int = sock.fileno()
        self.on_ready: Callable[[], None] | None = None
        self.buffer = b""
        self.deadline = NEVER
        self.reading: Pace | None = None
        self.writing: Pace | None = None
        self.closed = False
        self.file_bytes_sent = 0  # of the last send_file()
        self._hub = hub
        self._is_held = False
        self._limits = limits
        self._listener: Any = None
        self._reader: greenlet.greenlet | None = None
        self._writer: greenlet.greenlet | None = None
        self._swallowed = 0
        self._turn = 0  # bytes sent since others ran

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the server's side of a handshake. Raises OSError (ssl.SSLError) when it fails, RequestTimeout too late."""
        self.sock = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        self.sock.setblocking(False)
        self.tls = True
        while True:
            try:
                self.sock.do_handshake()
                return
            except BLOCKED as blocked:
                self._wait_to_receive(blocked)

    # -- receiving ------------------------------------------------------------------------------------------------

    def receive_now(self, size_max: int) -> bytes | None:
        """What is there: some bytes, b"" when the stream has ended or broken, None when nothing has arrived."""
        try:
            return self.sock.recv(size_max)  # type: ignore[no-any-return]
        except BLOCKED:
            return None
        except OSError:  # reset by the peer, or its TLS failed: either way no byte will come
            return b""

    def receive(self, size_max: int) -> bytes:
        """Wait for bytes; b"" at the end of the stream. Raises RequestTimeout beyond the pace of ``reading``."""
        while True:
            try:
                data: bytes = self.sock.recv(size_max)
            except BLOCKED as blocked:
                self._wait_to_receive(blocked)
            except OSError:
                return b""
            else:
                if self.reading is not None:
                    self.reading.moved += len(data)
                return data

    def receive_into(self, view: memoryview) -> int:
        """As :meth:`receive`, into ``view``; 0 at the end of the stream."""
        while True:
            try:
                count: int = self.sock.recv_into(view)
            except BLOCKED as blocked:
                self._wait_to_receive(blocked)
            except OSError:
                return 0
            else:
                if self.reading is not None:
                    self.reading.moved += count
                return count

    def _wait_to_receive(self, blocked: OSError) -> None:
        if self.reading is None:
            self.reading = Pace(self._limits.body_idle_timeout_s, self._limits.body_min_rate_bytes)
        try:
            self._wait(self.reading, writable=isinstance(blocked, ssl.SSLWantWriteError))
        except DeadlineExpired:
            raise RequestTimeout("the request's bytes come too slowly") from None

    # -- sending --------------------------------------------------------------------------------------------------

    def send(self, data: bytes, flags: int = 0) -> None:
        """Send all of ``data``. Raises ClientDisconnected when the client is gone or reads too slowly."""
        try:
            sent = self.sock.send(data, flags)
        except BLOCKED as blocked:
            self._wait_to_send(blocked)
            sent = 0
        except OSError as error:
            raise ClientDisconnected("the client closed the connection") from error
        self._note_sent(sent)
        if sent != len(data):
            self._send_rest(memoryview(data), sent)

    def send_parts(self, parts: Sequence[bytes]) -> None:
        """Send all parts one after the other; small ones in one piece."""
        size = sum(map(len, parts))
        if size <= JOIN_MAX:
            return self.send(b"".join(parts))
        if self.tls:
            for part in parts:
                self.send(part)
            return None
        sent = self._send_message(parts)
        self._note_sent(sent)
        for part in parts:
            if sent < len(part):
                self._send_rest(memoryview(part), sent)
            sent = max(0, sent - len(part))
        return None

    def _send_message(self, parts: Sequence[bytes]) -> int:
        try:
            return self.sock.sendmsg(parts)  # type: ignore[no-any-return]
        except BLOCKED as blocked:
            self._wait_to_send(blocked)
            return 0
        except OSError as error:
            raise ClientDisconnected("the client closed the connection") from error

    def _send_rest(self, view: memoryview, sent: int) -> None:
        while sent < len(view):
            size = turn_size(sent)
            try:
                count = self.sock.send(view[sent : sent + size])
            except BLOCKED as blocked:
                self._wait_to_send(blocked)
                continue
            except OSError as error:
                raise ClientDisconnected("the client closed the connection") from error
            sent += count
            self._note_sent(count)
            self.give_way(size)

    def send_ahead(self, data: bytes) -> None:
        """As :meth:`send`, told that more follows at once: the kernel may put both into one packet."""
        self.send(data, socket.MSG_MORE)

    def send_file(self, file_fd: int, offset: int, count: int, *, sent: int = 0) -> int:
        """Send ``count`` bytes of a file with sendfile(2), not for TLS; return the bytes sent.

        ``sent`` bytes of the same body went before. Fewer than ``count`` means that the file is shorter. Raises
        ClientDisconnected as :meth:`send` does, and OSError when the file cannot be read; ``file_bytes_sent`` says how
        far it came.
        """
        self.file_bytes_sent = 0
        if _giving_way and not sent and count > TURN_MIN and not self._is_held:
            self._hold(TURN_MIN)
        while (done := self.file_bytes_sent) < count:
            # PERF: who sends alone has nobody to begin in small steps for.
            size = turn_size(sent + done) if _giving_way else TURN_MAX
            try:
                step = self._send_file_step(file_fd, offset + done, min(count - done, size))
            except BlockingIOError as blocked:
                self._wait_to_send(blocked)
                continue
            if not step:
                break
            self.file_bytes_sent += step
            if self._is_held and sent + done + step >= TRUSTED_FROM:
                self._hold(0)
            self._note_sent(step)
            self.give_way(size)
        return self.file_bytes_sent

    def _hold(self, size: int) -> None:
        """Let the kernel take ``size`` bytes beyond what is on its way to the client, no megabytes; 0 is as it comes.

        To fill the buffers of hundreds who never read would take the time of everybody else, and memory that the system
        bounds for all its connections together (net.ipv4.tcp_mem).
        """
        self._is_held = size > 0
        with suppress(OSError):  # a unix socket, whose buffer is small
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)

    def _send_file_step(self, file_fd: int, offset: int, count: int) -> int:
        try:
            return os.sendfile(self.fd, file_fd, offset, count)
        except OSError as error:
            if error.errno in _PEER_GONE:
                raise ClientDisconnected("the client closed the connection") from error
            if error.errno not in _NO_SENDFILE:
                raise
        data = os.pread(file_fd, min(count, COPY_SIZE), offset)  # a file system without sendfile
        self.send(data)
        return len(data)

    def _note_sent(self, count: int) -> None:
        """Bytes moved belong to this turn, and win time back for a client who was waited for."""
        self._turn += count
        if self.writing is not None:
            self.writing.moved += count

    def give_way(self, size: int) -> None:
        """After ``size`` bytes sent without waiting, let others run.

        A fast reader must not keep the hub for itself, nor must buffers that are being filled.
        """
        global _giving_way
        if self._turn < size:
            return
        self._turn = 0
        _giving_way += 1
        try:
            green.sleep(0)
        finally:
            _giving_way -= 1

    def _wait_to_send(self, blocked: OSError) -> None:
        if self.writing is None:
            self.writing = Pace(self._limits.write_timeout_s, self._limits.body_min_rate_bytes)
        try:
            self._wait(self.writing, writable=not isinstance(blocked, ssl.SSLWantReadError))
        except DeadlineExpired:
            raise ClientDisconnected("the client reads the response too slowly") from None

    # -- waiting --------------------------------------------------------------------------------------------------

    def _wait(self, pace: Pace, *, writable: bool) -> None:
        """Wait until the socket is writable or readable (TLS may need either, for either).

        Raises DeadlineExpired beyond the pace, ClientDisconnected when the connection was closed meanwhile.
        """
        began = monotonic()
        self._turn = 0
        self.deadline = pace.deadline(began)
        try:
            if writable:
                self._wait_writable()
            else:
                self._wait_readable()
        finally:
            self.deadline = NEVER
            pace.waited_s += monotonic() - began
        if self.closed:
            raise ClientDisconnected("the connection was closed")

    def _wait_readable(self) -> None:
        self.watch()
        self._reader = greenlet.getcurrent()
        try:
            self._hub.switch()
        finally:
            self._reader = None

    def _wait_writable(self) -> None:
        self._writer = greenlet.getcurrent()
        listener = self._hub.add(self._hub.WRITE, self.fd, self._on_writable, self._on_obsolete, None)
        try:
            self._hub.switch()
        finally:
            self._writer = None
            self._remove(listener)

    def expire(self) -> bool:
        """Throw DeadlineExpired into the greenthread that waits; False when none does."""
        waiter = self._reader if self._reader is not None else self._writer
        if waiter is None:
            return False
        self.deadline = NEVER
        self._hub.schedule_call_global(0, self._throw, waiter)
        return True

    def _throw(self, waiter: Any) -> None:
        # What it waited for may have come between scheduling and now.
        if waiter in (self._reader, self._writer):
            waiter.throw(DeadlineExpired)

    def watch(self) -> None:
        """Have the hub tell when bytes arrive."""
        if self._listener is None and not self.closed:
            self._listener = self._hub.add(self._hub.READ, self.fd, self._on_readable, self._on_obsolete, None)

    def _pause(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            self._remove(listener)

    def _remove(self, listener: Any) -> None:
        with suppress(KeyError):  # the hub has dropped the descriptor by itself
            self._hub.remove(listener)

    def _on_readable(self, _fd: int) -> None:
        if self._reader is not None:
            self._reader.switch()
        elif self.on_ready is not None:
            self._turn = 0
            self.on_ready()
        else:
            self._pause()  # busy: level-triggered, the hub would call again and again

    def _on_writable(self, _fd: int) -> None:
        # The hub may call for an event polled before the wait had ended for another reason.
        if self._writer is not None:
            self._writer.switch()

    def _on_obsolete(self, *_: object) -> None:
        """The hub saw the descriptor opened anew: somebody closed it behind our back."""
        self._listener = None
        self.closed = True
        waiter = self._reader if self._reader is not None else self._writer
        if waiter is not None:
            waiter.switch()

    # -- the end --------------------------------------------------------------------------------------------------

    def has_arrived(self) -> bool:
        """Tell whether bytes, or the stream's end, wait in the kernel."""
        try:
            _receive_raw(self.sock, 1, socket.MSG_PEEK)
        except BLOCKED:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Close now, in good order: what was sent reaches the client. A second call does nothing."""
        if self.closed:
            return
        self._say_goodbye()
        self._close()

    def abort(self) -> None:
        """Close now and let the client see that the response is not whole (a reset where there is one)."""
        if self.closed:
            return
        with suppress(OSError):  # the peer was faster
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._close()

    def linger(self, timeout_s: float, on_closed: Callable[[], None]) -> None:
        """Send the end of the stream, swallow what the client still sends until it closes, then close.

        A close with unread bytes would reset the connection, and the client might lose the answer it was sent
        (RFC 9112 9.6). ``on_closed`` is called in the hub's greenlet, unless ``close`` is called first.
        """
        if self.closed:
            return on_closed()
        self._say_goodbye()
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close()
            return on_closed()
        self.buffer = b""
        self.deadline = monotonic() + timeout_s
        self.on_ready = lambda: self._swallow(on_closed)
        self.watch()
        return None

    def _swallow(self, on_closed: Callable[[], None]) -> None:
        try:
            data = _receive_raw(self.sock, LINGER_RECEIVE)
        except BLOCKED:
            return
        except OSError:
            data = b""
        self._swallowed += len(data)
        if not data or self._swallowed > LINGER_BYTES_MAX:
            self._close()
            on_closed()

    def _say_goodbye(self) -> None:
        """TLS: send close_notify, without waiting for the client's; what was not sent so may have been cut off."""
        if self.tls:
            # Not unwrap(): eventlet's makes a second owner of the descriptor. A handshake never finished has no object.
            with suppress(OSError, ValueError, AttributeError):
                self.sock._sslobj.shutdown()

    def _close(self) -> None:
        self.closed = True
        self.on_ready = None
        self.deadline = NEVER
        self.buffer = b""
        self._pause()
        self.sock.close()
        self.fd = -1  # the number may soon be another connection's
