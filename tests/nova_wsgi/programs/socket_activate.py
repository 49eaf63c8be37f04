"""Stands for systemd: makes listening sockets, says on which ports, and becomes the program that inherits them.

    socket_activate.py NAME[,NAME...] COMMAND...

A name may be empty: then LISTEN_FDNAMES is not set.
"""

import os
import socket
import sys

LISTEN_FDS_START = 3


def main() -> None:
    names = sys.argv[1].split(",")
    made = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    print("activated", *(listening.getsockname()[1] for listening in made), flush=True)
    # First out of the way of the numbers they must get.
    fds = [os.dup2(listening.fileno(), 100 + index) for index, listening in enumerate(made)]
    for index, fd in enumerate(fds):
        os.dup2(fd, LISTEN_FDS_START + index, inheritable=True)
    for fd in fds:
        os.close(fd)
    environ = {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(names))}
    if all(names):
        environ["LISTEN_FDNAMES"] = ":".join(names)
    os.execve(sys.argv[2], sys.argv[2:], environ)


if __name__ == "__main__":
    main()
