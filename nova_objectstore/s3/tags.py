"""Tag sets on the wire: the Tagging document, and the ``x-amz-tagging`` header (AWS: "Object tagging")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from nova_objectstore.errors import InvalidArgument
from nova_objectstore.limits import OBJECT_TAGS_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.faults import InvalidTag, TooManyTags
from nova_objectstore.s3.xml import document, element

# AWS: letters, white space and numbers of UTF-8, and + - = . _ : / @
_allowed = re.compile(r"[\w\s+\-=.:/@]*").fullmatch


def parse_tagging(body: bytes, *, tags_max: int) -> dict[str, str]:
    """The tags of a Tagging document. Raises MalformedXML, InvalidTag, TooManyTags."""
    root = xml.parse(body, "Tagging")
    tag_set = xml.child(root, "TagSet")
    pairs = [(xml.text(tag, "Key"), xml.text(tag, "Value")) for tag in xml.children(tag_set, "Tag")] if tag_set else []
    return _check(pairs, tags_max)


def parse_tagging_header(text: str) -> dict[str, str]:
    """The tags of ``x-amz-tagging``: ``a=1&b=2``, URL-encoded. Raises InvalidArgument, InvalidTag, TooManyTags."""
    pairs = []
    for item in text.split("&"):
        if not item:
            continue
        name, _, value = item.partition("=")
        try:
            pairs.append((unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")))
        except UnicodeDecodeError:
            raise InvalidArgument(
                "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
                "name duplicates.",
                argument_name="x-amz-tagging",
                argument_value=text,
            ) from None
    return _check(pairs, OBJECT_TAGS_MAX)


def _check(pairs: list[tuple[str, str]], tags_max: int) -> dict[str, str]:
    if len(pairs) > tags_max:
        raise TooManyTags(f"Tags cannot be greater than {tags_max}")
    tags: dict[str, str] = {}
    for key, value in pairs:
        if key in tags:
            raise InvalidTag("Cannot provide multiple Tags with the same key", tag_key=key)
        if not 1 <= len(key) <= TAG_KEY_CHARS_MAX or not _allowed(key):
            raise InvalidTag("The TagKey you have provided is invalid", tag_key=key)
        if len(value) > TAG_VALUE_CHARS_MAX or not _allowed(value):
            raise InvalidTag("The TagValue you have provided is invalid", tag_key=key, tag_value=value)
        if key.lower().startswith("aws:"):
            raise InvalidTag("System tags cannot be added/updated by requester", tag_key=key)
        tags[key] = value
    return tags


def render_tagging(tags: Mapping[str, str]) -> str:
    """The Tagging document."""
    rows = "".join(f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in sorted(tags.items()))
    return document("Tagging", f"<TagSet>{rows}</TagSet>")
