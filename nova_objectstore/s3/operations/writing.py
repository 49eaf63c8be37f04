"""Objects on their way in, and away: PutObject, DeleteObject, DeleteObjects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.notifications import DELETE, PUT
from nova_objectstore.domain.objects import Delete, Objects
from nova_objectstore.errors import InvalidArgument, MalformedXML, StoreError
from nova_objectstore.limits import DELETE_ELEMENTS_MAX, DELETE_KEYS_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.access_records import Touched, touch
from nova_objectstore.s3.address import check_key
from nova_objectstore.s3.announcements import announcement
from nova_objectstore.s3.answer import Answer, empty_answer
from nova_objectstore.s3.body import open_body
from nova_objectstore.s3.conditions import delete_condition, object_condition, write_condition
from nova_objectstore.s3.encryption_headers import written_headers
from nova_objectstore.s3.errors import find_row
from nova_objectstore.s3.faults import MissingDigest
from nova_objectstore.s3.lifecycle_headers import expiration_headers
from nova_objectstore.s3.lock_headers import bypasses_governance
from nova_objectstore.s3.object_headers import checksum_headers, read_spec, version_headers
from nova_objectstore.s3.operation import STREAM, XML, Controller, operation
from nova_objectstore.s3.operations.locks import may_bypass
from nova_objectstore.s3.render import render_deleted
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import VERSIONED, Deleted
from nova_wsgi import green

DELETE_ACTIONS = {False: "s3:DeleteObject", True: "s3:DeleteObjectVersion"}
READ_ACTIONS = {False: "s3:GetObject", True: "s3:GetObjectVersion"}


class WritingController(Controller):
    """Writes and deletes of objects."""

    def __init__(self, objects: Objects, access: Access) -> None:
        self._objects = objects
        self._access = access

    @operation("PutObject", "PUT /{bucket}/{key}", action="s3:PutObject", body=STREAM)
    def put_object(self, req: S3Request) -> Answer:
        """Store the body as the key's current object; the answer comes when it is durable."""
        spec = read_spec(req)
        condition = write_condition(req.headers)
        version = self._objects.put(req.bucket, spec, open_body(req), condition, announce=announcement(req, PUT))
        headers = [("ETag", f'"{version.etag}"'), *checksum_headers(version.checksum)]
        if version.extra:
            headers.extend(written_headers(version.extra, req.headers))
        if req.rules.lifecycle is not None:
            headers.extend(expiration_headers(req.rules.lifecycle, version))
        shown = req.bucket.versioning is VERSIONED
        return empty_answer(200, headers + version_headers(version, shown=shown))

    @operation(
        "DeleteObject",
        "DELETE /{bucket}/{key}",
        action="s3:DeleteObject",
        version_action="s3:DeleteObjectVersion",
        status=204,
    )
    def delete_object(self, req: S3Request) -> Answer:
        """Remove the object, or hide it under a delete marker; what is not there is no error."""
        delete = Delete(req.key, req.version_id, delete_condition(req.headers))
        deleted = self._objects.delete(
            req.bucket,
            delete,
            owner_id=req.bucket.owner_id,
            bypass_governance=may_bypass(req, self._access),
            announce=announcement(req, DELETE),
        )
        headers = []
        if deleted.is_marker:
            headers.append(("x-amz-delete-marker", "true"))
        if deleted.version_id is not None:
            headers.append(("x-amz-version-id", deleted.version_id))
        return empty_answer(204, headers)

    @operation("DeleteObjects", "POST /{bucket}?delete", action="", body=XML)
    def delete_objects(self, req: S3Request) -> str:
        """Delete up to 1,000 keys, each authorised and decided on its own."""
        if not ("content-md5" in req.headers or any(name.startswith("x-amz-checksum-") for name in req.headers)):
            raise MissingDigest
        deletes, quiet = _read_deletes(req.body)
        outcomes = self._delete_allowed(req, deletes)
        if req.rules.log_target is not None:
            touch(req, *(_touched(req, *row) for row in zip(deletes, outcomes, strict=True)))
        done = [
            (delete.key, delete.version_id, outcome.version_id, outcome.is_marker)
            for delete, outcome in zip(deletes, outcomes, strict=True)
            if isinstance(outcome, Deleted) and not quiet
        ]
        failed = [
            (delete.key, delete.version_id, find_row(outcome).code, getattr(outcome, "message", "") or find_row(outcome).message)
            for delete, outcome in zip(deletes, outcomes, strict=True)
            if isinstance(outcome, Exception)
        ]  # fmt: skip
        return render_deleted(done, failed)

    def _delete_allowed(self, req: S3Request, deletes: Sequence[Delete]) -> Sequence[Deleted | Exception]:
        """Delete those the caller may delete; the others' outcome is the refusal."""
        outcomes: list[Deleted | Exception | None] = []
        turn = green.Turn()  # policies of the largest size take milliseconds for each key
        for delete in deletes:
            outcomes.append(self._refusal(req, delete))
            turn.pause()
        allowed = [delete for delete, refusal in zip(deletes, outcomes, strict=True) if refusal is None]
        done = iter(
            self._objects.delete_many(
                req.bucket,
                allowed,
                owner_id=req.bucket.owner_id,
                bypass_governance=bypasses_governance(req.headers),
                announce=announcement(req, DELETE),
            )
        )
        return [next(done) if outcome is None else outcome for outcome in outcomes]

    def _refusal(self, req: S3Request, delete: Delete) -> Exception | None:
        try:
            check_key(delete.key)
            told = {"s3:if-match": delete.condition.if_match} if delete.condition.if_match else None
            context = req.context.beside(
                req.bucket, delete.key, delete.version_id, operation="DeleteObjects", told=told
            )
            for action in _delete_actions(delete, bypassing=bypasses_governance(req.headers)):
                self._access.check(req.principal, action, req.bucket, delete.key, context=context)
        except StoreError as error:
            return error.with_traceback(None)  # told, not traced: its frames hold the outcomes
        return None


def _touched(req: S3Request, delete: Delete, outcome: Deleted | Exception) -> Touched:
    """What the access log is to say of one key."""
    assert req.rules.log_target is not None
    status, code = 204, ""
    if isinstance(outcome, Exception):
        row = find_row(outcome)
        status, code = row.status, row.code
    version_id = delete.version_id or (outcome.version_id if isinstance(outcome, Deleted) else None)
    return Touched(
        "BATCH.DELETE.OBJECT", req.bucket, req.rules.log_target, delete.key, status, code, version_id=version_id
    )


def _delete_actions(delete: Delete, *, bypassing: bool) -> Iterator[str]:
    """What a delete needs: to be told whether an ETag is the object's is to read it."""
    named = delete.version_id is not None
    yield DELETE_ACTIONS[named]
    if delete.condition.if_match not in (None, "*"):
        yield READ_ACTIONS[named]
    if bypassing:
        yield "s3:BypassGovernanceRetention"


def _read_deletes(body: bytes) -> tuple[Sequence[Delete], bool]:
    """The document of DeleteObjects, and whether to answer only errors. Raises MalformedXML, InvalidArgument."""
    root = xml.parse(body, "Delete", elements_max=DELETE_ELEMENTS_MAX)
    if not 1 <= len(xml.children(root, "Object")) <= DELETE_KEYS_MAX:
        raise MalformedXML()
    deletes = [
        Delete(
            xml.text(entry, "Key"),
            xml.optional_text(entry, "VersionId"),
            object_condition(
                xml.optional_text(entry, "ETag"),
                xml.optional_text(entry, "Size"),
                xml.optional_text(entry, "LastModifiedTime"),
            ),
        )
        for entry in xml.children(root, "Object")
    ]
    if any(not delete.key for delete in deletes):
        raise InvalidArgument("A key must not be empty", argument_name="Key", argument_value="")
    return deletes, xml.boolean(root, "Quiet", default=False)
