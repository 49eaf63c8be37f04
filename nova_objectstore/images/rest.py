"""``/_images`` as nova's objectstore of 2010 had it: list, download, register, edit, remove.

    GET    /_images/                 JSON list of the images that the caller sees; ``?image_id=`` names one
    GET    /_images/<id>             the image's bytes; ranges and conditions
    PUT    /_images/                 ``?image_location=bucket/manifest[&image_id=]`` registers; answers the image
    POST   /_images/                 ``?image_id=&operation=add|remove`` makes it public or private;
                                     ``?image_id=&display_name=&description=`` edits, each when it is there
    DELETE /_images/?image_id=       (or /_images/<id>) removes it

Laws: requests are signed as S3's are, and arguments stand in the query, where a signature can cover them. A public image
is read by every account and changed by its owner and the administrator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from nova_objectstore import errors as fact
from nova_objectstore.errors import AccessDenied, InvalidArgument, StoreError
from nova_objectstore.images.download import Download
from nova_objectstore.images.errors import ImageNotAvailable
from nova_objectstore.images.limits import LISTED_MAX
from nova_objectstore.images.ports import Image
from nova_objectstore.images.registry import Images, Registration, check_image_id
from nova_objectstore.types import Principal
from nova_wsgi.request import Request
from nova_wsgi.response import Response, error_response
from nova_wsgi.routing import Controller, Router, route

Authenticate = Callable[[dict[str, Any]], Principal]
"""From a WSGI environ to who asks. Raises StoreErrors for a bad signature."""

_PRINCIPAL = "nova_objectstore.principal"
_RETRY_AFTER_S = "1"

_STATUSES: dict[type[BaseException], int] = {
    fact.AccessError: 403,
    fact.MissingError: 404,
    fact.ConflictError: 409,
    fact.PreconditionFailed: 412,
    fact.InvalidRange: 416,
    fact.RequestFault: 400,
    fact.StorageFull: 507,
    fact.EngineError: 503,
    fact.NotOffered: 501,
    ImageNotAvailable: 409,
}
_SENTENCES: dict[type[BaseException], str] = {  # where the facts of an error are not a sentence by themselves
    fact.SignatureDoesNotMatch: "The signature of the request is not that of the key.",
    fact.InvalidAccessKeyId: "The access key is nobody's.",
    fact.AccessDenied: "You may not do this.",
    fact.EngineError: "The storage does not answer at the moment. Try again.",
}


class ImagesRequest(Request):
    """A request whose caller is known."""

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.environ[_PRINCIPAL]  # type: ignore[no-any-return]

    def argument(self, name: str) -> str | None:
        """An argument of the query; None without it."""
        return self.GET.get(name)  # type: ignore[no-any-return]

    def require(self, name: str) -> str:
        """An argument that must be there. Raises InvalidArgument."""
        value = self.argument(name)
        if not value:
            raise InvalidArgument(f"The argument {name} is missing.", argument_name=name, argument_value="")
        return value

    def header_fields(self) -> dict[str, str]:
        """The headers by lower-case name."""
        return {name.lower(): value for name, value in self.headers.items()}


class ImagesController(Controller):
    """Images as a resource."""

    def __init__(self, images: Images, download: Download) -> None:
        self._images = images
        self._download = download

    @route("GET /_images")
    @route("GET /_images/")
    def list_images(self, req: ImagesRequest) -> Response:
        """All images that the caller sees, in the order of their ids, or the one named; an unknown id is an empty list."""
        image_id = req.argument("image_id")
        image_ids = (check_image_id(image_id),) if image_id else ()
        page = self._images.page(
            req.principal, image_ids=image_ids, after=req.argument("marker") or "", limit=LISTED_MAX
        )
        return Response.of_json([as_document(image) for image in page.images])

    @route("GET /_images/{image_id}")
    def download(self, req: ImagesRequest, image_id: str) -> Response:
        """The image's bytes."""
        image = self._images.find_available(req.principal, image_id)
        return self._download.response(image, req.header_fields())

    @route("PUT /_images")
    @route("PUT /_images/")
    def register(self, req: ImagesRequest) -> Response:
        """Register the bundle of a manifest; the job does the rest."""
        registration = Registration(
            location=req.require("image_location"),
            image_id=req.argument("image_id") or "",
            name=req.argument("display_name") or "",
            description=req.argument("description") or "",
        )
        return Response.of_json(as_document(self._images.register(req.principal, registration)))

    @route("POST /_images")
    @route("POST /_images/")
    def change(self, req: ImagesRequest) -> Response:
        """Make the image public or private, or edit what people read of it."""
        image_id = check_image_id(req.require("image_id"))
        operation = req.argument("operation")
        if operation is not None:
            if operation not in ("add", "remove"):
                raise InvalidArgument(
                    "The operation is add or remove.", argument_name="operation", argument_value=operation
                )
            image = self._images.set_public(req.principal, image_id, operation == "add")
        else:
            name, description = req.argument("display_name"), req.argument("description")
            if name is None and description is None:
                raise InvalidArgument(
                    "Give an operation, a display_name or a description.", argument_name="operation", argument_value=""
                )
            image = self._images.edit(req.principal, image_id, name=name, description=description)
        return Response.of_json(as_document(image))

    @route("DELETE /_images")
    @route("DELETE /_images/")
    def remove_named(self, req: ImagesRequest) -> None:
        """Remove the image that the query names."""
        self._images.deregister(req.principal, check_image_id(req.require("image_id")))

    @route("DELETE /_images/{image_id}")
    def remove(self, req: ImagesRequest, image_id: str) -> None:
        """Remove an image."""
        self._images.deregister(req.principal, image_id)


def as_document(image: Image) -> dict[str, Any]:
    """An image as JSON tells it. ``type`` is ``imageType`` once more, for the clients that had it so."""
    document: dict[str, Any] = {
        "imageId": image.image_id,
        "imageLocation": image.location,
        "imageOwnerId": image.owner_id,
        "isPublic": image.is_public,
        "architecture": image.architecture,
        "imageType": image.image_type.value,
        "type": image.image_type.value,
        "imageState": image.state.value,
        "kernelId": image.kernel_id or None,
        "ramdiskId": image.ramdisk_id or None,
        "displayName": image.name,
        "description": image.description,
        "imageSize": image.size,
        "creationDate": datetime.fromtimestamp(image.created_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if image.reason:
        document["stateReason"] = image.reason
    return document


class ImagesApp:
    """The WSGI application of ``/_images``; PATH_INFO holds the whole path."""

    def __init__(self, images: Images, download: Download, *, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._router = Router(ImagesController(images, download), request_class=ImagesRequest)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request (PEP 3333). What is no StoreError rises to the filters above."""
        try:
            principal = self._authenticate(environ)
            if not principal.account_id:
                raise AccessDenied("The request is not signed.")
            environ[_PRINCIPAL] = principal
            environ["nova.account"] = principal.account_id
            return self._router(environ, start_response)
        except StoreError as error:
            return _refuse(environ, error)(environ, start_response)


def _refuse(environ: dict[str, Any], error: StoreError) -> Response:
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 500)
    sentence = next((_SENTENCES[kind] for kind in type(error).__mro__ if kind in _SENTENCES), "")
    headers = [("Retry-After", _RETRY_AFTER_S)] if status == 503 else []
    if isinstance(error, fact.InvalidRange):
        headers.append(("Content-Range", f"bytes */{error.facts.get('actual_object_size', '*')}"))
    hint = error.message or sentence or f"{type(error).__name__}: {error}"
    return error_response(environ, status, hint, headers=headers)
