"""XML in: the vectors, limits, bombs. XML out: what a reader gets back."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.errors import MalformedXML
from nova_objectstore.limits import XML_BODY_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX
from nova_objectstore.s3 import xml

VECTORS = sorted((Path(__file__).parents[2] / "vectors" / "xml").glob("*.xml"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_vector_gets_its_verdict(path):
    if path.stem.startswith("bad_"):
        with pytest.raises(MalformedXML):
            xml.parse(path.read_bytes(), "Delete")
        return
    root = xml.parse(path.read_bytes(), "Delete")
    assert [xml.text(entry, "Key") for entry in xml.children(root, "Object")] == ["a & b"]
    assert xml.boolean(root, "Quiet", default=False)


# -- limits ----------------------------------------------------------------------------------------------------------


def nested(depth):
    return b"<a>" * depth + b"</a>" * depth


def test_depth():
    assert xml.parse(nested(XML_DEPTH_MAX)).name == "a"
    for depth in (XML_DEPTH_MAX + 1, 200_000):
        with pytest.raises(MalformedXML, match="deep"):
            xml.parse(nested(depth))


def test_size():
    assert xml.parse(b"<a>" + b" " * (XML_BODY_MAX - 7) + b"</a>").name == "a"
    with pytest.raises(MalformedXML, match="large"):
        xml.parse(b"<a>" + b" " * XML_BODY_MAX + b"</a>")
    with pytest.raises(MalformedXML, match="large"):
        xml.parse(b"<a></a>", size_max=6)


def test_elements():
    with pytest.raises(MalformedXML, match="elements"):
        xml.parse(b"<a>" + b"<b/>" * XML_ELEMENTS_MAX + b"</a>")
    assert len(xml.parse(b"<a><b/><b/></a>", elements_max=3).children) == 2
    with pytest.raises(MalformedXML, match="elements"):
        xml.parse(b"<a><b/><b/></a>", elements_max=2)


def test_the_largest_completion_is_no_bomb():
    part = (
        "<Part><ETag>&quot;{0:032x}&quot;</ETag><ChecksumSHA256>{1}</ChecksumSHA256><PartNumber>{0}</PartNumber></Part>"
    )
    parts = "".join(part.format(number, "A" * 44) for number in range(1, 10_001))
    root = xml.parse(f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode())
    assert xml.number(root.children[9_999], "PartNumber") == 10_000


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None, database=None)
def test_garbage_is_malformed(garbage):
    with pytest.raises(MalformedXML):
        xml.parse(garbage, "Delete")


fragments = st.lists(
    st.sampled_from(
        ["<a>", "</a>", "<b/>", "text", "&amp;", "&#65;", "<![CDATA[", "]]>", "<!--", "-->", "<!DOCTYPE a>", "<?x?>"]
    ),
    max_size=12,
)


@given(fragments)
@settings(max_examples=300, deadline=None, database=None)
def test_any_mixture_is_a_document_or_malformed(pieces):
    document = f"<root>{''.join(pieces)}</root>".encode()
    try:
        root = xml.parse(document)
    except MalformedXML:
        return
    assert count(root) == len(list(ElementTree.fromstring(document).iter()))


def count(node):
    return 1 + sum(count(child) for child in node.children)


# -- reading values ----------------------------------------------------------------------------------------------------

ROOT = b'<r><one> 1 </one><two>x</two><two>y</two><in a="b" p:type="t" xmlns:p="u"><z/></in><flag>False</flag></r>'


def test_values():
    root = xml.parse(ROOT)
    assert xml.text(root, "one") == " 1 "
    assert xml.number(root, "one") == 1
    assert xml.text(root, "absent", "default") == "default"
    assert xml.optional_text(root, "absent") is None
    assert xml.child(root, "absent") is None
    assert xml.boolean(root, "flag", default=True) is False
    assert xml.boolean(root, "absent", default=True) is True
    assert xml.child(root, "in").attributes["type"] == "t"
    assert [node.text for node in xml.children(root, "two")] == ["x", "y"]
    assert "one" in repr(root.children[0])


@pytest.mark.parametrize(
    "read",
    [
        lambda root: xml.text(root, "absent"),
        lambda root: xml.text(root, "two"),
        lambda root: xml.child(root, "two"),
        lambda root: xml.text(root, "in"),
        lambda root: xml.number(root, "flag"),
        lambda root: xml.number(root, "absent"),
        lambda root: xml.boolean(root, "one2", default=xml.boolean(root, "in", default=True)),
    ],
)
def test_values_that_are_not_there(read):
    with pytest.raises(MalformedXML):
        read(xml.parse(ROOT))


def test_text_around_children_is_the_nodes_own():
    assert xml.parse(b"<a>x<b>y</b>z</a>").text == "xz"


# -- writing -----------------------------------------------------------------------------------------------------------

# What XML 1.0 can carry (section 2.2).
carried = st.text(
    alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\ufffe\uffff").filter(
        lambda character: character >= " " or character in "\t\n\r"
    ),
    max_size=40,
)


@given(carried)
@settings(max_examples=300, deadline=None, database=None)
def test_what_xml_can_carry_is_read_back(value):
    document = xml.document("Root", xml.element("Key", value), f'<At a="{xml.escape(value)}"/>').encode()
    root = ElementTree.fromstring(document)
    assert root.tag == f"{{{xml.NAMESPACE}}}Root"
    assert (root[0].text or "") == value
    assert root[1].get("a").replace("\t", " ") == value.replace("\t", " ")
    assert xml.text(xml.parse(document, "Root"), "Key") == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain key/1.txt", "plain key/1.txt"),
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e&#39;f"),
        ("a\r\nb\tc", "a&#13;&#10;b\tc"),
        ("a\x01b\x1f", "a&#x1;b&#x1f;"),
        ("a\x00b", "a&#x0;b"),
        ("a\ufffeb\uffff", "a&#xfffe;b&#xffff;"),
        ("café 😀", "café 😀"),
    ],
)
def test_what_is_written(value, written):
    assert xml.escape(value) == written
    assert xml.element("Key", value) == f"<Key>{written}</Key>"


def test_a_document_declares_itself():
    assert xml.document("Empty") == f'<?xml version="1.0" encoding="UTF-8"?>\n<Empty xmlns="{xml.NAMESPACE}"></Empty>'
