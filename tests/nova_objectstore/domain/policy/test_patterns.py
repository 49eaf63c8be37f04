"""Wildcards, variables and ARNs of policies."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import naive_policy
from support.policies import Known

from nova_objectstore.domain.policy.patterns import ArnPattern, Glob, encode_wildcards, parse_template, split_arn
from nova_objectstore.errors import MalformedPolicy

FEW = st.text(alphabet="ab/", max_size=8)
PATTERNS = st.text(alphabet="ab/*?", max_size=10)


def glob(pattern: str) -> Glob:
    return Glob(encode_wildcards(pattern))


@given(pattern=PATTERNS, text=FEW)
def test_a_glob_matches_as_its_obvious_twin_does(pattern: str, text: str) -> None:
    assert glob(pattern).matches(text) == naive_policy.wildcard(pattern, text)


@given(pattern=PATTERNS, text=st.text(alphabet="ab/", max_size=4))
def test_a_beginning_fits_when_some_text_that_goes_on_from_it_matches(pattern: str, text: str) -> None:
    fits = glob(pattern).matches_beginning(text)
    if any(glob(pattern).matches(text + rest) for rest in ("", "a", "b", "/", "ab", "a/b", "ba/ab")):
        assert fits
    if fits:  # what the pattern says after the text can be written down: stars for nothing, any letter for ?
        tails = (pattern[cut:].replace("*", "").replace("?", "a") for cut in range(len(pattern) + 1))
        assert any(glob(pattern).matches(text + tail) for tail in tails)


@pytest.mark.parametrize(
    ("pattern", "alike"),
    [("*?", "?*"), ("a**?*?b", "a??*b"), ("*?*", "?*"), ("???", "???"), ("?a?*", "?a?*"), ("**", "*")],
)
def test_a_run_of_wildcards_is_its_question_marks_and_one_star(pattern: str, alike: str) -> None:
    assert glob(pattern).encoded == encode_wildcards(alike)
    assert len(glob("*?" * 9000).encoded) == 9001


def test_a_pattern_of_many_stars_costs_no_more_than_its_length_times_the_text_s() -> None:
    pattern = glob("*a" * 400 + "*b")
    began = time.perf_counter()
    assert not pattern.matches("a" * 1024)
    assert time.perf_counter() - began < 0.5


def test_characters_of_a_text_are_no_wildcards() -> None:
    assert glob("a*c").matches("a*c")
    assert not glob("ac").matches("*")
    assert not glob("a?c").matches("a\nbc")
    assert glob("a?c").matches("a\nc")


@pytest.mark.parametrize(
    ("text", "values", "resolved"),
    [
        ("home/${aws:username}/x", {"aws:username": "bob"}, "home/bob/x"),
        ("${AWS:UserName}", {"aws:username": "bob"}, "bob"),
        ("${aws:username}", {}, None),
        ("${aws:username, 'nobody'}", {}, "nobody"),
        ("${aws:username,'nobody'}", {"aws:username": "bob"}, "bob"),
        ("${aws:PrincipalTag/Team}", {"aws:PrincipalTag/Team": "red"}, "red"),
        ("${aws:username}", {"aws:username": ("a", "b")}, None),
        ("${*}${?}${$}{x}", {}, "*?${x}"),
        ("a$b{c}", {}, "a$b{c}"),
    ],
)
def test_variables_are_put_in(text: str, values: dict[str, str], resolved: str | None) -> None:
    assert parse_template(text, wildcards=False, variables=True).resolve(Known(values)) == resolved


def test_a_variable_s_wildcards_are_plain_characters() -> None:
    template = parse_template("${aws:username}/*", wildcards=True, variables=True)
    resolved = template.resolve(Known({"aws:username": "*"}))
    assert resolved is not None
    assert Glob(resolved).matches("*/x")
    assert not Glob(resolved).matches("bob/x")


def test_without_the_version_that_has_variables_they_are_text() -> None:
    assert parse_template("${aws:username}", wildcards=False, variables=False).resolve(Known()) == "${aws:username}"


@pytest.mark.parametrize("text", ["${aws:username", "${}", "${username}", "${aws:user name}", "${aws:x, nobody}"])
def test_what_is_no_variable_is_refused(text: str) -> None:
    with pytest.raises(MalformedPolicy):
        parse_template(text, wildcards=True, variables=True)


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        ("arn:aws:s3:::photos/*", "arn:aws:s3:::photos/a:b/c", True),
        ("arn:aws:s3:::photos/*", "arn:aws:s3:::photos", False),
        ("arn:aws:s3:::photo?", "arn:aws:s3:::photos", True),
        ("arn:*:s3:::photos", "arn:aws:s3:::photos", True),
        ("arn:aws:s*:photos", None, False),
        ("arn:aws:iam::*:user/*", "arn:aws:iam::111122223333:user/a/b", True),
        ("arn:aws:*:::photos", "arn:aws:iam::1:photos", False),  # a star stays within its part
        ("arn:aws:s3:::photos/${aws:userid}", "arn:aws:s3:::photos/AROA:night", True),
        ("arn:aws:s3:::photos/${aws:username}", "arn:aws:s3:::photos/", False),
    ],
)
def test_an_arn_is_matched_part_by_part(pattern: str, arn: str | None, matches: bool) -> None:
    if arn is None:
        with pytest.raises(MalformedPolicy):
            ArnPattern(pattern, variables=True)
        return
    facts = Known({"aws:userid": "AROA:night"})
    assert ArnPattern(pattern, variables=True).matches(split_arn(arn), facts) is matches
