"""Connections that do nothing: HOST PORT COUNT; a request on stdin is sent once over each, then they stay till stdin ends."""

from __future__ import annotations

import socket
import sys


def main() -> None:
    """Open, ask once, say ``ready``, wait."""
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    lines = []
    while line := sys.stdin.readline().strip():
        lines.append(line)
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    connections = []
    for _ in range(count):
        connection = socket.create_connection((host, port), timeout=30)
        connection.sendall(request)
        if not connection.recv(64 * 1024).startswith(b"HTTP/1.1 2"):
            raise SystemExit("refused")
        connections.append(connection)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
