"""``nova-manage service``: the services registry, and what the services of this host do.

``list``, ``enable``, ``disable`` and ``delete`` work on the registry, wherever the services run; ``workers``,
``inflight`` and ``stacks`` ask the processes of this host at their control sockets.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any

from nova_objectstore.manage.command import Argument, Command, Context
from nova_objectstore.manage.report import Column, Kind, Report
from nova_wsgi import control
from nova_wsgi.errors import ConfigError
from nova_wsgi.registry.services import ServiceEntry, Services

SECOND_US = 1_000_000

_COLUMNS = (
    Column("id", Kind.NUMBER, "ID"),
    Column("host"),
    Column("binary"),
    Column("topic"),
    Column("state"),
    Column("enabled", Kind.FLAG),
    Column("disabled_reason"),
    Column("version"),
    Column("processes", Kind.NUMBER),
    Column("in_flight", Kind.NUMBER),
    Column("started", Kind.TIME),
    Column("last_seen", Kind.TIME),
)
_PROCESS = (Column("topic"), Column("pid"))
_PROBLEM = Column("problem")

_CHOICE = (
    Argument("--topic", {"metavar": "T", "help": "Ask the processes of this service alone."}),
    Argument("--pid", {"metavar": "N", "type": int, "help": "Ask this process alone."}),
)
_NAME = (
    Argument("host", {"metavar": "HOST", "help": "The host, as the list shows it."}),
    Argument("binary", {"metavar": "BINARY", "help": "The program, as the list shows it."}),
    Argument("--topic", {"metavar": "T", "help": "The topic, where a program is several services."}),
)


# -- the registry -------------------------------------------------------------------------------------------------------


def _values(entry: ServiceEntry) -> list[Any]:
    return [
        entry.id,
        entry.host,
        entry.binary,
        entry.topic,
        entry.state,
        entry.enabled,
        entry.disabled_reason or "",
        entry.version,
        entry.processes,
        entry.in_flight,
        entry.started_us,
        entry.last_seen_us,
    ]


def _list(context: Context, arguments: Namespace) -> Report:
    with context.open_services() as services:
        return Report(
            _COLUMNS, [_values(entry) for entry in services.list(host=arguments.host, binary=arguments.binary)]
        )


def _change(change: Callable[[Services, int, Namespace], ServiceEntry]) -> Callable[[Context, Namespace], Report]:
    """A command that finds a service by its name and changes it."""

    def run(context: Context, arguments: Namespace) -> Report:
        with context.open_services() as services:
            found = services.find(arguments.host, arguments.binary, topic=arguments.topic)
            changed = change(services, found.id, arguments)
        return Report.of_one(list(zip(_COLUMNS, _values(changed), strict=True)))

    return run


_disable = _change(lambda services, service_id, arguments: services.disable(service_id, arguments.reason))
_enable = _change(lambda services, service_id, _: services.enable(service_id))
_delete = _change(lambda services, service_id, _: services.delete(service_id))


# -- the processes of this host -----------------------------------------------------------------------------------------


def _ask(context: Context, question: str, arguments: Namespace) -> list[control.Told]:
    if context.control_path is None:
        raise ConfigError("control_path is not set: services have control sockets when it names a directory")
    return control.ask(context.control_path, question, topic=arguments.topic, pid=arguments.pid)


def _workers(context: Context, arguments: Namespace) -> Report:
    columns = (
        *_PROCESS,
        Column("parent_pid"),
        Column("binary"),
        Column("host"),
        Column("state"),
        Column("started", Kind.TIME),
        Column("in_flight", Kind.NUMBER),
        Column("requests", Kind.NUMBER),
        Column("resident", Kind.BYTES),
        _PROBLEM,
    )
    rows = []
    for told in _ask(context, "workers", arguments):
        answer = dict(told.answer or {})
        started = answer.get("started")
        answer["started"] = None if started is None else int(started * SECOND_US)
        answer["resident"] = answer.get("resident_bytes")
        rows.append([told.topic, told.pid, *(answer.get(column.name) for column in columns[2:-1]), told.problem])
    return Report(columns, rows)


def _inflight(context: Context, arguments: Namespace) -> Report:
    columns = (*_PROCESS, Column("call"), Column("age_s", Kind.NUMBER), _PROBLEM)
    rows = []
    for told in _ask(context, "inflight", arguments):
        if told.answer is None:
            rows.append([told.topic, told.pid, None, None, told.problem])
        else:
            rows += [[told.topic, told.pid, call["name"], call["age_s"], ""] for call in told.answer["calls"]]
    return Report(columns, rows)


def _stacks(context: Context, arguments: Namespace) -> Report:
    columns = (*_PROCESS, Column("thread"), Column("count", Kind.NUMBER), Column("stack", Kind.LIST), _PROBLEM)
    rows = []
    for told in _ask(context, "stacks", arguments):
        if told.answer is None:
            rows.append([told.topic, told.pid, None, None, [], told.problem])
        else:
            rows += [
                [told.topic, told.pid, found["who"], found["count"], found["stack"].splitlines(), ""]
                for found in told.answer["stacks"]
            ]
    return Report(columns, rows, text="\n".join(_stack_lines(rows)))


def _stack_lines(rows: list[list[Any]]) -> Iterator[str]:
    for topic, pid, who, count, stack, problem in rows:
        times = "" if count in (None, 1) else f", {count} times"
        yield f"{topic} {pid}: {problem or who}{times}"
        yield from (f"    {line}" for line in stack)
        yield ""


COMMANDS = (
    Command(
        "service",
        "list",
        "List services: whether they are up, how many processes they have, what these do.",
        _list,
        (
            Argument("--host", {"metavar": "H", "help": "Those of this host alone."}),
            Argument("--binary", {"metavar": "B", "help": "Those of this program alone."}),
        ),
        needs_store=False,
    ),
    Command(
        "service",
        "disable",
        "Have a service take no more work of the queue; it stays up, and hears it with its next heartbeat.",
        _disable,
        (*_NAME, Argument("--reason", {"metavar": "TEXT", "default": "", "help": "Why, for those who wonder."})),
        needs_store=False,
    ),
    Command("service", "enable", "Have a disabled service take work again.", _enable, _NAME, needs_store=False),
    Command("service", "delete", "Forget a service that is down for good.", _delete, _NAME, needs_store=False),
    Command(
        "service",
        "workers",
        "Show the processes of this host's services: since when, how much they do and have done.",
        _workers,
        _CHOICE,
        needs_store=False,
    ),
    Command(
        "service",
        "inflight",
        "Show the requests and other calls that go on on this host, the oldest first.",
        _inflight,
        _CHOICE,
        needs_store=False,
    ),
    Command(
        "service",
        "stacks",
        "Show where each greenthread and thread of this host's services is.",
        _stacks,
        _CHOICE,
        needs_store=False,
    ),
)
