"""DataEngines: several data engines as one, told apart by their refs.

Strategy: what lies in the default engine has the refs that this engine makes. Every other engine has a name, that of its
storage class, and its refs begin with it: ``GLACIER:mfrggzdfmztwq2lknnwg23tp``. So a ref alone says where its bytes
are, to whoever holds one: a version, a part, the queue of garbage, the recovery of what a process left behind.

Laws:

- A DataEngine as the port has it: ``tests/nova_objectstore/data`` runs its conformance suite on this one too.
- PERF: what lies in the default engine costs one look for a colon.
- A name is for good: renaming an engine, or giving it another place, loses what its refs name.
- A ref of an engine that is not configured is no missing data: StorageFailed, which an administrator can mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nova_objectstore.data.engine import Committed, DataEngine, DataReader, DataWriter
from nova_objectstore.errors import StorageFailed

SEPARATOR = ":"  # no engine has it in a ref of its own

DEFAULT = ""  # the default engine's name


def name_of(ref: str) -> str:
    """The name of the engine that a ref is of; empty for the default one."""
    return ref.partition(SEPARATOR)[0] if SEPARATOR in ref else DEFAULT


class DataEngines:
    """The default engine, and the others by name."""

    def __init__(self, default: DataEngine, others: Mapping[str, DataEngine] = {}) -> None:
        self._default = default
        self._named = {name: NamedEngine(name, engine) for name, engine in others.items()}

    def at(self, name: str) -> DataEngine:
        """One of the engines, whose refs tell where they are of. Raises StorageFailed when there is none of that name."""
        if name == DEFAULT:
            return self._default
        try:
            return self._named[name]
        except KeyError:
            raise StorageFailed(reason=f"the storage class {name} is not configured") from None

    def _of(self, ref: str) -> DataEngine:
        return self._default if SEPARATOR not in ref else self.at(name_of(ref))

    # -- the port ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Make every place ready. Idempotent. Raises StorageFull, StorageFailed. Blocking."""
        for engine in (self._default, *self._named.values()):
            engine.start()

    def stop(self) -> None:
        """Release every staging area. Idempotent."""
        for engine in (self._default, *self._named.values()):
            engine.stop()

    def create(self, size_hint: int | None = None) -> DataWriter:
        """Begin new data in the default engine. Blocking."""
        return self._default.create(size_hint)

    def open(self, ref: str) -> DataReader:
        """Open committed data, wherever it lies. Raises DataMissing, StorageFailed. Blocking, but short."""
        return self._of(ref).open(ref)

    def copy(self, ref: str) -> str | None:
        """A second ref to the same bytes, in the same engine; None where it can't. Blocking."""
        return self._of(ref).copy(ref)

    def delete(self, ref: str) -> None:
        """Remove data. Nothing when it is gone already. Blocking."""
        self._of(ref).delete(ref)

    def sync_deletions(self) -> None:
        """Make what this process has deleted durable, in every engine. Blocking."""
        for engine in (self._default, *self._named.values()):
            engine.sync_deletions()

    def quarantine(self, ref: str) -> bool:
        """Keep the data from being read; whether they are there. Blocking."""
        return self._of(ref).quarantine(ref)

    def release(self, ref: str) -> bool:
        """Let data that are in quarantine be read again; whether they were. Blocking."""
        return self._of(ref).release(ref)

    def settle(self, refs: Sequence[str]) -> None:
        """The metadata that names ``refs`` is committed."""
        by_name: dict[str, list[str]] = {}
        for ref in refs:
            by_name.setdefault(name_of(ref), []).append(ref)
        for name, own in by_name.items():
            if name == DEFAULT or name in self._named:  # what nobody knows can wait for the next start
                self.at(name).settle(own)

    def doubt(self, refs: Sequence[str]) -> None:
        """Whether the metadata names ``refs`` could not be learnt."""
        for ref in refs:
            self._of(ref).doubt([ref])

    def list_doubtful(self) -> Sequence[str]:
        """The doubtful refs of this process, in every engine."""
        return [ref for engine in (self._default, *self._named.values()) for ref in engine.list_doubtful()]

    def list_settled(self) -> Iterator[Committed]:
        """All data that lie in any of the engines. Blocking."""
        for engine in (self._default, *self._named.values()):
            yield from engine.list_settled()

    def export(self, ref: str, path: str, *, link: bool) -> int:
        """The same bytes in a new file. Blocking."""
        return self._of(ref).export(ref, path, link=link)

    def list_unsettled(self) -> Iterator[str]:
        """What dead processes left unsettled, in every engine. Blocking."""
        for engine in (self._default, *self._named.values()):
            yield from engine.list_unsettled()


class NamedEngine:
    """An engine whose refs begin with its name, on their way out and in."""

    def __init__(self, name: str, engine: DataEngine) -> None:
        self._prefix = name + SEPARATOR
        self._engine = engine

    def start(self) -> None:
        """See the port."""
        self._engine.start()

    def stop(self) -> None:
        """See the port."""
        self._engine.stop()

    def create(self, size_hint: int | None = None) -> DataWriter:
        """Begin new data. Blocking."""
        return _NamedWriter(self._prefix, self._engine.create(size_hint))

    def open(self, ref: str) -> DataReader:
        """Open committed data. Blocking, but short."""
        return self._engine.open(self._own(ref))

    def copy(self, ref: str) -> str | None:
        """A second ref to the same bytes. Blocking."""
        twin = self._engine.copy(self._own(ref))
        return None if twin is None else self._prefix + twin

    def delete(self, ref: str) -> None:
        """Remove data. Blocking."""
        self._engine.delete(self._own(ref))

    def sync_deletions(self) -> None:
        """See the port. Blocking."""
        self._engine.sync_deletions()

    def quarantine(self, ref: str) -> bool:
        """Keep the data from being read; whether they are there. Blocking."""
        return self._engine.quarantine(self._own(ref))

    def release(self, ref: str) -> bool:
        """Let data that are in quarantine be read again; whether they were. Blocking."""
        return self._engine.release(self._own(ref))

    def settle(self, refs: Sequence[str]) -> None:
        """The metadata that names ``refs`` is committed."""
        self._engine.settle([self._own(ref) for ref in refs])

    def doubt(self, refs: Sequence[str]) -> None:
        """See the port."""
        self._engine.doubt([self._own(ref) for ref in refs])

    def list_doubtful(self) -> Sequence[str]:
        """See the port."""
        return [self._prefix + ref for ref in self._engine.list_doubtful()]

    def list_settled(self) -> Iterator[Committed]:
        """All data that lie in the engine. Blocking."""
        for found in self._engine.list_settled():
            yield found._replace(ref=self._prefix + found.ref)

    def export(self, ref: str, path: str, *, link: bool) -> int:
        """The same bytes in a new file. Blocking."""
        return self._engine.export(self._own(ref), path, link=link)

    def list_unsettled(self) -> Iterator[str]:
        """What dead processes left unsettled. Blocking."""
        for ref in self._engine.list_unsettled():
            yield self._prefix + ref

    def _own(self, ref: str) -> str:
        """The engine's own ref; what is of another engine is none of it, and stays what nobody has."""
        return ref.removeprefix(self._prefix)


class _NamedWriter:
    """A writer whose ref begins with its engine's name."""

    __slots__ = ("_prefix", "_writer", "abort", "write")

    def __init__(self, prefix: str, writer: DataWriter) -> None:
        self._prefix = prefix
        self._writer = writer
        self.write = writer.write
        self.abort = writer.abort

    def commit(self) -> str:
        """Make the bytes durable and answer their ref. Blocking."""
        return self._prefix + self._writer.commit()
