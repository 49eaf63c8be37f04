"""A bucket's lifecycle rules as values, and as the document that is stored. Pure.

The values keep the shape in which the rules were put, so that they are answered unchanged; ``rules.py`` says what they
mean. Durations are whole days, dates microseconds since 1970, sizes bytes.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class MinimumSize(enum.StrEnum):
    """Which objects are too small for transitions (AWS: TransitionDefaultMinimumObjectSize)."""

    ALL_128K = "all_storage_classes_128K"  # those under 128 KB; the default
    VARIES = "varies_by_storage_class"  # those under 128 KB, but none for GLACIER and DEEP_ARCHIVE


class Predicates(NamedTuple):
    """What a version must have, all of it; None and no tags: anything."""

    prefix: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    size_over: int | None = None
    size_under: int | None = None


class Filter(NamedTuple):
    """A rule's ``<Filter>``: what stands in it directly, and what stands in its ``<And>``."""

    own: Predicates = Predicates()
    both: Predicates | None = None


class Expiration(NamedTuple):
    """Of current objects; one of the three is set. ``markers`` is AWS's ExpiredObjectDeleteMarker."""

    days: int | None = None
    date_us: int | None = None
    markers: bool | None = None


class Transition(NamedTuple):
    """Of current objects to another storage class; days or a date."""

    storage_class: str
    days: int | None = None
    date_us: int | None = None


class NoncurrentExpiration(NamedTuple):
    """Of noncurrent versions; ``newer`` newer ones are kept."""

    days: int
    newer: int | None = None


class NoncurrentTransition(NamedTuple):
    """Of noncurrent versions to another storage class."""

    storage_class: str
    days: int
    newer: int | None = None


class Rule(NamedTuple):
    """A rule. Either ``filter`` or ``prefix``, the older form, is set."""

    id: str
    enabled: bool
    filter: Filter | None = None
    prefix: str | None = None
    expiration: Expiration | None = None
    transitions: tuple[Transition, ...] = ()
    noncurrent_expiration: NoncurrentExpiration | None = None
    noncurrent_transitions: tuple[NoncurrentTransition, ...] = ()
    abort_days: int | None = None  # AbortIncompleteMultipartUpload

    @property
    def predicates(self) -> tuple[Predicates, ...]:
        """Everything that a version must have."""
        if self.filter is None:
            return (Predicates(prefix=self.prefix),)
        return (self.filter.own,) if self.filter.both is None else (self.filter.own, self.filter.both)


class Configuration(NamedTuple):
    """A bucket's rules, in the order in which they were put."""

    rules: tuple[Rule, ...]
    minimum_size: MinimumSize = MinimumSize.ALL_128K


# -- the stored document -----------------------------------------------------------------------------------------------


def encode(configuration: Configuration) -> bytes:
    """JSON: an object with an entry for what is set."""
    document = {
        "minimum_size": configuration.minimum_size.value,
        "rules": [_encode(rule) for rule in configuration.rules],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _encode(value: Any) -> Any:
    """A NamedTuple as an object without what is None or empty; tuples as lists."""
    if hasattr(value, "_asdict"):
        return {name: _encode(item) for name, item in value._asdict().items() if item is not None and item != ()}
    return [_encode(item) for item in value] if isinstance(value, tuple) else value


def decode(document: bytes) -> Configuration:
    """The configuration that ``encode`` wrote."""
    stored = json.loads(document)
    return Configuration(tuple(_decode_rule(rule) for rule in stored["rules"]), MinimumSize(stored["minimum_size"]))


def _decode_rule(stored: Mapping[str, Any]) -> Rule:
    values = dict(stored)
    if "filter" in values:
        both = values["filter"].get("both")
        own = _decode_predicates(values["filter"]["own"])
        values["filter"] = Filter(own, None if both is None else _decode_predicates(both))
    if "expiration" in values:
        values["expiration"] = Expiration(**values["expiration"])
    if "noncurrent_expiration" in values:
        values["noncurrent_expiration"] = NoncurrentExpiration(**values["noncurrent_expiration"])
    values["transitions"] = tuple(Transition(**item) for item in values.get("transitions", ()))
    later = values.get("noncurrent_transitions", ())
    values["noncurrent_transitions"] = tuple(NoncurrentTransition(**item) for item in later)
    return Rule(**values)


def _decode_predicates(stored: Mapping[str, Any]) -> Predicates:
    return Predicates(**{**stored, "tags": tuple((name, value) for name, value in stored.get("tags", ()))})
