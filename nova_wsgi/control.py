"""The control socket: ask a running service what it does.

Strategy: each process of a service listens on a unix socket of its own in the directory ``control_path``, named
``<topic>.<pid>.sock``. One line of JSON asks, one answers, then the connection ends. Who asks for a service asks all of
its sockets.

    {"question": "workers"}    what the process is, since when, how much it does and has done
    {"question": "inflight"}   each call that goes on, and for how long
    {"question": "stacks"}     where each greenthread and native thread is; equal ones are counted, not repeated

Laws:

- Only the service's own user (and root) may ask: stacks tell much. The directory must not be writable for others.
- Nothing can be changed here: signals stop and reload a service, the registry enables and disables it.
- A process whose hub is stuck does not answer: that is told as an answer too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from nova_wsgi import green, sockets
from nova_wsgi.config import Section
from nova_wsgi.errors import ConfigError
from nova_wsgi.service import Service
from nova_wsgi.signals import stacks

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 5.0  # for a question to come, and for its answer to be taken
CLIENTS_MAX = 4  # at once in a process; more wait in the backlog
BACKLOG = 16
QUESTION_SIZE_MAX = 1024  # bytes
ANSWER_SIZE_MAX = 64 * 1024 * 1024  # bytes
STACKS_MAX = 1000  # different ones: more would tell nobody more
PATH_SIZE_MAX = 107  # bytes of a unix socket's path: unix(7)
PID_DIGITS_MAX = 7  # proc_pid_max(5): 4194304

_NAME = re.compile(r"(?P<topic>.+)\.(?P<pid>\d+)\.sock")

Answer = dict[str, Any]


def section() -> Section:
    """The option of the control sockets."""
    return Section(
        "Control",
        (
            cfg.StrOpt(
                "control_path", metavar="DIR",
                help="Directory of unix sockets at which running services tell what they do (nova-manage service"
                " workers, inflight, stacks); without it they have none.",
            ),
        ),
    )  # fmt: skip


# -- in the service -------------------------------------------------------------------------------------------------


def attach(service: Service) -> None:
    """Give a service its control socket, if the options want one; before it is launched. Raises ConfigError."""
    directory = service.conf.control_path
    if directory is None:
        return
    _check_directory(directory)
    longest = os.path.join(os.path.abspath(directory), f"{service.topic}.{'9' * PID_DIGITS_MAX}.sock")
    if len(os.fsencode(longest)) > PATH_SIZE_MAX:
        raise ConfigError(f"control_path {directory}: too long for the path of a unix socket")
    service.reporters.append(ControlServer(directory))


def _check_directory(directory: str) -> None:
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        mode = os.stat(directory).st_mode
    except OSError as error:
        raise ConfigError(f"control_path {directory}: {error.strerror}") from None
    if mode & 0o022:
        raise ConfigError(f"control_path {directory}: others could write there; its mode should be 0700")


class ControlServer:
    """Answers questions about a service while it lives; goes into ``Service.reporters``."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._listener: sockets.Listener | None = None
        self._accepting: green.GreenThread | None = None

    def __call__(self, service: Service) -> None:
        """Open when the service starts, so that a start that hangs can be looked at too; close when it has ended."""
        if service.state == "down":
            self.close()
        elif self._listener is None:
            self._open(service)

    def close(self) -> None:
        """Take no more questions, and remove the socket."""
        if self._accepting is not None:
            self._accepting.kill()
            self._accepting = None
        if self._listener is not None:
            self._listener.release()
            self._listener = None

    def _open(self, service: Service) -> None:
        _sweep(self._directory)
        path = os.path.join(self._directory, f"{service.topic}.{os.getpid()}.sock")
        address = f"{sockets.UNIX_PREFIX}{path}"
        try:
            self._listener = sockets.bind("control", address, 0, backlog=BACKLOG, unix_mode=0o600)
        except ConfigError as error:  # the directory was there when the program started: serve without
            log.error("no control socket: %s", error)
            return
        self._accepting = green.spawn(self._accept, self._listener.socket, service)

    def _accept(self, listening: socket.socket, service: Service) -> None:
        pool = green.GreenPool(CLIENTS_MAX)
        while True:
            try:
                client, _ = listening.accept()
            except OSError as error:  # no descriptors, say: there may be some again later
                log.error("the control socket accepts nothing for a while: %s", error)
                green.sleep(ANSWER_TIMEOUT_S)
                continue
            pool.spawn(_serve, client, service)


def _sweep(directory: str) -> None:
    """Remove the sockets of processes that died without removing them."""
    for path, _, pid in _found(directory):
        if not _is_alive(pid) and not _is_listened_on(path):  # both: a pid of another container means nothing here
            with contextlib.suppress(OSError):
                os.unlink(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _is_listened_on(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            pass
    return True


def _serve(client: socket.socket, service: Service) -> None:
    """One question and its answer."""
    client.settimeout(ANSWER_TIMEOUT_S)
    with client, contextlib.suppress(OSError):  # whoever asked has gone
        question = _read_question(client)
        client.sendall(json.dumps(_answer(service, question)).encode() + b"\n")


def _read_question(client: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n") and len(line) <= QUESTION_SIZE_MAX and (more := client.recv(QUESTION_SIZE_MAX)):
        line += more
    try:
        return str(json.loads(line)["question"])
    except (ValueError, KeyError, TypeError):
        return ""


def _answer(service: Service, question: str) -> Answer:
    told = _QUESTIONS.get(question)
    if told is None:
        return {"error": f"the questions are {', '.join(_QUESTIONS)}"}
    try:
        return {"topic": service.topic, "pid": os.getpid(), **told(service)}
    except Exception as error:  # whatever it is, the one who asked should see it, and the service go on
        log.exception("the question %s could not be answered", question)
        return {"error": f"{type(error).__name__}: {error}"}


def _tell_workers(service: Service) -> Answer:
    return {
        "binary": service.binary,
        "host": service.host,
        "parent_pid": os.getppid(),
        "state": service.state,
        "started": service.started_at,  # seconds since 1970; null: it is still starting
        "in_flight": len(service.in_flight()),
        "requests": service.requests_total(),
        "resident_bytes": _resident_size(),
    }


def _tell_inflight(service: Service) -> Answer:
    now = time.monotonic()
    calls = sorted(service.in_flight(), key=lambda call: call[1])
    return {"calls": [{"name": name, "age_s": round(now - since, 3)} for name, since in calls]}


def _tell_stacks(service: Service) -> Answer:
    counted = Counter(stacks()).most_common(STACKS_MAX)
    return {"stacks": [{"who": who, "count": count, "stack": stack} for (who, stack), count in counted]}


_QUESTIONS: Mapping[str, Callable[[Service], Answer]] = {
    "workers": _tell_workers,
    "inflight": _tell_inflight,
    "stacks": _tell_stacks,
}


def _resident_size() -> int:
    with open("/proc/self/statm", "rb") as statm:  # proc_pid_statm(5)
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- whoever asks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """What one process answered: its document, or why there is none."""

    topic: str
    pid: int
    answer: Answer | None
    problem: str = ""


def ask(
    directory: str,
    question: str,
    *,
    topic: str | None = None,
    pid: int | None = None,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> list[Told]:
    """Ask every process that listens in ``directory``, or those of ``topic``, or the one of ``pid``, all at once.

    What processes left behind that are gone is passed over.
    """
    chosen = [found for found in _found(directory) if topic in (None, found[1]) and pid in (None, found[2])]
    asked = [green.spawn(_ask, *found, question, timeout_s) for found in chosen]
    return [told for told in (thread.wait() for thread in asked) if told is not None]


def _ask(path: str, topic: str, pid: int, question: str, timeout_s: float) -> Told | None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(path)
            connection.sendall(json.dumps({"question": question}).encode() + b"\n")
            answer = json.loads(_read_answer(connection))
    except (ConnectionRefusedError, FileNotFoundError):
        return None
    except TimeoutError:
        return Told(topic, pid, None, f"no answer within {timeout_s:g} s: its hub is stuck, or it is stopped")
    except (OSError, ValueError) as error:
        return Told(topic, pid, None, getattr(error, "strerror", None) or "it ended before it had answered")
    return Told(topic, pid, None, answer["error"]) if "error" in answer else Told(topic, pid, answer)


def _read_answer(connection: socket.socket) -> bytes:
    received = bytearray()
    while len(received) < ANSWER_SIZE_MAX and (more := connection.recv(65536)):
        received += more
    return bytes(received)


def _found(directory: str) -> Iterator[tuple[str, str, int]]:
    """(path, topic, pid) of every socket there, by topic and pid."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    matches = [match for name in names if (match := _NAME.fullmatch(name))]
    for match in sorted(matches, key=lambda match: (match["topic"], int(match["pid"]))):
        yield os.path.join(directory, match[0]), match["topic"], int(match["pid"])
