"""The sweep: a step, once for each call that its engines make, with a fault there; then everything is looked at.

for each call of the step: arm, send, look: it must show what was before or what is after, and nothing that was refused
heal, send again: it must succeed and show what is after
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError
from support.engine_faults import FAULTS
from support.fault_steps import Step
from support.faulty_store import FaultyStore, open_descriptors

from nova_objectstore.assembly import DATABASE_NAME
from nova_objectstore.errors import EngineError
from nova_wsgi import green

DEADLINE_S = 30.0  # of one step, whatever fails
DATABASE_DESCRIPTORS_MAX = 12  # database, log and index of three connections, and lock files
CALLS_IN_TURN = 25  # of one step in the short form; of those after them each third or so
CALLS_MAX = 200  # of one step: more would be a loop
ANSWERS = {  # what a client may be told of a fault that is not its own
    ("InternalError", 500),
    ("ServiceUnavailable", 503),
    ("SlowDown", 503),
    ("InsufficientStorage", 507),
}


class Broken(AssertionError):
    """A fault did more than it may."""


@dataclass
class Sweep:
    """What came of it."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)  # of one undisturbed run of each step

    def table(self) -> str:
        """For people."""
        rows = [("seed", self.seed), ("steps", len(self.calls)), ("calls of them", self.calls.total())]
        rows += [("faults injected", self.faults.total())]
        rows += [(f"  {name}", count) for name, count in sorted(self.faults.items())]
        rows += [(f"outcome: {name}", count) for name, count in sorted(self.outcomes.items())]
        return "\n".join(f"{name:<40}{value:>10,}" for name, value in rows)


class Sweeper:
    """Goes over steps. ``full``: every fault that a call may meet, once and lasting; else one of them, by the seed."""

    def __init__(self, store: FaultyStore, sweep: Sweep, *, full: bool) -> None:
        self.store = store
        self.sweep = sweep
        self.full = full
        self.rng = random.Random(sweep.seed)

    def run(self, name: str, make: Callable[[str], Step]) -> None:
        """One kind of step. Raises Broken."""
        self._warm_up(make)
        before = open_descriptors()
        at = 0
        while self._go_over_call(name, make, at):
            at += 1 if self.full or at < CALLS_IN_TURN else self.rng.randrange(1, 4)
            if at > CALLS_MAX:
                raise Broken(f"{name}: {at} calls")
        self.sweep.calls[name] += at
        self.store.check()
        self._compare_descriptors(name, before)

    def _warm_up(self, make: Callable[[str], Step]) -> None:
        step = make(self.store.fresh_name())
        step.act()
        step.finish()

    def _go_over_call(self, name: str, make: Callable[[str], Step], at: int) -> bool:
        """Every wanted fault at one call; whether there was such a call."""
        for choice, lasting in self._choices():
            step = make(self.store.fresh_name())
            before = step.look()
            self.store.injector.arm(at, choice, lasting=lasting)
            where = f"seed {self.sweep.seed}: {name}, call {at}, choice {choice}{', lasting' if lasting else ''}"
            told = self._act(step, where)
            injector = self.store.injector
            struck, fault, early = injector.struck, injector.fault, injector.struck_before_commit
            choices = len(struck.faults) if struck else 0
            injector.heal()
            if struck is None:
                if told is not None:
                    raise Broken(f"{where}: refused without a fault: {told!r}") from told
                step.finish()
                return False
            where += f": {fault} at {struck.name} {struck.text[:60]}"
            self.sweep.faults[fault] += 1
            self._judge(step, before, told, early, where)
            if self.full and choice + 1 >= choices and lasting:
                break
        return True

    def _choices(self) -> Iterator[tuple[int, bool]]:
        if not self.full:
            yield self.rng.randrange(len(FAULTS)), self.rng.random() < 0.5
            return
        for choice in range(len(FAULTS)):
            yield choice, False
            yield choice, True

    def _act(self, step: Step, where: str) -> Exception | None:
        """Send it; what was told instead of success."""
        try:
            with green.Timeout(DEADLINE_S):
                step.act()
        except green.Timeout:
            raise Broken(f"{where}: it hangs") from None
        except ClientError as error:
            answer = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if "on purpose" in str(error) or "injected" in str(error):
                raise Broken(f"{where}: the client is told what is the log's: {error}") from error
            if answer not in ANSWERS:
                raise Broken(f"{where}: answered {answer}") from error
            self.sweep.outcomes[f"{answer[1]} {answer[0]}"] += 1
            return error
        except (ConnectionClosedError, EngineError) as error:
            self.sweep.outcomes[f"{type(error).__name__}"] += 1
            return error
        except Exception as error:
            raise Broken(f"{where}: {error!r}") from error
        return None

    def _judge(self, step: Step, before: Any, told: Exception | None, early: bool, where: str) -> None:
        seen = step.look()
        if step.is_job:
            if seen not in (before, *step.between, step.after):
                raise Broken(f"{where}: there is {_short(seen)}, neither {_short(before)} nor {_short(step.after)}")
        elif told is None:
            self.sweep.outcomes["success in spite of it"] += 1
            if seen != step.after:
                raise Broken(f"{where}: success was answered, and there is {_short(seen)}")
        elif seen not in (before, step.after):
            raise Broken(f"{where}: there is {_short(seen)}, neither {_short(before)} nor {_short(step.after)}")
        elif seen != before:
            if early:
                raise Broken(f"{where}: it was refused before a commit, and it has happened")
            self.sweep.outcomes["refused, and has happened"] += 1
        self._act_again(step, seen, where)
        if step.look() != step.after:
            raise Broken(f"{where}: again, there is {_short(step.look())}")
        step.finish()

    def _act_again(self, step: Step, seen: Any, where: str) -> None:
        try:
            step.act()
        except ClientError as error:
            if seen != step.after or error.response["Error"]["Code"] not in step.done:
                raise Broken(f"{where}: it does not heal: {error}") from error
        except Exception as error:
            raise Broken(f"{where}: it does not heal: {error!r}") from error

    def _compare_descriptors(self, name: str, before: dict[str, str]) -> None:
        """SQLite keeps descriptors for its next connections, but not ever more of them."""
        after = open_descriptors()
        leaked = {fd: path for fd, path in after.items() if before.get(fd) != path and DATABASE_NAME not in path}
        own = [
            path for path in after.values() if path.startswith(f"{self.store.state_path}/") and DATABASE_NAME in path
        ]
        if leaked or len(own) > DATABASE_DESCRIPTORS_MAX:
            raise Broken(f"seed {self.sweep.seed}: {name}: descriptors are left: {leaked}, {own}")


def _short(seen: Any) -> str:
    return repr(seen)[:200]
