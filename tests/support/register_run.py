"""Single keys under many clients at once: seeded plans, real processes, and the histories that come of them.

The plan is repeated by its seed; how the clients' requests meet is not. So a history that could not have happened is kept
as a file, which can be checked again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.object_model import WRITES, Action, History, group
from support.register_client import RANGE, body_of, md5
from support.store import Store, running_store

from benchmarks.signing import ACCESS_KEY, SECRET_KEY
from nova_wsgi.testing import wait_until

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 16
SIZES = (100, 100, 20_000)  # in the metadata row, and in a file of its own
SOURCE, SOURCE_SIZE = "source", 50
RESPAWN_S = 20.0
WEIGHTS: Mapping[str, int] = {
    "put": 22, "delete": 6, "copy": 4, "complete": 4, "tag": 4,
    "get": 26, "head": 12, "range": 6, "list": 10, "get_tags": 6,
}  # fmt: skip
CONDITIONS: Mapping[str, Sequence[str]] = {  # "seen": the ETag that the client saw last
    "put": ("", "", "*", "seen", "seen"),
    "copy": ("", "", "*"),
    "complete": ("", "*", "seen"),
    "delete": ("", "seen"),
    "get": ("", "", "seen"),
    "head": ("", "", "seen"),
}


@dataclass(frozen=True)
class Plan:
    """A round: what each client is to do, by the seed."""

    seed: int
    clients: int = CLIENTS
    keys: int = 2
    steps: int = 100  # of each client
    is_versioned: bool = False
    kills: bool = False  # a worker, when a client is half through

    @property
    def bucket(self) -> str:
        """A name of its own, so that a round begins with nothing."""
        kind = "versioned" if self.is_versioned else "plain"
        return f"{kind}-{self.seed}{'-killed' if self.kills else ''}"

    def steps_of(self, client: int) -> list[dict[str, Any]]:
        rng = random.Random(f"{self.seed} {client}")
        return [_step(rng, f"{client}.{number}", self.keys) for number in range(self.steps)]


def _step(rng: random.Random, mark: str, keys: int) -> dict[str, Any]:
    verb = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    step: dict[str, Any] = {"verb": verb, "key": f"key{rng.randrange(keys)}", "wire": rng.randrange(2)}
    step["condition"] = rng.choice(CONDITIONS.get(verb, ("",)))
    if verb in WRITES:
        size = SOURCE_SIZE if verb == "copy" else rng.choice(SIZES)
        step |= {"mark": mark, "size": size, "etag": etag_of(verb, mark, size)}
    if verb == "tag":
        step["tags"] = f"t{mark}"
    return step


def etag_of(verb: str, mark: str, size: int) -> str:
    """What S3 makes of what is written."""
    if verb == "copy":
        return md5(body_of(SOURCE, SOURCE_SIZE))
    whole = md5(body_of(mark, size))
    return f"{md5(bytes.fromhex(whole))}-1" if verb == "complete" else whole


@dataclass
class Round:
    """What came of a plan."""

    plan: Plan
    histories: Sequence[History]
    workers: set[str] = field(default_factory=set)  # the first halves of request ids: each process has its own
    done: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    refused: int = 0
    why: Counter[str] = field(default_factory=Counter)  # there was no answer


class Torn(AssertionError):
    """A read was told things that do not belong together."""


@contextmanager
def register_store(state_path: Path, *arguments: str) -> Iterator[Store]:
    """A store with two workers for clients who sign as the benchmarks do."""
    pair = {"NOVA_ROOT_ACCESS_KEY": ACCESS_KEY, "NOVA_ROOT_SECRET_KEY": SECRET_KEY}
    with running_store(state_path, "--access-log-file=off", *arguments, environ=pair) as store:
        yield store


def run_round(store: Store, plan: Plan, *, port: int | None = None) -> Round:
    """Have the clients work, through ``port`` if that leads to the store. Raises Torn."""
    s3 = store.client(access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    s3.create_bucket(Bucket=plan.bucket)
    s3.put_object(Bucket=plan.bucket, Key=SOURCE, Body=body_of(SOURCE, SOURCE_SIZE))
    if plan.is_versioned:
        s3.put_bucket_versioning(Bucket=plan.bucket, VersioningConfiguration={"Status": "Enabled"})
    running = [_start_client(plan, number, port or store.port) for number in range(plan.clients)]
    try:
        for client in running:
            assert _line(client) == "ready"
        for client in running:
            _tell(client, "go")
        assert _line(running[0]) == "half"
        if plan.kills:
            kill_worker(store)
        told = [client.communicate()[0].splitlines() for client in running]
    finally:
        for client in running:
            client.kill()
            client.wait()
    return _gather(plan, told)


def kill_worker(store: Store) -> None:
    """The first of them, at once; another takes its place."""
    gone = store.workers()[0]
    os.kill(gone, signal.SIGKILL)
    wait_until(lambda: gone not in (ready := store.workers()) and len(ready) == 2, RESPAWN_S, what="another worker")


def _start_client(plan: Plan, number: int, port: int) -> subprocess.Popen[str]:
    client = subprocess.Popen(
        [sys.executable, "-m", "support.register_client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
    )
    facts = {"host": "127.0.0.1", "port": port, "bucket": plan.bucket, "source": SOURCE}
    _tell(client, json.dumps({**facts, "steps": plan.steps_of(number)}))
    return client


def _tell(client: subprocess.Popen[str], line: str) -> None:
    assert client.stdin is not None
    client.stdin.write(line + "\n")
    client.stdin.flush()


def _line(client: subprocess.Popen[str]) -> str:
    assert client.stdout is not None
    return client.stdout.readline().rstrip("\n")


def _gather(plan: Plan, told: Sequence[Sequence[str]]) -> Round:
    documents = [[json.loads(line) for line in lines if line.startswith("{")] for lines in told]
    events = [event for first, *rest in documents for event in rest]
    assert len(events) == plan.clients * plan.steps, "a client has ended early"
    histories = group(events, is_versioned=plan.is_versioned, about=f"{plan}")
    for history in histories:
        check_reads(history)
    return Round(
        plan,
        histories,
        {worker for first, *_ in documents for worker in first["workers"]},
        Counter(event["verb"] for event in events),
        sum(1 for event in events if event["answer"] is None),
        sum(1 for event in events if event["answer"] is not None and event["answer"]["status"] in (404, 405, 412)),
        Counter(event["why"] for event in events if event["why"]),
    )


def check_reads(history: History) -> None:
    """What a read was told belongs to the one write that it names: ETag, bytes, version. Raises Torn."""
    actions = [operation.action for operation in history.operations]
    written = {action.mark: action for action in actions if action.verb in WRITES}
    versions: dict[str, str] = {
        mark: action.answer["version"]
        for mark, action in written.items()
        if action.answer is not None and action.answer["status"] == 200
    }
    for action in actions:
        answer = action.answer
        if answer is None or "mark" not in answer:
            continue
        write = written.get(answer["mark"])
        if write is None:
            raise Torn(f"{history.key}: nobody wrote what was read: {action}")
        if answer["etag"] != write.etag or answer["version"] != versions.setdefault(write.mark, answer["version"]):
            raise Torn(f"{history.key}: {action} is told of what was written by {write}")
        _check_bytes(history, action, write)


def _check_bytes(history: History, read: Action, write: Action) -> None:
    answer = read.answer
    assert answer is not None
    source = SOURCE if write.verb == "copy" else write.mark
    if "head" in answer and answer["head"] != body_of(source, SIZES[0])[:RANGE].decode():
        raise Torn(f"{history.key}: {read}: other bytes than {write} wrote")
    sizes = (SOURCE_SIZE,) if write.verb == "copy" else SIZES
    if "body" in answer and answer["body"] not in {md5(body_of(source, size)) for size in sizes}:
        raise Torn(f"{history.key}: {read}: other bytes than {write} wrote")


def keep(history: History, directory: Path, write: Callable[[History, Path], None]) -> Path:
    """Write a history that could not have happened to a file of its own."""
    path = directory / f"not-linearizable-{history.key}-{os.getpid()}.json"
    write(history, path)
    return path
