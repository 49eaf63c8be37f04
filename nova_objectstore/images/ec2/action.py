"""One EC2 action as one unit: a method marked with its name, found by the Action parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from nova_objectstore.images.ec2.request import Ec2Request

Answer = Iterable[str]
"""The content of an action's document: elements behind the requestId."""

Handler = Callable[[Ec2Request], Answer]
H = TypeVar("H", bound=Callable[..., Answer])


def action(name: str) -> Callable[[H], H]:
    """Mark a method as the action of that name. It takes the request and answers the document's elements."""

    def mark(method: H) -> H:
        method.action = name  # type: ignore[attr-defined]
        return method

    return mark


def bind_actions(*controllers: object) -> Mapping[str, Handler]:
    """Every marked method of the controllers, by its action."""
    found: dict[str, Handler] = {}
    for controller in controllers:
        for attribute, method in vars(type(controller)).items():
            name = getattr(method, "action", None)
            if isinstance(name, str):
                assert name not in found, f"the action {name} has two methods"
                found[name] = getattr(controller, attribute)
    return found
