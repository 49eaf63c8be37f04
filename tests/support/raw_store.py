"""Raw requests to a running store, signed or not, byte for byte as a test wants them; and many clients at once."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from support.raw_http import Client
from support.store import ACCESS_KEY, REGION, SECRET_KEY, Store

from nova_wsgi import green

PATIENCE_S = 20.0  # how long one read or write of a client may take
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


# -- signing ----------------------------------------------------------------------------------------------------------


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("latin-1"), "sha256")


class Signed(NamedTuple):
    """A request head, and what the signatures of its chunks go on from."""

    head: bytes
    signature: str
    timestamp: str
    scope: str

    def sign_chunk(self, data: bytes, previous: str) -> str:
        """AWS: "Signature calculations: transferring payload in multiple chunks"."""
        to_sign = ("AWS4-HMAC-SHA256-PAYLOAD", self.timestamp, self.scope, previous, EMPTY_SHA256)
        key = _signing_key(self.scope)
        return _hmac(key, "\n".join((*to_sign, hashlib.sha256(data).hexdigest()))).hex()

    def encode_chunks(self, *pieces: bytes) -> bytes:
        """A body of signed chunks, closed by the empty one."""
        previous, made = self.signature, []
        for piece in (*pieces, b""):
            previous = self.sign_chunk(piece, previous)
            made.append(b"%x;chunk-signature=%s\r\n%s\r\n" % (len(piece), previous.encode(), piece))
        return b"".join(made)


def _signing_key(scope: str) -> bytes:
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def sign(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    host: str = "store.test",
    payload: str = UNSIGNED,
    unsigned: Mapping[str, str] | None = None,
) -> Signed:
    """A head with a SigV4 Authorization over ``headers``; ``unsigned`` are sent beside it, Content-Length among them.

    ``target`` goes onto the wire as it is. Written from AWS's description, for itself: a second opinion on the store's.
    """
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{timestamp[:8]}/{REGION}/s3/aws4_request"
    signed = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": timestamp}
    signed.update({name.lower(): value for name, value in (headers or {}).items()})
    path, _, query = target.partition("?")
    pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair)
    names = ";".join(sorted(signed))
    canonical_headers = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    canonical = "\n".join((method, path, "&".join(pairs), canonical_headers, names, payload))
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    signature = _hmac(_signing_key(scope), f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}").hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    )  # fmt: skip
    fields = {**signed, **(unsigned or {}), "Authorization": authorization}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return Signed("\r\n".join((*lines, "\r\n")).encode("latin-1"), signature, timestamp, scope)


def sign_put(target: str, size: int, headers: Mapping[str, str] | None = None) -> bytes:
    """The head of an upload of ``size`` bytes, whatever they are."""
    return sign("PUT", target, headers, unsigned={"Content-Length": str(size)}).head


# -- connections --------------------------------------------------------------------------------------------------------


class Wire(Client):
    """A connection that takes large bodies without copying them again and again."""

    def take(self, size: int) -> bytes:
        if size <= len(self.received):
            return super().take(size)
        data = bytearray(size)
        count = len(self.received)
        data[:count], self.received = self.received, b""
        view = memoryview(data)
        while count < size:
            more = self.sock.recv_into(view[count:])
            assert more, f"the connection ended {size - count} bytes early"
            count += more
        return bytes(data)

    def is_over(self) -> bool:
        """Tell whether the server has ended the connection, without waiting."""
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(PATIENCE_S)


def connect(store: Store, *, receive_buffer: int = 0, timeout_s: float = PATIENCE_S) -> Wire:
    """A connection to the store. A small ``receive_buffer`` (bytes) makes a reader that the server has to wait for."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(timeout_s)
    sock.connect(("127.0.0.1", store.port))
    return Wire(sock=sock)


@contextmanager
def connect_to_each_worker(store: Store, number: int) -> Iterator[list[Wire]]:
    """``number`` connections for each worker, in turn; to connect to one, the others are held."""
    pids = store.workers()
    with ExitStack() as stack:
        columns = []
        for pid in pids:
            with _held([other for other in pids if other != pid]):
                wires = [stack.enter_context(connect(store)) for _ in range(number)]
                for wire in wires:
                    assert wire.send(sign("HEAD", "/").head).response(method="HEAD").status in (200, 405)
            columns.append(wires)
        yield [wire for row in zip(*columns, strict=True) for wire in row]


@contextmanager
def _held(pids: Sequence[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def read_error_code(body: bytes) -> str:
    """The code in an error document; the document must look like one of AWS's."""
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error>'), body[:200]
    assert b"<RequestId>" in body
    return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


# -- many clients ---------------------------------------------------------------------------------------------------------


class Load:
    """Clients at work, each in a greenthread; ``goes_on`` until the test has seen enough, ``count`` what they did."""

    def __init__(self) -> None:
        self.goes_on = True
        self.count = 0

    def wait_for(self, more: int) -> None:
        """Wait until the clients have done ``more`` than now."""
        target, deadline = self.count + more, time.monotonic() + PATIENCE_S
        while self.count < target:
            assert time.monotonic() < deadline, f"{self.count - target + more} of {more} done in {PATIENCE_S} s"
            green.sleep(0.01)


@contextmanager
def clients(number: int, work: Callable[[int, Load], Any]) -> Iterator[Load]:
    """Run ``work(index, load)`` ``number`` times at once. When the block ends they end, and the first error is raised."""
    load = Load()
    running = [green.spawn(work, index, load) for index in range(number)]
    try:
        yield load
    finally:
        load.goes_on = False
        outcomes = [_outcome(greenthread) for greenthread in running]
    for error in filter(None, outcomes):
        raise error


def _outcome(greenthread: Any) -> Exception | None:
    try:
        greenthread.wait()
    except Exception as error:  # noqa: BLE001  every client is waited for before the first failure is raised
        return error
    return None
