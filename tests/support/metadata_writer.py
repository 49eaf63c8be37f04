"""A process that writes metadata as fast as it can and says what was acknowledged: ``PATH NAME SECONDS LOG``.

Each line of the file LOG is one acknowledged write, written at once: ``put KEY ETAG`` or ``count N`` (an If-Match increment of a
counter that all such processes share). Ends by itself after SECONDS, or is killed.
"""

from nova_wsgi import green

green.patch()

import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

from nova_objectstore.errors import PreconditionFailed  # noqa: E402
from nova_objectstore.meta.sqlite import SqliteEngine  # noqa: E402
from nova_objectstore.types import Content, ContentKind, NewVersion, WriteCondition  # noqa: E402

CLIENTS = 8


def main() -> None:
    path, name, seconds, log = sys.argv[1:]
    engine = SqliteEngine(path)
    engine.open()
    bucket = engine.find_bucket("shared")
    told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    until = time.monotonic() + float(seconds)

    def write(key: str, body: bytes, condition: WriteCondition) -> None:
        content = Content(ContentKind.INLINE, inline=body)
        new = NewVersion(key, len(body), body.decode(), time.time_ns() // 1000, "owner", content)
        engine.put_version(bucket, new, condition)

    def say(line: str) -> None:
        os.write(told, f"{line}\n".encode())

    def put(client: int) -> None:
        number = 0
        while time.monotonic() < until:
            key, body = f"{name}/{client}/{number % 50}", f"{name}-{client}-{number}".encode()
            write(key, body, WriteCondition())
            say(f"put {key} {body.decode()}")
            number += 1

    def count() -> None:
        while time.monotonic() < until:
            seen = engine.get_version(bucket.id, "counter")
            try:
                write("counter", str(int(seen.etag) + 1).encode(), WriteCondition(if_match=seen.etag))
            except PreconditionFailed:
                continue
            say(f"count {int(seen.etag) + 1}")

    workers = [green.spawn(put, client) for client in range(CLIENTS)] + [green.spawn(count)]
    for worker in workers:
        worker.wait()
    engine.close()


if __name__ == "__main__":
    main()
