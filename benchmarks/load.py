"""Loads: wrk for small requests, signed beforehand; curl for large ones."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.servers import ACCESS_KEY, REGION, SECRET_KEY, Server

_SCRIPT = """
local requests = {}
local n = 0
for line in io.lines("%s") do
  requests[#requests + 1] = line
end
local made = {}
init = function(args)
  for i, line in ipairs(requests) do
    local f = io.open(line, "rb"); made[i] = f:read("*a"); f:close()
  end
end
request = function()
  n = n + 1
  if n > #made then n = 1 end
  return made[n]
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), summary.errors.status + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True)
class Request:
    """One request before it is signed."""

    method: str
    path: str
    body: bytes = b""


@dataclass(frozen=True)
class Sample:
    """What one run of a load measured. Times in microseconds."""

    requests: int
    requests_per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float  # of the whole server, per request
    errors: int
    bytes_per_s: float = 0.0


def sign(url: str, request: Request, *, presigned: bool = False) -> bytes:
    """The request as it goes over the wire, signed by botocore."""
    made = AWSRequest(
        request.method, url + request.path, data=request.body, headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    )
    credentials = Credentials(ACCESS_KEY, SECRET_KEY)
    if presigned:
        S3SigV4QueryAuth(credentials, "s3", REGION, expires=3600).add_auth(made)
    else:
        made.context["payload_signing_enabled"] = False
        S3SigV4Auth(credentials, "s3", REGION).add_auth(made)
    target = urlsplit(made.url)
    lines = [
        f"{request.method} {target.path}{'?' + target.query if target.query else ''} HTTP/1.1",
        f"Host: {target.netloc}",
        "User-Agent: Boto3/1.40 md/Botocore#1.40 ua/2.1 os/linux lang/python",
        "Accept-Encoding: identity",
        "amz-sdk-invocation-id: 3f8a2b52-6f0a-4d6e-9a43-6f4bd6f3a2c1",
        "amz-sdk-request: attempt=1",
        f"Content-Length: {len(request.body)}",
        *(f"{name}: {value}" for name, value in made.headers.items() if name.lower() not in ("host", "content-length")),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body


def wrk(server: Server, raw: Sequence[bytes], *, connections: int, seconds: int) -> Sample:
    """Send the raw requests round and round over ``connections`` keep-alive connections for ``seconds``."""
    with tempfile.TemporaryDirectory() as directory:
        names = []
        for number, data in enumerate(raw):
            path = Path(directory, str(number))
            path.write_bytes(data)
            names.append(str(path))
        Path(directory, "list").write_text("\n".join(names) + "\n")
        Path(directory, "script.lua").write_text(_SCRIPT % (directory + "/list"))
        before = server.cpu_s()
        output = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", f"{directory}/script.lua", server.url],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        cpu_s = server.cpu_s() - before
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", output)
    assert found, output
    requests, duration_us, p50, p99, errors = map(int, found.groups())
    return Sample(requests, requests / duration_us * 1e6, p50, p99, cpu_s / max(1, requests) * 1e6, errors)


def curl_get(server: Server, url: str, *, times: int) -> Sample:
    """GET a large body ``times`` over one connection, thrown away."""
    before = server.cpu_s()
    output = subprocess.run(
        ["curl", "-sS", "--fail", "-w", "%{json}\n", *[part for _ in range(times) for part in ("-o", "/dev/null", url)]],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    cpu_s = server.cpu_s() - before
    runs = [json.loads(line) for line in output.splitlines()]
    taken = sorted(run["time_total"] for run in runs)
    size = sum(run["size_download"] for run in runs)
    return Sample(
        times,
        times / sum(taken),
        taken[len(taken) // 2] * 1e6,
        taken[-1] * 1e6,
        cpu_s / times * 1e6,
        0,
        size / sum(taken),
    )
