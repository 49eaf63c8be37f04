"""What lifecycle rules mean: cases that AWS documents, and everything else against a naive twin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.naive_lifecycle import AWS_ORDER, REMOVE, TAGS, configurations, naive_deed

from nova_objectstore.domain.lifecycle.configuration import (
    Configuration,
    Expiration,
    Filter,
    MinimumSize,
    NoncurrentExpiration,
    Predicates,
    Rule,
    Transition,
    decode,
    encode,
)
from nova_objectstore.domain.lifecycle.day import CALENDAR_DAY, Day
from nova_objectstore.domain.lifecycle.rules import Lifecycle, Promise, Verdict
from nova_objectstore.meta.lifecycle_port import LookKind, Subject, first_look_us
from nova_objectstore.types import NO_LOCK, Content, ContentKind, Lock, Version

DAY_US = 24 * 3600 * 1_000_000


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def version(key: str = "logs/a", **facts: Any) -> Version:
    values: dict[str, Any] = {
        "size": 1000, "modified_us": us("2014-01-15T10:30:00"), "storage_class": "STANDARD", "tags": {}, "lock": NO_LOCK,
        "is_latest": True, "kind": ContentKind.DATA, **facts,
    }  # fmt: skip
    content = Content(values["kind"], "ref" if values["kind"] is ContentKind.DATA else "")
    return Version(
        1, key, "id", 7, values["is_latest"], values["size"], "etag", values["modified_us"], "1", values["storage_class"],
        {}, None, 0, content, values["tags"], values["lock"], {},
    )  # fmt: skip


def current(key: str = "logs/a", **facts: Any) -> Subject:
    made = version(key, **facts)
    return Subject(LookKind.CURRENT, key, 7, made.modified_us, made)


def compiled(*rules: Rule, day: Day = CALENDAR_DAY, minimum: MinimumSize = MinimumSize.ALL_128K) -> Lifecycle:
    return Lifecycle(Configuration(rules, minimum), day)


def expiring(days: int, prefix: str = "", **facts: Any) -> Rule:
    return Rule(f"after-{days}", enabled=True, prefix=prefix, expiration=Expiration(days=days), **facts)


# -- what AWS says -----------------------------------------------------------------------------------------------------


def test_days_end_at_the_next_midnight():
    # AWS: an object created on 1/15/2014 at 10:30 UTC, three days: 1/19/2014 00:00 UTC
    lifecycle = compiled(expiring(3))
    assert lifecycle.expiration(version()) == Promise(us("2014-01-19"), "after-3")
    assert lifecycle.judge(current(), now_us=us("2014-01-19") - 1) == Verdict(None, us("2014-01-19"))
    verdict = lifecycle.judge(current(), now_us=us("2014-01-19"))
    assert verdict.deed is not None
    assert (verdict.deed.rule_id, verdict.deed.storage_class) == ("after-3", "")


def test_what_was_made_at_midnight_lasts_whole_days():
    assert compiled(expiring(1)).expiration(version(modified_us=us("2014-01-15"))) == Promise(
        us("2014-01-16"), "after-1"
    )


def test_short_days_are_not_rounded():
    made = version()
    assert compiled(expiring(3), day=Day.of_seconds(10)).expiration(made) == Promise(
        made.modified_us + 30_000_000, "after-3"
    )


def test_of_several_expirations_the_earliest_counts():
    # AWS, "overlapping prefixes": the shorter one wins
    lifecycle = compiled(expiring(365), expiring(30, "logs/"), expiring(10, "other/"))
    assert lifecycle.expiration(version()) == Promise(us("2014-02-15"), "after-30")


def test_a_disabled_rule_does_nothing():
    rule = expiring(1)._replace(enabled=False)
    assert compiled(rule).looks() == []
    assert compiled(rule).expiration(version()) is None
    assert compiled(rule).judge(current(), now_us=us("2030-01-01")) == Verdict(None, None)


def test_removal_comes_before_transition():
    rule = Rule("both", True, prefix="", expiration=Expiration(days=10), transitions=(Transition("COLD", days=1),))
    late = compiled(rule).judge(current(), now_us=us("2015-01-01")).deed
    assert late is not None
    assert late.storage_class == ""


def test_of_transitions_that_are_due_the_one_furthest_down_counts():
    # AWS: "S3 transitions to Glacier Flexible Retrieval" when both are due on a day
    moves = (Transition("GLACIER", days=5), Transition("STANDARD_IA", days=30))
    lifecycle = compiled(Rule("two", True, prefix="", transitions=moves))
    big = current(size=1 << 20)
    deed = lifecycle.judge(big, now_us=us("2015-01-01")).deed
    assert deed is not None
    assert deed.storage_class == "GLACIER"
    there = current(size=1 << 20, storage_class="GLACIER")
    assert lifecycle.judge(there, now_us=us("2015-01-01")) == Verdict(None, None)


def test_nothing_is_moved_up():
    rule = Rule("ia", True, prefix="", transitions=(Transition("STANDARD_IA", days=30),))
    deep = current(size=1 << 20, storage_class="DEEP_ARCHIVE")
    assert compiled(rule).judge(deep, now_us=us("2020-01-01")) == Verdict(None, None)


@pytest.mark.parametrize(
    ("storage_class", "minimum", "asked", "moves"),
    [
        ("STANDARD_IA", MinimumSize.ALL_128K, None, False),
        ("GLACIER", MinimumSize.ALL_128K, None, False),
        ("GLACIER", MinimumSize.VARIES, None, True),
        ("GLACIER_IR", MinimumSize.VARIES, None, False),
        ("STANDARD_IA", MinimumSize.ALL_128K, 10, True),
        ("COLD", MinimumSize.ALL_128K, None, True),
    ],
)
def test_small_objects_stay_unless_a_rule_says_so(storage_class, minimum, asked, moves):
    shape = Filter(Predicates(size_over=asked))
    rule = Rule("move", True, filter=shape, transitions=(Transition(storage_class, days=30),))
    deed = compiled(rule, minimum=minimum).judge(current(size=1000), now_us=us("2020-01-01")).deed
    assert (deed is not None) == moves


def test_locked_versions_are_put_off():
    rule = Rule("old", True, prefix="", noncurrent_expiration=NoncurrentExpiration(1))
    until = us("2016-01-01")
    now_us = us("2015-01-01")

    def judged(lock: Lock) -> Verdict:
        kept = version(lock=lock, is_latest=False)
        return compiled(rule).judge(Subject(LookKind.NONCURRENT, kept.key, 7, us("2014-02-01"), kept), now_us=now_us)

    assert judged(Lock("COMPLIANCE", until)) == Verdict(None, until)
    assert judged(Lock("GOVERNANCE", until)) == Verdict(None, until)
    assert judged(Lock("GOVERNANCE", now_us)).deed is not None
    assert judged(Lock(legal_hold=True)) == Verdict(None, now_us + DAY_US)
    assert judged(Lock("COMPLIANCE", until, legal_hold=True)) == Verdict(None, until)


def test_hiding_a_locked_object_is_allowed():
    locked = current(lock=Lock("COMPLIANCE", us("2050-01-01")))
    assert compiled(expiring(1)).judge(locked, now_us=us("2015-01-01")).deed is not None


def test_prefixes_that_no_key_can_have_do_nothing():
    rule = Rule(
        "none", True, filter=Filter(Predicates(prefix="a/"), Predicates(prefix="b/")), expiration=Expiration(days=1)
    )
    assert compiled(rule).looks() == []


def test_uploads_are_told_when_they_end():
    rule = Rule("parts", True, prefix="in/", abort_days=2)
    begun = us("2014-01-15T10:30:00")
    assert compiled(rule).abortion("in/a", begun) == Promise(us("2014-01-18"), "parts")
    assert compiled(rule).abortion("out/a", begun) is None


# -- everything else ---------------------------------------------------------------------------------------------------

SHORT = Day.of_seconds(7)
days_of_rules = st.integers(0, 4)
lengths = st.sampled_from([CALENDAR_DAY, SHORT])
START_US = us("2014-01-15T10:30:00")
moments = st.integers(0, 6 * DAY_US).map(lambda passed: START_US + passed) | st.integers(0, 60_000_000).map(
    lambda passed: START_US + passed
)


rulebooks = st.one_of(
    *(
        configurations(days=days_of_rules, dates=moments, classes=names)
        for names in (["COLD", "COLDER"], AWS_ORDER[1:], [])
    )
)


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    kind = draw(st.sampled_from([LookKind.CURRENT, LookKind.NONCURRENT, LookKind.MARKER, LookKind.UPLOAD]))
    key = draw(st.sampled_from(["a", "b", "b/c", "b/cd"]))
    if kind is LookKind.UPLOAD:
        return Subject(kind, key, -3, START_US)
    is_marker = kind is LookKind.MARKER or (kind is LookKind.NONCURRENT and draw(st.booleans()))
    made = version(
        key,
        size=0 if is_marker else draw(st.sampled_from([0, 3, 4, 50, 250_000])),
        tags={} if is_marker else dict(draw(st.lists(st.sampled_from(TAGS), max_size=2))),
        storage_class=draw(st.sampled_from(["STANDARD", "COLD", "GLACIER"])),
        kind=ContentKind.NOTHING if is_marker else ContentKind.DATA,
        modified_us=START_US,
    )
    newer = draw(st.integers(0, 4)) if kind is LookKind.NONCURRENT else 0
    return Subject(kind, key, 7, START_US, made, newer=newer)


def deed_of(verdict: Verdict) -> str | None:
    return None if verdict.deed is None else verdict.deed.storage_class or REMOVE


@given(rulebooks, lengths, subjects(), moments)
def test_judgements_are_the_twins(configuration, day, subject, now_us):
    verdict = Lifecycle(configuration, day).judge(subject, now_us=now_us)
    assert deed_of(verdict) == naive_deed(configuration, day, subject, now_us)


@given(rulebooks, lengths, subjects(), moments, moments)
def test_nothing_happens_before_the_next_look(configuration, day, subject, now_us, later_us):
    deed, next_us = Lifecycle(configuration, day).judge(subject, now_us=now_us)
    if deed is not None or later_us <= now_us or (next_us is not None and later_us >= next_us):
        return
    assert naive_deed(configuration, day, subject, later_us) is None


@given(rulebooks, lengths, subjects(), moments)
def test_the_agenda_is_never_late(configuration, day, subject, now_us):
    looks = [look for look in Lifecycle(configuration, day).looks() if look.kind is subject.kind]
    made = subject.version
    size = None if made is None or made.is_marker else made.size
    tags = {} if made is None else made.tags
    first_us = first_look_us(looks, subject.key, size, tags, since_us=subject.since_us, newer=subject.newer)
    if naive_deed(configuration, day, subject, now_us) is not None:
        assert first_us is not None
        assert first_us <= now_us


@given(configurations(days=st.integers(0, 4000), dates=moments, classes=["COLD", "GLACIER"]))
def test_stored_rules_are_the_same(configuration):
    assert decode(encode(configuration)) == configuration
