"""Whether a history of concurrent operations could have happened one after the other. Pure.

Each operation took effect at one moment between its invocation and its answer: is there an order of such moments in which
every answer is what a single copy would have said (Herlihy and Wing, "Linearizability", 1990)?

Strategy: Wing and Gong's search with Lowe's memory ("Testing for linearizability", 2017): invocations and answers stand in
a doubly linked list by time; an operation that is invoked before the first answer may be the next one; it is taken out
while the search tries what follows. A pair of (operations taken, state) is tried once. Histories of different keys are
searched apart, for linearizability is local.

An operation without an answer may have happened at any later time, or never.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

State = TypeVar("State", bound=Hashable)
Action = TypeVar("Action", contravariant=True)
Done = TypeVar("Done")

CONFIGURATIONS_MAX = 2_000_000  # a search that needs more is given up: a minute, and a gigabyte


class Undecided(RuntimeError):
    """The search was given up: the history has too many orders."""


class Model(Protocol[State, Action]):
    """What one copy would do."""

    initial: State

    def apply(self, state: State, action: Action) -> State | None:
        """The state after an action, with the answer that it had, if any; None when that answer is impossible."""

    def may_change(self, action: Action) -> bool:
        """Whether there is a state that the action changes, with the answer that it had."""


@dataclass(frozen=True)
class Operation(Generic[Done]):
    """Something that was done between two moments; ``ended`` is None when no answer came."""

    action: Done
    begun: int
    ended: int | None


@dataclass(frozen=True)
class Verdict(Generic[Done]):
    """``stuck`` is the operation whose answer the search could never explain, the latest that it came to."""

    is_linearizable: bool
    stuck: Operation[Done] | None = None
    configurations: int = 0


class _Entry(Generic[Done]):
    """An invocation, or the answer to one, in the list."""

    __slots__ = ("answer", "before", "bit", "is_answer", "next", "operation")

    def __init__(self, operation: Operation[Done], bit: int, *, is_answer: bool = False) -> None:
        self.operation = operation
        self.bit = bit
        self.is_answer = is_answer
        self.answer: _Entry[Done] | None = None  # of an invocation that was answered
        self.before: _Entry[Done] | None = None
        self.next: _Entry[Done] | None = None


def check(
    model: Model[State, Done], operations: Sequence[Operation[Done]], *, configurations_max: int = CONFIGURATIONS_MAX
) -> Verdict[Done]:
    """Search for an order. Raises Undecided."""
    head, unanswered = _link(operations)
    left = sum(1 for operation in operations if operation.ended is not None)
    stuck: Operation[Done] | None = None
    seen: set[tuple[int, State]] = set()
    state, taken = model.initial, 0
    path: list[tuple[_Entry[Done], State, Iterator[tuple[_Entry[Done], State]]]] = []
    candidates = _choices(model, state, head, unanswered, taken)
    while left:
        for entry, after in candidates:
            if (taken | entry.bit, after) not in seen:
                break
        else:
            stuck = _later(stuck, _first_answer(head))
            if not path:
                return Verdict(False, stuck, len(seen))
            entry, state, candidates = path.pop()
            taken &= ~entry.bit
            if entry.answer is not None:
                left += 1
                _put_back(entry, entry.answer)
            continue
        if len(seen) >= configurations_max:
            raise Undecided(f"more than {configurations_max:,} configurations")
        path.append((entry, state, candidates))
        taken |= entry.bit
        seen.add((taken, after))
        state = after
        if entry.answer is not None:
            left -= 1
            _take_out(entry, entry.answer)
        candidates = _choices(model, state, head, unanswered, taken)
    return Verdict(True, None, len(seen))


def _choices(
    model: Model[State, Done], state: State, head: _Entry[Done], unanswered: Sequence[_Entry[Done]], taken: int
) -> Iterator[tuple[_Entry[Done], State]]:
    """What may be next, with the state after it.

    One that only looks, whose answer is true now, is the only choice: in any order that explains the rest it can be moved
    to the front. One without an answer that changes nothing here need not have happened.
    """
    changes = []
    for entry in _candidates(head, unanswered, taken):
        after = model.apply(state, entry.operation.action)
        if after is None:
            continue
        if not model.may_change(entry.operation.action):
            yield entry, state
            return
        if entry.answer is not None or after != state:
            changes.append((entry, after))
    yield from changes


def _candidates(head: _Entry[Done], unanswered: Sequence[_Entry[Done]], taken: int) -> Iterator[_Entry[Done]]:
    """What may be next: invoked before the first answer. The answered ones first: they have happened for certain."""
    entry = head.next
    while entry is not None and not entry.is_answer:
        yield entry
        entry = entry.next
    for open_one in unanswered:
        if entry is not None and open_one.operation.begun > entry.operation.ended:  # type: ignore[operator]
            return
        if not taken & open_one.bit:
            yield open_one


def _first_answer(head: _Entry[Done]) -> Operation[Done]:
    entry = head.next
    while entry is not None and not entry.is_answer:
        entry = entry.next
    assert entry is not None, "an operation that was answered is left"
    return entry.operation


def _later(one: Operation[Done] | None, other: Operation[Done]) -> Operation[Done]:
    """The one that was answered later."""
    return one if one is not None and one.ended >= other.ended else other  # type: ignore[operator]


def _link(operations: Sequence[Operation[Done]]) -> tuple[_Entry[Done], list[_Entry[Done]]]:
    """The list of invocations and answers by time, after a head that is neither; and the invocations without an answer.

    At equal times invocations come first: such operations overlap.
    """
    events: list[tuple[int, int, _Entry[Done]]] = []
    unanswered = []
    for number, operation in enumerate(operations):
        invocation = _Entry(operation, 1 << number)
        if operation.ended is None:
            unanswered.append(invocation)
            continue
        invocation.answer = _Entry(operation, 0, is_answer=True)
        events += ((operation.begun, 0, invocation), (operation.ended, 1, invocation.answer))
    head: _Entry[Done] = _Entry(Operation(None, 0, None), 0)  # type: ignore[arg-type]
    previous = head
    for *_, entry in sorted(events, key=lambda event: event[:2]):
        previous.next, entry.before = entry, previous
        previous = entry
    return head, sorted(unanswered, key=lambda entry: entry.operation.begun)


def _take_out(*entries: _Entry[Done]) -> None:
    for gone in entries:
        assert gone.before is not None
        gone.before.next = gone.next
        if gone.next is not None:
            gone.next.before = gone.before


def _put_back(*entries: _Entry[Done]) -> None:
    """The other way round, so that neighbours that were taken out together find each other."""
    for back in reversed(entries):
        assert back.before is not None
        back.before.next = back
        if back.next is not None:
            back.next.before = back


def check_by_force(model: Model[State, Done], operations: Sequence[Operation[Done]]) -> bool:
    """The same, by trying all orders: for a handful of operations, and for trusting the other."""
    return _try_orders(model, model.initial, list(operations))


def _try_orders(model: Model[State, Done], state: State, left: list[Operation[Done]]) -> bool:
    if all(operation.ended is None for operation in left):
        return True
    first_answer = min(operation.ended for operation in left if operation.ended is not None)
    for number, operation in enumerate(left):
        if operation.begun <= first_answer:
            after = model.apply(state, operation.action)
            if after is not None and _try_orders(model, after, left[:number] + left[number + 1 :]):
                return True
    return False
