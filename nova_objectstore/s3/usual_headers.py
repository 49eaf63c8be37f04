"""The headers that clients send with every request: of the object, its conditions and its protection they say nothing.

PERF: one look at a request's names tells that nothing unusual is asked for, where a look for each header that could ask for
it takes ten times as long. Law: whoever reads a header for what it says keeps it out of the set that he passes requests by.
"""

from __future__ import annotations

USUAL_HEADERS = frozenset(
    ("accept", "accept-encoding", "accept-language", "amz-sdk-invocation-id", "amz-sdk-request", "authorization",
     "connection", "content-length", "content-type", "date", "expect", "host", "user-agent", "x-amz-content-sha256",
     "x-amz-date", "x-amz-security-token", "x-amz-user-agent", "x-amzn-trace-id")
)  # fmt: skip
