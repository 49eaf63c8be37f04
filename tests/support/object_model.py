"""One key of a bucket as a single copy would be, and histories of it as files.

A write is told by its ``mark``, which its object carries in its metadata; ETag and bytes follow from the mark. Answers are
what a client saw: ``status``, and of reads ``mark``, ``etag``, ``tags``. Rules: AWS, "How to prevent object overwrites with
conditional writes", "Conditional deletes", "Deleting object versions from a versioning-enabled bucket".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from support.linearizability import Operation, Verdict, check

WRITES = frozenset(("put", "copy", "complete"))
CHANGES = WRITES | {"delete", "tag"}


class Content(NamedTuple):
    """What a key holds; no mark: nothing, or a delete marker."""

    mark: str = ""
    etag: str = ""
    tags: str = ""
    is_marker: bool = False


NOTHING = Content()
MARKER = Content(is_marker=True)


@dataclass(frozen=True)
class Action:
    """What a client asked for, and what it was told.

    ``mark`` and ``etag``: of a write. ``condition``: ``*`` of If-None-Match; an ETag of a write's or deletion's If-Match, or
    of a read's If-None-Match. ``tags``: to be set. ``answer`` is None when there was none, or one that tells nothing (5xx):
    then ``why`` says so.
    """

    verb: str
    mark: str = ""
    etag: str = ""
    condition: str = ""
    tags: str = ""
    answer: Mapping[str, Any] | None = None
    why: str = ""


class ObjectModel:
    """``put``, ``copy``, ``complete``, ``delete``, ``tag``; ``get``, ``head``, ``range``, ``list``, ``get_tags``."""

    initial = NOTHING

    def __init__(self, *, is_versioned: bool = False) -> None:
        self._deleted = MARKER if is_versioned else NOTHING

    def apply(self, state: Content, action: Action) -> Content | None:
        """As ``linearizability.Model`` has it."""
        status, after, facts = self._do(state, action)
        answer = action.answer
        if answer is None:
            return after
        if answer["status"] != status or any(answer.get(name, "") != value for name, value in facts.items()):
            return None
        return after

    def may_change(self, action: Action) -> bool:
        """As ``linearizability.Model`` has it: what was refused has changed nothing."""
        return action.verb in CHANGES and (action.answer is None or action.answer["status"] < 300)

    def _do(self, state: Content, action: Action) -> tuple[int, Content, Mapping[str, str]]:
        """The status, the state after it, and what the answer tells."""
        if action.verb in WRITES:
            status = _status_of_write(state, action.condition)
            return status, Content(action.mark, action.etag) if status == 200 else state, {}
        if action.verb == "delete":
            return self._delete(state, action.condition)
        if action.verb == "list":
            return 200, state, {"etag": state.etag}
        if not state.mark:
            return 404, state, {}
        if action.verb == "tag":
            return 200, state._replace(tags=action.tags), {}
        if action.verb == "get_tags":
            return 200, state, {"tags": state.tags}
        if action.condition and action.condition == state.etag:
            return 304, state, {"etag": state.etag}
        return 206 if action.verb == "range" else 200, state, {"mark": state.mark, "etag": state.etag}

    def _delete(self, state: Content, condition: str) -> tuple[int, Content, Mapping[str, str]]:
        if condition and state == NOTHING:
            return 204, state, {}
        if condition and condition != state.etag:
            return 412, state, {}
        return 204, self._deleted, {}


def _status_of_write(state: Content, condition: str) -> int:
    if condition == "*":
        return 412 if state.mark else 200
    if condition and not state.mark:
        return 404
    return 200 if condition in ("", state.etag) else 412


# -- histories ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """What was done to one key."""

    key: str
    is_versioned: bool
    operations: Sequence[Operation[Action]]
    about: str = ""  # where it comes from, for people

    def check(self) -> Verdict[Action]:
        """Whether one copy could have answered so. Raises Undecided."""
        return check(ObjectModel(is_versioned=self.is_versioned), self.operations)

    def as_json(self) -> dict[str, Any]:
        """Times count from the first one, in nanoseconds."""
        first = min((operation.begun for operation in self.operations), default=0)
        rows = []
        for operation in sorted(self.operations, key=lambda operation: operation.begun):
            action = {name: value for name, value in asdict(operation.action).items() if value not in ("", None)}
            ended = None if operation.ended is None else operation.ended - first
            rows.append({"begun": operation.begun - first, "ended": ended, **action})
        return {"about": self.about, "key": self.key, "is_versioned": self.is_versioned, "operations": rows}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> History:
        """The other way."""
        rows = [dict(row) for row in document["operations"]]
        operations = [Operation(begun=row.pop("begun"), ended=row.pop("ended"), action=Action(**row)) for row in rows]
        return cls(document["key"], document["is_versioned"], operations, document.get("about", ""))


def write_history(history: History, path: Path) -> None:
    """One operation a line, so that people can read it."""
    document = history.as_json()
    rows = ",\n  ".join(json.dumps(row) for row in document.pop("operations"))
    head = json.dumps(document)[:-1]
    path.write_text(f'{head},\n "operations": [\n  {rows}\n]}}\n')


def read_history(path: Path) -> History:
    """Read one again."""
    return History.from_json(json.loads(path.read_text()))


def describe(operation: Operation[Action]) -> str:
    """In a line."""
    action = {name: value for name, value in asdict(operation.action).items() if value not in ("", None)}
    return f"{operation.begun} to {operation.ended}: {json.dumps(action)}"


def group(events: Iterable[Mapping[str, Any]], *, is_versioned: bool, about: str) -> list[History]:
    """Histories by key, of events as clients tell them."""
    kept: dict[str, list[Operation[Action]]] = {}
    for event in events:
        row = dict(event)
        key = row.pop("key")
        begun, ended = row.pop("begun"), row.pop("ended")
        kept.setdefault(key, []).append(Operation(Action(**row), begun, ended))
    return [History(key, is_versioned, operations, about) for key, operations in sorted(kept.items())]
