"""The checker of histories itself: known histories, all orders tried by force, and a register with a stale cache."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.linearizability import Operation, Undecided, check, check_by_force
from support.object_model import MARKER, NOTHING, Action, Content, History, ObjectModel, read_history, write_history

VECTORS = Path(__file__).parents[1] / "vectors" / "linearizability"
GOOD = sorted((VECTORS / "linearizable").glob("*.json"))
BAD = sorted((VECTORS / "not-linearizable").glob("*.json"))
MARKS = ("a", "b", "c")


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_what_one_copy_could_have_answered_is_linearizable(path: Path) -> None:
    assert read_history(path).check().is_linearizable


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_what_no_single_copy_would_have_answered_is_not(path: Path) -> None:
    verdict = read_history(path).check()
    assert not verdict.is_linearizable
    assert verdict.stuck is not None


@pytest.mark.parametrize("path", GOOD + BAD, ids=lambda path: path.stem)
def test_a_history_is_written_as_it_was_read(path: Path, tmp_path: Path) -> None:
    write_history(read_history(path), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == path.read_text()


# -- against all orders --------------------------------------------------------------------------------------------------


def answers() -> st.SearchStrategy[Action]:
    """Actions with answers that may be true or not; some have none."""
    condition = st.sampled_from(("", "", "*", "ea", "eb"))
    write = st.builds(
        lambda mark, condition, status: Action("put", mark, f"e{mark}", condition, answer=_status(status)),
        st.sampled_from(MARKS), condition, st.sampled_from((200, 200, 412, 404, None)),
    )  # fmt: skip
    delete = st.builds(
        lambda condition, status: Action("delete", condition=condition, answer=_status(status)),
        st.sampled_from(("", "", "ea")), st.sampled_from((204, 204, 412, None)),
    )  # fmt: skip
    read = st.builds(
        lambda mark: Action("get", answer={"status": 200, "mark": mark, "etag": f"e{mark}"} if mark else _status(404)),
        st.sampled_from(("", *MARKS)),
    )
    listing = st.builds(
        lambda mark: Action("list", answer={"status": 200, "etag": mark and f"e{mark}"}), st.sampled_from(("", *MARKS))
    )
    return st.one_of(write, write, delete, read, read, listing)


def _status(status: int | None) -> dict[str, Any] | None:
    return None if status is None else {"status": status}


@st.composite
def histories(draw: Any) -> list[Operation[Action]]:
    operations = []
    for action in draw(st.lists(answers(), min_size=1, max_size=6)):
        begun = draw(st.integers(0, 12))
        ended = None if action.answer is None else begun + draw(st.integers(0, 6))
        operations.append(Operation(action, begun, ended))
    return operations


@settings(max_examples=500, deadline=None)
@given(operations=histories(), is_versioned=st.booleans())
def test_it_says_what_trying_all_orders_says(operations: list[Operation[Action]], is_versioned: bool) -> None:
    model = ObjectModel(is_versioned=is_versioned)
    assert check(model, operations).is_linearizable == check_by_force(model, operations)


# -- a register of our own -----------------------------------------------------------------------------------------------


class Register:
    """One copy of a key. Operations take effect at a moment between their two ends, and are told what is true then."""

    def __init__(self, seed: int, *, stale_share: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.stale_share = stale_share
        self.model = ObjectModel()
        self.states: list[Content] = [NOTHING]

    def history(self, count: int) -> History:
        operations = []
        for number in range(count):
            moment = 10 * number  # effects follow one another; their operations overlap some of the others
            begun, ended = moment - self.rng.randrange(80), moment + self.rng.randrange(80)
            is_answered = self.rng.random() < 0.99
            action = self.answered(self.wish(number), is_answered=is_answered)
            operations.append(Operation(action, begun, ended if is_answered else None))
        return History("key", is_versioned=False, operations=operations)

    def wish(self, number: int) -> Action:
        verb = self.rng.choice(("put", "put", "delete", "get", "get", "get", "list"))
        mark = f"m{number}" if verb == "put" else ""
        seen = self.rng.choice(self.states).etag
        condition = self.rng.choice(("", "*", seen)) if verb == "put" else ""
        return Action(verb, mark, mark and f"e{mark}", condition)

    def answered(self, action: Action, *, is_answered: bool) -> Action:
        """What it does, and says; a read may be of a state that was."""
        is_stale = action.verb in ("get", "list") and self.rng.random() < self.stale_share
        state = self.rng.choice(self.states[-60:-40] or self.states) if is_stale else self.states[-1]
        status, after, facts = self.model._do(state, action)
        if not is_stale:
            self.states.append(after)
        return Action(**{**vars(action), "answer": {"status": status, **facts} if is_answered else None})


@pytest.mark.parametrize("seed", range(5))
def test_a_long_history_of_one_copy_is_linearizable(seed: int) -> None:
    assert Register(seed).history(2000).check().is_linearizable


@pytest.mark.parametrize("seed", range(5))
def test_a_stale_cache_is_found(seed: int) -> None:
    assert not Register(seed, stale_share=0.05).history(1000).check().is_linearizable


def test_a_search_that_would_not_end_is_given_up() -> None:
    writes = [Operation(Action("put", f"m{number}", f"e{number}"), 0, None) for number in range(30)]
    impossible = Operation(Action("get", answer={"status": 200, "mark": "x", "etag": "x"}), 10, 20)
    with pytest.raises(Undecided):
        check(ObjectModel(), [*writes, impossible], configurations_max=1000)


def test_states_differ_where_answers_do() -> None:
    assert NOTHING != MARKER
