"""Fuzzing: seeded inputs for functions that must know what to do with any bytes.

Strategy: a target's ``check`` takes bytes and names the outcome; whatever it raises is a finding. Inputs are made by the
target's own grammar, or by mutating its corpus: the seeds, the vectors of earlier findings, and every input whose outcome
had a new name. All in one process, for the number of inputs is what finds.

Laws:

- A run is repeated by its seed: nothing here asks another source of chance, nor the clock, what to try next.
- Every input has a deadline in CPU time, which the machine's other work does not touch.
- What was found is made small and kept as a file in tests/vectors/fuzz, which every later run begins with.
"""

from __future__ import annotations

import gc
import math
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
from support.fuzz_mutations import INPUT_MAX, mutate
from support.http_vectors import decode

FOLDER = Path(__file__).parent.parent / "vectors" / "fuzz"
CPU_MAX_S = 2.0  # of one input: the largest documents take a quarter of it
FINDINGS_MAX = 20  # different ones of a target; a run that finds more has shown enough
CORPUS_MAX = 2000
MADE_SHARE = 0.5  # of the inputs are made by the grammar, the others mutated
SHRINK_TRIES = 400
WARM_UP_SHARE = 0.4  # after this part of a run all caches are full: memory grows no more
GROWTH_SIZE = 1000  # the smallest that growths are measured at, in what they repeat
GROWTH_S = 0.1  # CPU seconds from which on a growth can be told from noise
GROWTH_BYTES_MAX = 4 * 1024 * 1024  # what a document may have at most
CPU_GROWTH_MAX = 3.0  # times for twice the size: 2 is linear, 4 quadratic
MEMORY_GROWTH_MAX = 32 * 1024 * 1024  # bytes, beyond what an allocator's fragments explain

Check = Callable[[bytes], str]
Make = Callable[[random.Random], bytes]


class Hang(BaseException):
    """An input took more than its CPU time. Not an Exception: no ``except`` of the code that is tested may keep it."""


@dataclass(frozen=True)
class Target:
    """Something that reads bytes of strangers.

    ``mutates``: not where an input is a case in JSON, which damages only make unreadable. ``growths``: by name, inputs of a
    size to be chosen, whose work must grow as the size does. ``inputs_max`` bounds the long form where one input costs
    milliseconds, ``short`` is the number of inputs in the test run.
    """

    name: str
    check: Check = field(repr=False)
    make: Make | None = None
    mutates: bool = True
    seeds: Sequence[bytes] = field(default=(), repr=False)
    words: Sequence[bytes] = field(default=(), repr=False)
    growths: Mapping[str, Callable[[int], bytes]] = field(default_factory=dict, repr=False)
    inputs_max: int | None = None
    short: int = 2000
    open: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext, repr=False)  # what ``check`` needs

    @cached_property
    def vectors(self) -> Mapping[str, bytes]:
        """What was found before, by name."""
        return {path.stem: read_vector(path) for path in sorted((FOLDER / self.name).glob("*.txt"))}


@dataclass(frozen=True)
class Finding:
    """An input that was not dealt with: ``problem`` is one line, ``trace`` where it happened."""

    data: bytes
    problem: str
    trace: str = field(repr=False, default="")

    @property
    def name(self) -> str:
        """Of its file."""
        return sha256(self.data).hexdigest()[:12]


@dataclass
class Result:
    """What a run of a target came to. ``memory_growth`` in bytes, from the warm process to the end."""

    target: str
    seed: int
    inputs: int = 0
    cpu_s: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    memory_growth: int = 0


# -- one input ---------------------------------------------------------------------------------------------------------


@contextmanager
def cpu_deadline(seconds: float) -> Iterator[None]:
    """Raise Hang in the block when it has used so much CPU time. For the main thread."""

    def too_long(_number: int, _frame: object) -> None:
        raise Hang(f"more than {seconds} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def try_input(check: Check, data: bytes, *, cpu_max_s: float = CPU_MAX_S) -> tuple[str, Finding | None]:
    """The name of the outcome, and a finding when there is one."""
    try:
        with cpu_deadline(cpu_max_s):
            return check(data), None
    except (Exception, Hang) as error:  # noqa: BLE001  whatever leaves a check is what is looked for
        trace = "".join(traceback.format_exception(error))
        return f"FOUND {type(error).__name__} {_place(error)}", Finding(data, _one_line(error), trace)


def _place(error: BaseException) -> str:
    """The deepest place in the product, which tells findings apart; of a hang or a failed property its words."""
    if isinstance(error, (Hang, AssertionError)):
        return _one_line(error)[:60]
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/nova_" in frame.filename]
    frame = (ours or list(frames))[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]


def shrink(check: Check, finding: Finding) -> Finding:
    """The same finding from fewer bytes, as far as a bounded search gets."""
    found, _ = try_input(check, finding.data)
    best = finding
    size = len(best.data) // 2
    tries = SHRINK_TRIES
    while size and tries:
        start = 0
        while start < len(best.data) and tries:
            tries -= 1
            shorter = best.data[:start] + best.data[start + size :]
            outcome, again = try_input(check, shorter)
            if again is not None and outcome == found:
                best = again
            else:
                start += size
        size //= 2
    return best


# -- many inputs -------------------------------------------------------------------------------------------------------


def run(
    target: Target,
    *,
    inputs: int,
    seed: int,
    seconds: float = float("inf"),
    tell: Callable[[int], None] = lambda _done: None,
) -> Result:
    """Try ``inputs`` of them, or as many as ``seconds`` of CPU time allow. ``tell`` hears how many were done."""
    with target.open():
        return _Run(target, seed, inputs).go(seconds, tell)


class _Run:
    def __init__(self, target: Target, seed: int, inputs: int) -> None:
        self.target = target
        self.result = Result(target.name, seed)
        self.inputs = inputs if target.inputs_max is None else min(inputs, target.inputs_max)
        self._rng = random.Random(f"{seed} {target.name}")
        self._corpus = [*target.seeds, *target.vectors.values()]
        if target.mutates and not self._corpus:
            self._corpus.append(b"")
        self._warm_rss = 0

    def go(self, seconds: float, tell: Callable[[int], None]) -> Result:
        result, started_s = self.result, time.process_time()
        for data in list(self._corpus):
            self._try(data)
        while result.inputs < self.inputs and len(result.findings) < FINDINGS_MAX:
            self._try(self._next())
            if result.inputs % 256 == 0:
                tell(result.inputs)
                result.cpu_s = time.process_time() - started_s
                if not self._warm_rss and max(result.inputs / self.inputs, result.cpu_s / seconds) > WARM_UP_SHARE:
                    self._warm_rss = _rss()
                if result.cpu_s > seconds:
                    break
        result.cpu_s = time.process_time() - started_s
        if self._warm_rss:
            result.memory_growth = _rss() - self._warm_rss
        return result

    def _next(self) -> bytes:
        if self.target.make is not None and not self.target.mutates:
            return self.target.make(self._rng)
        if self.target.make is not None and self._rng.random() < MADE_SHARE:
            made = self.target.make(self._rng)
            return made if self._rng.random() < 0.5 else mutate(self._rng, made, self._corpus, self.target.words)
        return mutate(self._rng, self._rng.choice(self._corpus), self._corpus, self.target.words)

    def _try(self, data: bytes) -> None:
        result = self.result
        outcome, finding = try_input(self.target.check, data)
        result.inputs += 1
        if outcome not in result.outcomes:
            if finding is not None:
                result.findings.append(shrink(self.target.check, finding) if self.target.mutates else finding)
            elif len(self._corpus) < CORPUS_MAX:
                self._corpus.append(data)
        if outcome in result.outcomes or len(result.outcomes) < CORPUS_MAX:
            result.outcomes[outcome] += 1


def _rss() -> int:
    return int(psutil.Process().memory_info().rss)


def step_of(data: bytes, step_max: int, *, salt: int = 0) -> int:
    """In what pieces to hand an input in: chosen by itself, but of large inputs, whose work is compared, always the same."""
    return 1 + (sha256(data).digest()[salt] % step_max if len(data) <= INPUT_MAX else step_max // 2)


# -- how work grows ----------------------------------------------------------------------------------------------------


def work_of(check: Check, data: bytes) -> int:
    """Lines of Python that a check runs through: what it does, whoever else is at work on the machine."""
    count = 0

    def trace(_frame: Any, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        check(data)
    finally:
        sys.settrace(before)
    return count


def slow_growths(target: Target) -> dict[str, float]:
    """How many times the CPU seconds are for twice the size, of each growth of the target, where it takes long enough to tell."""
    with target.open():
        return {name: _cpu_growth(target.check, make) for name, make in target.growths.items()}


def _cpu_growth(check: Check, make: Callable[[int], bytes]) -> float:
    """Over the last two doublings, from sizes doubled until one takes GROWTH_S seconds; 0 where none does."""
    size, times = GROWTH_SIZE, [0.0, 0.0]
    while True:
        data = make(size)
        times = [*times[-2:], min(_cpu_of(check, data) for _ in range(2))]
        if times[0] and times[-1] >= GROWTH_S:
            return math.sqrt(times[-1] / times[0])
        if len(data) > GROWTH_BYTES_MAX:
            return 0.0
        size *= 2


def _cpu_of(check: Check, data: bytes) -> float:
    gc.collect()
    gc.disable()  # which comes when it will
    try:
        started_s = time.process_time()
        check(data)
        return time.process_time() - started_s
    finally:
        gc.enable()


# -- vectors -----------------------------------------------------------------------------------------------------------


def read_vector(path: Path) -> bytes:
    """An input, written as in ``http_vectors``: what stands before ``---`` says why it is there."""
    return decode(path.read_text("ascii").partition("---\n")[2])


def write_vector(folder: Path, finding: Finding) -> Path:
    """Keep a finding for good."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{finding.name}.txt"
    path.write_text(f"# {finding.problem.encode('ascii', 'backslashreplace').decode()}\n---\n{encode(finding.data)}\n")
    return path


def encode(data: bytes) -> str:
    """The twin of ``http_vectors.decode``."""
    text = data.decode("latin-1").encode("unicode_escape").decode("ascii")
    return text.replace("<<", "<\\x3c").replace("\\n", "\\n\n").rstrip("\n")
