"""The EC2 API's pure parts: parameters, filters, documents."""

import fnmatch
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.images import image

from nova_objectstore import errors as fact
from nova_objectstore.images import errors as image_fact
from nova_objectstore.images.ec2 import faults
from nova_objectstore.images.ec2.documents import error_document, image_item, response
from nova_objectstore.images.ec2.faults import error_row
from nova_objectstore.images.ec2.filters import FILTERS, matches, parse_filter, parse_pattern
from nova_objectstore.images.ports import BlockDevice, ImageState
from nova_objectstore.limits import QUERY_PARAMETERS_MAX
from nova_objectstore.query import faults as query_faults
from nova_objectstore.query.documents import element
from nova_objectstore.query.parameters import Parameters, parse_pairs
from nova_wsgi.errors import BodyTooLarge

# -- parameters --------------------------------------------------------------------------------------------------------


def test_pairs():
    assert parse_pairs("a=1&b=%C3%BC+x&c", "d=") == {"a": "1", "b": "ü x", "c": "", "d": ""}
    for texts in (("a=1&a=2",), ("a=1", "a=1"), ("%61=1&a=2",), ("a=%ff",), ("a=\u20ac",)):
        with pytest.raises(query_faults.MalformedQueryString):
            parse_pairs(*texts)
    with pytest.raises(query_faults.MalformedQueryString):
        parse_pairs("&".join(f"a{n}=" for n in range(QUERY_PARAMETERS_MAX + 1)))


def test_lists_and_structures():
    parameters = Parameters(
        {
            "ImageId.2": "b",
            "ImageId.10": "c",
            "ImageId.1": "a",
            "ImageId.x": "no",
            "ImageId.0": "no",
            "ImageIds.1": "no",
            "Filter.1.Name": "state",
            "Filter.1.Value.1": "x",
            "Filter.2.Name": "name",
        }
    )
    assert parameters.values("ImageId") == ["a", "b", "c"]
    assert parameters.structures("Filter") == [{"Name": "state", "Value.1": "x"}, {"Name": "name"}]
    assert parameters.values("Filter") == []
    assert parameters.has("Filter")
    assert not parameters.has("Filt")


def test_values_that_are_none():
    parameters = Parameters({"flag": "yes", "number": "12x", "high": "1001", "low": "-1", "digit": "\u0661"})
    with pytest.raises(query_faults.InvalidParameterValue):
        parameters.flag("flag")
    for name in ("number", "high", "low", "digit"):
        with pytest.raises(query_faults.InvalidParameterValue):
            parameters.number(name, 1, low=0, high=1000)
    with pytest.raises(query_faults.MissingParameter):
        parameters.required("other")
    with pytest.raises(query_faults.InvalidParameterValue):
        parameters.choice("flag", ("a", "b"))
    assert parameters.number("other", 7, low=0, high=1) == 7
    assert parameters.flag("other") is False


# -- filters -----------------------------------------------------------------------------------------------------------

words = st.text("ab*?", max_size=8)


@given(words, st.text("ab", max_size=8))
def test_wildcards_are_those_of_the_shell(pattern, text):
    assert matches(parse_pattern(pattern), text) == fnmatch.fnmatchcase(text, pattern)


def test_a_backslash_takes_the_meaning_away():
    assert matches(parse_pattern(r"a\*"), "a*")
    assert not matches(parse_pattern(r"a\*"), "ab")
    assert matches(parse_pattern(r"\?"), "?")
    assert matches(parse_pattern("\\\\"), "\\")
    assert matches(parse_pattern("\\"), "\\")


def test_a_hostile_pattern_ends():
    assert not matches(parse_pattern("*a" * 100 + "b"), "a" * 255)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_reads_an_image(name):
    made = image(block_devices=(BlockDevice("root", "sda1"),), product_codes=("x",))
    holds = parse_filter(name, ["no such value"])
    assert holds(made) is False
    for text in FILTERS[name](made):
        assert parse_filter(name, ["other", text])(made)


def test_filters():
    made = image(name="Ubuntu 10.04", state=ImageState.UNTARRING, is_public=True)
    for name, values in (
        ("name", ["Ubuntu*"]),
        ("name", ["x", "*10.0?"]),
        ("state", ["pending"]),
        ("is-public", ["true"]),
        ("root-device-type", ["instance-store"]),
        ("virtualization-type", ["paravirtual"]),
        ("state-reason-message", ["untarring"]),
        ("creation-date", ["2023-11-14T*"]),
    ):
        assert parse_filter(name, values)(made), name
    for name, values in (("name", ["ubuntu*"]), ("tag:x", ["*"]), ("platform", ["windows"]), ("tag-key", ["*"])):
        assert not parse_filter(name, values)(made), name
    for name, values in (("no-such", ["x"]), ("", ["x"]), ("name", [])):
        with pytest.raises(query_faults.InvalidParameterValue):
            parse_filter(name, values)


# -- documents ---------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(), max_size=20))
def test_any_text_makes_a_document(text):
    root = ElementTree.fromstring(f"<a>{element('b', text)}</a>")
    assert len(root[0].text or "") == len(text)


def test_an_image_item():
    made = image(
        name="<lucid>",
        state=ImageState.FAILED,
        reason="The bundle & so on.",
        kernel_id="aki-1",
        block_devices=(BlockDevice("ami", "sda1"), BlockDevice("ephemeral0", "sdb")),
        product_codes=("code",),
        virtualization_type="hvm",
    )
    root = ElementTree.fromstring(f"<item>{image_item(made)}</item>")
    assert root.findtext("imageId") == "ami-00000001"
    assert root.findtext("name") == "<lucid>"
    assert root.findtext("imageState") == "failed"
    assert root.findtext("stateReason/message") == "The bundle & so on."
    assert root.findtext("creationDate") == "2023-11-14T22:13:20.000Z"
    assert root.findtext("rootDeviceName") == "sda1"
    assert root.findtext("blockDeviceMapping/item[2]/virtualName") == "ephemeral0"
    assert root.findtext("productCodes/item/productCode") == "code"
    assert root.findtext("virtualizationType") == "hvm"
    assert root.find("ramdiskId") is None


def test_documents():
    root = ElementTree.fromstring(response("DescribeImages", "2016-11-15", "req-1", "<imagesSet/>"))
    assert root.tag == "{http://ec2.amazonaws.com/doc/2016-11-15/}DescribeImagesResponse"
    assert root[0].text == "req-1"
    root = ElementTree.fromstring(error_document("AuthFailure", "no & never", "req-1"))
    assert root.findtext("Errors/Error/Code") == "AuthFailure"
    assert root.findtext("Errors/Error/Message") == "no & never"
    assert root.findtext("RequestID") == "req-1"


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "status", "message"),
    [
        (image_fact.NoSuchImage(image_id="ami-1"), "InvalidAMIID.NotFound", 400, "[ami-1]"),
        (image_fact.InvalidImageId(image_id="{x}"), "InvalidAMIID.Malformed", 400, '"{x}"'),
        (image_fact.InvalidManifest("Why."), "InvalidManifest", 400, "Why."),
        (image_fact.ImageNameTaken(name="a", image_id="b"), "InvalidAMIName.Duplicate", 400, "AMI name a"),
        (fact.NoSuchKey(key="k"), "InvalidManifest", 400, "k"),
        (fact.AccessDenied(), "AuthFailure", 403, "Not authorized"),
        (fact.StorageFailed("disk /dev/sda is broken"), "Unavailable", 503, "not answer"),
        (fact.StoreError("secret"), "InternalError", 500, "An internal error"),
        (ZeroDivisionError("secret"), "InternalError", 500, "An internal error"),
        (BodyTooLarge("at most 1 byte"), "InvalidRequest", 413, "at most"),
        (faults.AuthFailure(), "AuthFailure", 401, "credentials"),
        (faults.DryRunOperation(), "DryRunOperation", 412, "DryRun"),
    ],
)
def test_errors(error, code, status, message):
    row = error_row(error)
    assert (row.code, row.status) == (code, status)
    assert message in row.message
    assert "secret" not in row.message
    assert "sda" not in row.message
