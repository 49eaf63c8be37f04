"""Lifecycle rules compiled: what is due, for whom, and when. Pure: the time comes from the caller.

AWS, "Lifecycle and ... conflicts": permanent deletion takes precedence over transition, transition over the creation of
delete markers; where several rules expire an object, the earliest does; where several transitions are due, it goes to the
class that comes last on the way down ("Supported transitions"). Not on that way are classes of the store's own: among
them the transition that is due latest decides.

Every deed has its time (``Look``): what the engine's agenda is kept by, and what is judged here, are the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nova_objectstore.domain.lifecycle.configuration import Configuration, MinimumSize, Rule
from nova_objectstore.domain.lifecycle.day import Day
from nova_objectstore.limits import TRANSITION_SIZE_MIN
from nova_objectstore.meta.lifecycle_port import Look, LookKind, Subject
from nova_objectstore.types import Version

# The way down (AWS: "Transitioning objects using Amazon S3 Lifecycle", waterfall); nothing is moved up.
WATERFALL = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
_STEP = {name: step for step, name in enumerate(WATERFALL)}
_ANY_SIZE = frozenset(("GLACIER", "DEEP_ARCHIVE"))  # for which the older minimum let objects of any size pass


class Deed(NamedTuple):
    """What a rule does to versions of one kind, and when. An empty ``storage_class`` is their removal."""

    rule_id: str
    look: Look
    storage_class: str = ""


class Verdict(NamedTuple):
    """What is to be done with a subject now: ``deed``, or nothing but to look again at ``next_us`` (None: never)."""

    deed: Deed | None
    next_us: int | None = None


class Promise(NamedTuple):
    """What a response tells of a rule: when it will act, and its id."""

    date_us: int
    rule_id: str


class Lifecycle:
    """A bucket's rules, of which the enabled ones count."""

    def __init__(self, configuration: Configuration, day: Day) -> None:
        self.day = day
        deeds = [deed for rule in configuration.rules if rule.enabled for deed in _deeds(rule, configuration, day)]
        self._deeds = {kind: tuple(deed for deed in deeds if deed.look.kind is kind) for kind in LookKind}
        self._expirations = tuple(deed for deed in self._deeds[LookKind.CURRENT] if not deed.storage_class)

    def looks(self) -> Sequence[Look]:
        """When to look at what; each once."""
        return list(dict.fromkeys(deed.look for deeds in self._deeds.values() for deed in deeds))

    def judge(self, subject: Subject, *, now_us: int) -> Verdict:
        """What is to be done with a subject at ``now_us``.

        A version that object lock holds is not removed: it is looked at again when its retention is over, or, under a
        legal hold, after a day.
        """
        deeds = [deed for deed in self._deeds[subject.kind] if _is_at(deed, subject)]
        due = [deed for deed in deeds if deed.look.due_us(subject.since_us) <= now_us]
        removal = next((deed for deed in due if not deed.storage_class), None)
        until_us = None if removal is None else self._locked_until_us(subject, now_us)
        if removal is not None and until_us is None:
            return Verdict(removal)
        move = _choose_move(subject, due)
        if move is not None:
            return Verdict(move)
        later = [time_us for deed in deeds if (time_us := deed.look.due_us(subject.since_us)) > now_us]
        return Verdict(None, min(later if until_us is None else [*later, until_us], default=None))

    def _locked_until_us(self, subject: Subject, now_us: int) -> int | None:
        """When to try again to remove what is locked; None when it may be removed. Hiding an object is always allowed."""
        if subject.kind is not LookKind.NONCURRENT or subject.version is None:
            return None
        lock = subject.version.lock
        if lock.legal_hold:
            return max(now_us + self.day.length_us, lock.retain_until_us)
        return lock.retain_until_us if lock.mode and lock.retain_until_us > now_us else None

    def expiration(self, version: Version) -> Promise | None:
        """When a current object expires and by which rule, as x-amz-expiration tells it; None when it does not."""
        since_us = version.modified_us
        return _first(
            (deed.look.due_us(since_us), deed.rule_id)
            for deed in self._expirations
            if deed.look.is_at(version.key, version.size, version.tags)
        )

    def abortion(self, key: str, initiated_us: int) -> Promise | None:
        """When an upload is aborted and by which rule, as x-amz-abort-date tells it; None when it is not."""
        return _first(
            (deed.look.due_us(initiated_us), deed.rule_id)
            for deed in self._deeds[LookKind.UPLOAD]
            if deed.look.is_at(key, None, {})
        )


def _first(found: Iterator[tuple[int, str]]) -> Promise | None:
    earliest = min(found, key=lambda pair: pair[0], default=None)
    return None if earliest is None else Promise(*earliest)


def _is_at(deed: Deed, subject: Subject) -> bool:
    version = subject.version
    size = None if version is None or version.is_marker else version.size
    tags = {} if version is None else version.tags
    return deed.look.newer <= subject.newer and deed.look.is_at(subject.key, size, tags)


def _choose_move(subject: Subject, due: Sequence[Deed]) -> Deed | None:
    """The transition that says where the version belongs now; None when it is there, or further down."""
    if subject.version is None or subject.version.is_marker:
        return None
    chosen: Deed | None = None
    for deed in due:
        if deed.storage_class and (chosen is None or _beats(deed, chosen)):
            chosen = deed
    if chosen is None or not _leads_down(subject.version.storage_class, chosen.storage_class):
        return None
    return chosen


def _beats(deed: Deed, other: Deed) -> bool:
    step, other_step = _STEP.get(deed.storage_class), _STEP.get(other.storage_class)
    if step is not None and other_step is not None:
        return step > other_step
    return deed.look.due_us(0) > other.look.due_us(0)


def _leads_down(source: str, target: str) -> bool:
    if source in _STEP and target in _STEP:
        return _STEP[target] > _STEP[source]
    return source != target


# -- compiling ---------------------------------------------------------------------------------------------------------


def _deeds(rule: Rule, configuration: Configuration, day: Day) -> Iterator[Deed]:
    """Everything that a rule does; nothing when no key can have what it asks for."""
    base = _common(rule)
    if base is None:
        return
    yield from _removals(rule, base, day)
    for transition in rule.transitions:
        look = _timed(base, day, transition.days, transition.date_us)
        yield Deed(rule.id, _large_enough(look, transition.storage_class, configuration), transition.storage_class)
    for later in rule.noncurrent_transitions:
        look = _timed(base, day, later.days, None)._replace(kind=LookKind.NONCURRENT, newer=later.newer or 0)
        yield Deed(rule.id, _large_enough(look, later.storage_class, configuration), later.storage_class)


def _removals(rule: Rule, base: Look, day: Day) -> Iterator[Deed]:
    expiration = rule.expiration
    if expiration is not None and expiration.markers:
        yield Deed(rule.id, base._replace(kind=LookKind.MARKER))
    elif expiration is not None and expiration.markers is None:
        look = _timed(base, day, expiration.days, expiration.date_us)
        yield Deed(rule.id, look)
        # AWS, Expiration: a delete marker that is alone and old enough goes by the same rule.
        yield Deed(rule.id, look._replace(kind=LookKind.MARKER))
    if rule.noncurrent_expiration is not None:
        days, newer = rule.noncurrent_expiration
        look = _timed(base, day, days, None)
        yield Deed(rule.id, look._replace(kind=LookKind.NONCURRENT, newer=newer or 0))
    if rule.abort_days is not None:
        yield Deed(rule.id, _timed(base, day, rule.abort_days, None)._replace(kind=LookKind.UPLOAD))


def _common(rule: Rule) -> Look | None:
    """The rule's predicates as a look at current objects; several prefixes are one, or none can be."""
    prefix = ""
    over: list[int] = []
    under: list[int] = []
    tags: dict[str, str] = {}
    for asked in rule.predicates:
        longer, shorter = sorted((prefix, asked.prefix or ""), key=len, reverse=True)
        if not longer.startswith(shorter) or any(tags.get(name, value) != value for name, value in asked.tags):
            return None
        prefix = longer
        tags.update(asked.tags)
        over += [] if asked.size_over is None else [asked.size_over]
        under += [] if asked.size_under is None else [asked.size_under]
    return Look(
        LookKind.CURRENT,
        prefix=prefix,
        tags=tuple(tags.items()),
        size_over=max(over, default=None),
        size_under=min(under, default=None),
    )


def _timed(base: Look, day: Day, days: int | None, date_us: int | None) -> Look:
    if date_us is not None:
        return base._replace(not_before_us=date_us)
    return base._replace(after_us=(days or 0) * day.length_us, round_us=day.round_us)


def _large_enough(look: Look, storage_class: str, configuration: Configuration) -> Look:
    """AWS, TransitionDefaultMinimumObjectSize: what a filter says of sizes comes before the default.

    The default is about AWS's classes, for which small objects cost more than they save; what a class of the store's own
    costs is its administrator's business.
    """
    if look.size_over is not None or look.size_under is not None:
        return look
    varies = configuration.minimum_size is MinimumSize.VARIES and storage_class in _ANY_SIZE
    if varies or storage_class not in _STEP:
        return look._replace(size_over=-1)  # any size, but delete markers have none
    return look._replace(size_over=TRANSITION_SIZE_MIN - 1)
