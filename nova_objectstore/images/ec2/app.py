"""The EC2 query API as a WSGI application: one pipeline for every action, and its only ``except``.

The life of a request: read the parameters, authenticate, find the action, do it, render. Any path is served: clients are
configured with ``/``, or with ``/services/Cloud`` as nova had it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

from nova_objectstore.images.ec2.attributes import AttributeController
from nova_objectstore.images.ec2.documents import error_document, response
from nova_objectstore.images.ec2.faults import NoSuchVersion, error_row
from nova_objectstore.images.ec2.images import ImageController
from nova_objectstore.images.ec2.signatures import Authenticator
from nova_objectstore.images.registry import Images
from nova_objectstore.query.action import bind_actions
from nova_objectstore.query.faults import InvalidAction, MissingAction
from nova_objectstore.query.request import QueryRequest
from nova_wsgi.middleware.ratelimit import charge_account
from nova_wsgi.response import Response

LOG = logging.getLogger(__name__)

CONTENT_TYPE = "text/xml;charset=UTF-8"

_version = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


class Ec2App:
    """Serves the actions on images."""

    def __init__(self, images: Images, authenticator: Authenticator) -> None:
        self.actions = bind_actions(ImageController(images), AttributeController(images))
        self._authenticator = authenticator

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        request_id = environ.get("nova.request_id", "")
        try:
            answer = self._serve(environ, request_id)
        except Exception as error:  # noqa: BLE001  every fault of a request becomes a document, here and nowhere else
            answer = _refuse(environ, request_id, error)
        return answer(environ, start_response)

    def _serve(self, environ: dict[str, Any], request_id: str) -> Response:
        request = QueryRequest(environ)
        name = request.parameters.text("Action")
        if not name:
            raise MissingAction("The request is missing an action or a required parameter.")
        bound = self.actions.get(name)
        if bound is not None:
            environ["nova.operation"] = name  # a label of metrics: never what a stranger sends
        request.principal = self._authenticator.authenticate(request)
        environ["nova.account"] = request.principal.account_id
        charge_account(environ, request.principal.account_id)
        if bound is None:
            raise InvalidAction(f"The action {name[:100]} is not valid for this web service.")
        request.version = request.parameters.required("Version")
        if not _version(request.version):
            raise NoSuchVersion(f"The requested version ({request.version[:100]}) of service AmazonEC2 does not exist")
        return Response(
            response(name, request.version, request_id, *(bound.handler(request) or ())), content_type=CONTENT_TYPE
        )


def _refuse(environ: dict[str, Any], request_id: str, error: Exception) -> Response:
    row = error_row(error)
    if row.status >= 500:
        LOG.error("%s failed: %s %s", environ.get("nova.operation", "a request"), row.code, error, exc_info=error)
    headers = [("Retry-After", "1")] if row.status == 503 else list(getattr(error, "headers", ()))
    return Response(
        error_document(row.code, row.message, request_id), status=row.status, headers=headers, content_type=CONTENT_TYPE
    )
