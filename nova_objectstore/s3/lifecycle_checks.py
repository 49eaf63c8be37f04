"""What the elements of one lifecycle rule may be together (AWS: "Lifecycle configuration elements"). Pure.

Every check is a function that raises InvalidRequest or InvalidArgument; ``check_rule`` is the list of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.domain.lifecycle.configuration import Rule
from nova_objectstore.errors import InvalidArgument, InvalidRequest

# AWS: objects are kept in STANDARD for so many days before they may go there.
DAYS_MIN = {"STANDARD_IA": 30, "ONEZONE_IA": 30}


def check_rule(rule: Rule) -> None:
    """Raise for a rule whose elements do not fit together."""
    for check in (_does_something, _needs_no_tags, _needs_no_sizes, _sizes_fit, _counts_with_filter, _classes_differ,
                  _days_or_dates, _long_enough, _in_order):  # fmt: skip
        check(rule)


def _does_something(rule: Rule) -> None:
    acts = (rule.expiration, rule.noncurrent_expiration, rule.abort_days)
    if not (rule.transitions or rule.noncurrent_transitions) and all(act is None for act in acts):
        raise InvalidRequest("At least one action needs to be specified in a rule.")


def _needs_no_tags(rule: Rule) -> None:
    if not any(asked.tags for asked in rule.predicates):
        return
    if rule.expiration is not None and rule.expiration.markers is not None:
        raise InvalidRequest("ExpiredObjectDeleteMarker cannot be specified with Tags.")
    if rule.abort_days is not None:
        raise InvalidRequest("AbortIncompleteMultipartUpload cannot be specified with Tags.")


def _needs_no_sizes(rule: Rule) -> None:
    if all(asked.size_over is None and asked.size_under is None for asked in rule.predicates):
        return
    if rule.expiration is not None and rule.expiration.markers is not None:
        raise InvalidRequest("ExpiredObjectDeleteMarker cannot be specified with Object Size.")
    if rule.abort_days is not None:
        raise InvalidRequest("AbortIncompleteMultipartUpload cannot be specified with Object Size.")


def _sizes_fit(rule: Rule) -> None:
    for _, _, over, under in rule.predicates:
        if over is not None and under is not None and over >= under:
            raise InvalidRequest("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")


def _counts_with_filter(rule: Rule) -> None:
    counted = [later.newer for later in rule.noncurrent_transitions]
    if rule.noncurrent_expiration is not None:
        counted.append(rule.noncurrent_expiration.newer)
    if rule.filter is None and any(newer is not None for newer in counted):
        raise InvalidRequest("A Filter element is required when NewerNoncurrentVersions is specified.")


def _classes_differ(rule: Rule) -> None:
    for action, moves in (
        ("Transition", rule.transitions),
        ("NoncurrentVersionTransition", rule.noncurrent_transitions),
    ):
        if len({move.storage_class for move in moves}) < len(moves):
            raise InvalidRequest(f"'StorageClass' must be different for '{action}' actions in same 'Rule'")


def _days_or_dates(rule: Rule) -> None:
    acts = [*rule.transitions, *((rule.expiration,) if rule.expiration is not None else ())]
    if any(act.days is not None for act in acts) and any(act.date_us is not None for act in acts):
        raise InvalidRequest("Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule")


def _long_enough(rule: Rule) -> None:
    for move in rule.transitions:
        if move.days is not None:
            _check_days_min("Transition", "Days", move.storage_class, move.days)
    for later in rule.noncurrent_transitions:
        _check_days_min("NoncurrentVersionTransition", "NoncurrentDays", later.storage_class, later.days)


def _check_days_min(action: str, name: str, storage_class: str, days: int) -> None:
    days_min = DAYS_MIN.get(storage_class, 0)
    if days < days_min:
        raise InvalidArgument(
            f"'{name}' in {action} action must be greater than or equal to {days_min} for storageClass '{storage_class}'"
        )


def _in_order(rule: Rule) -> None:
    """What expires must have been moved before."""
    expiration, noncurrent = rule.expiration, rule.noncurrent_expiration
    if expiration is not None:
        _check_before("Days", expiration.days, "Transition", [move.days for move in rule.transitions])
        _check_before("Date", expiration.date_us, "Transition", [move.date_us for move in rule.transitions])
    if noncurrent is not None and noncurrent.newer is None:
        moves = [later.days for later in rule.noncurrent_transitions if later.newer is None]
        _check_before("NoncurrentDays", noncurrent.days, "NoncurrentVersionTransition", moves)


def _check_before(name: str, end: int | None, action: str, moves: Sequence[int | None]) -> None:
    if end is not None and any(move is not None and move >= end for move in moves):
        expires = "NoncurrentVersionExpiration" if name == "NoncurrentDays" else "Expiration"
        raise InvalidArgument(f"'{name}' in the {expires} action must be greater than '{name}' in the {action} action")
