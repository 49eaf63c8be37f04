"""Forks workers that count, kills one, replaces it, and prints the totals before and after, as JSON."""

import json
import os
import signal
import sys

from nova_wsgi.middleware.metrics import BUCKETS, DURATION_S, Labels, SharedCounters

WORKERS = 3
LABELS = Labels("s3", "GetObject", "2xx")


def fork_worker(counters: SharedCounters, requests: int) -> int:
    """A worker that counts ``requests``, leaves one in flight, says that it is done, and waits to be killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        for _ in range(requests):
            row = counters.row(LABELS)
            counters.cells[row + DURATION_S] += 0.5
            counters.cells[row + BUCKETS] += 1
        counters.begin()
        os.write(writing, b".")
        signal.pause()
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return pid


def told(counters: SharedCounters) -> list:
    row = counters.totals()[LABELS]
    return [row[BUCKETS], row[DURATION_S], counters.in_flight(), counters.workers()]


def main() -> None:
    counters = SharedCounters(workers_max=int(sys.argv[1]))
    pids = [fork_worker(counters, 100) for _ in range(WORKERS)]
    outcome = [told(counters)]
    os.kill(pids[0], signal.SIGKILL)
    os.waitpid(pids.pop(0), 0)
    outcome.append(told(counters))
    pids.append(fork_worker(counters, 10))
    outcome.append(told(counters))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    outcome.append(told(counters))
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
