"""Every call of the file system fails once: nothing acknowledged is lost, nothing is left over, the engine heals."""

import errno

import pytest
from support.file_systems import FaultyFileSystem, check_state

from nova_objectstore.data.files import FilesEngine
from nova_objectstore.data.filesystem import storage_error
from nova_objectstore.errors import EngineError, StorageFailed, StorageFull

CONTENT = b"content " * 1000
CALLS_OF_START = ("exists", "make_directory", "list_directory", "sync_directory", "try_lock")  # nothing works without


class Story:
    """What a client and the metadata do with an engine; ``named`` is what the metadata names at the end."""

    def __init__(self, root) -> None:
        self.filesystem = FaultyFileSystem(write_max=5000)
        self.engine = FilesEngine(root, filesystem=self.filesystem)
        self.named: dict[str, bytes] = {}
        self.errors: list[EngineError] = []

    def run(self) -> None:
        self.step(self.engine.start)
        first = self.step(self.put)
        if first is not None:
            self.step(lambda: self.read(first))
            self.step(lambda: self.copy(first))
            self.step(lambda: self.forget(first))
        self.step(self.put)
        self.step(self.give_up)
        self.step(lambda: list(self.engine.list_unsettled()))

    def step(self, verb):
        try:
            return verb()
        except EngineError as error:
            self.errors.append(error)
            return None

    def put(self) -> str:
        writer = self.engine.create()
        try:
            writer.write(CONTENT[:100])
            writer.write(CONTENT[100:])
        except EngineError:
            writer.abort()
            raise
        return self.name(writer.commit())

    def name(self, ref: str) -> str:
        self.named[ref] = CONTENT
        self.engine.settle([ref])
        return ref

    def read(self, ref: str) -> None:
        reader = self.engine.open(ref)
        try:
            assert reader.read(0, reader.size) == CONTENT
        finally:
            reader.close()

    def copy(self, ref: str) -> None:
        twin = self.engine.copy(ref)
        if twin is not None:
            self.name(twin)

    def forget(self, ref: str) -> None:
        del self.named[ref]
        try:
            self.engine.delete(ref)
        except EngineError:
            self.named[ref] = CONTENT  # the collector keeps it in its queue and comes back
            raise

    def give_up(self) -> None:
        writer = self.engine.create()
        try:
            writer.write(b"half")
        finally:
            writer.abort()

    def die(self) -> None:
        self.filesystem.heal()
        self.filesystem.release_locks()


def calls_of_a_good_run(tmp_path) -> list[str]:
    story = Story(tmp_path / "good")
    story.run()
    assert story.errors == []
    story.die()
    check_state(tmp_path / "good", story.named)
    return story.filesystem.calls


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize(("error", "fact"), [(errno.ENOSPC, StorageFull), (errno.EIO, StorageFailed)])
def test_every_call_may_fail(tmp_path, error, fact, sticky):
    calls = calls_of_a_good_run(tmp_path)
    assert len(calls) > 40
    for at, call in enumerate(calls, start=1):
        root = tmp_path / f"{at}"
        story = Story(root)
        story.filesystem.fail(at, error=error, sticky=sticky)
        story.run()

        assert all(isinstance(raised, fact | StorageFailed) for raised in story.errors), (call, story.errors)
        assert sticky or len(story.errors) <= 1 or call in CALLS_OF_START
        story.filesystem.heal()
        story.errors.clear()
        story.run()  # the cause is gone: everything works, without a restart
        assert story.errors == [], (call, story.errors)
        story.die()
        check_state(root, story.named)


@pytest.mark.parametrize(
    ("error", "fact"), [(errno.EDQUOT, StorageFull), (errno.EROFS, StorageFailed), (errno.EMFILE, StorageFailed)]
)
def test_errors_become_facts(error, fact):
    failed = storage_error(OSError(error, "words"))

    assert type(failed) is fact
    assert failed.facts == {"reason": errno.errorcode[error]}


def test_a_failed_sync_is_never_retried(tmp_path):
    story = Story(tmp_path / "data")
    story.engine.start()
    writer = story.engine.create()
    writer.write(CONTENT)
    story.filesystem.fail(1, error=errno.EIO)

    with pytest.raises(StorageFailed):
        writer.commit()
    assert story.filesystem.calls.count("sync_file") == 1
    assert "link" not in story.filesystem.calls
    writer.abort()
    story.die()
    check_state(tmp_path / "data", {})


@pytest.mark.parametrize("call", ["settle", "delete"])
def test_what_cannot_be_removed_is_doubtful_until_it_can(tmp_path, call):
    story = Story(tmp_path / "data")
    story.engine.start()
    writer = story.engine.create()
    writer.write(CONTENT)
    ref = writer.commit()
    story.filesystem.fail(1, error=errno.EROFS, sticky=True)
    if call == "settle":
        story.engine.settle([ref])
        story.named[ref] = CONTENT
    else:
        with pytest.raises(StorageFailed):
            story.engine.delete(ref)
    assert story.engine.list_doubtful() == [ref]

    story.filesystem.heal()
    getattr(story.engine, call)([ref] if call == "settle" else ref)
    assert story.engine.list_doubtful() == []
    story.die()
    check_state(tmp_path / "data", story.named)


def test_a_final_name_that_cannot_be_removed_is_found_by_the_next_process(tmp_path):
    story = Story(tmp_path / "data")
    story.engine.start()
    writer = story.engine.create()
    writer.write(CONTENT)
    story.filesystem.fail(8, error=errno.EIO, sticky=True)  # from the sync of the final directory on

    with pytest.raises(StorageFailed):
        writer.commit()
    assert story.filesystem.calls[7:] == ["sync_directory", "unlink"]
    story.die()
    check_state(tmp_path / "data", {})
