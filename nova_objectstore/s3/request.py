"""A request as the S3 front sees it: parsed once, lazily, with nothing built that no one reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nova_objectstore.domain.bucket_rules import NO_RULES, BucketRules
from nova_objectstore.errors import InvalidArgument, InvalidRequest
from nova_objectstore.s3.operation import SERVICE, Operation, Scope
from nova_objectstore.types import ANONYMOUS, Bucket, Principal, Version

if TYPE_CHECKING:
    from nova_objectstore.s3.access_records import Touched
    from nova_objectstore.s3.authorise import WrittenAs
    from nova_objectstore.s3.form import PostForm
    from nova_objectstore.s3.policy_context import RequestContext

_NO_QUERY: Mapping[str, str] = {}


def may_nothing(_action: str) -> bool:
    """Before a request was authorised."""
    return False


def _no_context(_req: S3Request) -> RequestContext:
    raise AssertionError("the request was not authorised yet")


def parse_query(query: str) -> Mapping[str, str]:
    """Names and values, percent-decoded, ``+`` being a space; of a repeated name the first counts.

    Names are decoded before they are looked up: ``?%61cl`` asks for the ACL.
    """
    if not query:
        return _NO_QUERY
    pairs: dict[str, str] = {}
    for item in query.split("&"):
        if not item:
            continue
        name, _, value = item.partition("=")
        pairs.setdefault(_decode(name), _decode(value))
    return pairs


def _decode(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return _unquote_cached(text) if len(text) <= _CACHED_CHARS_MAX else _unquote(text)


def _unquote(text: str) -> str:
    try:
        return unquote(text.replace("+", " "), errors="strict")
    except UnicodeDecodeError:
        raise InvalidArgument("The query string is not UTF-8", argument_name="query", argument_value=text) from None


# PERF: an escaped credential, prefix or delimiter comes again and again.
_CACHED_CHARS_MAX = 128
_unquote_cached = lru_cache(maxsize=512)(_unquote)


class S3Request:
    """One request. The pipeline fills ``operation``, ``principal`` and ``bucket`` in before an operation sees it."""

    __slots__ = (
        "_context", "auth", "body", "bucket", "bucket_name", "environ", "epoch", "form", "headers", "is_virtual",
        "key", "make_context", "may", "method", "operation", "principal", "query", "query_string", "raw_path",
        "request_id", "rules", "scope", "touched", "written_as",
    )  # fmt: skip

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.raw_path: str = environ["RAW_PATH_INFO"]
        self.query_string: str = environ["QUERY_STRING"]
        self.request_id: str = environ.get("nova.request_id", "")
        # By lower-case name, those of a repeated one joined with a comma. Not from the environ's ``HTTP_`` keys, where a
        # name with an underscore, as ``x-amz-meta-my_key``, cannot be told from one with a hyphen.
        self.headers: dict[str, str] = environ["nova.headers"]
        self.query: Mapping[str, str] = _NO_QUERY
        self.scope: Scope = SERVICE
        self.bucket_name = ""
        self.key = ""
        self.is_virtual = False  # the bucket is named by the host
        self.operation: Operation | None = None
        self.principal: Principal = ANONYMOUS
        self.bucket: Bucket = None  # type: ignore[assignment]  # there for every operation on a bucket or an object
        self.auth: Any = None
        self.epoch: int | None = None  # the engine's, read once a request
        self.body: bytes = b""
        self.form: PostForm = None  # type: ignore[assignment]  # there for an operation whose body is a form
        self.touched: Sequence[Touched] = ()  # what access logs of other buckets, or of single keys, are to hear of
        # What the authorisation leaves for an operation: what policies may ask of the request; the bucket's rules; and,
        # of a write, who will own the object and who else may use it.
        self._context: RequestContext | None = None
        self.make_context: Callable[[S3Request], RequestContext] = _no_context
        self.rules: BucketRules = NO_RULES
        self.written_as: WrittenAs = None  # type: ignore[assignment]
        self.may: Callable[[str], bool] = may_nothing  # whether another action on the same object is allowed

    @property
    def context(self) -> RequestContext:
        """What policies may ask of this request; made when somebody does, which most requests spare."""
        if self._context is None:
            self._context = self.make_context(self)
        return self._context

    @context.setter
    def context(self, context: RequestContext) -> None:
        self._context = context

    def end(self) -> None:
        """The request was answered: let go of what holds it in turn, so that it ends without the garbage collector."""
        self._context, self.may = None, may_nothing

    @property
    def judged(self) -> Version | None:
        """The version whose facts were asked for to allow the request; None where none were."""
        return None if self._context is None else self._context.judged

    def header(self, name: str, default: str = "") -> str:
        """A header by its lower-case name."""
        return self.headers.get(name, default)

    @property
    def version_id(self) -> str | None:
        """The version asked for, None for the current one. Raises InvalidArgument when it is empty or cannot be one."""
        version_id = self.query.get("versionId")
        if version_id == "":
            raise InvalidArgument("Version id cannot be the empty string", argument_name="versionId", argument_value="")
        if version_id is not None and not (version_id.isascii() and version_id.isprintable()):
            # APPSEC: ids go back to the client in a header
            raise InvalidArgument("Invalid version id specified", argument_name="versionId", argument_value=version_id)
        return version_id

    @property
    def content_length(self) -> int | None:
        """The body's stated length in bytes, None when it is chunked."""
        text = self.headers.get("content-length")
        return int(text) if text is not None else None

    @property
    def resource(self) -> str:
        """The path as error documents name it."""
        return self.raw_path

    def query_int(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number from the query, refused below ``low``, capped at ``high``. Raises InvalidArgument."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and low <= int(text) <= 2**31 - 1):
            raise InvalidArgument(
                f"Provided {name} not an integer or within integer range", argument_name=name, argument_value=text
            )
        return min(int(text), high)

    def require_header(self, name: str) -> str:
        """A header that must be there. Raises InvalidRequest."""
        value = self.headers.get(name)
        if value is None:
            raise InvalidRequest(f"Missing required header for this request: {name}")
        return value
