"""Bodies on their way in: where they end up, in what order things happen, and that nothing is left when they fail."""

import errno
import hashlib
import os

import pytest
from support.file_systems import FaultyFileSystem, check_state

from nova_objectstore.data.files import FilesEngine
from nova_objectstore.domain.ingest import HUB_HASH_MAX, PIECE_SIZE, Ingest
from nova_objectstore.errors import BadDigest, EntityTooLarge, IncompleteBody, StorageFailed, StorageFull
from nova_objectstore.limits import KiB, MiB
from nova_objectstore.types import ContentKind
from nova_wsgi import green
from nova_wsgi.errors import ClientDisconnected

BUFFER = 64 * KiB
INLINE = 1000
DEADLINE_S = 10


class Bytes:
    """A source that gives at most ``piece`` bytes at a time, and fails at its end if it is told to."""

    def __init__(self, content: bytes, *, piece: int = PIECE_SIZE, error: BaseException | None = None) -> None:
        self.content = content
        self.piece = piece
        self.error = error
        self.position = 0

    def read(self, size, /):
        green.sleep(0)
        end = self.position + min(size, self.piece)
        data = self.content[self.position : end]
        self.position += len(data)
        if not data and self.error is not None:
            raise self.error
        return data


class Stalled(Bytes):
    """A source whose client sends no more after ``content``, and goes on only when told."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.stalled = False
        self.go_on = green.Completion()

    def read(self, size, /):
        data = super().read(size)
        if not data:
            self.stalled = True
            self.go_on.wait()
        return data


class GatedFileSystem(FaultyFileSystem):
    """Stops in one kind of call, in the native thread, until it is told to go on."""

    def __init__(self, gated: str) -> None:
        super().__init__()
        self.gated = gated
        self.gate = green.original("threading").Event()
        self.arrived = green.original("threading").Event()

    def _step(self, call: str) -> None:
        super()._step(call)
        if call == self.gated:
            self.arrived.set()
            assert self.gate.wait(DEADLINE_S)


class Place:
    """An engine and an ingest over it."""

    def __init__(self, root, filesystem=None) -> None:
        self.root = root
        self.filesystem = filesystem or FaultyFileSystem()
        self.engine = FilesEngine(root, filesystem=self.filesystem)
        self.engine.start()
        self.ingest = Ingest(self.engine, inline_size_max=INLINE, buffer=BUFFER, size_max=2 * MiB)

    def check(self, named: dict[str, bytes]) -> None:
        """Only ``named`` is there, and this process had nothing staged: the refs in ``named`` were settled."""
        self.engine.settle(list(named))
        self.engine.stop()
        assert os.listdir(self.root / "pending") == []
        check_state(self.root, named)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "data")


@pytest.fixture(autouse=True)
def deadline():
    with green.Timeout(30):
        yield


def wait_until(condition) -> None:
    with green.Timeout(DEADLINE_S):
        while not condition():
            green.sleep(0.001)


SIZES = [0, 1, INLINE, INLINE + 1, HUB_HASH_MAX, BUFFER - 1, BUFFER, BUFFER + 1, 5 * BUFFER, 5 * BUFFER + 17]


@pytest.mark.parametrize("told", [True, False], ids=["length told", "length unknown"])
@pytest.mark.parametrize("piece", [7777, PIECE_SIZE])
@pytest.mark.parametrize("size", SIZES)
def test_a_body_is_kept_and_hashed_whole(place, size, piece, told):
    content = os.urandom(size)
    md5, sha256 = hashlib.md5(), hashlib.sha256()
    stored = place.ingest.store(Bytes(content, piece=piece), size=size if told else None, hashers=[md5, sha256])

    assert stored.size == size
    assert (md5.digest(), sha256.digest()) == (hashlib.md5(content).digest(), hashlib.sha256(content).digest())
    if size <= INLINE:
        assert stored.content == (ContentKind.INLINE, "", content)
        place.check({})
    else:
        assert (stored.content.kind, stored.content.inline) == (ContentKind.DATA, None)
        place.check({stored.content.ref: content})


@pytest.mark.parametrize("inline_size_max", [0, 3 * BUFFER])
def test_the_limit_of_inline_bodies_may_be_below_or_above_a_buffer(tmp_path, inline_size_max):
    place = Place(tmp_path / "data")
    ingest = Ingest(place.engine, inline_size_max=inline_size_max, buffer=BUFFER)
    named = {}
    for size in (inline_size_max, inline_size_max + 1):
        content = os.urandom(size)
        stored = ingest.store(Bytes(content))
        if size > inline_size_max:
            assert stored.content.kind is ContentKind.DATA
            named[stored.content.ref] = content
        else:
            assert stored.content.inline == content
    place.check(named)


def test_the_verdict_comes_after_the_last_byte_and_before_the_commit(place):
    content = os.urandom(5 * BUFFER)
    md5 = hashlib.md5()
    seen = []

    def verify() -> None:
        seen.append((md5.digest(), green.on_hub_thread(), "sync_file" in place.filesystem.calls))

    stored = place.ingest.store(Bytes(content), hashers=[md5], verify=verify)

    assert seen == [(hashlib.md5(content).digest(), True, False)]
    assert "sync_file" in place.filesystem.calls
    place.check({stored.content.ref: content})


@pytest.mark.parametrize("size", [10, INLINE + 1, 5 * BUFFER])
def test_a_refused_body_leaves_nothing(place, size):
    def refuse() -> None:
        raise BadDigest

    with pytest.raises(BadDigest):
        place.ingest.store(Bytes(bytes(size)), size=size, verify=refuse)
    assert "sync_file" not in place.filesystem.calls
    place.check({})


@pytest.mark.parametrize("size", [10, INLINE + 1, 5 * BUFFER])
@pytest.mark.parametrize(
    "error", [ClientDisconnected(), BadDigest(), green.GreenletExit(), green.Timeout(None)], ids=repr
)
def test_a_source_that_fails_leaves_nothing(place, size, error):
    with pytest.raises(type(error)):
        place.ingest.store(Bytes(bytes(size), error=error), size=size)
    place.check({})


@pytest.mark.parametrize("size", [10, INLINE + 1, 5 * BUFFER])
@pytest.mark.parametrize("lie", [-1, 1, 100_000])
def test_another_length_than_promised_is_incomplete(place, size, lie):
    with pytest.raises(IncompleteBody):
        place.ingest.store(Bytes(bytes(size)), size=size + lie)
    place.check({})


def test_a_body_without_end_is_too_large(place):
    class Endless:
        def read(self, size, /):
            return bytes(size)

    with pytest.raises(EntityTooLarge) as caught:
        place.ingest.store(Endless())
    assert caught.value.facts["max_size_allowed"] == 2 * MiB
    place.check({})


@pytest.mark.parametrize("size", [INLINE + 1, 5 * BUFFER])
@pytest.mark.parametrize(("error", "fact"), [(errno.ENOSPC, StorageFull), (errno.EIO, StorageFailed)])
def test_a_disk_that_fails_leaves_nothing_and_heals(tmp_path, size, error, fact):
    good = Place(tmp_path / "good")
    good.filesystem.calls.clear()
    good.ingest.store(Bytes(bytes(size)))
    for at, call in enumerate(good.filesystem.calls, start=1):
        place = Place(tmp_path / f"{at}")
        place.filesystem.fail(at, error=error)
        with pytest.raises(fact):
            place.ingest.store(Bytes(bytes(size)))
        assert place.filesystem.calls[at - 1] == call
        place.filesystem.heal()
        stored = place.ingest.store(Bytes(bytes(size)))
        place.check({stored.content.ref: bytes(size)})


@pytest.mark.parametrize("size", [0, 10, BUFFER, BUFFER + 1, 3 * BUFFER])
def test_a_killed_upload_leaves_nothing(place, size):
    source = Stalled(bytes(size))
    upload = green.spawn(place.ingest.store, source)
    wait_until(lambda: source.stalled)
    upload.kill()
    wait_until(lambda: upload.dead)
    place.check({})


@pytest.mark.parametrize("gated", ["create", "write", "sync_file", "link"])
@pytest.mark.parametrize("size", [BUFFER, 3 * BUFFER])
def test_an_upload_killed_while_its_thread_works_leaves_nothing(tmp_path, gated, size):
    filesystem = GatedFileSystem(gated)
    place = Place(tmp_path / "data", filesystem)
    upload = green.spawn(place.ingest.store, Bytes(bytes(size)))
    wait_until(filesystem.arrived.is_set)
    upload.kill()
    green.sleep(0)
    assert not upload.dead  # it waits for its thread: when it is gone, so is everything
    filesystem.gate.set()
    wait_until(lambda: upload.dead)
    place.check({})


def test_an_upload_killed_twice_is_cleared_up_behind_its_back(tmp_path):
    filesystem = GatedFileSystem("sync_file")
    place = Place(tmp_path / "data", filesystem)
    upload = green.spawn(place.ingest.store, Bytes(bytes(3 * BUFFER)))
    wait_until(filesystem.arrived.is_set)
    upload.kill()
    upload.kill()
    assert upload.dead
    filesystem.gate.set()
    wait_until(lambda: filesystem.calls.count("unlink") == 2)  # the final name and the staged one
    place.check({})


def test_a_slow_disk_holds_the_client_back(tmp_path):
    filesystem = GatedFileSystem("write")
    place = Place(tmp_path / "data", filesystem)
    source = Bytes(os.urandom(20 * BUFFER))
    upload = green.spawn(place.ingest.store, source)
    wait_until(filesystem.arrived.is_set)
    wait_until(lambda: source.position >= 2 * BUFFER)
    for _ in range(50):
        green.sleep(0)

    assert source.position == 2 * BUFFER
    filesystem.gate.set()
    stored = upload.wait()
    place.check({stored.content.ref: source.content})


def test_uploads_go_on_beside_each_other(place):
    contents = [os.urandom(3 * BUFFER + number) for number in range(20)]
    stalled = Stalled(b"")
    waiting = green.spawn(place.ingest.store, stalled)
    uploads = [green.spawn(place.ingest.store, Bytes(content)) for content in contents]
    stored = [upload.wait() for upload in uploads]
    waiting.kill()

    place.check({one.content.ref: content for one, content in zip(stored, contents, strict=True)})
