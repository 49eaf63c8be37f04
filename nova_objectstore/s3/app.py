"""The S3 front as a WSGI application: one pipeline for every operation, and the front's only ``except``.

The life of a request: locate (address, operation), authenticate, open the bucket, authorise, read the body where it is a
document, do, render. What goes wrong on the way is a fact, worded by ``errors.py`` in one place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nova_objectstore.domain.access import READ_ACTIONS, Access
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import AccessDenied, DataMissing, NoSuchKey, NoSuchVersion, NotOffered
from nova_objectstore.s3.answer import STATUS_LINES, Answer, empty_answer, xml_answer
from nova_objectstore.s3.authenticate import Authenticator
from nova_objectstore.s3.authorise import Authoriser
from nova_objectstore.s3.body import read_document, skip_body
from nova_objectstore.s3.encryption_headers import refuse_customer_keys_in_the_open
from nova_objectstore.s3.errors import INTERNAL_ERROR, ErrorRow, error_facts, find_row
from nova_objectstore.s3.locate import Locator
from nova_objectstore.s3.operation import BodyForm, Bound, BoundHandler, OperationTable, Scope
from nova_objectstore.s3.policy_context import Sources
from nova_objectstore.s3.render import render_error
from nova_objectstore.s3.request import S3Request

LOG = logging.getLogger(__name__)

StartResponse = Callable[..., Any]


class S3App:
    """Serves S3 over a table of operations."""

    def __init__(
        self,
        table: OperationTable,
        *,
        identities: Identities,
        access: Access,
        buckets: Buckets,
        sources: Sources,
        domains: Sequence[str],
        customer_keys_need_tls: bool = False,
        host_id: str = "",
    ) -> None:
        self.table = table
        self._locator = Locator(domains)
        self._authenticator = Authenticator(identities, region=sources.region, clock_s=sources.clock_s)
        self._authoriser = Authoriser(access, identities, sources)
        self._buckets = buckets
        self._host_id = host_id or sources.region
        self._customer_keys_need_tls = customer_keys_need_tls

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        req = S3Request(environ)
        try:
            answer = self._serve(req)
        except Exception as error:  # noqa: BLE001  every fault of a request becomes an answer, here and nowhere else
            answer = self._refuse(req, error)
        answer.headers.append(("x-amz-id-2", self._host_id))
        start_response(STATUS_LINES[answer.status], answer.headers)
        return answer.body

    def _serve(self, req: S3Request) -> Answer:
        bound = self._find(req)
        req.principal = self._authenticator.authenticate(req)
        if req.principal.account_id:
            req.environ["nova.account"] = req.principal.account_id
        self._open_bucket(req, bound)
        self._authoriser.authorise(req, bound.operation)
        if bound.handler is None:
            raise NotOffered(operation=bound.operation.name)
        if self._customer_keys_need_tls and req.environ["wsgi.url_scheme"] != "https":
            refuse_customer_keys_in_the_open(req.headers)
        if bound.operation.body is BodyForm.XML:
            req.body = req.body or read_document(req)  # a policy may have asked for it
        elif bound.operation.body is BodyForm.NONE:
            skip_body(req)
        answer = _as_answer(self._do(req, bound, bound.handler), bound.operation.status)
        if req.rules.requester_pays and req.principal.account_id != req.bucket.owner_id:
            answer.headers.append(("x-amz-request-charged", "requester"))
        return answer

    def _do(self, req: S3Request, bound: Bound, handler: BoundHandler) -> object:
        """Do the operation. Who may not list the bucket is denied what is missing, as what is there and not theirs."""
        try:
            return handler(req)
        except (NoSuchKey, NoSuchVersion):
            if bound.operation.action in READ_ACTIONS and self._authoriser.hides_what_is_missing(req):
                raise AccessDenied from None
            raise
        except DataMissing:
            if req.context.judged is None:
                raise
            # What was judged is gone since: what is there now is another's, maybe.
            self._authoriser.authorise(req, bound.operation)
            return handler(req)

    def _find(self, req: S3Request) -> Bound:
        self._locator.locate(req)
        bound = self.table.find(req.scope, req.method, req.query, req.headers)
        req.operation = bound.operation
        req.environ["nova.operation"] = bound.operation.name
        return bound

    def _open_bucket(self, req: S3Request, bound: Bound) -> None:
        if req.scope is Scope.SERVICE or bound.operation.name == "CreateBucket":
            return
        req.bucket = self._buckets.find(req.bucket_name, epoch=req.epoch)
        expected = req.headers.get("x-amz-expected-bucket-owner")
        if expected is not None and expected != req.bucket.owner_id:
            raise AccessDenied

    # -- when it goes wrong ------------------------------------------------------------------------------------------

    def _refuse(self, req: S3Request, error: Exception) -> Answer:
        row = find_row(error)
        if row.status >= 500 and row.status != 501:
            self._log(req, error, row)
        if row.status == 304:
            return empty_answer(304, getattr(error, "headers", ()))
        message = getattr(error, "message", "") or getattr(error, "hint", "") or row.message
        facts = error_facts(error)
        if row is INTERNAL_ERROR:
            message, facts = row.message, {}  # its own may tell what is nobody's business
        document = render_error(
            row.code, message, facts, resource=req.resource, request_id=req.request_id,
            host_id=self._host_id,
        )  # fmt: skip
        return xml_answer(row.status, document, _error_headers(error, row))

    def _log(self, req: S3Request, error: Exception, row: ErrorRow) -> None:
        operation = req.operation.name if req.operation else f"{req.method} {req.raw_path[:200]!r}"
        LOG.error("%s failed: %s %s", operation, row.code, error, exc_info=error)


def _as_answer(result: object, status: int) -> Answer:
    """An operation answers None, a document, or a whole answer."""
    if isinstance(result, Answer):
        return result
    if result is None:
        return empty_answer(status)
    assert isinstance(result, str), f"an operation answered {type(result)}"
    return xml_answer(status, result)


def _error_headers(error: Exception, row: ErrorRow) -> list[tuple[str, str]]:
    headers = list(getattr(error, "headers", ()))
    facts = getattr(error, "facts", {})
    if facts.get("delete_marker"):
        headers += [("x-amz-delete-marker", "true"), ("x-amz-version-id", facts["version_id"])]
    elif isinstance(error, NoSuchKey):
        headers.append(("x-amz-delete-marker", "false"))
    retry_after = getattr(error, "retry_after_s", None)
    if retry_after is not None or row.status == 503:
        headers.append(("Retry-After", str(retry_after or 1)))
    return headers
