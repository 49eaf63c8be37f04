"""Multipart uploads: begun, fed, listed, completed, aborted."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.checksums import ALGORITHMS
from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.notifications import COMPLETE
from nova_objectstore.domain.uploads import ChosenPart, Claim, Uploads, upload_checksum
from nova_objectstore.errors import InvalidArgument, InvalidRequest, MalformedXML, NoSuchUpload
from nova_objectstore.limits import COPY_SIZE_MAX, LIST_KEYS_MAX, PART_NUMBER_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.announcements import announcement
from nova_objectstore.s3.answer import Answer, empty_answer, xml_answer
from nova_objectstore.s3.authorise import owner_of
from nova_objectstore.s3.body import open_body, read_document
from nova_objectstore.s3.checksums import VALUE_HEADERS, read_upload_checksum
from nova_objectstore.s3.conditions import write_condition
from nova_objectstore.s3.encryption_headers import encryption_headers, read_customer_key, written_headers
from nova_objectstore.s3.large_documents import in_turn
from nova_objectstore.s3.lifecycle_headers import abort_headers, expiration_headers
from nova_objectstore.s3.object_headers import checksum_headers, read_spec, version_headers
from nova_objectstore.s3.operation import STREAM, Controller, operation
from nova_objectstore.s3.operations.copying import CopySources
from nova_objectstore.s3.operations.listings import owner_elements, read_encoding
from nova_objectstore.s3.ranges import parse_copy_range
from nova_objectstore.s3.render import (
    owner_element,
    render_completed,
    render_copy,
    render_parts,
    render_upload_begun,
    render_uploads,
)
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import element
from nova_objectstore.types import Upload, UploadsQuery, Versioning
from nova_wsgi import green


class UploadController(Controller):
    """Uploads in parts."""

    def __init__(self, uploads: Uploads, identities: Identities, sources: CopySources) -> None:
        self._uploads = uploads
        self._identities = identities
        self._sources = sources

    @operation("CreateMultipartUpload", "POST /{bucket}/{key}?uploads", action="s3:PutObject")
    def create_multipart_upload(self, req: S3Request) -> Answer:
        """Begin an upload; what the object will be is said here, once."""
        algorithm, kind = read_upload_checksum(req.headers)
        upload = self._uploads.begin(
            req.bucket,
            read_spec(req),
            initiator=req.principal.arn,
            checksum_algorithm=algorithm,
            checksum_type=kind,
        )
        headers = []
        if algorithm:
            headers = [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)]
        headers += written_headers(upload.extra, req.headers)
        if req.rules.lifecycle is not None:
            headers += abort_headers(req.rules.lifecycle, upload)
        return xml_answer(200, render_upload_begun(req.bucket_name, upload), headers)

    @operation("UploadPart", "PUT /{bucket}/{key}?partNumber&uploadId", action="s3:PutObject", body=STREAM)
    def upload_part(self, req: S3Request) -> Answer:
        """Store the body as a part; the answer comes when it is durable."""
        number = _part_number(req)
        upload = self._upload(req)
        body = open_body(req, algorithm=upload_checksum(upload)[0])
        part = self._uploads.put_part(upload, number, body, customer=read_customer_key(req.headers))
        headers = [header for header in checksum_headers(part.checksum) if header[0] != "x-amz-checksum-type"]
        headers += encryption_headers(upload.extra, req.headers)
        return empty_answer(200, [("ETag", f'"{part.etag}"'), *headers])

    @operation(
        "UploadPartCopy",
        "PUT /{bucket}/{key}?partNumber&uploadId",
        action="s3:PutObject",
        header="x-amz-copy-source",
    )
    def upload_part_copy(self, req: S3Request) -> Answer:
        """Store an object, or a range of it, as a part."""
        number = _part_number(req)
        upload = self._upload(req)
        bucket, source, source_customer = self._sources.open(req)
        first, last = 0, source.size - 1
        if "x-amz-copy-source-range" in req.headers:
            first, last = parse_copy_range(req.header("x-amz-copy-source-range"), source.size)
        if last - first + 1 > COPY_SIZE_MAX:
            raise InvalidRequest(
                f"The specified copy source is larger than the maximum allowable size for a copy source: {COPY_SIZE_MAX}"
            )
        part = self._uploads.copy_part(
            upload,
            number,
            source,
            first,
            last,
            customer=read_customer_key(req.headers),
            source_customer=source_customer,
        )
        headers = encryption_headers(upload.extra, req.headers)
        if bucket.versioning is not Versioning.OFF:
            headers.append(("x-amz-copy-source-version-id", source.version_id))
        return xml_answer(200, render_copy("CopyPartResult", part.etag, part.modified_us, part.checksum), headers)

    def _read_parts(self, req: S3Request) -> Sequence[ChosenPart]:
        document = read_document(req, claimed=False)
        with in_turn(document):
            return _read_parts(document)

    @operation("CompleteMultipartUpload", "POST /{bucket}/{key}?uploadId", action="s3:PutObject", body=STREAM)
    def complete_multipart_upload(self, req: S3Request) -> Answer:
        """Make the listed parts the key's current object."""
        version = self._uploads.complete(
            req.bucket,
            req.key,
            req.query["uploadId"],
            self._read_parts(req),
            claim=_read_claim(req),
            condition=write_condition(req.headers),
            customer=read_customer_key(req.headers),
            announce=announcement(req, COMPLETE),
        )
        location = f"{req.environ.get('wsgi.url_scheme', 'http')}://{req.header('host')}{req.raw_path}"
        headers = version_headers(version, shown=req.bucket.versioning is Versioning.ENABLED)
        headers += encryption_headers(version.extra, req.headers)
        if req.rules.lifecycle is not None:
            headers += expiration_headers(req.rules.lifecycle, version)
        return xml_answer(200, render_completed(location, req.bucket_name, version), headers)

    @operation("AbortMultipartUpload", "DELETE /{bucket}/{key}?uploadId", action="s3:AbortMultipartUpload", status=204)
    def abort_multipart_upload(self, req: S3Request) -> None:
        """Give the upload and its parts up."""
        self._uploads.abort(req.bucket, req.key, req.query["uploadId"])

    @operation("ListParts", "GET /{bucket}/{key}?uploadId", action="s3:ListMultipartUploadParts")
    def list_parts(self, req: S3Request) -> Answer:
        """Answer the upload's parts by number, a page at a time."""
        after = req.query_int("part-number-marker", 0, low=0, high=PART_NUMBER_MAX)
        limit = req.query_int("max-parts", LIST_KEYS_MAX, low=0, high=LIST_KEYS_MAX)
        upload = self._upload(req)
        parts = self._uploads.list_parts(upload, after=after, limit=limit + 1)
        document = render_parts(
            req.bucket_name,
            upload,
            parts[:limit],
            owner=self._identities.owner(owner_of(req.rules, req.bucket, upload.owner_id)),
            initiator=self._initiator(upload.initiator),
            checksum=upload_checksum(upload),
            after=after,
            limit=limit,
            truncated=len(parts) > limit,
        )
        rules = req.rules.lifecycle
        return xml_answer(200, document, abort_headers(rules, upload) if rules is not None else ())

    @operation("ListMultipartUploads", "GET /{bucket}?uploads", action="s3:ListBucketMultipartUploads")
    def list_multipart_uploads(self, req: S3Request) -> str:
        """Answer the bucket's uploads in progress by key, a page at a time."""
        encoding, encode = read_encoding(req)
        key_after = req.query.get("key-marker", "")
        query = UploadsQuery(
            prefix=req.query.get("prefix", ""),
            delimiter=req.query.get("delimiter", ""),
            key_after=key_after,
            upload_id_after=req.query.get("upload-id-marker", "") if key_after else "",
            limit=req.query_int("max-uploads", LIST_KEYS_MAX, low=0, high=LIST_KEYS_MAX),
        )
        page = self._uploads.list(req.bucket, query)
        return render_uploads(
            req.bucket_name,
            query,
            page,
            encode=encode,
            encoding=encoding,
            owner=owner_elements(self._identities, req),
            initiator=self._initiator,
        )

    def _initiator(self, arn: str) -> str:
        """Who began an upload: an account as it owns things, anybody else by ARN and name (AWS: ListParts, Initiator)."""
        if not arn or arn.endswith(":root"):
            return owner_element("Initiator", self._identities.owner(arn.split(":")[4] if arn else ""))
        return f"<Initiator>{element('ID', arn)}{element('DisplayName', arn.rpartition('/')[2])}</Initiator>"

    def _upload(self, req: S3Request) -> Upload:
        upload_id = req.query["uploadId"]
        if not upload_id:
            raise NoSuchUpload(upload_id=upload_id)
        return self._uploads.get(req.bucket, req.key, upload_id)


def _part_number(req: S3Request) -> int:
    text = req.query["partNumber"]
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= PART_NUMBER_MAX):
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive",
            argument_name="partNumber",
            argument_value=text,
        )
    return int(text)


def _read_parts(body: bytes) -> Sequence[ChosenPart]:
    """The parts of a CompleteMultipartUpload document. Raises MalformedXML."""
    root = xml.parse(body, "CompleteMultipartUpload")
    chosen = []
    turn = green.Turn()  # 10,000 parts
    for entry in xml.children(root, "Part"):
        turn.pause()
        number = xml.text(entry, "PartNumber")
        if not (number.isascii() and number.isdigit() and len(number) <= 5):
            raise MalformedXML()
        checksums = {
            algorithm: value for algorithm in ALGORITHMS if (value := xml.optional_text(entry, f"Checksum{algorithm}"))
        }
        chosen.append(ChosenPart(int(number), xml.text(entry, "ETag").strip().strip('"'), checksums))
    if not chosen:
        raise MalformedXML()
    return chosen


def _read_claim(req: S3Request) -> Claim:
    """What the headers of a CompleteMultipartUpload say of the whole object."""
    given = [(VALUE_HEADERS[name], value) for name, value in req.headers.items() if name in VALUE_HEADERS]
    if len(given) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    size = req.headers.get("x-amz-mp-object-size")
    if size is not None and not (size.isascii() and size.isdigit() and len(size) <= 15):
        raise InvalidRequest("The value of the x-amz-mp-object-size header is not a whole number")
    return Claim(
        checksum=given[0] if given else None,
        checksum_type=req.header("x-amz-checksum-type").upper(),
        size=int(size) if size is not None else None,
    )
