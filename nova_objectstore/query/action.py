"""One action as one unit: a method marked with its name, found by the Action parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from nova_objectstore.query.request import QueryRequest

Answer = Iterable[str]
"""The content of an action's result: elements. An action without a result answers None."""

Handler = Callable[[QueryRequest], Answer | None]
H = TypeVar("H", bound=Callable[..., Answer | None])


class Mark(NamedTuple):
    """What a method says of the action that it is. ``signed``: it is for those alone who signed."""

    name: str
    signed: bool


class Bound(NamedTuple):
    """An action and the method that does it."""

    name: str
    signed: bool
    handler: Handler


def action(name: str, *, signed: bool = True) -> Callable[[H], H]:
    """Mark a method as the action of that name. It takes the request and answers the result's elements.

    Braces in the name are filled from the controller's ``words``: one class then serves several kinds of things
    (``Put{Kind}Policy``, ``words = {"Kind": "User"}``).
    """

    def mark(method: H) -> H:
        method.action = Mark(name, signed)  # type: ignore[attr-defined]
        return method

    return mark


def bind_actions(*controllers: object) -> Mapping[str, Bound]:
    """Every marked method of the controllers, base classes included, by its action."""
    found: dict[str, Bound] = {}
    for controller in controllers:
        words: Mapping[str, str] = getattr(controller, "words", {})
        for attribute in sorted({name for base in type(controller).__mro__ for name in vars(base)}):
            mark = getattr(getattr(type(controller), attribute), "action", None)
            if isinstance(mark, Mark):
                name = mark.name.format_map(words)
                assert name not in found, f"the action {name} has two methods"
                found[name] = Bound(name, mark.signed, getattr(controller, attribute))
    return found
