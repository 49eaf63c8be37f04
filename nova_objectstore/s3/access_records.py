"""Server access logs: the record of a request to a bucket whose requests are logged (AWS: "Amazon S3 server access log format").

What a request was is known when it is answered; how it ended, when its last byte has left. So a record is begun here and
written by a finish hook.

Laws:

- A request to a bucket that logs nothing costs one test of an attribute.
- Refused requests are recorded too, those with a bad signature among them; of a request that names no bucket there is none.
- A client cannot forge a record or a field: what it sent is percent-encoded where it is not plain. Signatures and tokens
  are left out.
- Fields are AWS's up to aclRequired; new ones come behind, as AWS adds its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from nova_objectstore.delivery.limits import FIELD_CHARS_MAX, URI_CHARS_MAX
from nova_objectstore.delivery.spool import Group, Spool
from nova_objectstore.domain.access import Access
from nova_objectstore.domain.access_logging import LogTarget, Source
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import EngineError
from nova_objectstore.s3.answer import Answer
from nova_objectstore.s3.auth.request import AuthType, SignatureVersion
from nova_objectstore.s3.operation import Scope
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import Bucket
from nova_wsgi.middleware.access_log import MONTHS, REDACTED, redact_query

if TYPE_CHECKING:
    from nova_wsgi.http import Finished

HOOKS = "nova.finish_hooks"
NOTHING = "-"
FIELDS_COUNT = 26  # up to aclRequired

# What REST.METHOD.RESOURCE calls the resource of an operation; others are OBJECT or BUCKET, by their address.
RESOURCES: Mapping[str, str] = {
    "ListObjectVersions": "BUCKETVERSIONS",
    "GetBucketLocation": "LOCATION",
    "ListMultipartUploads": "UPLOADS",
    "CreateMultipartUpload": "UPLOADS",
    "CompleteMultipartUpload": "UPLOAD",
    "AbortMultipartUpload": "UPLOAD",
    "ListParts": "UPLOAD",
    "UploadPart": "PART",
    "DeleteObjects": "MULTI_OBJECT_DELETE",
    "RestoreObject": "OBJECT_RESTORE",
    "GetObjectAttributes": "OBJECT_ATTRIBUTES",
    "GetBucketPolicyStatus": "POLICY_STATUS",
    "RenameObject": "OBJECT_RENAME",
    "Preflight": "PREFLIGHT",
    **{f"{verb}{scope}Acl": "ACL" for verb in ("Get", "Put") for scope in ("Bucket", "Object")},
    **{f"{verb}BucketPolicy": "BUCKETPOLICY" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}BucketTagging": "TAGGING" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}ObjectTagging": "OBJECT_TAGGING" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}BucketCors": "CORS" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}BucketWebsite": "WEBSITE" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}BucketEncryption": "ENCRYPTION" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}BucketReplication": "REPLICATION" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}BucketOwnershipControls": "OWNERSHIP_CONTROLS" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}PublicAccessBlock": "PUBLIC_ACCESS_BLOCK" for verb in ("Get", "Put", "Delete")},
    **{f"{verb}BucketLifecycleConfiguration": "LIFECYCLE" for verb in ("Get", "Put")},
    "DeleteBucketLifecycle": "LIFECYCLE",
    **{f"{verb}BucketNotificationConfiguration": "NOTIFICATION" for verb in ("Get", "Put")},
    **{f"{verb}BucketLogging": "LOGGING_STATUS" for verb in ("Get", "Put")},
    **{f"{verb}BucketVersioning": "VERSIONING" for verb in ("Get", "Put")},
    **{f"{verb}BucketRequestPayment": "REQUEST_PAYMENT" for verb in ("Get", "Put")},
    **{f"{verb}BucketAccelerateConfiguration": "ACCELERATE" for verb in ("Get", "Put")},
    **{f"{verb}ObjectLockConfiguration": "OBJECT_LOCK_CONFIGURATION" for verb in ("Get", "Put")},
    **{f"{verb}ObjectRetention": "OBJECT_LOCK_RETENTION" for verb in ("Get", "Put")},
    **{f"{verb}ObjectLegalHold": "OBJECT_LOCK_LEGALHOLD" for verb in ("Get", "Put")},
}
_WHOLE_NAMES = {"CopyObject": "REST.COPY.OBJECT", "UploadPartCopy": "REST.COPY.PART"}
# Whose answers' length is their object's.
_READS = frozenset(("GetObject", "HeadObject"))
_WRITES = frozenset(("PutObject", "UploadPart"))

_AUTH_TYPES = {AuthType.HEADER: "AuthHeader", AuthType.QUERY: "QueryString", AuthType.FORM: NOTHING}
_SIGNATURES = {SignatureVersion.V2: "SigV2", SignatureVersion.V4: "SigV4"}

_plain = re.compile(r"[!#-~]+").fullmatch  # printable ASCII without space and quotes
_unsafe = re.compile(r"[^ -~]|[\"\\]")


class Touched(NamedTuple):
    """What a request did beside: a key of a DeleteObjects, the source of a copy. It gets a record of its own."""

    operation: str
    bucket: Bucket
    target: LogTarget
    key: str
    status: int
    error_code: str = ""
    version_id: str | None = None
    size: int | None = None


class AccessRecords:
    """Makes records and hands them to the spool."""

    def __init__(
        self, spool: Spool, access: Access, identities: Identities, *, host_id: str, clock_s: Callable[[], float]
    ) -> None:
        self._spool = spool
        self._access = access
        self._identities = identities
        self._host_id = host_id
        self._clock_s = clock_s

    def close(self) -> None:
        """Close the spool's files. Idempotent."""
        self._spool.close()

    def begin(self, req: S3Request, answer: Answer, error_code: str) -> None:
        """Have the request recorded when it has ended; ``error_code`` is empty for one that was answered."""
        hooks = req.environ.get(HOOKS)
        if hooks is None:
            return  # a server that does not tell when a request has ended
        acl_required = self._needs_acls(req) if not error_code else NOTHING

        def write(_environ: object, finished: Finished) -> None:
            self._write(req, answer, error_code, acl_required, finished)

        hooks.append(write)

    def _needs_acls(self, req: S3Request) -> str:
        operation = req.operation
        action = operation.action_for(req.query) if operation is not None else ""
        if not action or req.context is None:
            return NOTHING
        try:
            needed = self._access.needs_acls(req.principal, action, req.bucket, req.key or None, context=req.context)
        except EngineError:
            return NOTHING  # the request itself went well: its answer must not hang on this
        return "Yes" if needed else NOTHING

    def _write(self, req: S3Request, answer: Answer, error_code: str, acl_required: str, finished: Finished) -> None:
        began_s = self._clock_s() - finished.duration_s
        if req.rules.log_target is not None:
            line = self._line(req, answer, error_code, acl_required, finished, began_s)
            self._put(req.rules.log_target, req.bucket, began_s, line)
        for touched in req.touched:
            self._put(touched.target, touched.bucket, began_s, self._touched_line(req, touched, began_s))

    def _put(self, target: LogTarget, bucket: Bucket, began_s: float, line: str) -> None:
        owner = self._identities.owner(bucket.owner_id)
        source = Source(bucket.name, bucket.owner_id, (bucket.owner_id, owner.canonical_id))
        self._spool.write(Group.of(target, source, bucket.region, int(began_s * 1_000_000)), source, line)

    # -- records -------------------------------------------------------------------------------------------------------

    def _head(self, req: S3Request, bucket: Bucket, began_s: float) -> str:
        """The fields up to the request's id, which all records of a request share."""
        owner = self._identities.owner(bucket.owner_id)
        address = str(req.environ.get("REMOTE_ADDR", "")) or NOTHING
        words = (
            owner.canonical_id or NOTHING, bucket.name, stamp_field(began_s), _word(address), _requester(req),
            _word(req.request_id),
        )  # fmt: skip
        return " ".join(words)

    def _line(
        self, req: S3Request, answer: Answer, error_code: str, acl_required: str, finished: Finished, began_s: float
    ) -> str:
        headers = req.headers
        version_id = req.query.get("versionId") or _answered(answer, "x-amz-version-id")
        turn_around_ms = int(finished.first_byte_s * 1000)
        return " ".join(
            (
                self._head(req, req.bucket, began_s),
                _operation(req),
                key_field(req.key),
                f'"{_request_line(req)}"',
                str(finished.status),
                error_code or NOTHING,
                str(finished.bytes_sent or NOTHING),
                _object_size(req, answer),
                str(int(finished.duration_s * 1000)),
                str(turn_around_ms),
                f'"{_field(_without_secrets(headers.get("referer", "")))}"',
                f'"{_field(headers.get("user-agent", ""))}"',
                self._tail(req, version_id, acl_required),
            )
        )

    def _touched_line(self, req: S3Request, touched: Touched, began_s: float) -> str:
        """A record without the fields that are the whole request's: they stand in its own record."""
        is_source = touched.operation.endswith("_GET")
        request_line = NOTHING if is_source else f'"{_request_line(req)}"'
        return " ".join(
            (
                self._head(req, touched.bucket, began_s),
                touched.operation,
                key_field(touched.key),
                request_line,
                str(touched.status),
                touched.error_code or NOTHING,
                NOTHING,
                str(touched.size) if touched.size is not None else NOTHING,
                NOTHING,
                NOTHING,
                NOTHING,
                NOTHING,
                self._tail(req, touched.version_id, NOTHING),
            )
        )

    def _tail(self, req: S3Request, version_id: str | None, acl_required: str) -> str:
        """The fields from the version's id on."""
        words = (
            _word(version_id or NOTHING),
            _word(self._host_id),
            _SIGNATURES[req.auth.version] if req.auth is not None else NOTHING,
            _word(req.environ.get("nova.tls_cipher") or NOTHING),
            _AUTH_TYPES[req.auth.auth_type] if req.auth is not None else NOTHING,
            _word(req.headers.get("host", NOTHING)),
            _tls(req.environ.get("nova.tls_version")),
            NOTHING,  # access points are not offered
            acl_required,
        )
        return " ".join(words)


# -- fields ----------------------------------------------------------------------------------------------------------


def _operation(req: S3Request) -> str:
    told = str(req.environ.get("nova.operation", ""))
    if told.startswith("Website"):
        return f"WEBSITE.{_word(req.method)}.OBJECT"
    name = req.operation.name if req.operation is not None else told
    whole = _WHOLE_NAMES.get(name)
    if whole is not None:
        return whole
    resource = RESOURCES.get(name) or ("OBJECT" if req.scope is Scope.OBJECT or name == "PostObject" else "BUCKET")
    return f"REST.{_word(req.method)}.{resource}"


def _requester(req: S3Request) -> str:
    principal = req.principal
    if principal.is_anonymous:
        return NOTHING
    return _word(principal.canonical_id if principal.is_root else principal.arn)


def _request_line(req: S3Request) -> str:
    path = req.raw_path
    if req.query_string:
        path = f"{path}?{redact_query(req.query_string, _SECRETS)}"
    return _field(f"{req.method} {path} {req.environ.get('SERVER_PROTOCOL', '')}", URI_CHARS_MAX)


def _object_size(req: S3Request, answer: Answer) -> str:
    name = req.operation.name if req.operation is not None else ""
    if name in _WRITES:
        size = req.headers.get("x-amz-decoded-content-length") or req.headers.get("content-length")
    elif name in _READS and answer.status in (200, 206):
        total = _answered(answer, "Content-Range")
        size = total.rpartition("/")[2] if total else _answered(answer, "Content-Length")
    else:
        size = None
    return _word(size or NOTHING)


def _answered(answer: Answer, name: str) -> str | None:
    return next((value for header, value in answer.headers if header == name), None)


def _tls(version: str | None) -> str:
    return f"TLSv{version}" if version else NOTHING


def key_field(key: str) -> str:
    """A key, percent-encoded."""
    return quote(key, safe="/", errors="surrogatepass") or NOTHING


def _word(text: str) -> str:
    """A field that must not have spaces."""
    if _plain(text):
        return text
    return quote(text, safe="/:.+=,@_-", errors="surrogatepass")[:FIELD_CHARS_MAX] or NOTHING


def _field(text: str, chars_max: int = FIELD_CHARS_MAX) -> str:
    """A field between quotes."""
    return _unsafe.sub(lambda match: quote(match[0], safe="", errors="surrogatepass"), text)[:chars_max] or NOTHING


_SECRETS = frozenset(REDACTED)


def _without_secrets(url: str) -> str:
    path, mark, query = url.partition("?")
    return f"{path}?{redact_query(query, _SECRETS)}" if mark else url


def stamp_field(moment_s: float) -> str:
    """A time, between its brackets."""
    parts = time.gmtime(moment_s)
    return time.strftime(f"[%d/{MONTHS[parts.tm_mon - 1]}/%Y:%H:%M:%S +0000]", parts)


def touch(req: S3Request, *touched: Touched) -> None:
    """Note what a request did beside."""
    req.touched = (*req.touched, *touched)
