"""LifecycleConfiguration on the wire (AWS: PutBucketLifecycleConfiguration, "Lifecycle configuration elements").

One thing is taken that AWS refuses: a Filter with several predicates side by side, outside of an And. All of them must
hold, as inside of one, so that nothing is removed which any of them leaves out.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

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
from nova_objectstore.limits import (
    KEY_BYTES_MAX,
    LIFECYCLE_DAYS_MAX,
    LIFECYCLE_ID_CHARS_MAX,
    LIFECYCLE_RULES_MAX,
    NEWER_NONCURRENT_MAX,
    TAG_KEY_CHARS_MAX,
    TAG_VALUE_CHARS_MAX,
)
from nova_objectstore.s3 import xml
from nova_objectstore.s3.dates import iso_date
from nova_objectstore.s3.lifecycle_checks import check_rule
from nova_objectstore.s3.xml import document, element

ROOT = "LifecycleConfiguration"

_date = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?)?").fullmatch
_ID_BYTES = 36  # what AWS makes an ID of: 48 characters


# -- reading -----------------------------------------------------------------------------------------------------------


def parse_lifecycle(body: bytes, *, minimum_size: MinimumSize, classes: Collection[str]) -> Configuration:
    """The rules of a document; those without an ID get one. ``classes``: what objects may be moved to.

    Raises MalformedXML, InvalidArgument, InvalidRequest, InvalidStorageClass.
    """
    nodes = xml.children(xml.parse(body, ROOT), "Rule")
    if not 1 <= len(nodes) <= LIFECYCLE_RULES_MAX:
        raise MalformedXML(reason=f"1 to {LIFECYCLE_RULES_MAX} rules")
    rules = tuple(_parse_rule(node, classes) for node in nodes)
    if len({rule.id for rule in rules}) < len(rules):
        raise InvalidArgument("Rule ID must be unique. Found same ID for more than one rule.")
    return Configuration(rules, minimum_size)


def _parse_rule(node: xml.Node, classes: Collection[str]) -> Rule:
    status = xml.text(node, "Status")
    if status not in ("Enabled", "Disabled"):
        raise MalformedXML(reason="Status is Enabled or Disabled")
    filter_node, prefix = xml.child(node, "Filter"), xml.optional_text(node, "Prefix")
    if (filter_node is None) == (prefix is None):
        raise MalformedXML(reason="a rule has a Filter, or a Prefix")
    abort = xml.child(node, "AbortIncompleteMultipartUpload")
    rule = Rule(
        id=_parse_id(node),
        enabled=status == "Enabled",
        filter=None if filter_node is None else _parse_filter(filter_node),
        prefix=_check_prefix(prefix),
        expiration=_parse_expiration(xml.child(node, "Expiration")),
        transitions=tuple(_parse_transition(item, classes) for item in xml.children(node, "Transition")),
        noncurrent_expiration=_parse_noncurrent(xml.child(node, "NoncurrentVersionExpiration")),
        noncurrent_transitions=tuple(
            _parse_noncurrent_transition(item, classes) for item in xml.children(node, "NoncurrentVersionTransition")
        ),
        abort_days=None
        if abort is None
        else _days(abort, "DaysAfterInitiation", "AbortIncompleteMultipartUpload", low=1),
    )
    check_rule(rule)
    return rule


def _parse_id(node: xml.Node) -> str:
    """The rule's ID, or a new one where there is none, or an empty one."""
    found = xml.text(node, "ID", "")
    if len(found) > LIFECYCLE_ID_CHARS_MAX:
        raise InvalidArgument(
            f"ID length should not exceed allowed limit of {LIFECYCLE_ID_CHARS_MAX}",
            argument_name="ID",
            argument_value=found,
        )
    return found or secrets.token_urlsafe(_ID_BYTES)


def _check_prefix(prefix: str | None) -> str | None:
    if prefix is not None and len(prefix.encode()) > KEY_BYTES_MAX:
        raise InvalidRequest(f"The maximum size of a prefix is {KEY_BYTES_MAX}.")
    return prefix


def _parse_filter(node: xml.Node) -> Filter:
    both = xml.child(node, "And")
    return Filter(_parse_predicates(node), None if both is None else _parse_predicates(both))


def _parse_predicates(node: xml.Node) -> Predicates:
    return Predicates(
        prefix=_check_prefix(xml.optional_text(node, "Prefix")),
        tags=_parse_tags(xml.children(node, "Tag")),
        size_over=_size(node, "ObjectSizeGreaterThan"),
        size_under=_size(node, "ObjectSizeLessThan"),
    )


def _parse_tags(nodes: Sequence[xml.Node]) -> tuple[tuple[str, str], ...]:
    tags = tuple((xml.text(node, "Key"), xml.text(node, "Value")) for node in nodes)
    if len({name for name, _ in tags}) < len(tags):
        raise InvalidRequest("Duplicate Tag Keys are not allowed.")
    for name, value in tags:
        if not 1 <= len(name) <= TAG_KEY_CHARS_MAX:
            raise InvalidRequest("A Tag's Key must be a length between 1 and 128.")
        if len(value) > TAG_VALUE_CHARS_MAX:
            raise InvalidRequest("A Tag's Value must be a length between 0 and 256.")
    return tags


def _size(node: xml.Node, name: str) -> int | None:
    return None if xml.child(node, name) is None else xml.number(node, name)


def _parse_expiration(node: xml.Node | None) -> Expiration | None:
    if node is None:
        return None
    date_us, markers = _parse_date(node), None
    days = None if xml.child(node, "Days") is None else _days(node, "Days", "Expiration", low=1)
    if xml.child(node, "ExpiredObjectDeleteMarker") is not None:
        markers = xml.boolean(node, "ExpiredObjectDeleteMarker", default=False)
    if sum(item is not None for item in (days, date_us, markers)) != 1:
        raise MalformedXML(reason="one of Days, Date and ExpiredObjectDeleteMarker")
    return Expiration(days, date_us, markers)


def _parse_transition(node: xml.Node, classes: Collection[str]) -> Transition:
    date_us = _parse_date(node)
    days = None if xml.child(node, "Days") is None else _days(node, "Days", "Transition", low=0)
    if (days is None) == (date_us is None):
        raise MalformedXML(reason="one of Days and Date")
    return Transition(_storage_class(node, classes), days, date_us)


def _parse_noncurrent(node: xml.Node | None) -> NoncurrentExpiration | None:
    if node is None:
        return None
    days = _days(node, "NoncurrentDays", "NoncurrentVersionExpiration", low=1)
    return NoncurrentExpiration(days, _newer(node))


def _parse_noncurrent_transition(node: xml.Node, classes: Collection[str]) -> NoncurrentTransition:
    days = _days(node, "NoncurrentDays", "NoncurrentVersionTransition", low=0)
    return NoncurrentTransition(_storage_class(node, classes), days, _newer(node))


def _days(node: xml.Node, name: str, action: str, *, low: int) -> int:
    """A number of days. Raises MalformedXML where there is none, InvalidArgument where it is too small."""
    word = xml.text(node, name).strip()
    if not re.fullmatch(r"[+-]?\d{1,19}", word, re.ASCII):
        raise MalformedXML(reason=f"{name} is not a number")
    days = int(word)
    if days > LIFECYCLE_DAYS_MAX:
        raise MalformedXML(reason=f"{name} is too large")
    if days < low:
        wanted = "a positive integer" if low else "nonnegative"
        raise InvalidArgument(f"'{name}' for {action} action must be {wanted}", argument_name=name, argument_value=word)
    return days


def _newer(node: xml.Node) -> int | None:
    if xml.child(node, "NewerNoncurrentVersions") is None:
        return None
    newer = xml.number(node, "NewerNoncurrentVersions")
    if not 1 <= newer <= NEWER_NONCURRENT_MAX:
        raise InvalidArgument(
            f"'NewerNoncurrentVersions' must be between 1 and {NEWER_NONCURRENT_MAX}",
            argument_name="NewerNoncurrentVersions",
            argument_value=str(newer),
        )
    return newer


def _storage_class(node: xml.Node, classes: Collection[str]) -> str:
    storage_class = xml.text(node, "StorageClass")
    if storage_class not in classes:
        raise InvalidStorageClass(storage_class_requested=storage_class)
    return storage_class


def _parse_date(node: xml.Node) -> int | None:
    """``Date``: ISO 8601, midnight UTC. Raises MalformedXML, InvalidArgument."""
    word = xml.optional_text(node, "Date")
    if word is None:
        return None
    if not _date(word):
        raise MalformedXML(reason="Date is not one of ISO 8601")
    try:
        moment = datetime.fromisoformat(word)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        date_us = round(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise MalformedXML(reason="Date is none of the calendar") from None
    if date_us % CALENDAR_DAY_US:
        raise InvalidArgument("'Date' must be at midnight GMT", argument_name="Date", argument_value=word)
    return date_us


# -- writing -----------------------------------------------------------------------------------------------------------


def render_lifecycle(configuration: Configuration) -> str:
    """The document of GetBucketLifecycleConfiguration."""
    return document(ROOT, *("".join(("<Rule>", *_render_rule(rule), "</Rule>")) for rule in configuration.rules))


def _render_rule(rule: Rule) -> Iterator[str]:
    yield element("ID", rule.id)
    if rule.filter is not None:
        both = "" if rule.filter.both is None else f"<And>{_render_predicates(rule.filter.both)}</And>"
        yield f"<Filter>{_render_predicates(rule.filter.own)}{both}</Filter>"
    else:
        yield element("Prefix", rule.prefix or "")
    yield element("Status", "Enabled" if rule.enabled else "Disabled")
    for transition in rule.transitions:
        days, date = _optional("Days", transition.days), _render_date(transition.date_us)
        yield f"<Transition>{days}{date}{element('StorageClass', transition.storage_class)}</Transition>"
    if rule.expiration is not None:
        yield f"<Expiration>{_render_expiration(rule.expiration)}</Expiration>"
    for later in rule.noncurrent_transitions:
        told = _optional("NoncurrentDays", later.days) + element("StorageClass", later.storage_class)
        newer = _optional("NewerNoncurrentVersions", later.newer)
        yield f"<NoncurrentVersionTransition>{told}{newer}</NoncurrentVersionTransition>"
    if rule.noncurrent_expiration is not None:
        days = _optional("NoncurrentDays", rule.noncurrent_expiration.days)
        newer = _optional("NewerNoncurrentVersions", rule.noncurrent_expiration.newer)
        yield f"<NoncurrentVersionExpiration>{days}{newer}</NoncurrentVersionExpiration>"
    if rule.abort_days is not None:
        days = _optional("DaysAfterInitiation", rule.abort_days)
        yield f"<AbortIncompleteMultipartUpload>{days}</AbortIncompleteMultipartUpload>"


def _render_predicates(asked: Predicates) -> str:
    tags = "".join(f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in asked.tags)
    prefix = "" if asked.prefix is None else element("Prefix", asked.prefix)
    over = _optional("ObjectSizeGreaterThan", asked.size_over)
    return f"{prefix}{tags}{over}{_optional('ObjectSizeLessThan', asked.size_under)}"


def _render_expiration(expiration: Expiration) -> str:
    if expiration.markers is not None:
        return element("ExpiredObjectDeleteMarker", "true" if expiration.markers else "false")
    return _optional("Days", expiration.days) + _render_date(expiration.date_us)


def _render_date(date_us: int | None) -> str:
    return "" if date_us is None else element("Date", iso_date(date_us))


def _optional(name: str, value: int | None) -> str:
    return "" if value is None else element(name, str(value))
