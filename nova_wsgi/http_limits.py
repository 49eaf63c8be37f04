"""Every bound the HTTP server sets on what a client may send, hold or delay, with the reason for its number."""

from __future__ import annotations

from dataclasses import dataclass

KiB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Bounds of one HTTP server. Sizes are bytes, times seconds; ``None`` and, where it says so, 0 mean no bound."""

    request_line_max: int = 16 * KiB  # S3: keys of 1024 bytes, percent-encoded, with a presigned query of some KiB
    header_count_max: int = 200  # S3 allows 2 KiB of user metadata: some hundred short headers
    header_size_max: int = 32 * KiB  # one field line; session tokens and Kerberos tickets reach 16 KiB
    headers_total_max: int = 64 * KiB  # the whole header block, request line included; of trailers too
    body_max: int | None = None  # S3 sends objects of 5 GiB in one body; an application sets what fits it
    chunk_line_max: int = 4 * KiB  # one chunk-size line with its extensions
    chunk_extensions_max: int = 16 * KiB  # all chunk extensions of a body: they carry nothing, and cost parsing

    connections_max: int = 10_000  # an idle connection costs a few KiB and one descriptor
    connections_per_address_max: int = 0  # 0 is no bound: behind a proxy or NAT many clients have one address
    requests_in_flight_max: int = 1000  # beyond it waiting longer helps nobody: 503 and Retry-After
    requests_per_connection_max: int = 0  # 0 is no bound; a bound spreads clients over workers again
    retry_after_s: int = 1  # what a 503 tells the client

    handshake_timeout_s: float = 10.0  # PROXY header and TLS handshake together
    header_timeout_s: float = 20.0  # from the first byte of a request, or from accept, to the end of its header block
    body_idle_timeout_s: float = 60.0  # credit with which a body starts; also the longest pause inside it
    body_min_rate_bytes: int = 512  # bytes a second that win back the time spent waiting for the client
    keepalive_timeout_s: float = 75.0  # longer than the 60 s of common load balancers, so that they close first
    write_timeout_s: float = 60.0  # as body_idle_timeout_s, for a client that reads the response slowly
    linger_timeout_s: float = 5.0  # how long to swallow an unread body, so that the client gets to read the refusal

    @property
    def tick_s(self) -> float:
        """How often deadlines are looked at: a small part of the smallest of them, at most once a second."""
        shortest = min(
            self.handshake_timeout_s,
            self.header_timeout_s,
            self.body_idle_timeout_s,
            self.keepalive_timeout_s,
            self.write_timeout_s,
            self.linger_timeout_s,
        )
        return max(0.02, min(1.0, shortest / 5))
