"""A website as a WSGI application: over the S3 pipeline, whose GetObject and HeadObject it asks as nobody would.

A path becomes a page in this order (AWS: "Hosting a static website using Amazon S3"): the redirect of all requests; a
routing rule that asks for no error; the object or the index document; the path with a slash more, where there is an index
document below it; a routing rule for the error; the error document, under the error's status; a page of our own.

Laws:

- Nobody in particular asks, whatever a request carries: no signature counts here, nor any x-amz- header, nor a query.
- What is missing is told to be missing; what is there and not public is denied (AWS: "Setting permissions for website
  access"). A path is a key of the website's bucket and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.website import (
    MOVED,
    RoutingRule,
    Website,
    locate_all,
    locate_directory,
    locate_rule,
)
from nova_objectstore.errors import AccessDenied, MissingError, NoSuchBucket, NoSuchKey
from nova_objectstore.s3.address import check_key, decode_path
from nova_objectstore.s3.answer import STATUS_LINES, Answer, empty_answer
from nova_objectstore.s3.app import S3App, StartResponse
from nova_objectstore.s3.cors import ORIGIN, PREFLIGHT
from nova_objectstore.s3.errors import error_headers, find_row, tell_error
from nova_objectstore.s3.faults import MethodNotAllowed, NoSuchWebsiteConfiguration
from nova_objectstore.s3.operation import Scope
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.website.hosts import WebsiteHosts
from nova_objectstore.s3.website.pages import Fault, render_page

LOG = logging.getLogger(__name__)

REDIRECT = "x-amz-website-redirect-location"
FOUND = 302
OPERATIONS = {"GET": "GetObject", "HEAD": "HeadObject"}

_UNHEARD = frozenset(("authorization", "content-md5"))
# What makes an answer depend on what the browser has already; an error document is sent whole.
_CONDITIONAL = frozenset(("range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"))


class WebsiteApp:
    """Serves the websites of all buckets."""

    def __init__(
        self, front: S3App, hosts: WebsiteHosts, *, buckets: Buckets, access: Access, host_id: str = ""
    ) -> None:
        self._front = front
        self._hosts = hosts
        self._buckets = buckets
        self._access = access
        self._host_id = host_id

    def serves(self, host: str) -> bool:
        """Whether a Host header names a website, rather than S3."""
        return self._hosts.bucket_of(host) is not None

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        req = S3Request(environ)
        req.headers = _heard(req.headers)
        error_code = ""  # as in the front: an error in a name of this frame would be a cycle
        try:
            answer = self._serve(req)
        except Exception as error:  # noqa: BLE001  every fault of a request becomes a page, here and nowhere else
            error_code, answer = find_row(error).code, self._refuse(req, error)
        if ORIGIN in req.headers or req.rules.cors:
            self._front.cross_origin.share(req, answer.headers)
        if req.rules.log_target is not None:
            self._front.record(req, answer, error_code)
        req.end()
        answer.headers.append(("x-amz-id-2", self._host_id))
        start_response(STATUS_LINES[answer.status], answer.headers)
        return answer.body

    def _serve(self, req: S3Request) -> Answer:
        req.environ["nova.operation"] = f"Website{OPERATIONS.get(req.method, '')}"
        req.bucket_name = self._hosts.bucket_of(req.header("host")) or ""
        req.is_virtual = True
        req.scope = Scope.OBJECT
        if req.method == PREFLIGHT:
            return self._front.cross_origin.preflight(req)
        if req.method not in OPERATIONS:
            raise WebsiteMethodNotAllowed(method=req.method, resource_type="OBJECT")
        if not req.bucket_name:
            raise NoSuchBucket
        req.rules = self._access.rules(self._buckets.find(req.bucket_name))
        website = req.rules.website
        if website is None:
            raise NoSuchWebsiteConfiguration(bucket_name=req.bucket_name)
        if website.redirect_all is not None:
            location = locate_all(website.redirect_all, req.raw_path, req.query_string, scheme=_scheme(req))
            return _redirect(MOVED, location)
        path = decode_path(req.raw_path[1:])
        check_key(path)
        rule = website.rule_before(path)
        return self._follow(req, rule, path) if rule is not None else self._find(req, website, path)

    def _find(self, req: S3Request, website: Website, path: str) -> Answer:
        try:
            return _obey(self._read(req, website.page_of(path)))
        except Exception as error:  # whatever a page raises may have an answer of the website's own
            status = find_row(error).status
            if status == 304:
                raise
            below = website.index_below(path)
            if isinstance(error, MissingError) and below is not None and self._is_there(req, below):
                return _redirect(FOUND, locate_directory(path))
            rule = website.rule_after(path, status)
            if rule is not None:
                return self._follow(req, rule, path)
            if website.error_key and 400 <= status < 500:
                return self._read_error_document(req, website.error_key, error)
            raise

    def _read_error_document(self, req: S3Request, key: str, error: Exception) -> Answer:
        """The website's own document under the error's status; where that fails, a page that tells both."""
        asked = _without_conditions(req)
        try:
            answer = self._read(asked, key)
        except Exception as second:  # noqa: BLE001  whatever it is, the visitor is told of the first error
            return self._refuse(req, error, second)
        finally:
            asked.end()
        return answer._replace(status=find_row(error).status)

    def _follow(self, req: S3Request, rule: RoutingRule, path: str) -> Answer:
        location = locate_rule(rule, path, scheme=_scheme(req), host=req.header("host"))
        return _redirect(rule.redirect.code or MOVED, location)

    # -- objects -------------------------------------------------------------------------------------------------------

    def _read(self, req: S3Request, key: str) -> Answer:
        """The object as anybody may read it. Raises NoSuchKey where there is none, AccessDenied, NotModified, ..."""
        req.key = key
        try:
            return self._front.perform_for_anyone(req, OPERATIONS[req.method])
        except AccessDenied:
            raise (req.context.missing() or AccessDenied()) from None

    def _is_there(self, req: S3Request, key: str) -> bool:
        """Whether anybody may read an object of that key."""
        asked = _without_conditions(req)
        asked.method = "HEAD"
        try:
            self._read(asked, key)
        except Exception:  # noqa: BLE001  an index document that cannot be read is no place to send a visitor to
            return False
        finally:
            asked.end()
        return True

    # -- when it goes wrong ------------------------------------------------------------------------------------------

    def _refuse(self, req: S3Request, error: Exception, document_error: Exception | None = None) -> Answer:
        row, message, facts = tell_error(error)
        if row.status == 304:
            return empty_answer(304, getattr(error, "headers", ()))
        if row.status >= 500:
            LOG.error("the website %s failed: %s %s", req.bucket_name, row.code, error, exc_info=error)
        page = render_page(
            row.status,
            Fault(row.code, message, _shown(error, facts)),
            request_id=req.request_id,
            host_id=self._host_id,
            document_fault=_document_fault(document_error),
        )
        page.headers.extend(error_headers(error, row))
        return page


class WebsiteMethodNotAllowed(MethodNotAllowed):
    """A website is read and nothing else."""

    headers = (("Allow", "GET, HEAD, OPTIONS"),)


def _document_fault(error: Exception | None) -> Fault | None:
    if error is None:
        return None
    row, message, facts = tell_error(error)
    return Fault(row.code, message, _shown(error, facts))


def _shown(error: Exception, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts for the public: of a key that is not there, its name; not that a marker hides it."""
    return {"Key": facts["Key"]} if isinstance(error, NoSuchKey) and "Key" in facts else facts


def _heard(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not (name in _UNHEARD or name.startswith("x-amz-"))}


def _without_conditions(req: S3Request) -> S3Request:
    """The same visitor's request of another object, the whole of it."""
    other = S3Request(req.environ)
    other.headers = {name: value for name, value in req.headers.items() if name not in _CONDITIONAL}
    other.method = req.method
    other.bucket_name, other.is_virtual, other.scope = req.bucket_name, True, Scope.OBJECT
    return other


def _obey(answer: Answer) -> Answer:
    """An object that says where it went is a redirect; its bytes are not sent."""
    location = next((value for name, value in answer.headers if name == REDIRECT), None)
    if location is None:
        return answer
    close = getattr(answer.body, "close", None)
    if close is not None:
        close()
    return _redirect(MOVED, location)


def _redirect(status: int, location: str) -> Answer:
    return empty_answer(status, [("Location", location)])


def _scheme(req: S3Request) -> str:
    return str(req.environ.get("wsgi.url_scheme", "http"))
