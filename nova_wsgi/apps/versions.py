"""The versions app: which versions of an API there are, their standing, and where they are mounted.

    [app:versions]
    paste.app_factory = nova_wsgi.apps.versions:Versions.factory
    versions =
        v1.0 deprecated /v1.0
        v2.0 current /v2.0

It answers GET of where it is mounted, in JSON or XML as the client prefers; an extension (``/versions.xml``,
``/.json``) overrules what the client says it prefers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from oslo_config import cfg

from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager
from nova_wsgi.response import Response, error_response, preferred_type

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

STANDINGS = ("current", "supported", "deprecated", "experimental")
TYPES = {"json": "application/json", "xml": "application/xml"}


class Version(NamedTuple):
    """A version's name, one of STANDINGS, and the path it is mounted at."""

    name: str
    standing: str
    path: str


class Versions(Manager):
    """Answers the versions document."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str, versions: str) -> None:
        super().__init__(conf=conf, host=host)
        self.versions = [_parse(line) for line in versions.splitlines() if line.strip()]

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer GET and HEAD of the mount point, with or without an extension."""
        return self._answer(environ)(environ, start_response)

    def _answer(self, environ: dict[str, Any]) -> Response:
        name, dot, extension = environ["PATH_INFO"].lstrip("/").partition(".")
        if name not in ("", "versions") or (dot and extension not in TYPES):
            return error_response(environ, 404, "nothing is found at this path")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return error_response(environ, 405, headers=[("Allow", "GET, HEAD")])
        environ["nova.operation"] = "Versions"
        content_type = TYPES.get(extension) or preferred_type(environ.get("HTTP_ACCEPT", ""), tuple(TYPES.values()))
        base = f"{environ['wsgi.url_scheme']}://{_host(environ)}"
        body = _as_json(self.versions, base) if content_type == TYPES["json"] else _as_xml(self.versions, base)
        body.headers.append(("Vary", "Accept"))
        return body


def _parse(line: str) -> Version:
    words = line.split()
    if len(words) != 3 or words[1] not in STANDINGS or not words[2].startswith("/"):
        raise ConfigError(f"versions: {line.strip()!r} is not: name, one of {', '.join(STANDINGS)}, /path")
    return Version(*words)


def _host(environ: dict[str, Any]) -> str:
    return environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"


def _as_json(versions: Iterable[Version], base: str) -> Response:
    """``{"versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": "http://..."}]}]}``."""
    entries = [
        {
            "id": version.name,
            "status": version.standing.upper(),
            "links": [{"rel": "self", "href": base + version.path}],
        }
        for version in versions
    ]
    return Response.of_json({"versions": entries})


def _as_xml(versions: Iterable[Version], base: str) -> Response:
    """``<versions><version id="v2.0" status="CURRENT"><link rel="self" href="http://..."/></version></versions>``."""
    root = ElementTree.Element("versions")
    for version in versions:
        element = ElementTree.SubElement(root, "version", id=version.name, status=version.standing.upper())
        ElementTree.SubElement(element, "link", rel="self", href=base + version.path)
    document = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(document, content_type="application/xml")
