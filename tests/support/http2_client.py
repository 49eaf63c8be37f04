"""A client of HTTP/2 over TLS that sends what it is told, however wrong, and reads the answers as they must be.

What it sends is checked by nobody; what it receives is, by the h2 package.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from hyperframe.frame import DataFrame, HeadersFrame

PATIENCE_S = 10.0

Field = tuple[bytes, bytes]
Block = Sequence[Field] | bytes  # a head or trailers, or a piece of a body


@dataclass
class Answer:
    """What came on one stream; a status of 0 when there was no response."""

    status: int = 0
    headers: Sequence[Field] = ()
    body: bytes = b""
    ended: bool = False  # in good order
    reset: int | None = None  # the error code of a stream that was broken

    @property
    def is_over(self) -> bool:
        return self.ended or self.reset is not None

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


@dataclass
class Http2Client:
    """One connection. Reads time out with an error instead of hanging the tests."""

    port: int
    context: ssl.SSLContext  # which checks the server's certificate
    source: str = "127.0.0.1"
    answers: dict[int, Answer] = field(default_factory=dict)
    is_over: bool = False  # the server has said that it goes, or has gone

    def __post_init__(self) -> None:
        self.context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S, source_address=(self.source, 0))
        self.sock: Any = self.context.wrap_socket(plain, server_hostname="localhost")
        assert self.sock.selected_alpn_protocol() == "h2"
        config = H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._state = H2Connection(config)
        self._state.initiate_connection()
        self._flush()

    def __enter__(self) -> Http2Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, blocks: Sequence[Block]) -> int:
        """Send the blocks as frames of a new stream, the last one its end; its number."""
        head, *others = blocks
        assert not isinstance(head, bytes)
        stream = self._state.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self._state.send_headers(stream, head, end_stream=not others)
        frames = [self._state.data_to_send()]
        for number, block in enumerate(others, 1):
            frames.append(self._frame(stream, block, is_last=number == len(others)))
        self._send(b"".join(frames))
        return stream

    def _frame(self, stream: int, block: Block, *, is_last: bool) -> bytes:
        """A frame that the connection's state is not told of, but for its size: it would know better."""
        frame: DataFrame | HeadersFrame
        if isinstance(block, bytes):
            frame = DataFrame(stream, block)
            self._state.outbound_flow_control_window -= len(block)
            self._state.streams[stream].outbound_flow_control_window -= len(block)
        else:
            frame = HeadersFrame(stream, self._state.encoder.encode(block))
            frame.flags.add("END_HEADERS")
        if is_last:
            frame.flags.add("END_STREAM")
        return frame.serialize()

    def begin(self, head: Sequence[Field], body: bytes = b"") -> int:
        """Send a request with as much body as the windows allow, over and over until it is sent; the stream's number."""
        stream = self._state.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self._state.send_headers(stream, head, end_stream=not body)
        sent = 0
        while sent < len(body):
            window = self._state.local_flow_control_window(stream)
            size = min(window, self._state.max_outbound_frame_size, len(body) - sent)
            if size:
                self._state.send_data(stream, body[sent : sent + size], end_stream=sent + size == len(body))
                sent += size
            self._flush()
            if not size and (not self.receive_more() or self.answers[stream].is_over):
                break
        self._flush()
        return stream

    def cancel(self, stream: int) -> None:
        """Break a stream: nobody wants to have its answer any more."""
        self._state.reset_stream(stream, ErrorCodes.CANCEL)
        self.answers[stream].reset = int(ErrorCodes.CANCEL)
        self._flush()

    def _flush(self) -> None:
        self._send(self._state.data_to_send())

    def _send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except (ConnectionError, ssl.SSLError):
            return  # refused before the end; the answer tells

    # -- receiving -----------------------------------------------------------------------------------------------------

    def wait(self, streams: Iterable[int] | None = None) -> None:
        """Receive until these streams (or all) are over, or the connection. Raises TimeoutError."""
        wanted = list(self.answers if streams is None else streams)
        while not self.is_over and not all(self.answers[stream].is_over for stream in wanted):
            self.receive_more()

    def request(self, head: Sequence[Field], body: bytes = b"") -> Answer:
        """Send a request and wait for its answer."""
        stream = self.begin(head, body)
        self.wait([stream])
        return self.answers[stream]

    def receive_more(self) -> bool:
        """Receive something; False at the end of the connection, however it ends."""
        try:
            data = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.is_over = True
            return False
        for event in self._state.receive_data(data):
            self._note(event)
        self._flush()
        return True

    def _note(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.is_over = True
        elif isinstance(event, ResponseReceived):
            headers = event.headers
            answer = self.answers[event.stream_id]
            answer.status, answer.headers = int(headers[0][1]), [(bytes(name), bytes(value)) for name, value in headers]
        elif isinstance(event, DataReceived):
            self.answers[event.stream_id].body += event.data
            self._state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            self.answers[event.stream_id].ended = True
        elif isinstance(event, StreamReset):
            self.answers[event.stream_id].reset = int(event.error_code)


def head_of(method: str, authority: str, path: str, *fields: tuple[str, str]) -> Sequence[Field]:
    """The head of an honest request."""
    pseudo = ((":method", method), (":scheme", "https"), (":authority", authority), (":path", path))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*pseudo, *fields)]
