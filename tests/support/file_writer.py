"""A process that writes to a file engine until it is killed: ``python file_writer.py ROOT SEED``.

Each line that it prints plays the metadata's commit: ``+ref size`` names data, ``-ref`` gives it up. It is printed with
one ``write``, so that a kill leaves whole lines.
"""

from __future__ import annotations

import os
import random
import sys

from nova_objectstore.data.files import FilesEngine


def content_of(size: int) -> bytes:
    """Bytes that differ everywhere, known by their length alone."""
    return random.Random(size).randbytes(size)


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def main(root: str, seed: int) -> None:
    rng = random.Random(seed)
    engine = FilesEngine(root)
    engine.start()
    refs: list[str] = []
    while True:
        size = rng.choice((0, 1, 20_000, 600_000))
        writer = engine.create(size)
        content = memoryview(content_of(size))
        for start in range(0, size, 100_000):
            writer.write(content[start : start + 100_000])
        if rng.random() < 0.1:
            writer.abort()
            continue
        ref = writer.commit()
        twin = engine.copy(ref) if rng.random() < 0.3 else None
        for name in filter(None, (ref, twin)):
            say(f"+{name} {size}")
            engine.settle([name])
            refs.append(name)
        if rng.random() < 0.3:
            gone = refs.pop(rng.randrange(len(refs)))
            say(f"-{gone}")
            engine.delete(gone)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
