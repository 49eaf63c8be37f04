"""What the inis of test_compose name."""

from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager


class Words(Manager):
    def __init__(self, *, text="words", **given):
        super().__init__(**given)
        if text == "forbidden":
            raise ConfigError("this text is forbidden")
        if text == "buggy":
            raise ZeroDivisionError
        self.text = text

    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [self.text.encode()]


def make_words(global_conf, text):
    return Words.factory(global_conf, text=text)


def twice(global_conf, *, times):
    if not times.isdigit():
        raise ValueError(f"times is a whole number, not {times!r}")

    def wrap(app):
        return lambda environ, start_response: list(app(environ, start_response)) * int(times)

    return wrap


def mount(loader, global_conf, **names):
    apps = {path: loader.get_app(name, global_conf=global_conf) for path, name in names.items()}
    return apps["first"]
