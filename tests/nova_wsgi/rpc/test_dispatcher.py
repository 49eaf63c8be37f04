"""From a message to a method: what may be named, what may be given."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional

import pytest
from support.queues import Recorder

from nova_wsgi import logs, rpc
from nova_wsgi.manager import Manager

if TYPE_CHECKING:
    from pathlib import Path as Unknown


def handle(manager, method, **arguments):
    message = rpc.Message(method, arguments, rpc.Context("req-1"), "id-1")
    return rpc.Dispatcher(manager).handle(message)


class Typed(Manager):
    def __init__(self):
        super().__init__(conf=None, host="host")

    @rpc.exposed
    def take(
        self,
        text: str = "",
        number: int = 0,
        ratio: float = 0,
        flag: bool = False,
        either: int | str = 0,
        maybe: Optional[str] = None,  # noqa: UP045  both ways of writing it
        names: list[str] = (),
        some: Sequence[int] = (),
        table: dict[str, int] = {},  # noqa: B006
        mapping: Mapping[str, Any] = {},
        choice: Literal["a", "b"] = "a",
        anything: Any = None,
        untyped=None,
    ) -> str:
        return "taken"

    @rpc.exposed
    def take_more(self, *, first: int, **more: int) -> list:
        return [first, sorted(more)]

    @rpc.exposed
    def take_unknown(self, path: "Unknown", number: int) -> str:
        return f"{path} {number}"

    @rpc.exposed
    @functools.lru_cache  # noqa: B019
    def take_cached(self, number: int) -> int:
        return number


class Quiet(Recorder):
    def note(self, what: Any) -> Any:  # an override is marked again
        return what


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"text": "a", "number": -1, "ratio": 1.5, "flag": True, "either": "b", "maybe": "c"},
        {"ratio": 1, "either": 2, "maybe": None},
        {"names": ["a"], "some": [1], "table": {"a": 1}, "mapping": {}, "choice": "b"},
        {"anything": [None], "untyped": {"a": []}},
    ],
)
def test_arguments_of_the_hinted_types_are_taken(arguments):
    assert handle(Typed(), "take", **arguments).result == "taken"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("text", 1, "text is str, not int"),
        ("text", None, "text is str, not NoneType"),
        ("number", "1", "number is int, not str"),
        ("number", True, "number is int, not bool"),
        ("number", 1.0, "number is int, not float"),
        ("ratio", False, "ratio is float, not bool"),
        ("flag", 1, "flag is bool, not int"),
        ("either", [], "not list"),
        ("maybe", 1, "not int"),
        ("names", "abc", "names is list"),
        ("names", {}, "names is list"),
        ("some", "abc", "not str"),
        ("table", [], "table is dict"),
        ("mapping", [], "not list"),
        ("choice", "c", "not str"),
    ],
)
def test_others_are_refused_by_name(name, value, told):
    reply = handle(Typed(), "take", **{name: value})
    assert reply.fault.kind == "BadArguments"
    assert reply.fault.message.startswith("take: ")
    assert told in reply.fault.message


def test_keywords_beyond_the_named_are_taken_where_the_method_takes_them():
    assert handle(Typed(), "take_more", first=1, b=2, a=3).result == [1, ["a", "b"]]
    assert handle(Typed(), "take_more", a=3).fault.kind == "BadArguments"


def test_types_that_are_known_to_type_checkers_alone_are_not_checked():
    assert handle(Typed(), "take_unknown", path="p", number="n").result == "p n"
    assert handle(Typed(), "take_unknown", path="p").fault.kind == "BadArguments"


def test_only_what_is_marked_can_be_named():
    assert rpc.Dispatcher(Recorder()).methods == [
        "add", "fail", "note", "request_id_logged", "return_odd", "wait", "where",
    ]  # fmt: skip
    assert handle(Quiet(), "note", what=1).fault.kind == "UnknownMethod"
    assert handle(Quiet(), "where").result == "host-1"


def test_what_cannot_be_exposed_is_refused_where_it_is_written():
    def _private(self): ...

    def init_host(self): ...

    def positional(self, first, /): ...

    def many(self, *rest): ...

    for method, told in (
        (_private, "private"),
        (init_host, "hook"),
        (positional, "self cannot be given by name"),
        (many, "rest"),
    ):
        with pytest.raises(TypeError, match=told):
            rpc.exposed(method)


def test_a_call_runs_in_its_context_and_leaves_none_behind():
    manager = Recorder()
    logs.bind_request_id("outside")
    assert handle(manager, "request_id_logged").result == "req-1"
    handle(manager, "note", what=1)
    assert manager.contexts == [rpc.Context("req-1")]
    assert logs.current_request_id() == "outside"
    assert rpc.current_context() == rpc.Context("outside")
    logs.bind_request_id(logs.NO_REQUEST)


@pytest.mark.parametrize(("how", "level"), [("fact", "WARNING"), ("bug", "ERROR")])
def test_what_a_cast_failed_with_is_in_the_log(caplog, how, level):
    reply = handle(Recorder(), "fail", how=how)
    assert reply.fault is not None
    assert "fail failed" in caplog.text
    assert {record.levelname for record in caplog.records} == {level}
    assert ("Traceback" in caplog.text) == (how == "bug")


def test_calls_are_counted():
    dispatcher = rpc.Dispatcher(Recorder())
    for method in ("where", "no_such"):
        dispatcher.handle(rpc.Message(method, {}, rpc.Context(), "id"))
    assert dispatcher.calls_total == 2
