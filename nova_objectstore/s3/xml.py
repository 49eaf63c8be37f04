"""S3's XML, in and out.

Strategy: expat feeds a tree of small nodes directly, so that its limits hold while the document is read and not after; the
writer makes strings, since a listing is thousands of elements of which only keys can need escaping.

Laws:

- Read: UTF-8 (or UTF-16 with its mark, as XML demands), no document type (so no entities but XML's own five), bounded in
  size, depth and elements. Namespaces are not looked at: clients send S3's, none, or an older one; a node has its local name.
- Reading takes time in proportion to the document, and in a greenthread it lets others run meanwhile.
- Written: XML 1.0. Characters that it cannot carry go out as numeric references, as S3 sends them; clients that expect
  them ask for ``encoding-type=url`` (AWS: "XML related object key constraints").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.parsers import expat

from nova_objectstore.errors import MalformedXML
from nova_objectstore.limits import (
    XML_ATTRIBUTES_MAX,
    XML_BODY_MAX,
    XML_DEPTH_MAX,
    XML_ELEMENTS_MAX,
    XML_TAG_BYTES_MAX,
    KiB,
)
from nova_wsgi import green

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
SLICE = 16 * KiB  # bytes given to expat at once: two milliseconds where elements are as short as can be

# -- reading ---------------------------------------------------------------------------------------------------------

_NO_ATTRIBUTES: Mapping[str, str] = {}


class Node:
    """An element: its local name, its text (of itself alone, joined), its children, and attributes by local name."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.text = ""
        self.children: Sequence[Node] = ()  # most have none, and what is there is looked at by the garbage collector

    def __repr__(self) -> str:
        return f"Node({self.name!r}, text={self.text!r}, children={len(self.children)})"


class _TreeBuilder:
    """Expat's handlers: a tree, and the limits."""

    __slots__ = ("_count", "_count_max", "_open", "_pieces", "root")

    def __init__(self, count_max: int) -> None:
        self.root: Node | None = None
        self._open: list[Node] = []
        self._pieces: list[list[str] | None] = []  # of the text of each open element that has some
        self._count = 0
        self._count_max = count_max

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._count += 1
        opened = self._open
        if len(opened) >= XML_DEPTH_MAX or self._count > self._count_max:
            raise MalformedXML(reason="nested too deep" if len(opened) >= XML_DEPTH_MAX else "too many elements")
        node = Node(name, attributes if attributes else _NO_ATTRIBUTES)
        if ":" in name:
            node.name = name.rpartition(":")[2]
        if attributes:
            if len(attributes) > XML_ATTRIBUTES_MAX:
                raise MalformedXML(reason="too many attributes")
            node.attributes = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        if opened:
            parent = opened[-1]
            if isinstance(parent.children, list):
                parent.children.append(node)
            else:
                parent.children = [node]
        else:
            self.root = node
        opened.append(node)
        self._pieces.append(None)

    def end(self, _name: str) -> None:
        """An element ends."""
        node = self._open.pop()
        pieces = self._pieces.pop()
        if pieces is not None:
            node.text = "".join(pieces)

    def data(self, text: str) -> None:
        """Characters: all between two tags, but for what is longer than expat's buffer."""
        # Joined at the end: with an element between every two characters, adding to a text would be quadratic.
        pieces = self._pieces[-1]
        if pieces is None:
            self._pieces[-1] = [text]
        else:
            pieces.append(text)

    def refuse_doctype(self, *_: object) -> None:
        """A document type: the only way to declare entities, and nothing that S3 has."""
        raise MalformedXML(reason="a document type is not allowed")


def parse(body: bytes, root: str = "", *, size_max: int = XML_BODY_MAX, elements_max: int = XML_ELEMENTS_MAX) -> Node:
    """The root node of a document; it must be called ``root`` where that is given.

    Lets other greenthreads run while a long one is read. Raises MalformedXML (``reason``) for anything that is not
    well-formed or is over a limit.
    """
    if len(body) > size_max:
        raise MalformedXML(reason="too large")
    builder = _TreeBuilder(elements_max)
    parser = expat.ParserCreate("utf-8")  # overrides what the document declares, but not a mark of UTF-16
    parser.buffer_text = True
    parser.buffer_size = 32 * 1024
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = builder.refuse_doctype
    try:
        _feed(parser, body)
    except expat.ExpatError as error:
        raise MalformedXML(reason=str(error)) from None
    assert builder.root is not None, "expat accepts no document without an element"
    if root and builder.root.name != root:
        raise MalformedXML(reason=f"expected {root}")
    return builder.root


def _feed(parser: expat.XMLParserType, body: bytes) -> None:
    if len(body) > SLICE:
        turn = green.Turn()
        for start in range(0, len(body), SLICE):
            parser.Parse(body[start : start + SLICE], False)
            # What is not whole yet expat looks at again with every slice.
            if start + SLICE - parser.CurrentByteIndex > XML_TAG_BYTES_MAX:
                raise MalformedXML(reason="a tag or a comment is too long")
            turn.pause()
        body = b""
    parser.Parse(body, True)


def children(node: Node, name: str) -> list[Node]:
    """The node's children called ``name``, in order."""
    return [child for child in node.children if child.name == name]


def child(node: Node, name: str) -> Node | None:
    """The only child called ``name``; None without one. Raises MalformedXML for several."""
    found = children(node, name)
    if len(found) > 1:
        raise MalformedXML(reason=f"{name} is given more than once")
    return found[0] if found else None


def text(node: Node, name: str, default: str | None = None) -> str:
    """The text of the only child called ``name``. Raises MalformedXML for several, or none where no default is given."""
    found = child(node, name)
    if found is None:
        if default is None:
            raise MalformedXML(reason=f"{name} is missing")
        return default
    if found.children:
        raise MalformedXML(reason=f"{name} has elements inside")
    return found.text


def optional_text(node: Node, name: str) -> str | None:
    """The text of the only child called ``name``; None without one. Raises MalformedXML for several."""
    return text(node, name) if child(node, name) is not None else None


def boolean(node: Node, name: str, default: bool) -> bool:
    """``true`` or ``false`` in any case (or ``1`` and ``0``, XML Schema's). Raises MalformedXML for another text."""
    value = optional_text(node, name)
    if value is None:
        return default
    word = value.strip().lower()
    if word not in ("true", "false", "1", "0"):
        raise MalformedXML(reason=f"{name} is neither true nor false")
    return word in ("true", "1")


def number(node: Node, name: str) -> int:
    """A whole number of at most 19 digits. Raises MalformedXML for another text, or none."""
    word = text(node, name).strip()
    if not (word.isascii() and word.isdigit() and len(word) <= 19):
        raise MalformedXML(reason=f"{name} is not a number")
    return int(word)


# -- writing ---------------------------------------------------------------------------------------------------------

# Tabs stay; the other controls, and what UTF-8 can hold and XML 1.0 cannot, become references.
_needs_escape = re.compile("[&<>\"'\x00-\x08\x0a-\x1f\ufffe\uffff\ud800-\udfff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\r": "&#13;", "\n": "&#10;"}


def _reference(match: re.Match[str]) -> str:
    character = match[0]
    return _NAMED.get(character) or f"&#x{ord(character):x};"


def escape(value: str) -> str:
    """Text as it may stand in an element or an attribute."""
    # PERF: keys that need it are rare, and the search is all that the others cost
    if _needs_escape.search(value) is None:
        return value
    return _needs_escape.sub(_reference, value)


def element(name: str, value: str) -> str:
    """``<name>value</name>``, the value escaped; names are the code's own."""
    if _needs_escape.search(value) is not None:
        value = _needs_escape.sub(_reference, value)
    return f"<{name}>{value}</{name}>"


def document(name: str, *content: str) -> str:
    """A whole document in S3's namespace; ``content`` is XML already."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{NAMESPACE}">{"".join(content)}</{name}>'
