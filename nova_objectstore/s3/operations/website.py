"""A bucket's website configuration: ``?website`` (AWS: PutBucketWebsite)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.website import WEBSITE, Redirect, RoutingRule, Website
from nova_objectstore.errors import InvalidArgument, InvalidRequest, MalformedXML
from nova_objectstore.limits import ROUTING_RULES_MAX, WEBSITE_BODY_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.address import check_key
from nova_objectstore.s3.faults import NoSuchWebsiteConfiguration
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element

_ROOT = "WebsiteConfiguration"
PROTOCOLS = ("http", "https")

_is_host = re.compile(r"[A-Za-z0-9._~-]+(:[0-9]{1,5})?").fullmatch
_is_error_status = re.compile(r"[45][0-9]{2}").fullmatch
_is_redirect_status = re.compile(r"30[1-8]").fullmatch
_has_controls = re.compile(r"[\x00-\x1f\x7f]").search


class WebsiteController(Controller):
    """Website configurations."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    @operation("GetBucketWebsite", "GET /{bucket}?website", action="s3:GetBucketWebsite")
    def get_bucket_website(self, req: S3Request) -> str:
        """Answer the configuration; a bucket without one is NoSuchWebsiteConfiguration."""
        if req.rules.website is None:
            raise NoSuchWebsiteConfiguration(bucket_name=req.bucket_name)
        return render_website(req.rules.website)

    @operation("PutBucketWebsite", "PUT /{bucket}?website", action="s3:PutBucketWebsite", body=XML)
    def put_bucket_website(self, req: S3Request) -> None:
        """Make the bucket a website, or another one."""
        self._buckets.put_document(req.bucket, WEBSITE, parse_website(req.body).encode())

    @operation("DeleteBucketWebsite", "DELETE /{bucket}?website", action="s3:DeleteBucketWebsite", status=204)
    def delete_bucket_website(self, req: S3Request) -> None:
        """End the website; the objects stay."""
        self._buckets.delete_document(req.bucket, WEBSITE)


# -- reading -----------------------------------------------------------------------------------------------------------


def parse_website(body: bytes) -> Website:
    """The configuration of a document. Raises MalformedXML, InvalidArgument, InvalidRequest."""
    root = xml.parse(body, _ROOT, size_max=WEBSITE_BODY_MAX)
    redirect_all = xml.child(root, "RedirectAllRequestsTo")
    if redirect_all is not None:
        if len(root.children) > 1:
            raise InvalidRequest("RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.")
        return Website(redirect_all=_parse_redirect_all(redirect_all))
    rules = xml.child(root, "RoutingRules")
    return Website(_parse_index(root), _parse_error_key(root), _parse_rules(rules) if rules is not None else ())


def _parse_redirect_all(node: xml.Node) -> Redirect:
    return Redirect(_check_host(xml.text(node, "HostName")), _parse_protocol(node))


def _parse_index(root: xml.Node) -> str:
    node = xml.child(root, "IndexDocument")
    if node is None:
        raise InvalidArgument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            argument_name="IndexDocument",
            argument_value="null",
        )
    suffix = xml.text(node, "Suffix")
    if not suffix or "/" in suffix:
        raise InvalidArgument(
            "The IndexDocument Suffix is not well formed", argument_name="IndexDocument", argument_value=suffix
        )
    check_key(suffix)
    return suffix


def _parse_error_key(root: xml.Node) -> str:
    node = xml.child(root, "ErrorDocument")
    if node is None:
        return ""
    key = xml.text(node, "Key")
    if not key:
        raise InvalidArgument(
            "The ErrorDocument Key is not well formed", argument_name="ErrorDocument", argument_value=key
        )
    check_key(key)
    return key


def _parse_rules(node: xml.Node) -> Sequence[RoutingRule]:
    rules = xml.children(node, "RoutingRule")
    if not rules:
        raise MalformedXML(reason="no RoutingRule")
    if len(rules) > ROUTING_RULES_MAX:
        raise InvalidRequest(
            f"{len(rules)} routing rules provided, the number of routing rules in a website configuration is limited to "
            f"{ROUTING_RULES_MAX}."
        )
    return [_parse_rule(rule) for rule in rules]


def _parse_rule(node: xml.Node) -> RoutingRule:
    condition, redirect = xml.child(node, "Condition"), xml.child(node, "Redirect")
    if redirect is None:
        raise MalformedXML(reason="a RoutingRule without Redirect")
    if condition is None:
        return RoutingRule(_parse_redirect(redirect))
    prefix = xml.optional_text(condition, "KeyPrefixEquals")
    status = xml.optional_text(condition, "HttpErrorCodeReturnedEquals")
    if prefix is None and status is None:
        raise InvalidRequest(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be "
            "present."
        )
    if status is not None and not _is_error_status(status):
        raise InvalidRequest(f"The provided HTTP error code ({status}) is not valid. Valid codes are 4XX or 5XX.")
    return RoutingRule(_parse_redirect(redirect), prefix or "", int(status or 0), conditional=True)


def _parse_redirect(node: xml.Node) -> Redirect:
    host = xml.optional_text(node, "HostName")
    code = xml.optional_text(node, "HttpRedirectCode")
    redirect = Redirect(
        host=_check_host(host) if host is not None else None,
        protocol=_parse_protocol(node),
        code=_parse_code(code) if code is not None else 0,
        key=_check_replacement(xml.optional_text(node, "ReplaceKeyWith")),
        key_prefix=_check_replacement(xml.optional_text(node, "ReplaceKeyPrefixWith")),
    )
    if redirect == Redirect():
        raise MalformedXML(reason="an empty Redirect")
    if redirect.key is not None and redirect.key_prefix is not None:
        raise InvalidRequest("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    return redirect


def _parse_protocol(node: xml.Node) -> str | None:
    protocol = xml.optional_text(node, "Protocol")
    if protocol is not None and protocol not in PROTOCOLS:
        raise InvalidRequest(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically."
        )
    return protocol


def _parse_code(text: str) -> int:
    if not _is_redirect_status(text):
        raise InvalidRequest(f"The provided HTTP redirect code ({text}) is not valid. Valid codes are 3XX except 300.")
    return int(text)


def _check_host(host: str) -> str:
    if not _is_host(host):  # APPSEC: it goes into a header
        raise InvalidArgument("The HostName is not well formed", argument_name="HostName", argument_value=host)
    return host


def _check_replacement(key: str | None) -> str | None:
    if key is not None and _has_controls(key):
        raise InvalidArgument("The replacement of a key has control characters", argument_name="Redirect")
    return key


# -- writing -----------------------------------------------------------------------------------------------------------


def render_website(website: Website) -> str:
    """The document of GetBucketWebsite."""
    rows = []
    if website.redirect_all is not None:
        rows.append(f"<RedirectAllRequestsTo>{_render_redirect(website.redirect_all)}</RedirectAllRequestsTo>")
    if website.index_suffix:
        rows.append(f"<IndexDocument>{element('Suffix', website.index_suffix)}</IndexDocument>")
    if website.error_key:
        rows.append(f"<ErrorDocument>{element('Key', website.error_key)}</ErrorDocument>")
    if website.rules:
        rows.append(f"<RoutingRules>{''.join(_render_rule(rule) for rule in website.rules)}</RoutingRules>")
    return document(_ROOT, *rows)


def _render_rule(rule: RoutingRule) -> str:
    condition = ""
    if rule.error_status:
        condition = element("HttpErrorCodeReturnedEquals", str(rule.error_status))
    if rule.prefix or (rule.conditional and not rule.error_status):
        condition += element("KeyPrefixEquals", rule.prefix)
    if condition:
        condition = f"<Condition>{condition}</Condition>"
    return f"<RoutingRule>{condition}<Redirect>{_render_redirect(rule.redirect)}</Redirect></RoutingRule>"


def _render_redirect(redirect: Redirect) -> str:
    told = (
        ("Protocol", redirect.protocol),
        ("HostName", redirect.host),
        ("ReplaceKeyPrefixWith", redirect.key_prefix),
        ("ReplaceKeyWith", redirect.key),
        ("HttpRedirectCode", str(redirect.code) if redirect.code else None),
    )
    return "".join(element(name, value) for name, value in told if value is not None)
