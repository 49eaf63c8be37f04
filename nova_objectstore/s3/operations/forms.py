"""Objects from browsers' forms: PostObject (AWS: "POST Object")."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from nova_objectstore.domain.notifications import POST
from nova_objectstore.domain.objects import Objects
from nova_objectstore.s3.announcements import announcement
from nova_objectstore.s3.answer import Answer, Headers, empty_answer, xml_answer
from nova_objectstore.s3.conditions import write_condition
from nova_objectstore.s3.encryption_headers import written_headers
from nova_objectstore.s3.lifecycle_headers import expiration_headers
from nova_objectstore.s3.object_headers import checksum_headers, read_spec, version_headers
from nova_objectstore.s3.operation import FORM, Controller, operation
from nova_objectstore.s3.render import URL_SAFE
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import element
from nova_objectstore.types import Version, Versioning

NO_CONTENT, SEE_OTHER = 204, 303
STATUSES = {"200": 200, "201": 201, "204": NO_CONTENT}

# What of a redirect's address stays as it is: all that may stand in a URL (RFC 3986), and escapes.
_URL_CHARACTERS = "/!$&'()*+,;=:@%?#[]-._~"


class FormController(Controller):
    """Uploads from pages."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    @operation("PostObject", "POST /{bucket}", action="s3:PutObject", body=FORM, status=NO_CONTENT)
    def post_object(self, req: S3Request) -> Answer:
        """Store the form's file as the key's current object, and answer as the form wants it."""
        spec = read_spec(req)
        body = req.form.open_file(req.headers)
        condition = write_condition(req.headers)
        version = self._objects.put(req.bucket, spec, body, condition, announce=announcement(req, POST))
        headers = [("ETag", f'"{version.etag}"'), *checksum_headers(version.checksum)]
        if version.extra:
            headers.extend(written_headers(version.extra, req.headers))
        if req.rules.lifecycle is not None:
            headers.extend(expiration_headers(req.rules.lifecycle, version))
        shown = req.bucket.versioning is Versioning.ENABLED
        return _answer(req, version, headers + version_headers(version, shown=shown))


def _answer(req: S3Request, version: Version, headers: Headers) -> Answer:
    fields = req.form.fields
    redirect = _read_redirect(fields.get("success_action_redirect") or fields.get("redirect", ""))
    if redirect:
        told = urlencode({"bucket": req.bucket_name, "key": req.key, "etag": f'"{version.etag}"'}, quote_via=quote)
        location = f"{redirect}{'&' if urlsplit(redirect).query else '?'}{told}"
        return empty_answer(SEE_OTHER, [("Location", location), *headers])
    location = _locate(req)
    headers.append(("Location", location))
    status = STATUSES.get(fields.get("success_action_status", ""), NO_CONTENT)
    if status == 201:
        return xml_answer(status, render_posted(location, req.bucket_name, version), headers)
    return empty_answer(status, headers)


def _read_redirect(text: str) -> str:
    """The address to send the browser to; empty where it is none, which counts as not said (AWS)."""
    try:
        parts = urlsplit(text.strip())
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return ""
    if not is_address or any(ord(character) < 32 for character in text.strip()):
        return ""
    return quote(text.strip().partition("#")[0], safe=_URL_CHARACTERS)


def _locate(req: S3Request) -> str:
    """The URL of what was stored."""
    host = f"{req.environ.get('wsgi.url_scheme', 'http')}://{req.header('host')}"
    key = quote(req.key, safe=URL_SAFE)
    return f"{host}/{key}" if req.is_virtual else f"{host}/{quote(req.bucket_name, safe=URL_SAFE)}/{key}"


def render_posted(location: str, bucket: str, version: Version) -> str:
    """PostResponse; it carries no namespace."""
    rows = (("Location", location), ("Bucket", bucket), ("Key", version.key), ("ETag", f'"{version.etag}"'))
    told = "".join(element(name, value) for name, value in rows)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{told}</PostResponse>'
