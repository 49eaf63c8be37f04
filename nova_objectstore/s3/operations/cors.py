"""A bucket's cross-origin rules: ``?cors`` (AWS: PutBucketCors)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.cors import CORS, METHODS, CorsRule, encode_rules
from nova_objectstore.errors import InvalidRequest, MalformedXML
from nova_objectstore.limits import CORS_BODY_MAX, CORS_ID_CHARS_MAX, CORS_RULES_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.faults import NoSuchCorsConfiguration
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element

_ROOT = "CORSConfiguration"

_is_header_text = re.compile(r"[\x20-\x7e]*").fullmatch


class CorsController(Controller):
    """Cross-origin rules."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    @operation("GetBucketCors", "GET /{bucket}?cors", action="s3:GetBucketCORS")
    def get_bucket_cors(self, req: S3Request) -> str:
        """Answer the rules; a bucket without any is NoSuchCORSConfiguration."""
        if not req.rules.cors:
            raise NoSuchCorsConfiguration(bucket_name=req.bucket_name)
        return render_cors(req.rules.cors)

    @operation("PutBucketCors", "PUT /{bucket}?cors", action="s3:PutBucketCORS", body=XML)
    def put_bucket_cors(self, req: S3Request) -> None:
        """Replace the rules."""
        self._buckets.put_document(req.bucket, CORS, encode_rules(parse_cors(req.body)))

    @operation("DeleteBucketCors", "DELETE /{bucket}?cors", action="s3:PutBucketCORS", status=204)
    def delete_bucket_cors(self, req: S3Request) -> None:
        """Remove the rules."""
        self._buckets.delete_document(req.bucket, CORS)


def parse_cors(body: bytes) -> Sequence[CorsRule]:
    """The rules of a document. Raises MalformedXML, InvalidRequest."""
    rules = xml.children(xml.parse(body, _ROOT, size_max=CORS_BODY_MAX), "CORSRule")
    if not rules:
        raise MalformedXML(reason="no CORSRule")
    if len(rules) > CORS_RULES_MAX:
        raise InvalidRequest(f"The number of CORS rules should not exceed allowed limit of {CORS_RULES_MAX} rules.")
    return [_parse_rule(rule) for rule in rules]


def _parse_rule(node: xml.Node) -> CorsRule:
    rule = CorsRule(
        origins=_texts(node, "AllowedOrigin"),
        methods=_texts(node, "AllowedMethod"),
        headers=_texts(node, "AllowedHeader"),
        exposed=_texts(node, "ExposeHeader"),
        max_age_s=xml.number(node, "MaxAgeSeconds") if xml.child(node, "MaxAgeSeconds") else None,
        id=xml.optional_text(node, "ID"),
    )
    if not rule.origins or not rule.methods:
        raise MalformedXML(reason="a rule without AllowedOrigin or AllowedMethod")
    if rule.id is not None and len(rule.id) > CORS_ID_CHARS_MAX:
        raise InvalidRequest(f"The ID of a CORS rule must not be longer than {CORS_ID_CHARS_MAX} characters.")
    _check_patterns(rule)
    return rule


def _check_patterns(rule: CorsRule) -> None:
    for method in rule.methods:
        if method not in METHODS:
            raise InvalidRequest(f"Found unsupported HTTP method in CORS config. Unsupported method is {method}")
    for name, patterns in (("AllowedOrigin", rule.origins), ("AllowedHeader", rule.headers)):
        for pattern in patterns:
            if pattern.count("*") > 1:
                raise InvalidRequest(f'{name} "{pattern}" can not have more than one wildcard.')
    for exposed in rule.exposed:
        if "*" in exposed:
            raise InvalidRequest(
                f'ExposeHeader "{exposed}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            )
        if not _is_header_text(exposed):  # APPSEC: it goes into a header of every answer
            raise InvalidRequest("An ExposeHeader has characters that no header has.")


def _texts(node: xml.Node, name: str) -> Sequence[str]:
    return [child.text for child in xml.children(node, name)]


def render_cors(rules: Sequence[CorsRule]) -> str:
    """The document of GetBucketCors."""
    return document(_ROOT, *(_render_rule(rule) for rule in rules))


def _render_rule(rule: CorsRule) -> str:
    rows = [element("ID", rule.id)] if rule.id is not None else []
    rows += [element("AllowedMethod", method) for method in rule.methods]
    rows += [element("AllowedOrigin", origin) for origin in rule.origins]
    rows += [element("AllowedHeader", header) for header in rule.headers]
    rows += [element("ExposeHeader", header) for header in rule.exposed]
    if rule.max_age_s is not None:
        rows.append(element("MaxAgeSeconds", str(rule.max_age_s)))
    return f"<CORSRule>{''.join(rows)}</CORSRule>"
