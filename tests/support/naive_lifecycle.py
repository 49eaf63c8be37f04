"""Lifecycle rules as AWS's sentences have them, one after the other: slow, and obviously so. And rules by chance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from nova_objectstore.domain.lifecycle.configuration import (
    Configuration,
    Expiration,
    Filter,
    NoncurrentExpiration,
    NoncurrentTransition,
    Predicates,
    Rule,
    Transition,
)
from nova_objectstore.domain.lifecycle.day import Day
from nova_objectstore.meta.lifecycle_port import LookKind, Subject
from nova_objectstore.types import Version

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AWS_ORDER = ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]
TOO_SMALL = 128 * 1024

REMOVE = "remove"


def ends_us(since_us: int, days: int, day: Day) -> int:
    """When so many days are over: at midnight UTC, or to the microsecond where days are short."""
    if not day.rounds:
        return since_us + days * day.length_us
    moment = EPOCH + timedelta(microseconds=since_us) + timedelta(days=days)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if midnight < moment:
        midnight += timedelta(days=1)
    return (midnight - EPOCH) // timedelta(microseconds=1)


def applies(rule: Rule, subject: Subject) -> bool:
    """Whether an enabled rule is about a subject."""
    version = subject.version
    if not rule.enabled:
        return False
    for asked in rule.predicates:
        if asked.prefix is not None and not subject.key.startswith(asked.prefix):
            return False
        has_no_size = version is None or version.is_marker
        if asked.size_over is not None and (has_no_size or not version.size > asked.size_over):
            return False
        if asked.size_under is not None and (has_no_size or not version.size < asked.size_under):
            return False
        for name, value in asked.tags:
            if version is None or version.tags.get(name) != value:
                return False
    return True


def removals_us(rule: Rule, subject: Subject, day: Day) -> list[int]:
    """When a rule removes a subject that it is about."""
    times = []
    if subject.kind in (LookKind.CURRENT, LookKind.MARKER) and rule.expiration is not None:
        if rule.expiration.days is not None:
            times.append(ends_us(subject.since_us, rule.expiration.days, day))
        if rule.expiration.date_us is not None:
            times.append(max(subject.since_us, rule.expiration.date_us))
        if rule.expiration.markers and subject.kind is LookKind.MARKER:
            times.append(subject.since_us)
    if subject.kind is LookKind.NONCURRENT and rule.noncurrent_expiration is not None:
        days, newer = rule.noncurrent_expiration
        if newer is None or subject.newer >= newer:
            times.append(ends_us(subject.since_us, days, day))
    if subject.kind is LookKind.UPLOAD and rule.abort_days is not None:
        times.append(ends_us(subject.since_us, rule.abort_days, day))
    return times


def moves_us(rule: Rule, subject: Subject, day: Day) -> list[tuple[int, str]]:
    """When a rule moves a subject that it is about, and where to."""
    version = subject.version
    if version is None or version.is_marker:
        return []
    says_size = any(asked.size_over is not None or asked.size_under is not None for asked in rule.predicates)
    times = []
    if subject.kind is LookKind.CURRENT:
        for move in rule.transitions:
            begins = (
                max(subject.since_us, move.date_us) if move.days is None else ends_us(subject.since_us, move.days, day)
            )
            times.append((begins, move.storage_class))
    if subject.kind is LookKind.NONCURRENT:
        for later in rule.noncurrent_transitions:
            if later.newer is None or subject.newer >= later.newer:
                times.append((ends_us(subject.since_us, later.days, day), later.storage_class))
    return [(begins, name) for begins, name in times if says_size or name not in AWS_ORDER or version.size >= TOO_SMALL]


def naive_deed(configuration: Configuration, day: Day, subject: Subject, now_us: int) -> str | None:
    """``remove``, the class to move to, or None; object lock aside."""
    rules = [rule for rule in configuration.rules if applies(rule, subject)]
    if any(begins <= now_us for rule in rules for begins in removals_us(rule, subject, day)):
        return REMOVE
    due = [move for rule in rules for move in moves_us(rule, subject, day) if move[0] <= now_us]
    if not due:
        return None
    assert subject.version is not None
    now_in = subject.version.storage_class
    if all(name in AWS_ORDER for _, name in due):
        target = max((name for _, name in due), key=AWS_ORDER.index)
    else:
        target = max(due, key=lambda move: move[0])[1]
    if now_in in AWS_ORDER and target in AWS_ORDER and AWS_ORDER.index(target) <= AWS_ORDER.index(now_in):
        return None
    return target if target != now_in else None


# -- a whole bucket ----------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A version or marker of a listing, newest first within its key."""

    version: Version
    subject: Subject | None  # None: a newest marker over other versions


def read_bucket(versions: Sequence[Version]) -> list[Entry]:
    """What each version of a whole listing is to the lifecycle."""
    entries = []
    for version in versions:
        line = [other for other in versions if other.key == version.key]
        rank = line.index(version)
        if rank == 0 and version.is_marker:
            subject = None
            if len(line) == 1:
                subject = Subject(LookKind.MARKER, version.key, version.sequence, version.modified_us, version)
        elif rank == 0:
            subject = Subject(LookKind.CURRENT, version.key, version.sequence, version.modified_us, version)
        else:
            since_us = line[rank - 1].sequence
            subject = Subject(LookKind.NONCURRENT, version.key, version.sequence, since_us, version, newer=rank - 1)
        entries.append(Entry(version, subject))
    return entries


# -- by chance ---------------------------------------------------------------------------------------------------------

PREFIXES = ["", "a", "b", "b/", "b/c"]
TAGS = [("colour", "red"), ("colour", "blue"), ("size", "big")]


PREFIX = st.none() | st.sampled_from(PREFIXES)
PLAIN = PREFIX.map(lambda prefix: Predicates(prefix=prefix))  # asks for neither tags nor sizes
FULL = st.tuples(
    PREFIX,
    st.sampled_from([(), TAGS[:1], TAGS[1:2], TAGS[1:]]).map(tuple),
    st.none() | st.sampled_from([0, 3, 200_000]),
    st.none() | st.sampled_from([4, 100, 300_000]),
).map(lambda drawn: Predicates(*drawn))
COUNTS = st.none() | st.integers(1, 3)


def rules(
    *, days: st.SearchStrategy[int], dates: st.SearchStrategy[int], classes: Sequence[str]
) -> st.SearchStrategy[Rule]:
    """Rules, not always such as AWS would take. Their ids are all the same."""
    expirations = days.map(lambda count: Expiration(days=count)) | dates.map(lambda date: Expiration(date_us=date))
    moves = moves_later = st.just(())
    if classes:
        names = st.sampled_from(list(classes))
        move = st.tuples(names, days).map(lambda drawn: Transition(drawn[0], days=drawn[1]))
        move |= st.tuples(names, dates).map(lambda drawn: Transition(drawn[0], date_us=drawn[1]))
        later = st.tuples(names, days, COUNTS).map(lambda drawn: NoncurrentTransition(*drawn))
        moves, moves_later = st.lists(move, max_size=2).map(tuple), st.lists(later, max_size=2).map(tuple)
    parts = (
        st.sampled_from([True, True, True, False]),
        moves,
        st.none() | st.tuples(days, COUNTS).map(lambda drawn: NoncurrentExpiration(*drawn)),
        moves_later,
    )
    full = st.tuples(FULL, st.none() | FULL, st.none() | expirations, st.none(), st.just(False), *parts)
    markers = st.just(Expiration(markers=True))
    plain = st.tuples(
        PLAIN, st.none() | PLAIN, st.none() | expirations | markers, st.none() | days, st.booleans(), *parts
    )
    return (full | plain).map(_rule)


def _rule(drawn: tuple[Any, ...]) -> Rule:
    own, both, expiration, abort_days, is_old, enabled, moves, noncurrent, moves_later = drawn
    shape = {"prefix": own.prefix or ""} if is_old else {"filter": Filter(own, both)}
    return Rule(
        "rule",
        enabled,
        expiration=expiration,
        transitions=moves,
        noncurrent_expiration=noncurrent,
        noncurrent_transitions=moves_later,
        abort_days=abort_days,
        **shape,
    )


def configurations(
    *, days: st.SearchStrategy[int], dates: st.SearchStrategy[int], classes: Sequence[str] = ()
) -> st.SearchStrategy[Configuration]:
    """One to three rules."""
    made = st.lists(rules(days=days, dates=dates, classes=classes), min_size=1, max_size=3)
    return made.map(lambda found: Configuration(tuple(rule._replace(id=f"rule-{n}") for n, rule in enumerate(found))))
