"""After a power cut at any call: what was acknowledged is on the disk, what is visible is whole and accounted for."""

import itertools
import os

from support.file_systems import RecordingFileSystem

from nova_objectstore.data.files import FilesEngine
from nova_objectstore.data.names import is_ref

SIZE = 3000


class PowerCuts:
    """Looks at the disk after every single call."""

    def __init__(self, root) -> None:
        self.root = str(root)
        self.filesystem = RecordingFileSystem(self.look)
        self.engine = FilesEngine(root, filesystem=self.filesystem)
        self.acknowledged: set[str] = set()
        self.settled: set[str] = set()
        self.order: list[str] = []

    def look(self, call: str) -> None:
        self.order.append(call)
        for ref in self.acknowledged:
            inode = self.filesystem.disk.survives(f"{self.root}/{ref[:2]}/{ref}", self.root)
            assert inode is not None, f"after {call}: the name of an acknowledged file may be lost"
            assert inode.durable_size == SIZE
        self.look_at_visible_names(call)

    def look_at_visible_names(self, call: str) -> None:
        disk = self.filesystem.disk
        names = {path: os.path.basename(path) for path in disk.entries}
        staged = {ref for path, ref in names.items() if "/pending/" in path and disk.survives(path, self.root)}
        for path, ref in names.items():
            if is_ref(ref) and "/pending/" not in path:
                assert disk.entries[path].durable_size == SIZE, f"after {call}: a visible file may be torn"
                assert ref in staged | self.settled, f"after {call}: nobody would find the orphan"

    def put(self) -> str:
        writer = self.engine.create()
        for _ in range(3):
            writer.write(bytes(SIZE // 3))
        return self.acknowledge(writer.commit())

    def acknowledge(self, ref: str) -> str:
        self.acknowledged.add(ref)
        self.look("acknowledged")
        self.settled.add(ref)
        self.engine.settle([ref])
        return ref


def test_a_power_cut_at_any_call_loses_nothing_acknowledged(tmp_path):
    cuts = PowerCuts(tmp_path / "state" / "data")
    cuts.engine.start()
    refs = [cuts.put() for _ in range(20)]
    twin = cuts.engine.copy(refs[0])
    assert twin is not None
    cuts.acknowledge(twin)
    aborted = cuts.engine.create()
    aborted.write(bytes(10))
    aborted.abort()
    cuts.acknowledged.discard(refs[1])
    cuts.engine.delete(refs[1])
    cuts.engine.stop()

    assert cuts.order.count("sync_file") == 20
    assert cuts.filesystem.disk.survives(str(tmp_path / "state"), str(tmp_path))


def test_the_order_of_one_commit(tmp_path):
    cuts = PowerCuts(tmp_path / "data")
    cuts.engine.start()
    cuts.order.clear()
    cuts.put()

    assert cuts.order == [
        *("create", "write", "write", "write", "sync_file", "rename"),
        "sync_directory",  # the staging entry
        *("make_directory", "sync_directory"),  # the fan-out directory, the first time
        *("link", "sync_directory"),
        *("acknowledged", "unlink"),
    ]
    cuts.engine.stop()


def test_a_directory_that_another_process_made_is_synced_before_it_is_trusted(tmp_path):
    cuts = PowerCuts(tmp_path / "data")
    cuts.engine.start()
    for first, second in itertools.product("abcdefghijklmnopqrstuvwxyz234567", repeat=2):
        cuts.filesystem.make_directory(f"{tmp_path}/data/{first}{second}")  # and dies before it syncs them

    cuts.put()
    cuts.engine.stop()


def test_a_deletion_is_durable_once_deletions_are_synced(tmp_path):
    cuts = PowerCuts(tmp_path / "data")
    cuts.engine.start()
    refs = [cuts.put() for _ in range(5)]
    cuts.acknowledged.clear()
    for ref in refs:
        cuts.engine.delete(ref)
    disk, paths = cuts.filesystem.disk, [f"{cuts.root}/{ref[:2]}/{ref}" for ref in refs]
    assert all(disk.survives(path, cuts.root) for path in paths), "nothing was synced: a power cut brings them back"
    cuts.order.clear()

    cuts.engine.sync_deletions()

    assert not any(disk.survives(path, cuts.root) for path in paths)
    assert cuts.order == ["sync_directory"] * len({os.path.dirname(path) for path in paths})
    cuts.order.clear()
    cuts.engine.sync_deletions()
    assert cuts.order == []
    cuts.engine.stop()


def test_what_a_process_removed_before_it_died_is_synced_by_the_next(tmp_path):
    cuts = PowerCuts(tmp_path / "data")
    cuts.engine.start()
    ref = cuts.put()
    cuts.acknowledged.clear()
    path = f"{cuts.root}/{ref[:2]}/{ref}"
    cuts.filesystem.unlink(path)  # and the process is no more

    cuts.engine.delete(ref)
    cuts.engine.sync_deletions()

    assert not cuts.filesystem.disk.survives(path, cuts.root)
    cuts.engine.stop()


def test_deleting_something_unsettled_takes_its_entry_last(tmp_path):
    cuts = PowerCuts(tmp_path / "data")
    cuts.engine.start()
    writer = cuts.engine.create()
    writer.write(bytes(SIZE))
    ref = writer.commit()
    cuts.order.clear()

    cuts.engine.delete(ref)

    assert cuts.order == ["unlink", "sync_directory", "unlink"]
    assert not cuts.filesystem.disk.survives(f"{cuts.root}/{ref[:2]}/{ref}", cuts.root)
    cuts.engine.stop()
