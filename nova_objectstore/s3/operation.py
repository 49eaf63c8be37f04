"""One S3 operation as one readable unit: the row that names it, and the table that finds it.

Strategy: a row's request line is AWS's own. Three scopes (service, bucket, object) and the set of *marker* query names
select a cell of the table; inside a cell *guards* (a required query name, a required header) choose, the longest first.

Laws:

- Markers never fall through: a combination that no row declares is refused, it is never the plain operation.
- An action is stated on every row; leaving it out is an error when the module is imported.
- ``partNumber``, ``uploadId``, ``id`` and the like are guards, not markers: ``GET /b/k?partNumber=2`` is GetObject.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from nova_objectstore.errors import InvalidArgument, NotOffered
from nova_objectstore.s3.faults import MethodNotAllowed


# PERF: a str hashes faster than an Enum, and a Scope is part of a key asked for by every request
class Scope(enum.StrEnum):
    """What a request's address names."""

    SERVICE = "/"
    BUCKET = "/{bucket}"
    OBJECT = "/{bucket}/{key}"


# PERF: Python 3.11 takes 0.15 us to look a member of an enum up in its class
SERVICE, BUCKET, OBJECT = Scope.SERVICE, Scope.BUCKET, Scope.OBJECT


class BodyForm(enum.Enum):
    """What becomes of a request's body."""

    NONE = "none"  # ignored; it must be small
    XML = "xml"  # read whole, bounded, its digest verified
    STREAM = "stream"  # handed on unread
    FORM = "form"  # a browser's: its fields say who asks and for what, its file is a stream


NONE, XML, STREAM, FORM = BodyForm.NONE, BodyForm.XML, BodyForm.STREAM, BodyForm.FORM

# Query names that choose between the operations of one cell.
GUARDS = frozenset({"uploadId", "partNumber", "id", "annotationName"})

NO_MARKERS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Operation:
    """A row: AWS's name, where it is found, what it needs."""

    name: str
    method: str
    scope: Scope
    markers: frozenset[str]
    marker_values: Mapping[str, str]  # ``list-type=2``: the value counts
    guards: frozenset[str]  # query names that must be there
    header: str  # a header that must be there, lower-case; "" for none
    action: str  # the IAM action; "" only where AWS asks for no permission
    version_action: str  # the action when a version is named; "" for the same
    body: BodyForm
    status: int
    request_line: str

    def action_for(self, query: Mapping[str, str]) -> str:
        """The action to be authorised: naming a version asks for more (AWS: s3:GetObjectVersion and its like)."""
        return self.version_action if "versionId" in query else self.action


def _parse_request_line(line: str) -> tuple[str, Scope, frozenset[str], dict[str, str], frozenset[str]]:
    """``PUT /{bucket}/{key}?partNumber&uploadId`` -> method, scope, markers, their values, guards."""
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    pairs = [item.partition("=") for item in query.split("&") if item]
    names = {name for name, _, _ in pairs}
    values = {name: value for name, equals, value in pairs if equals}
    return method, Scope(path), frozenset(names - GUARDS), values, frozenset(names & GUARDS)


def row(
    name: str,
    line: str,
    *,
    action: str,
    version_action: str = "",
    body: BodyForm = NONE,
    status: int = 200,
    header: str = "",
) -> Operation:
    """Make a row from its request line as AWS documents it."""
    method, scope, markers, values, guards = _parse_request_line(line)
    return Operation(
        name, method, scope, markers, values, guards, header, action, version_action or action, body, status, line
    )


Handler = TypeVar("Handler", bound=Callable[..., Any])


def operation(
    name: str,
    line: str,
    *,
    action: str,
    version_action: str = "",
    body: BodyForm = NONE,
    status: int = 200,
    header: str = "",
) -> Callable[[Handler], Handler]:
    """Mark a controller's method as the operation ``name``; see :func:`row`. A method may carry several."""
    made = row(name, line, action=action, version_action=version_action, body=body, status=status, header=header)

    def mark(method: Handler) -> Handler:
        rows: tuple[Operation, ...] = getattr(method, "operations", ())
        method.operations = (*rows, made)  # type: ignore[attr-defined]
        return method

    return mark


class Controller:
    """Operations on one resource: methods marked with :func:`operation`."""

    @classmethod
    def rows(cls) -> Iterable[tuple[Operation, str]]:
        """Every row of the class with the name of its method, base classes included."""
        for attribute in sorted({name for base in cls.__mro__ for name in vars(base)}):
            for made in getattr(getattr(cls, attribute), "operations", ()):
                yield made, attribute


class BoundHandler(Protocol):
    """A controller's method: takes the request, answers None, an element or a response."""

    def __call__(self, req: Any, /) -> Any:
        """Do the operation."""
        ...


@dataclass(frozen=True, slots=True)
class Bound:
    """A row and the method that does it; ``handler`` is None for an operation that is not offered."""

    operation: Operation
    handler: BoundHandler | None


_Choice = tuple[frozenset[str], str, Bound]  # PERF: a row's guards and header, without a look into the row


class OperationTable:
    """Finds the operation of a request."""

    def __init__(self, controllers: Sequence[Controller], not_offered: Sequence[Operation]) -> None:
        self.bound: dict[str, Bound] = {}
        for controller in controllers:
            for made, attribute in controller.rows():
                self._add(Bound(made, getattr(controller, attribute)))
        for made in not_offered:
            self._add(Bound(made, None))
        self.markers = frozenset(name for bound in self.bound.values() for name in bound.operation.markers)
        self._cells: dict[tuple[Scope, str, frozenset[str]], tuple[_Choice, ...]] = {}
        for bound in sorted(self.bound.values(), key=_most_guarded_first):
            made = bound.operation
            cell = (made.scope, made.method, made.markers)
            self._cells[cell] = (*self._cells.get(cell, ()), (made.guards, made.header, bound))
        self._known = {(scope, markers) for scope, _, markers in self._cells}

    def _add(self, bound: Bound) -> None:
        name = bound.operation.name
        if name in self.bound:
            raise ValueError(f"the operation {name} has two rows")
        self.bound[name] = bound

    def find(self, scope: Scope, method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Bound:
        """The operation a request asks for.

        Raises MethodNotAllowed, NotOffered (markers of no operation on that resource), InvalidArgument (two
        sub-resources at once, or a marker's value that is not the declared one).
        """
        # PERF: most requests have no query at all
        markers = self.markers.intersection(query) if query else NO_MARKERS
        for guards, header, bound in self._cells.get((scope, method, markers), ()):
            if (not guards or guards <= query.keys()) and (not header or header in headers):
                if bound.operation.marker_values:
                    _check_marker_values(bound.operation, query)
                return bound
        raise self._refusal(scope, method, markers)

    def _refusal(self, scope: Scope, method: str, markers: frozenset[str]) -> Exception:
        if (scope, markers) in self._known or not markers:
            return MethodNotAllowed(method=method, resource_type=_RESOURCE_TYPES[scope])
        if len(markers) > 1:
            return InvalidArgument(
                "Conflicting query string parameters: " + ", ".join(sorted(markers)),
                argument_name="ResourceType",
                argument_value=sorted(markers)[0],
            )
        return NotOffered(operation=f"{method} {scope.value}?{next(iter(markers))}")


_RESOURCE_TYPES = {Scope.SERVICE: "SERVICE", Scope.BUCKET: "BUCKET", Scope.OBJECT: "OBJECT"}


def _most_guarded_first(bound: Bound) -> tuple[int, str]:
    made = bound.operation
    return -(len(made.guards) + bool(made.header)), made.name


def _check_marker_values(made: Operation, query: Mapping[str, str]) -> None:
    for name, value in made.marker_values.items():
        if query[name] != value:
            raise InvalidArgument(f"Invalid {name}", argument_name=name, argument_value=query[name])
