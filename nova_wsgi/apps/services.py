"""The services app, ``os-services``: administrators see every service, and enable, disable and delete them.

Mounted at ``/os-services``, with the filter ``extension`` above it:

    GET     /os-services?host=H&binary=B         all, or those of a host, or of a binary
    GET     /os-services/{id}
    PUT     /os-services/{id}                    {"status": "disabled", "disabled_reason": "..."} or {"status": "enabled"}
    PUT     /os-services/disable, /enable        {"host": "H", "binary": "B", "topic": "T", "disabled_reason": "..."}
    DELETE  /os-services/{id}                    of a service that is down

Answers are JSON, ``{"services": [{...}]}`` or ``{"service": {...}}``, or XML, where the members are attributes; bodies
may be either. What changes something needs the administrator's token (:mod:`nova_wsgi.admin_token`).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import defusedxml.ElementTree
from defusedxml import DefusedXmlException
from oslo_config import cfg

from nova_wsgi.admin_token import AdminToken
from nova_wsgi.apps.health import register_check, unregister_check
from nova_wsgi.errors import BadRequest, RequestError
from nova_wsgi.manager import Manager
from nova_wsgi.registry.database import RegistryLost
from nova_wsgi.registry.services import NoSuchService, ServiceEntry, ServiceIsUp, Services, open_services
from nova_wsgi.request import Request
from nova_wsgi.response import Response, preferred_type
from nova_wsgi.routing import Controller, NotFound, Router, route

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

JSON, XML = "application/json", "application/xml"
FILTERS = ("host", "binary")
ID_DIGITS_MAX = 18  # what is longer is no id, and does not fit into the database


class Conflict(RequestError):
    """The service is not in a state in which this can be done."""

    status = 409
    reason = "Conflict"


class RegistryUnavailable(RequestError):
    """The registry's database cannot be reached; not the client's fault, but answered like one."""

    status = 503
    reason = "Service Unavailable"
    headers = (("Retry-After", "5"),)


class ServicesController(Controller):
    """The services of a registry."""

    def __init__(self, services: Services, token: AdminToken) -> None:
        self._services = services
        self._token = token

    @route("GET /")
    def list(self, req: Request) -> Response:
        """Every service, or those that the query asks for."""
        unknown = [name for name in req.GET if name not in FILTERS]
        if unknown:
            raise BadRequest(f"services can be chosen by {' and '.join(FILTERS)}, not by {unknown[0]}")
        wanted = {name: req.GET[name] for name in FILTERS if name in req.GET}
        return _answer_all(req, _asked(self._services.list, **wanted))

    @route("GET /{service_id}")
    def show(self, req: Request, service_id: str) -> Response:
        """One service."""
        return _answer(req, _asked(self._services.get, _id(service_id)))

    @route("PUT /disable")
    def disable(self, req: Request) -> Response:
        """Disable the service that the body names, which may give a reason."""
        return self._change_named(req, "disabled")

    @route("PUT /disable-log-reason")
    def disable_with_reason(self, req: Request) -> Response:
        """The same by the name that nova's clients use when they give a reason."""
        return self._change_named(req, "disabled")

    @route("PUT /enable")
    def enable(self, req: Request) -> Response:
        """Enable the service that the body names."""
        return self._change_named(req, "enabled")

    @route("PUT /{service_id}")
    def update(self, req: Request, service_id: str) -> Response:
        """Enable or disable a service, as the body's ``status`` says."""
        self._token.check(req.environ)
        body = _read_body(req)
        return self._change(req, _id(service_id), _text(body, "status"), body)

    @route("DELETE /{service_id}")
    def delete(self, req: Request, service_id: str) -> None:
        """Forget a service that is down."""
        self._token.check(req.environ)
        _asked(self._services.delete, _id(service_id))

    def _change_named(self, req: Request, status: str) -> Response:
        self._token.check(req.environ)
        body = _read_body(req)
        topic = _text(body, "topic") or None
        entry = _asked(self._services.find, _text(body, "host"), _text(body, "binary"), topic=topic)
        return self._change(req, entry.id, status, body)

    def _change(self, req: Request, service_id: int, status: str, body: dict[str, Any]) -> Response:
        if status == "disabled":
            return _answer(req, _asked(self._services.disable, service_id, _text(body, "disabled_reason")))
        if status == "enabled":
            return _answer(req, _asked(self._services.enable, service_id))
        raise BadRequest("status is enabled or disabled")


class ServicesApp(Manager):
    """Serves ``os-services`` from the registry of the options; readiness depends on the registry."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._services = open_services(conf)
        self._token = AdminToken.of(conf)
        self._router = Router(ServicesController(self._services, self._token))

    def init_host(self) -> None:
        """Make the token, if there is to be one. Raises ConfigError when its file cannot be used."""
        self._token.prepare()
        register_check("services registry", self._check)

    def cleanup_host(self) -> None:
        """Let go of the registry."""
        unregister_check("services registry", self._check)
        self._services.close()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self._router(environ, start_response)

    def _check(self) -> str | None:
        try:
            self._services.list()
        except RegistryLost:
            return "its database cannot be reached"
        return None


def _asked(verb: Any, *args: Any, **keys: Any) -> Any:
    """Call one of the registry's verbs; its facts in the words of HTTP."""
    try:
        return verb(*args, **keys)
    except NoSuchService as error:
        raise NotFound(str(error)) from None
    except ServiceIsUp as error:
        raise Conflict(str(error)) from None
    except RegistryLost:
        raise RegistryUnavailable("the services registry cannot be reached") from None


# -- what a request says ----------------------------------------------------------------------------------------------


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS_MAX):
        raise NotFound(f"no service has the id {text[:40]}")
    return int(text)


def _read_body(req: Request) -> dict[str, Any]:
    """The members of a JSON object, or the attributes of an XML element, perhaps inside ``service``."""
    if req.content_type in (XML, "text/xml"):
        try:
            return dict(defusedxml.ElementTree.fromstring(req.body).attrib)
        except (
            ElementTree.ParseError,
            DefusedXmlException,
            LookupError,
            ValueError,
        ) as error:  # an encoding expat lacks, too
            raise BadRequest("the body is not valid XML") from error
    body = req.json_body
    body = body.get("service", body) if isinstance(body, dict) else body
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{name} is a text")
    return value


# -- what is answered -------------------------------------------------------------------------------------------------


def _members(entry: ServiceEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "host": entry.host,
        "binary": entry.binary,
        "topic": entry.topic,
        "version": entry.version,
        "state": entry.state,
        "status": "enabled" if entry.enabled else "disabled",
        "disabled_reason": entry.disabled_reason,
        "disabled_at": _iso_time(entry.disabled_us),
        "started_at": _iso_time(entry.started_us),
        "last_seen_at": _iso_time(entry.last_seen_us),
        "processes": entry.processes,
        "in_flight": entry.in_flight,
    }


def _iso_time(time_us: int | None) -> str | None:
    if time_us is None:
        return None
    moment = datetime.datetime.fromtimestamp(time_us / 1_000_000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _answer(req: Request, entry: ServiceEntry) -> Response:
    if _form(req) == JSON:
        return Response.of_json({"service": _members(entry)}, headers=[("Vary", "Accept")])
    return _as_xml(_element(entry))


def _answer_all(req: Request, entries: Iterable[ServiceEntry]) -> Response:
    if _form(req) == JSON:
        return Response.of_json({"services": [_members(entry) for entry in entries]}, headers=[("Vary", "Accept")])
    root = ElementTree.Element("services")
    root.extend(_element(entry) for entry in entries)
    return _as_xml(root)


def _form(req: Request) -> str:
    return preferred_type(req.environ.get("HTTP_ACCEPT", ""), (JSON, XML))


def _element(entry: ServiceEntry) -> ElementTree.Element:
    """``<service id="1" host="alpha" .../>``; what is null in JSON is left out."""
    members = {name: str(value) for name, value in _members(entry).items() if value is not None}
    return ElementTree.Element("service", members)


def _as_xml(root: ElementTree.Element) -> Response:
    document = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(document, headers=[("Vary", "Accept")], content_type=XML)
