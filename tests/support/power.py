"""Power failure of a whole store: its system calls are recorded while clients work, and the power is cut in the recording.

Strategy: a real store runs under strace, is stopped, its garbage is collected, and it runs again; meanwhile the clients
of the crash harness write. The recording is then played onto a disk that forgets what was not synced (``power_disk.py``).
At each cut what may lie there is laid out, in several ways, a store is started over it, and everything is looked at: what
had been answered is there, nothing else is, but for requests that were under way.

An answer counts from the moment at which the store began to send its last bytes: nobody can have seen it earlier.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from support.crash import BUCKETS, Result, Worker
from support.crash_model import Versions
from support.power_trace import Journal, Synced
from support.store import Store, root_environ, store_command
from support.traced import traced, wait_for_end

from nova_objectstore.assembly import DATABASE_NAME
from nova_wsgi import green
from nova_wsgi.testing import LiveServer, free_port, wait_until

CLIENTS = 4
SEALED = "versioned"  # the bucket whose objects are encrypted
BURST, BURST_CLIENTS, BURST_BUCKET = 240, 8, "plain"  # enough rows for a checkpoint (meta/sqlite/checkpointer.py)
RECORD_S = 120.0  # how long the clients may take
COLLECT = """
import sys
from nova_wsgi import green; green.patch()
from pathlib import Path
from nova_objectstore.assembly import Settings, build_store
store = build_store(Settings(state_path=Path(sys.argv[1]), collect_delay_s=-1, sync=sys.argv[2]))
store.open()
print("collected", store.collector.run())
store.close()
"""


class Call(NamedTuple):
    """A request that was answered."""

    verb: str
    parameters: dict[str, Any]
    answer: dict[str, Any]

    @property
    def request_id(self) -> str:
        return str(self.answer["ResponseMetadata"]["RequestId"])


class Recorded:
    """A client that notes its requests."""

    def __init__(self, harness: Recording) -> None:
        self._harness = harness
        self.calls: list[Call] = []

    def __getattr__(self, verb: str) -> Callable[..., dict[str, Any]]:
        def call(**parameters: Any) -> dict[str, Any]:
            try:
                answer = getattr(self._harness.client, verb)(**parameters)
            except ClientError as error:
                self.calls.append(Call(verb, parameters, error.response))
                raise
            self.calls.append(Call(verb, parameters, answer))
            return dict(answer)

        return call


class Moment(NamedTuple):
    """What a key holds from the answer to a request on."""

    request_id: str
    versions: Versions


class Historian(Worker):
    """A client of the crash harness that remembers what its keys held, and when."""

    def __init__(self, harness: Recording, number: int, seed: int) -> None:
        super().__init__(harness, number, seed)  # type: ignore[arg-type]  # a recording has what a worker asks of it
        self.recorded = Recorded(harness)
        self.history: dict[str, list[Moment]] = {key: [Moment("", ())] for key in self.keys}

    @property
    def s3(self) -> Any:
        return self.recorded

    @contextmanager
    def change(self, key: str, what: str, after: Versions) -> Iterator[dict[str, Any]]:
        with super().change(key, what, after) as told:
            yield told
        self.history[key].append(Moment(self.recorded.calls[-1].request_id, self.keys[key]))


class Recording:
    """A store that is traced, and its clients."""

    def __init__(self, directory: Path, seed: int, *, sync: str = "always") -> None:
        self.state_path = directory / "state"
        self.sync = sync
        self.result = Result(seed)
        self.sent = self.answered = self.at_work = 0
        self.journal = Journal(str(self.state_path))
        self.setup = Recorded(self)
        self.burst = Recorded(self)
        self.client: Any = None  # of the session that runs
        self._directory = directory
        self._port = free_port()
        self._target = 0
        rng = random.Random(seed)
        self.workers = [Historian(self, number, rng.getrandbits(32)) for number in range(CLIENTS)]

    @property
    def goes_on(self) -> bool:
        return self.answered < self._target

    def run(self, requests: int) -> None:
        """Record so many requests: half of them, a stop, a collection of garbage, a burst of small writes, the other half.

        In the burst the database's log is moved, and begins anew.
        """
        with self._session(workers=2):
            for bucket in BUCKETS:
                self.setup.create_bucket(Bucket=bucket)
            self.setup.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            self.setup.put_bucket_encryption(Bucket=SEALED, ServerSideEncryptionConfiguration={"Rules": [rule]})
            self._work(requests // 2)
        self._collect()
        with self._session(workers=1):
            self._burst()
            self._work(requests - requests // 2)

    @contextmanager
    def _session(self, *, workers: int) -> Iterator[None]:
        trace = self._directory / "trace"
        options = ("--access-log-file", "off", "--sync", self.sync)
        command = traced(store_command(self.state_path, *options, workers=workers, port=self._port), trace)
        with LiveServer(command, environ=root_environ(), start_timeout_s=60) as server:
            self.client = Store(server, self.state_path).client(
                retries={"total_max_attempts": 1}, max_pool_connections=BURST_CLIENTS
            )
            yield
            self.client.close()
        self._read(trace, server.pid)

    def _burst(self) -> None:
        def write(client: int) -> None:
            for number in range(client, BURST, BURST_CLIENTS):
                self.burst.put_object(Bucket=BURST_BUCKET, Key=f"burst/{number}", Body=b"%d" % number)

        for greenthread in [green.spawn(write, client) for client in range(BURST_CLIENTS)]:
            greenthread.wait()

    def _collect(self) -> None:
        """A process of its own collects all garbage, whatever its age: the worker would wait for minutes."""
        trace = self._directory / "trace"
        command = traced([sys.executable, "-c", COLLECT, self.state_path, self.sync], trace)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        output, _ = process.communicate(timeout=RECORD_S)
        assert output.startswith("collected"), output
        self._read(trace, process.pid)

    def _read(self, trace: Path, pid: int) -> None:
        wait_for_end(trace, pid)
        self.journal.read(trace)
        trace.unlink()

    def _work(self, requests: int) -> None:
        self._target = self.answered + requests
        self.at_work = len(self.workers)
        running = [green.spawn(worker.work) for worker in self.workers]
        wait_until(lambda: self.at_work == 0, RECORD_S, what="the clients")
        for greenthread in running:
            greenthread.wait()
        for worker in self.workers:
            if worker.error is not None:
                raise worker.error
            assert not worker.open, f"no answer to {worker.open}"

    # -- what was answered -------------------------------------------------------------------------------------------

    def calls(self) -> Iterator[Call]:
        """All of them."""
        yield from self.setup.calls
        yield from self.burst.calls
        for worker in self.workers:
            yield from worker.recorded.calls

    def is_answered(self, request_id: str, cut: int) -> bool:
        """Whether the answer had been given when ``cut`` operations had ended."""
        return request_id == "" or self.journal.answers[request_id] <= cut

    def cuts(self, count: int, rng: random.Random) -> list[int]:
        """Moments to cut the power at: right after answers, around syncs, anywhere; all around the database's own syncs."""
        operations = self.journal.operations
        answers = [self.journal.answers[call.request_id] for call in self.calls()]
        syncs = [index + more for index, done in enumerate(operations) if isinstance(done, Synced) for more in (0, 1)]
        moved = [
            index + more
            for index, done in enumerate(operations)
            if isinstance(done, Synced) and done.path.endswith(DATABASE_NAME) and index > min(answers)
            for more in (0, 1, 2)
        ]
        chosen = {len(operations), *(cut for cut in moved if cut < len(operations))}
        for kind, share in ((answers, count // 2), (syncs, count // 3), (range(len(operations)), count // 6)):
            chosen.update(rng.sample(sorted(set(kind)), min(share, len(set(kind)))))
        return sorted(chosen)
