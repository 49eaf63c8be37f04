"""Acceptor: takes connections from a listening socket, on a hub, and hands them on.

Laws:

- Of the connections that wait a process accepts at one wake-up what is its share of them, so that in the end all
  processes have as many; one whose share is none lets the others go first, for a moment. One that loses the race finds
  nothing and goes on.
- Callbacks from the hub never raise: the hub would drop the descriptor, and nobody would accept any more.
- The listening socket belongs to somebody else; here it is not closed.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any, Final, Protocol

from nova_wsgi.shares import Shares

BACKLOG_MAX: Final = 4096  # connections taken from the kernel when stopping
ACCEPTED_MAX: Final = 16  # connections at one wake-up, some 50 us each, before others run
GIVE_WAY_S: Final = 0.001  # how long another process has to take a connection that it should have
STARVED_PAUSE_S: Final = 0.2  # without descriptors or memory: how long not to accept
STARVED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
LISTENER_GONE: Final = frozenset((errno.EBADF, errno.EINVAL, errno.ENOTSOCK))

# tcp_info.tcpi_unacked (linux/tcp.h): of a listening socket, how many connections are ready for accept().
_UNACKED_OFFSET: Final = 24
_unacked: Final = struct.Struct("=I").unpack_from


class Host(Protocol):
    """For whom connections are accepted."""

    def take(self, sock: Any, address: Any) -> None:
        """An accepted socket. What it raises is complained of, and the socket closed."""

    def make_room(self) -> object:
        """Descriptors or memory are short: give some back."""

    def complain(self, message: str, error: BaseException | None = None) -> None:
        """Tell whoever reads the log."""


class Acceptor:
    """Accepts for ``host`` from ``sock``, non-blocking and listening. ``shares``: of all processes that do so."""

    def __init__(self, sock: Any, host: Host, shares: Shares | None) -> None:
        self._sock = sock
        self._host = host
        self._shares = shares
        self._hub: Any = None
        self._listener: Any = None
        self._resumption: Any = None
        self._gave_way = False

    def start(self, hub: Any) -> None:
        """Begin, in the hub of the calling thread."""
        self._hub = hub
        if self._shares is not None:
            self._shares.join()
        self.resume()

    def stop(self, *, take_waiting: bool) -> None:
        """Take what the kernel has accepted already, if asked to, and nothing after it."""
        was_accepting = self._listener is not None or self._resumption is not None
        self.pause()
        if self._shares is not None:
            self._shares.leave()
        for _ in range(BACKLOG_MAX if was_accepting and take_waiting else 0):  # bounded: more may come meanwhile
            if not self._accept_one():
                break

    def count(self, connections: int) -> None:
        """So many of the connections are open now."""
        if self._shares is not None:
            self._shares.tell(connections)

    def resume(self) -> None:
        """Listen again."""
        self._resumption = None
        if self._listener is None:
            self._listener = self._hub.add(
                self._hub.READ, self._sock.fileno(), self._on_acceptable, self._on_listener_gone, None
            )

    def pause(self) -> None:
        """Listen no more, for now."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._hub.remove(listener)
        resumption, self._resumption = self._resumption, None
        if resumption is not None:
            resumption.cancel()

    def _pause_for(self, pause_s: float) -> None:
        """Level-triggered, the hub would call at once again."""
        was_accepting = self._listener is not None
        self.pause()
        if was_accepting:
            self._resumption = self._hub.schedule_call_global(pause_s, self.resume)

    def _on_acceptable(self, _fd: int) -> None:
        """In the hub: connections are there, unless another process was faster."""
        if self._listener is None:
            return
        share = waiting = self._count_waiting()
        if self._shares is not None:
            share = self._shares.share_of(waiting)
        if not share and not self._gave_way:
            self._gave_way = True
            self._pause_for(GIVE_WAY_S)
            return
        self._gave_way = False
        for _ in range(min(share or 1, ACCEPTED_MAX)):
            if not self._accept_one():
                break

    def _count_waiting(self) -> int:
        """How many connections the kernel holds ready, as far as it tells; at least one."""
        try:
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED_OFFSET + 4)
            waiting: int = _unacked(info, _UNACKED_OFFSET)[0]
        except (OSError, struct.error):  # a unix socket; a kernel that tells less
            return 1
        return max(1, waiting)

    def _on_listener_gone(self, *_: object) -> None:
        self._listener = None

    def _accept_one(self) -> bool:
        """Accept one connection; False when there is none, or it could not be taken."""
        try:
            sock, address = self._sock.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            return self._on_accept_failed(error)
        try:
            self._host.take(sock, address)
        except Exception as error:  # noqa: BLE001  in the hub's callback: what leaves it would stop accepting for good
            self._host.complain("an accepted connection could not be served", error)
            sock.close()
        return True

    def _on_accept_failed(self, error: OSError) -> bool:
        if error.errno in STARVED:
            self._host.complain(f"cannot accept: {error.strerror}")
            self._host.make_room()
            self._pause_for(STARVED_PAUSE_S)
        elif error.errno in LISTENER_GONE:
            self._host.complain(f"the listening socket is gone: {error.strerror}")
            self.pause()
        else:
            return True  # accept(2): the error of a connection that has died already; others may wait behind it
        return False
