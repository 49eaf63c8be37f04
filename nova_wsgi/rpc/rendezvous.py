"""Rendezvous: the directory in which the consumers of one host are found.

Each consumer listens on a socket ``<path>/<topic>/<host>/<unique>.sock``. Its name is never used again, so a socket that
refuses connections is a dead one's and is removed by whoever finds it. It gets its name only after it listens, so none
is taken for dead that is being born. Directories are 0700, sockets 0600: who runs the services may send.

A directory is listed again only when it has changed, which its modification time tells; nothing is polled.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
import uuid
from collections.abc import Iterator

from nova_wsgi import green
from nova_wsgi.errors import ConfigError
from nova_wsgi.rpc.errors import QueueDown, QueueFull

SUFFIX = ".sock"
UNBORN_SUFFIX = ".new"  # bound, not yet listening
UNBORN_AGE_S = 60.0  # older ones were left by a crash
BACKLOG = 1024  # connections not yet accepted: one a sending process
SOCKET_PATH_MAX = 107  # bytes (unix(7): sun_path has 108, with its end)
# A listing is trusted when the directory's time is this much older than the listing. Times move in clock ticks (at
# most 10 ms): a change right after the listing could bear the same one.
SETTLED_NS = 50_000_000

_native_socket = green.original("socket")  # a unix socket connects at once or not at all: no need to wait for it


class ConsumerGone(Exception):
    """Nobody listens there any more."""


class Rendezvous:
    """Finds, and makes, the sockets of consumers under ``path``."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._listings: dict[str, _Listing] = {}

    def bind(self, topic: str, host: str) -> tuple[socket.socket, str]:
        """A listening socket for a new consumer, and its path. Raises ConfigError when the place cannot be used."""
        directory = os.path.join(self.path, topic, host)
        try:
            for made in (self.path, os.path.dirname(directory), directory):
                _make_private(made)
            _sweep(directory)
            return _listen(directory)
        except OSError as error:
            raise ConfigError(f"the queue cannot use {directory}: {error.strerror or error}") from None

    def find(self, topic: str, host: str | None) -> list[str]:
        """The paths of the consumers of ``topic``, or of those on ``host``; some may be dead."""
        directory = os.path.join(self.path, topic)
        hosts = self._list(directory)  # first, so that no listing is kept of a host that is not there
        return [
            os.path.join(directory, name, socket_name)
            for name in hosts
            if host is None or name == host
            for socket_name in self._list(os.path.join(directory, name))
            if socket_name.endswith(SUFFIX)
        ]

    def connect(self, path: str) -> socket.socket:
        """Connect to a consumer's socket.

        Raises ConsumerGone when nobody listens there (a dead one's socket is then removed), QueueFull when it does not
        come to accepting, QueueDown when it cannot be used.
        """
        connecting = _native_socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connecting.setblocking(False)
            with _short(path) as address:
                connecting.connect(address)
            return socket.socket(fileno=connecting.detach())
        except ConnectionRefusedError:
            remove(path)
            raise ConsumerGone from None
        except FileNotFoundError:
            raise ConsumerGone from None
        except BlockingIOError:
            raise QueueFull(f"{path}: it accepts no connection now") from None
        except OSError as error:
            raise QueueDown(f"{path}: {error.strerror or error}") from None
        finally:
            connecting.close()

    def _list(self, directory: str) -> tuple[str, ...]:
        listing = self._listings.get(directory)
        if listing is None:
            listing = self._listings[directory] = _Listing(directory)
        return listing.names()


class _Listing:
    """The names in a directory, read again when it has changed."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._names: tuple[str, ...] = ()
        self._trusted_time_ns: int | None = None

    def names(self) -> tuple[str, ...]:
        try:
            changed_ns = os.stat(self._directory).st_mtime_ns  # PERF: 1 us, and a listing 15
            if changed_ns != self._trusted_time_ns:
                listed_ns = time.time_ns()
                self._names = tuple(os.listdir(self._directory))
                settled = changed_ns + SETTLED_NS < listed_ns
                self._trusted_time_ns = changed_ns if settled else None
        except (FileNotFoundError, NotADirectoryError):
            self._names, self._trusted_time_ns = (), None
        except OSError as error:
            raise QueueDown(f"{self._directory}: {error.strerror}") from None
        return self._names


# -- making and removing -------------------------------------------------------------------------------------------


def _make_private(directory: str) -> None:
    """Make a directory for its owner alone. Raises ConfigError when there is one that others may use."""
    with contextlib.suppress(FileExistsError):
        os.makedirs(directory, mode=0o700)
    found = os.stat(directory)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigError(f"the queue cannot use {directory}: it is not a directory of this user alone (mode 0700)")


def _listen(directory: str) -> tuple[socket.socket, str]:
    unique = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
    unborn, born = os.path.join(directory, unique + UNBORN_SUFFIX), os.path.join(directory, unique + SUFFIX)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(unborn) as address:
            listening.bind(address)
        os.chmod(unborn, 0o600)
        listening.listen(BACKLOG)
        os.rename(unborn, born)
    except BaseException:  # an interrupt too: a socket that nobody can find is of no use
        listening.close()
        remove(unborn)
        raise
    return listening, born


def _sweep(directory: str) -> None:
    """Remove what dead consumers left, so that a host's directory does not grow with its crashes."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name.endswith(SUFFIX):
            _remove_dead(path)
        elif name.endswith(UNBORN_SUFFIX):
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_mtime < time.time() - UNBORN_AGE_S:
                    remove(path)


def _remove_dead(path: str) -> None:
    with _native_socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            with _short(path) as address:
                probe.connect(address)
        except ConnectionRefusedError:
            remove(path)
        except OSError:
            pass  # gone already, or alive and busy


def remove(path: str) -> None:
    """Take a socket out of the directory; who holds a connection keeps it."""
    with contextlib.suppress(OSError):
        os.unlink(path)


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """The path, or one for the same file that fits into a socket address: through its directory's descriptor."""
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
        yield path
        return
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)
