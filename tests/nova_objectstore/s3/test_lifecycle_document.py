"""LifecycleConfiguration documents: read, refused with AWS's codes, answered as they were put."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.naive_lifecycle import configurations

from nova_objectstore.domain.lifecycle.configuration import (
    Configuration,
    Expiration,
    Filter,
    MinimumSize,
    NoncurrentExpiration,
    NoncurrentTransition,
    Predicates,
    Rule,
    Transition,
)
from nova_objectstore.domain.lifecycle.day import CALENDAR_DAY_US
from nova_objectstore.errors import InvalidArgument, InvalidRequest, InvalidStorageClass, MalformedXML
from nova_objectstore.s3.lifecycle_checks import check_rule
from nova_objectstore.s3.lifecycle_document import parse_lifecycle, render_lifecycle

CLASSES = ("STANDARD_IA", "GLACIER", "COLD", "COLDER")
NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
DAYS = "<Expiration><Days>1</Days></Expiration>"
STATUS = "<Status>Enabled</Status>"
ANY = "<Filter/>"


def parse(*rules: str) -> Configuration:
    text = "".join(f"<Rule>{rule}</Rule>" for rule in rules)
    document = f"<LifecycleConfiguration {NS}>{text}</LifecycleConfiguration>"
    return parse_lifecycle(document.encode(), minimum_size=MinimumSize.ALL_128K, classes=CLASSES)


def parse_one(rule: str) -> Rule:
    (found,) = parse(f"<ID>one</ID>{STATUS}{rule}").rules
    return found


# -- read --------------------------------------------------------------------------------------------------------------


def test_every_element_is_read():
    rule = parse_one(
        "<Filter><And><Prefix>logs/</Prefix><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>"
        "<ObjectSizeGreaterThan>10</ObjectSizeGreaterThan><ObjectSizeLessThan>20</ObjectSizeLessThan></And></Filter>"
        "<Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"
        "<Transition><Days>60</Days><StorageClass>COLD</StorageClass></Transition>"
        "<Expiration><Days>365</Days></Expiration>"
        "<NoncurrentVersionTransition><NoncurrentDays>30</NoncurrentDays><StorageClass>STANDARD_IA</StorageClass>"
        "<NewerNoncurrentVersions>3</NewerNoncurrentVersions></NoncurrentVersionTransition>"
        "<NoncurrentVersionExpiration><NoncurrentDays>60</NoncurrentDays>"
        "<NewerNoncurrentVersions>5</NewerNoncurrentVersions></NoncurrentVersionExpiration>"
    )
    both = Predicates("logs/", (("a", "1"), ("b", "2")), 10, 20)
    assert rule == Rule(
        "one",
        True,
        filter=Filter(Predicates(), both),
        transitions=(Transition("STANDARD_IA", days=30), Transition("COLD", days=60)),
        expiration=Expiration(days=365),
        noncurrent_transitions=(NoncurrentTransition("STANDARD_IA", 30, newer=3),),
        noncurrent_expiration=NoncurrentExpiration(60, newer=5),
    )


def test_the_older_form_has_a_prefix():
    rule = parse_one("<Prefix>logs/</Prefix><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>"
                     "</AbortIncompleteMultipartUpload>")  # fmt: skip
    assert (rule.prefix, rule.filter, rule.abort_days) == ("logs/", None, 7)
    assert "<Prefix>logs/</Prefix>" in render_lifecycle(Configuration((rule,)))
    assert "<Filter>" not in render_lifecycle(Configuration((rule,)))


def test_predicates_side_by_side_must_all_hold():
    rule = parse_one(f"<Filter><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></Filter>{DAYS}")
    assert rule.predicates == (Predicates("a/", (("k", "v"),)),)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2017-09-27", 17436),
        ("2017-09-27T00:00:00Z", 17436),
        ("2017-09-27T00:00:00.000Z", 17436),
        ("2017-09-27T02:00:00+02:00", 17436),
        ("2030-01-01T00:00:00", 21915),
    ],
)
def test_dates(text, days):
    rule = parse_one(f"{ANY}<Expiration><Date>{text}</Date></Expiration>")
    assert rule.expiration == Expiration(date_us=days * CALENDAR_DAY_US)


def test_rules_without_an_id_get_one():
    first, second = parse(f"{ANY}{STATUS}{DAYS}", f"<ID></ID>{ANY}{STATUS}{DAYS}").rules
    assert first.id
    assert second.id
    assert first.id != second.id


# -- refused -----------------------------------------------------------------------------------------------------------

EXPIRED = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
TAGGED = "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>"
SIZED = "<Filter><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></Filter>"
ABORT = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"


def moved(days: str, storage_class: str = "COLD") -> str:
    return f"<Transition>{days}<StorageClass>{storage_class}</StorageClass></Transition>"


def later(inside: str) -> str:
    return f"<NoncurrentVersionExpiration>{inside}</NoncurrentVersionExpiration>"


REFUSED = [
    (f"{ANY}", InvalidRequest),
    (f"{DAYS}", MalformedXML),
    (f"{ANY}<Prefix>a</Prefix>{DAYS}", MalformedXML),
    (f"<Prefix>{'a' * 1025}</Prefix>{DAYS}", InvalidRequest),
    (f"{ANY}<Expiration/>", MalformedXML),
    (f"{ANY}<Expiration><Days>0</Days></Expiration>", InvalidArgument),
    (f"{ANY}<Expiration><Days>-1</Days></Expiration>", InvalidArgument),
    (f"{ANY}<Expiration><Days>soon</Days></Expiration>", MalformedXML),
    (f"{ANY}<Expiration><Days>99999999999</Days></Expiration>", MalformedXML),
    (f"{ANY}<Expiration><Days>1</Days><Date>2017-09-27</Date></Expiration>", MalformedXML),
    (f"{ANY}<Expiration><Date>20200101</Date></Expiration>", MalformedXML),
    (f"{ANY}<Expiration><Date>2020-13-01</Date></Expiration>", MalformedXML),
    (f"{ANY}<Expiration><Date>2020-01-01T01:00:00Z</Date></Expiration>", InvalidArgument),
    (f"{TAGGED}{EXPIRED}", InvalidRequest),
    (f"{SIZED}{EXPIRED}", InvalidRequest),
    (f"{TAGGED}{ABORT}", InvalidRequest),
    (f"{SIZED}{ABORT}", InvalidRequest),
    ("<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter>"
     f"{DAYS}", InvalidRequest),
    ("<Filter><And><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>k</Key><Value>w</Value></Tag></And></Filter>"
     f"{DAYS}", InvalidRequest),
    (f"<Filter><Tag><Key></Key><Value>v</Value></Tag></Filter>{DAYS}", InvalidRequest),
    (f"{ANY}{later('<NoncurrentDays>0</NoncurrentDays>')}", InvalidArgument),
    (f"{ANY}{later('<NewerNoncurrentVersions>1</NewerNoncurrentVersions>')}", MalformedXML),
    (f"{ANY}{later('<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>101</NewerNoncurrentVersions>')}",
     InvalidArgument),
    (f"<Prefix/>{later('<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions>')}",
     InvalidRequest),
    (f"{ANY}<AbortIncompleteMultipartUpload/>", MalformedXML),
    (f"{ANY}{moved('<Days>1</Days>', 'WARM')}", InvalidStorageClass),
    (f"{ANY}{moved('<Days>1</Days>', 'STANDARD')}", InvalidStorageClass),
    (f"{ANY}{moved('')}", MalformedXML),
    (f"{ANY}{moved('<Days>-1</Days>')}", InvalidArgument),
    (f"{ANY}{moved('<Date>20220927</Date>')}", MalformedXML),
    (f"{ANY}{moved('<Days>29</Days>', 'STANDARD_IA')}", InvalidArgument),
    (f"{ANY}{moved('<Days>1</Days>')}{moved('<Days>2</Days>')}", InvalidRequest),
    (f"{ANY}{moved('<Date>2022-09-27</Date>')}{DAYS}", InvalidRequest),
    (f"{ANY}{moved('<Days>1</Days>')}{DAYS}", InvalidArgument),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "error"), REFUSED)
def test_refused_rules(rule, error):
    with pytest.raises(error):
        parse_one(rule)


@pytest.mark.parametrize("status", ["", "enabled", "invalid"])
def test_a_status_is_one_of_two(status):
    with pytest.raises(MalformedXML):
        parse(f"<ID>one</ID>{ANY}<Status>{status}</Status>{DAYS}")


def test_ids_are_short_and_unique():
    rule = f"{ANY}{STATUS}{DAYS}"
    with pytest.raises(InvalidArgument, match="255"):
        parse(f"<ID>{'a' * 256}</ID>{rule}")
    with pytest.raises(InvalidArgument, match="unique"):
        parse(f"<ID>a</ID>{rule}", f"<ID>a</ID>{rule}")
    assert len(parse(*[f"<ID>{number}</ID>{rule}" for number in range(1000)]).rules) == 1000
    for count in (0, 1001):
        with pytest.raises(MalformedXML):
            parse(*[f"<ID>{number}</ID>{rule}" for number in range(count)])


# -- answered ----------------------------------------------------------------------------------------------------------


@given(
    configurations(
        days=st.integers(0, 4000),
        dates=st.integers(-10_000, 40_000).map(lambda day: day * CALENDAR_DAY_US),
        classes=CLASSES,
    )
)
def test_what_was_put_is_answered(configuration):
    kept = []
    for rule in configuration.rules:
        try:
            check_rule(rule)
        except (InvalidArgument, InvalidRequest):
            continue
        zero = any(move.days == 0 for move in (rule.expiration, rule.noncurrent_expiration) if move is not None)
        if not zero and rule.abort_days != 0:
            kept.append(rule)
    if not kept:
        return
    wanted = Configuration(tuple(kept))
    text = render_lifecycle(wanted)
    assert parse_lifecycle(text.encode(), minimum_size=MinimumSize.ALL_128K, classes=CLASSES) == wanted
    assert re.match(r"<\?xml[^>]*>\n<LifecycleConfiguration xmlns=", text)
