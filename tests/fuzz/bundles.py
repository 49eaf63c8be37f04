"""The tars inside of bundles, and the places of manifests.

Properties: InvalidBundle is all that an archive can come to; the outcome and the bytes do not depend on the pieces it came
in. A plain archive holds what the standard library finds in it.
"""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable, Mapping, Sequence

from support.fuzzing import Target, step_of
from support.tars import BLOCK, END, entry, gnu_sparse, header, python_tar, record

from nova_objectstore.errors import StoreError
from nova_objectstore.images.errors import InvalidBundle
from nova_objectstore.images.source import Location
from nova_objectstore.images.tar import TarReader

SIZE_MAX = 64 * 1024


def check_tar(data: bytes) -> str:
    """An archive, whole and in pieces, against tarfile."""
    whole, pieces = _read(data, len(data) + 1), _read(data, step_of(data, 700))
    assert whole == pieces, "what is read depends on how it comes"
    outcome, name, content = whole
    if name:
        assert not name.startswith("/"), name
        assert ".." not in name.split("/"), name
        _compare(data, content)
    return outcome


def _read(data: bytes, step: int) -> tuple[str, str, bytes]:
    written: list[bytes] = []
    reader = TarReader(lambda piece: written.append(bytes(piece)), size_max=SIZE_MAX)
    try:
        for start in range(0, len(data), step):
            reader.feed(memoryview(data)[start : start + step])
        found = reader.finish()
    except InvalidBundle as error:
        return error.message[:60], "", b""
    content = b"".join(written)
    assert len(content) == found.size <= SIZE_MAX
    return "taken", found.name, content


def _compare(data: bytes, content: bytes) -> None:
    """With the first regular file that tarfile finds, where it reads the archive at all."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errorlevel=2) as archive:
            member = next((member for member in archive if member.isfile()), None)
            file = archive.extractfile(member) if member is not None else None
            theirs = file.read() if file is not None else None
    except (tarfile.TarError, ValueError, OverflowError, EOFError, KeyError, IndexError):
        return
    assert theirs is None or theirs == content, "tarfile finds other bytes"


def check_location(data: bytes) -> str:
    """The place of a manifest, and of a part beside it."""
    try:
        location = Location.parse(data.decode("utf-8", "surrogateescape"))
    except StoreError as error:
        return type(error).__name__
    assert "\0" not in location.beside("part")
    return f"taken {'/' in location.key}"


def _seeds() -> Sequence[bytes]:
    forms = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    made = [
        python_tar(b"content" * 100, name=name, form=form)
        for form in forms
        for name in ("disk.img", "d" * 90 + "/" + "e" * 40)
    ]
    return [*(archive[: 8 * BLOCK] for archive in made), gnu_sparse([(0, b"a" * 100), (1000, b"b")], 2000) + END]


_KINDS = (b"0", b"\0", b"5", b"L", b"x", b"g", b"S", b"1", b"7", b"K")
_RECORDS = (
    *(record(name, value) for name, value in (
        (b"path", b"a/b"), (b"path", b"../a"), (b"size", b"700"), (b"size", b"9" * 20), (b"GNU.sparse.size", b"9"),
        (b"a", b"\xff"),
        (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"700"),
        (b"GNU.sparse.name", b"disk.img"),
    )),
    b"99 x", b"0 a=b\n",
)  # fmt: skip


def make_tar(rng: random.Random) -> bytes:
    """A few entries of any kind, whose checksums are right."""
    entries = []
    for _ in range(rng.randrange(1, 4)):
        kind = rng.choice(_KINDS)
        data = (
            b"".join(rng.sample(_RECORDS, rng.randrange(3)))
            if kind in (b"x", b"g")
            else rng.randbytes(rng.choice((0, 5, 512, 700)))
        )
        if rng.random() < 0.15:
            size = rng.choice(
                (
                    0,
                    10**9,
                    b"-0000000001\0",
                    b"\x80" + bytes(10) + b"\x09",
                    b"\xff" * 12,
                    b"99999999999\0",
                    b"        \0",
                )
            )
            entries.append(header(rng.choice((b"a", b"../a", b"/a", b"")), size, kind) + data)
        else:
            entries.append(entry(data, rng.choice((b"disk.img", b"a/b", b"..", b"\xff")), kind))
    return b"".join(entries) + (END if rng.random() < 0.8 else b"")


def _targets() -> Sequence[Target]:
    growths: Mapping[str, Callable[[int], bytes]] = {
        "blocks of zeros": lambda n: bytes(n * 64),
        "a file": lambda n: entry(bytes(n)) + END,
        "records": lambda n: entry(b"9 a=bcd\n" * n, kind=b"x") + entry(b"") + END,
    }
    return (
        Target("tars", check_tar, make_tar, seeds=_seeds(), words=[*_RECORDS, END], growths=growths, short=500),
        Target("locations", check_location, seeds=(b"bucket/a/b.manifest.xml", b"/a", b"a/", b"a\0/b")),
    )


TARGETS = _targets()
