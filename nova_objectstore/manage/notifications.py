"""``nova-manage notification``: where events are delivered to, what waits there, and why."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any, cast

from nova_objectstore.delivery.endpoints import BROKERS, WEBHOOKS, read_endpoint
from nova_objectstore.delivery.errors import InvalidTopicParameter
from nova_objectstore.delivery.ports import DeliveryStore, Queue
from nova_objectstore.manage.command import Argument, Command, Context
from nova_objectstore.manage.report import Column, Kind, Report

_PAGE = 1000

_COLUMNS = (
    Column("subscription"),
    Column("endpoint"),
    Column("state"),
    Column("waiting", Kind.NUMBER),
    Column("delivered", Kind.NUMBER),
    Column("dropped", Kind.NUMBER),
    Column("last_delivered", Kind.TIME),
    Column("last_error"),
)
_SUBSCRIPTION = Argument("subscription", {"metavar": "SUBSCRIPTION", "help": "Its ARN, as list shows it."})


def _store(context: Context) -> DeliveryStore:
    return cast("DeliveryStore", context.meta)  # every engine has both


def _state(queue: Queue) -> str:
    if queue.subscription.token:
        return "unconfirmed"
    return "failing" if queue.failures else "ok"


def _endpoint(queue: Queue) -> str:
    """Where it goes, without the password."""
    try:
        return read_endpoint(queue.subscription.endpoint, schemes=(*WEBHOOKS, *BROKERS)).shown
    except InvalidTopicParameter:
        return "?"


def _values(queue: Queue) -> list[Any]:
    return [
        queue.subscription.arn,
        _endpoint(queue),
        _state(queue),
        queue.waiting,
        queue.delivered,
        queue.dropped,
        queue.last_delivered_us or None,
        queue.last_error if queue.failures else "",
    ]


def _queues(context: Context) -> Iterator[Queue]:
    after = ""
    while page := _store(context).list_queues(after=after, limit=_PAGE):
        yield from page
        after = page[-1].subscription.arn


def _list(context: Context, _: Namespace) -> Report:
    return Report(_COLUMNS, [_values(queue) for queue in _queues(context)])


def _show(context: Context, arguments: Namespace) -> Report:
    queue = _store(context).get_queue(arguments.subscription)
    oldest = _store(context).list_waiting(arguments.subscription, limit=1)
    return Report.of_one(
        [
            *zip(_COLUMNS[:-1], _values(queue)[:-1], strict=True),
            (Column("failures", Kind.NUMBER, "Failures in a row"), queue.failures),
            (Column("last_error"), queue.last_error),
            (Column("last_failed", Kind.TIME), queue.last_error_us or None),
            (Column("tried_again", Kind.TIME), queue.retry_at_us if queue.failures else None),
            (Column("oldest_event"), f"{oldest[0].name} {oldest[0].lane}" if oldest else ""),
            (Column("oldest_event_made", Kind.TIME), oldest[0].created_us if oldest else None),
        ]
    )


def _retry(context: Context, arguments: Namespace) -> Report:
    _store(context).retry_delivery(arguments.subscription)
    return _show(context, arguments)


def _drop(context: Context, arguments: Namespace) -> Report:
    count = _store(context).drop_waiting(arguments.subscription)
    return Report.of_one([(_COLUMNS[0], arguments.subscription), (Column("dropped", Kind.NUMBER), count)])


COMMANDS = (
    Command("notification", "list", "List where events are delivered to, how many wait there, and why.", _list),
    Command("notification", "show", "Show the deliveries of a subscription.", _show, (_SUBSCRIPTION,)),
    Command(
        "notification",
        "retry",
        "Deliver to an endpoint that failed without waiting for the next try.",
        _retry,
        (_SUBSCRIPTION,),
    ),
    Command("notification", "drop", "Drop all events that wait for a subscription.", _drop, (_SUBSCRIPTION,)),
)
