"""The supervisors that etc/ has files for, each run for real over those files.

Only what the files expect of a machine is replaced in them: where the programs, the options, the state and the logs are,
and the user. Each supervisor keeps to a folder of its own and is ended with all that it runs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from nova_wsgi.testing import LiveServer, LogLine, free_port, wait_until

ETC = Path(__file__).parents[2] / "etc"
BIN = Path(sys.executable).parent
PATIENCE_S = 20.0


class Machine:
    """What the files of etc/ expect, in a folder: programs, options, state, logs, user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"nova-api": free_port(), "nova-objectstore": free_port()}
        self.state = folder / "state"
        self.logs = folder / "logs"
        self.options = folder / "nova.conf"
        self.state.mkdir(mode=0o700)
        self.logs.mkdir()
        self.write_options()

    def write_options(self, *more: str) -> None:
        """Write nova.conf, with further lines."""
        lines = [
            "[DEFAULT]",
            f"state_path = {self.state}",
            f"osapi_listen_port = {self.ports['nova-api']}",
            "osapi_workers = 2",
            f"ec2_listen_port = {free_port()}",
            f"iam_listen_port = {free_port()}",
            f"s3_listen_port = {self.ports['nova-objectstore']}",
            "s3_workers = 1",
            "graceful_shutdown_timeout = 5",
        ]
        self.options.write_text("\n".join([*lines, *more]) + "\n")

    def install(self, source: Path, target: Path) -> None:
        """Copy a file of etc/, fitted to this machine."""
        text = source.read_text()
        user = "chpst -u root " if os.getuid() == 0 else "chpst "
        for expected, here in {
            "/opt/nova/bin": str(BIN),
            "/etc/nova/nova.conf": str(self.options),
            "/var/lib/nova": str(self.state),
            "/var/log/nova": str(self.logs),
            "/run/nova-": f"{self.folder}/",
            "chpst -u nova ": user,
            "chown nova ": "true ",
            "user=nova\n": "",
        }.items():
            text = text.replace(expected, here)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(source.stat().st_mode)


class Supervisor(Protocol):
    """One that runs nova-api and nova-objectstore."""

    machine: Machine

    def pid(self, name: str) -> int:
        """The process id of a service's launching process; 0 when it does not run."""
        ...

    def start(self, name: str) -> None:
        """Start a service that is down."""
        ...

    def reload(self, name: str) -> None:
        """Have it read its options again."""
        ...

    def stop(self, name: str) -> None:
        """Stop it softly; returns when it is down."""
        ...

    def log(self, name: str) -> str:
        """What the service has written."""
        ...

    def close(self) -> None:
        """End everything."""
        ...


def run(*command: str | Path, check: bool = True) -> str:
    """Run a command of a supervisor's; what it says."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.returncode}: {done.stdout}"
    return done.stdout


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def unavailable(reason: str) -> None:
    """Skip, or under CI fail: there the packages are installed."""
    pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


class Supervisord:
    """supervisord, from PyPI."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._conf = machine.folder / "supervisord.conf"
        machine.install(ETC / "supervisord.conf", self._conf)
        if not (BIN / "supervisord").exists():
            unavailable("no supervisord: pip install supervisor")
        command = [BIN / "supervisord", "--nodaemon", "-c", self._conf]
        environ = {"PYTHONWARNINGS": "ignore"}
        self._server = LiveServer(command, ready=LogLine("supervisord started"), environ=environ, cwd=machine.folder)

    def _ctl(self, *words: str, check: bool = True) -> str:
        return run(BIN / "supervisorctl", "-c", self._conf, *words, check=check)

    def pid(self, name: str) -> int:
        said = self._ctl("pid", name, check=False).strip()
        return int(said) if said.isdecimal() else 0

    def start(self, name: str) -> None:
        self._ctl("start", name)

    def reload(self, name: str) -> None:
        self._ctl("signal", "HUP", name)

    def stop(self, name: str) -> None:
        self._ctl("stop", name)

    def status(self, name: str) -> str:
        """The state's word: RUNNING, STOPPED, BACKOFF, FATAL."""
        return self._ctl("status", name, check=False).split()[1]

    def log(self, name: str) -> str:
        path = self.machine.logs / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        self._server.stop()


class Runit:
    """runsvdir, runsv, sv, chpst and svlogd, from Debian's runit."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        if shutil.which("runsvdir") is None:
            unavailable("no runit: apt-get install runit")
        self._services = machine.folder / "service"
        for name in machine.ports:
            for source in sorted((ETC / "runit" / name).rglob("*")):
                if source.is_file():
                    machine.install(source, self._services / name / source.relative_to(ETC / "runit" / name))
        self._server = LiveServer(["runsvdir", "-P", self._services], ready=LogLine(""))
        watched = [self._services / name / "supervise" / "ok" for name in machine.ports]
        wait_until(lambda: all(path.exists() for path in watched), what="a runsv for each service")

    def _sv(self, name: str, *words: str) -> str:
        return run("sv", "-w", "15", *words, self._services / name)

    def pid(self, name: str) -> int:
        path = self._services / name / "supervise" / "pid"
        said = path.read_text().strip() if path.exists() else ""
        return int(said) if said else 0

    def start(self, name: str) -> None:
        self._sv(name, "start")

    def reload(self, name: str) -> None:
        self._sv(name, "hup")

    def stop(self, name: str) -> None:
        self._sv(name, "stop")

    def status(self, name: str) -> str:
        """The state's word: run, finish, down."""
        return self._sv(name, "status").partition(":")[0]

    def log(self, name: str) -> str:
        path = self.machine.logs / name / "current"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        # Hanging up has runsvdir end its runsv, and these their services; they are no children of the session's.
        runners = psutil.Process(self._server.pid).children(recursive=True)
        self._server.stop(signal.SIGHUP)
        wait_until(lambda: not any(map(is_alive, runners)), PATIENCE_S, what="the end of what runit ran")


class Systemd:
    """A systemd manager of the test's own: in user mode, as root, in a mount and a cgroup namespace of its own.

    What is taken out of the units is only what that mode, or the test's folder, does not go with: the user, the state
    directory, and four lines that mount what such a manager cannot.
    """

    HIERARCHIES = ("systemd", "unified", ".")  # of cgroups: version 1 with version 2 beside it, or version 2 alone
    NOT_IN_USER_MODE = ("User=", "Group=", "StateDirectory", "PrivateTmp=", "ProtectHome=", "ProtectKernelLogs=",
                        "ProtectKernelTunables=")  # fmt: skip

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._units = machine.folder / "config" / "systemd" / "user"
        for source in sorted((ETC / "systemd").iterdir()):
            machine.install(source, self._units / source.name)
            self._fit(self._units / source.name)
        hierarchies = [Path("/sys/fs/cgroup") / name for name in self.HIERARCHIES]
        self._cgroups = [path / f"nova-test-{os.getpid()}" for path in hierarchies if (path / "cgroup.procs").exists()]
        self._server = self._start()

    def _fit(self, unit: Path) -> None:
        lines = [line for line in unit.read_text().splitlines() if not line.startswith(self.NOT_IN_USER_MODE)]
        port = self.machine.ports["nova-objectstore"]
        text = (
            "\n".join(lines).replace("%S/nova", str(self.machine.state)).replace("127.0.0.1:3333", f"127.0.0.1:{port}")
        )
        unit.write_text(text + "\n")
        if unit.suffix == ".service":
            self._drop_in(unit)

    def _drop_in(self, unit: Path) -> None:
        """Where the logs go, what is writable, and a watchdog that a test can wait for."""
        lines = [
            "[Service]",
            f"StandardOutput=append:{self.machine.logs}/{unit.stem}.log",
            "StandardError=inherit",
            f"ReadWritePaths={self.machine.folder}",
            "WatchdogSec=3",
            "TimeoutAbortSec=1",
            "RestartSec=100ms",
        ]
        directory = unit.with_name(f"{unit.name}.d")
        directory.mkdir()
        (directory / "test.conf").write_text("\n".join(lines) + "\n")

    def _start(self) -> LiveServer:
        manager = "/lib/systemd/systemd"
        if os.getuid() != 0 or not os.access(manager, os.X_OK) or shutil.which("unshare") is None:
            pytest.skip("no systemd manager of our own: it needs root, systemd and unshare")
        joined = "".join(f"mkdir {path} && echo $$ > {path}/cgroup.procs\n" for path in self._cgroups)
        script = (
            f"{joined}exec unshare --mount --cgroup --propagation private sh -c '"
            "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user/0 && chmod 700 /run/user/0 && "
            f"exec {manager} --user --unit=basic.target'"
        )
        environ = {
            "XDG_RUNTIME_DIR": "/run/user/0",
            "XDG_CONFIG_HOME": str(self.machine.folder / "config"),
            "XDG_DATA_HOME": str(self.machine.folder / "data"),
            "SYSTEMD_LOG_TARGET": "console",
        }
        server = LiveServer(["sh", "-c", script], ready=LogLine(""), environ=environ, cwd="/")
        try:
            wait_until(lambda: self._systemctl(server, "is-system-running", check=False).strip() == "running")
        except TimeoutError:
            server.kill()
            pytest.skip(f"no systemd manager of our own: {server.output()[-300:]}")
        return server

    def _systemctl(self, server: LiveServer, *words: str, check: bool = True) -> str:
        inside = ["nsenter", "--target", str(server.pid), "--mount", "env", "XDG_RUNTIME_DIR=/run/user/0"]
        return run(*inside, "systemctl", "--user", *words, check=check)

    def ctl(self, *words: str, check: bool = True) -> str:
        """Run systemctl."""
        return self._systemctl(self._server, *words, check=check)

    def show(self, name: str, key: str) -> str:
        """A property of a unit."""
        return self.ctl("show", name, f"--property={key}", "--value").strip()

    def pid(self, name: str) -> int:
        return int(self.show(name, "MainPID"))

    def start(self, name: str) -> None:
        self.ctl("start", name)

    def reload(self, name: str) -> None:
        self.ctl("reload", name)

    def stop(self, name: str) -> None:
        self.ctl("stop", name)

    def log(self, name: str) -> str:
        path = self.machine.logs / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        self._server.stop(signal.SIGTERM)
        for path in self._cgroups:
            _remove_cgroup(path)


def _remove_cgroup(path: Path) -> None:
    """Remove a cgroup of ours with what systemd has made in it."""

    def remove() -> bool:
        for folder, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):  # a process in it has not ended yet
                os.rmdir(folder)
        return not path.is_dir()

    wait_until(remove, PATIENCE_S, what=f"the removal of {path}")
