"""A Ceph cluster of one monitor and one OSD on loopback, and its gateway, radosgw: the peer that a store is compared with.

Without a manager: a yardstick starts in seconds and is thrown away.
The OSD is BlueStore on a sparse file, with Ceph's own durability: a write is answered when it is on the disk.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.placement import serving
from benchmarks.servers import Server, find_program
from benchmarks.signing import ACCESS_KEY, SECRET_KEY
from nova_wsgi.testing import Listening, LiveServer, free_port, wait_until

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
START_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 120.0

_CONFIG = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
keyring = {directory}/keyring
auth allow insecure global id reclaim = false
run dir = {directory}
admin socket = {directory}/$name.asok
log file = {directory}/$name.log
mon cluster log file = {directory}/cluster.log
crash dir = {directory}
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 2000
paxos propose interval = 0.05
[mon]
mon data = {directory}/mon
[osd]
osd data = {directory}/osd
osd objectstore = bluestore
bluestore block create = true
bluestore block size = 17179869184
osd memory target = 939524096
[client.rgw.bench]
rgw data = {directory}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
"""

_CAPABILITIES = {  # of who speaks in the cluster
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "client.rgw.bench": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *", "mgr": "allow profile osd"},
}


def is_installed() -> bool:
    """Whether all the programs are here (Debian: radosgw, ceph-mon, ceph-osd, ceph-common)."""
    return all(find_program(name) for name in PROGRAMS)


class _Cluster:
    """The files and processes of one cluster."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "ceph.conf"
        self.mon_port, self.port = free_port(), free_port()

    def make(self) -> None:
        """Write the configuration, and the monitor's first state."""
        for name in ("mon", "osd", "rgw"):
            (self.directory / name).mkdir()
        fsid = str(uuid.uuid4())
        self.config.write_text(
            _CONFIG.format(fsid=fsid, directory=self.directory, mon_port=self.mon_port, port=self.port)
        )
        keyring = self.directory / "keyring"
        self.run("ceph-authtool", "--create-keyring", keyring)
        for name, capabilities in _CAPABILITIES.items():
            allowed = [word for pair in capabilities.items() for word in ("--cap", *pair)]
            self.run("ceph-authtool", keyring, "-n", name, "--gen-key", *allowed)
        monmap = self.directory / "monmap"
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{self.mon_port}/0]", monmap)
        self.run("ceph-mon", "-c", self.config, "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)

    def make_osd(self) -> None:
        """Tell the running monitor of the OSD, and make its store."""
        osd = str(uuid.uuid4())
        self.run("ceph", "-c", self.config, "--connect-timeout", "30", "osd", "new", osd, "0")
        self.run("ceph-osd", "-c", self.config, "-i", "0", "--mkfs", "--osd-uuid", osd)

    def make_user(self) -> None:
        """The user of our key pair; makes the gateway's pools too."""
        self.run(
            "radosgw-admin", "-c", self.config, "-n", "client.rgw.bench", "user", "create", "--uid", "bench",
            "--display-name", "bench", "--access-key", ACCESS_KEY, "--secret", SECRET_KEY,
        )  # fmt: skip

    def is_up(self) -> bool:
        """Whether the OSD serves."""
        return "1 up" in self.run("ceph", "-c", self.config, "--connect-timeout", "30", "osd", "stat")

    def run(self, *command: str | Path) -> str:
        """Run a tool to its end; its output."""
        words = [find_program(str(command[0])) or str(command[0]), *map(str, command[1:])]
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
        if done.returncode:
            raise ChildProcessError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def daemon(self, stack: ExitStack, port: int | None, *command: str | Path) -> LiveServer:
        """A daemon till the end of ``stack``."""
        words = [find_program(str(command[0])) or str(command[0]), *command[1:], "-c", self.config, "-f"]
        ready = Listening(port) if port is not None else _Started()
        live = LiveServer(serving(words), ready=ready, start_timeout_s=START_TIMEOUT_S, stop_timeout_s=START_TIMEOUT_S)
        stack.callback(live.kill)  # nothing of it is kept, and an OSD takes its time to end softly
        return live


class _Started:
    """Ready at once: what depends on it asks again until it answers."""

    def prepare(self, environ: dict[str, str]) -> None:
        """Nothing."""

    def is_ready(self, server: LiveServer) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Nothing."""


@contextmanager
def radosgw(directory: Path) -> Iterator[Server]:
    """Cluster and gateway; the Server's processes are all of them, since a request is answered by all of them."""
    cluster = _Cluster(directory)
    with ExitStack() as stack:
        cluster.make()
        mon = cluster.daemon(stack, cluster.mon_port, "ceph-mon", "-i", "a")
        cluster.make_osd()
        osd = cluster.daemon(stack, None, "ceph-osd", "-i", "0")
        wait_until(cluster.is_up, START_TIMEOUT_S, what="the OSD")
        cluster.make_user()
        gateway = cluster.daemon(stack, cluster.port, "radosgw", "-n", "client.rgw.bench")
        yield Server("radosgw", f"http://127.0.0.1:{cluster.port}", (gateway.pid, osd.pid, mon.pid))
