"""The query protocol as a WSGI application: one pipeline for every action of every service, and its only ``except``.

The life of a request: read the parameters, find the service and its action, authenticate for that service, do, render.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nova_objectstore.errors import InvalidToken
from nova_objectstore.query.action import Bound
from nova_objectstore.query.context import QueryContext
from nova_objectstore.query.documents import error_document, response
from nova_objectstore.query.faults import (
    COMMON_ROWS,
    InvalidAction,
    MissingAction,
    MissingAuthenticationToken,
    WrongScope,
    error_row,
)
from nova_objectstore.query.request import QueryRequest
from nova_objectstore.query.service import Service
from nova_objectstore.query.signatures import FindCredentials, authenticate, scope_of
from nova_objectstore.types import Principal, SessionKind
from nova_wsgi.middleware.ratelimit import charge_account
from nova_wsgi.response import Response

LOG = logging.getLogger(__name__)

CONTENT_TYPE = "text/xml"
GLOBAL_REGION = "us-east-1"  # what clients sign for where AWS has one endpoint for all regions
UNKNOWN_NAMESPACE = "http://webservices.amazon.com/AWSFault/2005-15-09"  # of errors that no service made, as AWS has it


NoteUse = Callable[[str, str, str, float], None]
"""Told of every key that was used: access key, service, region, seconds since 1970."""


class QueryApp:
    """Serves the actions of services. ``region``: the store's; ``clock_s`` gives epoch seconds."""

    def __init__(
        self,
        services: Sequence[Service],
        find: FindCredentials,
        *,
        region: str,
        clock_s: Callable[[], float],
        note_use: NoteUse | None = None,
    ) -> None:
        self.services = {service.version: service for service in services}
        assert len(self.services) == len(services), "a service is told by its version"
        self._rows = {service.version: {**COMMON_ROWS, **service.rows} for service in services}
        self._find = find
        self._region = region
        self._clock_s = clock_s
        self._note_use = note_use

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        request_id = environ.get("nova.request_id", "")
        service: list[Service] = []
        try:
            answer = self._serve(environ, request_id, service)
        except Exception as error:  # noqa: BLE001  every fault of a request becomes a document, here and nowhere else
            answer = self._refuse(environ, request_id, error, service[0] if service else None)
        answer.set_header("x-amzn-requestid", request_id)
        return answer(environ, start_response)

    def _serve(self, environ: dict[str, Any], request_id: str, chosen: list[Service]) -> Response:
        request = QueryRequest(environ)
        service, bound = self._choose(request)
        chosen.append(service)
        environ["nova.operation"] = bound.name  # a label of metrics: never what a stranger sends
        request.action, request.version = bound.name, service.version
        request.context = QueryContext(environ, request.headers, now_s=self._clock_s(), region=self._region)
        principal = self._authenticate(request, service)
        if principal is not None:
            if service.refuses_user_sessions and _is_user_session(principal):
                raise InvalidToken
            request.principal = principal
            environ["nova.account"] = principal.account_id
            charge_account(environ, principal.account_id)
            if self._note_use is not None and principal.begun is None:
                self._note_use(principal.access_key, service.name, self._region, request.context.now_s)
        elif bound.signed:
            raise MissingAuthenticationToken
        result = bound.handler(request)
        return Response(response(bound.name, service.namespace, request_id, result), content_type=CONTENT_TYPE)

    def _choose(self, request: QueryRequest) -> tuple[Service, Bound]:
        """The service by its version, and its action."""
        name = request.parameters.text("Action")
        if not name:
            raise MissingAction("The request is missing an action or a required parameter.")
        version = request.parameters.text("Version")
        service = self.services.get(version)
        bound = service.actions.get(name) if service is not None else None
        if service is None or bound is None:
            raise InvalidAction(f"Could not find operation {name[:100]} for version {version[:100] or 'NO_VERSION'}")
        return service, bound

    def _authenticate(self, request: QueryRequest, service: Service) -> Principal | None:
        region = self._region
        scope = scope_of(request)
        if scope is not None:
            if scope.service != service.name:
                raise WrongScope(f"Credential should be scoped to correct service: '{service.name}'.")
            if scope.region not in self._regions(service):
                raise WrongScope("Credential should be scoped to a valid region.")
            region = scope.region
        return authenticate(request, self._find, region=region, service=service.name, now_s=request.context.now_s)

    def _regions(self, service: Service) -> tuple[str, ...]:
        """What clients may sign for; those that were told of no region sign for none."""
        return (self._region, "", GLOBAL_REGION) if service.is_global else (self._region, "")

    def _refuse(self, environ: dict[str, Any], request_id: str, error: Exception, service: Service | None) -> Response:
        row = error_row(error, self._rows[service.version] if service is not None else COMMON_ROWS)
        if row.status >= 500:
            LOG.error("%s failed: %s %s", environ.get("nova.operation", "a request"), row.code, error, exc_info=error)
        headers = [("Retry-After", "1")] if row.status == 503 else list(getattr(error, "headers", ()))
        document = error_document(
            row.code,
            row.message,
            request_id,
            namespace=service.namespace if service is not None else UNKNOWN_NAMESPACE,
            is_receiver=row.status >= 500,
        )
        return Response(document, status=row.status, headers=headers, content_type=CONTENT_TYPE)


def _is_user_session(principal: Principal) -> bool:
    """Whether it is a session that a user or root began for itself, or for somebody it vouches for."""
    return principal.begun is not None and principal.begun.kind is not SessionKind.ROLE
