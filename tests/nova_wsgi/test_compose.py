"""Composing from an ini; a bad one is explained with file, section and the name that is missing."""

import pytest

from nova_wsgi import config
from nova_wsgi.compose import load_app
from nova_wsgi.errors import ConfigError, PasteConfigError
from nova_wsgi.manager import Manager, composing

HERE = "support.composed"

GOOD = f"""
[DEFAULT]
colour = red

[pipeline:s3]
pipeline = twice words

[app:words]
paste.app_factory = {HERE}:Words.factory
text = hello

[filter:twice]
paste.filter_factory = {HERE}:twice
times = 2

[app:called]
use = call:{HERE}:make_words
text = called

[app:louder]
use = words
text = LOUD

[composite:site]
use = call:{HERE}:mount
first = words
second = missing

[filter-app:wrapped]
use = twice
next = words
"""


@pytest.fixture
def compose(tmp_path):
    path = tmp_path / "paste.ini"

    def compose(text, name="s3"):
        path.write_text(text)
        with composing(conf=config.load([], program="x", argv=[], environ={}), host="h"):
            return load_app(str(path), name)

    compose.path = path
    return compose


def answer(app):
    return b"".join(app({}, lambda *_: None))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("s3", b"hellohello"),
        ("words", b"hello"),
        ("called", b"called"),
        ("louder", b"LOUD"),
        ("wrapped", b"hellohello"),
    ],
)
def test_apps_are_composed(compose, name, body):
    assert answer(compose(GOOD, name)) == body


def test_a_manager_is_made_by_its_section(compose):
    app = compose(GOOD, "words")
    assert isinstance(app, Manager)
    assert app.host == "h"


PIPELINE = GOOD.replace("twice words", "{}")


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        (GOOD, "iam", "there is no [app:iam] or [composite:iam] or [pipeline:iam]; it has [pipeline:s3], [app:words],"),
        ("", "s3", "it has no apps"),
        (GOOD + "[app:s3]\nuse = words\n", "s3", "[pipeline:s3] and [app:s3] have one name: which app is meant?"),
        (GOOD + "[composite:words]\nuse = x\n", "s3", "[app:words] and [composite:words] have one name"),
        (GOOD, "main", "there is no main app"),
        (PIPELINE.format("thrice words"), "s3", "[pipeline:s3]: it names the filter 'thrice', but there is no [filter:thrice]"),
        (PIPELINE.format("twice wordz"), "s3", "[pipeline:s3]: it names the app 'wordz', but there is no [app:wordz]"),
        (PIPELINE.format("words twice"), "s3", "[pipeline:s3]: it names the app 'twice', but there is no [app:twice]"),
        (GOOD.replace("use = words", "use = wordz"), "louder", "[app:louder]: it names the app 'wordz'"),
        (GOOD, "site", "[composite:site]: it names the app 'missing', but there is no [app:missing]"),
        (GOOD.replace(f"{HERE}:twice", "nowhere:twice"), "s3", "[filter:twice]: No module named 'nowhere'"),
        (GOOD.replace(f"{HERE}:twice", f"{HERE}:thrice"), "s3", "[filter:twice]: module 'support.composed' has no"),
        (GOOD.replace("call:", "call:no"), "called", "[app:called]: No module named 'nosupport'"),
        (GOOD.replace("use = twice", "use = egg:Nothing#x"), "wrapped", "[filter-app:wrapped]: No package metadata"),
        (GOOD.replace("use = twice", "use = egg:Paste#zzz"), "wrapped", "[filter-app:wrapped]: Entry point 'zzz' not found"),
        (GOOD.replace("times = 2", "tymes = 2\ntimes = 2"), "s3", "[filter:twice]: unknown option tymes"),
        (GOOD.replace("times = 2", ""), "s3", "[filter:twice]: option 'times' is required"),
        (GOOD.replace("times = 2", "times = two"), "s3", "[filter:twice]: times is a whole number, not 'two'"),
        (GOOD.replace("text = hello", "size = 1"), "words", "[app:words]: unknown option size"),
        (GOOD.replace("text = LOUD", "size = 1"), "louder", "[app:louder]: unknown option size"),
        (GOOD.replace("text = hello", "get text = nothing"), "words", "[app:words]: it gets the global option 'nothing'"),
        (GOOD.replace("times = 2", "times = %(count)s"), "s3", "[filter:twice]: Error in file"),
        ("pipeline = words" + GOOD, "s3", "File contains no section headers"),
        (GOOD + "[filter:twice]\n", "s3", "section 'filter:twice' already exists"),
        (GOOD.replace("next = words", ""), "wrapped", "is missing a 'next' setting"),
        (GOOD.replace("pipeline = twice words", ""), "s3", "[pipeline:s3] section in"),
        (GOOD.replace(f"paste.filter_factory = {HERE}:twice", ""), "s3", "[filter:twice]: No loader given"),
    ],
)  # fmt: skip
def test_a_bad_ini_is_explained(compose, text, name, told):
    with pytest.raises(PasteConfigError) as caught:
        compose(text, name)
    message = str(caught.value)
    assert message.startswith(f"{compose.path}: ")
    assert told in message
    assert "\n" not in message


def test_a_missing_ini_is_told(tmp_path):
    with pytest.raises(PasteConfigError, match=r"nothing\.ini: No such file or directory$"):
        load_app(str(tmp_path / "nothing.ini"), "s3")


def test_what_a_factory_says_on_purpose_passes_through(compose):
    with pytest.raises(ConfigError) as caught:
        compose(GOOD.replace("text = hello", "text = forbidden"), "words")
    assert not isinstance(caught.value, PasteConfigError)
    assert str(caught.value) == "this text is forbidden"


def test_a_bug_in_a_factory_keeps_its_traceback(compose):
    with pytest.raises(ZeroDivisionError):
        compose(GOOD.replace("text = hello", "text = buggy"), "words")
