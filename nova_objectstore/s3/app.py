"""The S3 front as a WSGI application: one pipeline for every operation, and the front's only ``except``.

The life of a request: locate (address, operation), authenticate, open the bucket, authorise, read the body where it is a
document, do, render. What goes wrong on the way is a fact, worded by ``errors.py`` in one place. Of a browser's form the
fields are read first: they say who asks. A preflight ends where the address is known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nova_objectstore.domain.access import READ_ACTIONS, Access
from nova_objectstore.domain.bucket_rules import NO_RULES
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import (
    AccessDenied,
    DataMissing,
    NoSuchKey,
    NoSuchVersion,
    NotOffered,
    StorageFull,
    StoreError,
)
from nova_objectstore.s3.access_records import AccessRecords
from nova_objectstore.s3.answer import STATUS_LINES, Answer, empty_answer, xml_answer
from nova_objectstore.s3.authenticate import Authenticator
from nova_objectstore.s3.authorise import Authoriser
from nova_objectstore.s3.body import read_document, skip_body
from nova_objectstore.s3.cors import ORIGIN, PREFLIGHT, CrossOrigin
from nova_objectstore.s3.encryption_headers import refuse_customer_keys_in_the_open
from nova_objectstore.s3.errors import ErrorRow, error_headers, find_row, tell_error
from nova_objectstore.s3.form import open_form
from nova_objectstore.s3.large_documents import in_turn
from nova_objectstore.s3.locate import Locator
from nova_objectstore.s3.operation import FORM, NONE, SERVICE, XML, Bound, BoundHandler, OperationTable
from nova_objectstore.s3.policy_context import Sources
from nova_objectstore.s3.render import render_error
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import Principal

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
        records: AccessRecords | None = None,
    ) -> None:
        self.table = table
        self._locator = Locator(domains)
        self._authenticator = Authenticator(identities, region=sources.region, clock_s=sources.clock_s)
        self._authoriser = Authoriser(access, identities, sources)
        self._buckets = buckets
        self._access = access
        self.cross_origin = CrossOrigin(buckets, access)
        self._host_id = host_id or sources.region
        self._customer_keys_need_tls = customer_keys_need_tls
        self._records = records

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        req = S3Request(environ)
        error_code = ""  # not the error: in a name of this frame, which its traceback holds, it would be a cycle
        try:
            answer = self._serve(req)
        except Exception as error:  # noqa: BLE001  every fault of a request becomes an answer, here and nowhere else
            error_code, answer = find_row(error).code, self._refuse(req, error)
        # PERF: few requests come from another origin's page, and few buckets have rules for them
        if ORIGIN in req.headers or req.rules.cors:
            self.cross_origin.share(req, answer.headers)
        if req.rules.log_target is not None or error_code or req.touched:
            self.record(req, answer, error_code)
        req.end()
        answer.headers.append(("x-amz-id-2", self._host_id))
        start_response(STATUS_LINES[answer.status], answer.headers)
        return answer.body

    def record(self, req: S3Request, answer: Answer, error_code: str) -> None:
        """Have the access logs hear of the request that are to; ``error_code`` is empty for one that was answered."""
        if self._records is None:
            return
        if req.bucket_name and (req.bucket is None or req.rules is NO_RULES):
            self._find_rules(req)
        if (req.rules.log_target is not None and req.bucket is not None) or req.touched:
            self._records.begin(req, answer, error_code)

    def _find_rules(self, req: S3Request) -> None:
        """Look up the bucket of a request that was refused before anybody asked for it."""
        if req.operation is not None and req.operation.name == "CreateBucket":
            return  # it may be another account's
        try:
            req.bucket = self._buckets.find(req.bucket_name, epoch=req.epoch)
            req.rules = self._access.rules(req.bucket)
        except StoreError:
            return  # there is no such bucket, or no database to ask

    def _serve(self, req: S3Request) -> Answer:
        self._locator.locate(req)
        if req.method == PREFLIGHT and req.bucket_name:
            req.environ["nova.operation"] = "Preflight"
            self._find_rules(req)  # for the access log
            return self.cross_origin.preflight(req)
        bound = self._find(req)
        req.principal = self._identify(req, bound)
        if req.principal.account_id:
            req.environ["nova.account"] = req.principal.account_id
        return self._perform(req, bound)

    def perform_for_anyone(self, req: S3Request, name: str) -> Answer:
        """Do an operation for who did not sign, on the address that ``req`` has already; what goes wrong is raised."""
        bound = self.table.bound[name]
        req.operation = bound.operation
        return self._perform(req, bound)

    def _perform(self, req: S3Request, bound: Bound) -> Answer:
        self._open_bucket(req, bound)
        self._authoriser.authorise(req, bound.operation)
        if bound.handler is None:
            raise NotOffered(operation=bound.operation.name)
        if self._customer_keys_need_tls and req.environ["wsgi.url_scheme"] != "https":
            refuse_customer_keys_in_the_open(req.headers)
        do = self._do
        form = bound.operation.body
        if form is XML:
            req.body = req.body or read_document(req)  # a policy may have asked for it
            do = self._do_in_turn
        elif form is NONE:
            skip_body(req)
        answer = _as_answer(do(req, bound, bound.handler), bound.operation.status)
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
            if req.judged is None:
                raise
            # What was judged is gone since: what is there now is another's, maybe.
            self._authoriser.authorise(req, bound.operation)
            return handler(req)

    def _do_in_turn(self, req: S3Request, bound: Bound, handler: BoundHandler) -> object:
        with in_turn(req.body):
            return self._do(req, bound, handler)

    def _find(self, req: S3Request) -> Bound:
        bound = self.table.find(req.scope, req.method, req.query, req.headers)
        req.operation = bound.operation
        req.environ["nova.operation"] = bound.operation.name
        return bound

    def _identify(self, req: S3Request, bound: Bound) -> Principal:
        """Who asks: it stands in the request's head, or in a form's fields, which then say the rest too."""
        if bound.operation.body is not FORM:
            return self._authenticator.authenticate(req)
        req.form = open_form(req)
        req.key = req.form.key
        principal = self._authenticator.authenticate_form(req)
        req.headers = req.form.read_headers(req.headers)
        return principal

    def _open_bucket(self, req: S3Request, bound: Bound) -> None:
        if req.scope is SERVICE or bound.operation.name == "CreateBucket":
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
        row, message, facts = tell_error(error)
        document = render_error(
            row.code, message, facts, resource=req.resource, request_id=req.request_id,
            host_id=self._host_id,
        )  # fmt: skip
        return xml_answer(row.status, document, error_headers(error, row))

    def _log(self, req: S3Request, error: Exception, row: ErrorRow) -> None:
        operation = req.operation.name if req.operation else f"{req.method} {req.raw_path[:200]!r}"
        trace = None if isinstance(error, StorageFull) else error  # of a full disk one line for each refusal is enough
        LOG.error("%s failed: %s %s", operation, row.code, error, exc_info=trace)


def _as_answer(result: object, status: int) -> Answer:
    """An operation answers None, a document, or a whole answer."""
    if isinstance(result, Answer):
        return result
    if result is None:
        return empty_answer(status)
    assert isinstance(result, str), f"an operation answered {type(result)}"
    return xml_answer(status, result)
