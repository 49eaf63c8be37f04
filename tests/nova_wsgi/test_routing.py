"""Routing: which controller method answers a request line."""

import json

import pytest

from nova_wsgi.errors import BadRequest
from nova_wsgi.response import Response
from nova_wsgi.routing import Controller, MethodNotAllowed, NotFound, Router, route


class Objects(Controller):
    @route("GET /")
    def index(self, req):
        return ["a", "b"]

    @route("GET /{bucket}")
    def show(self, req, bucket):
        return f"bucket {bucket}"

    @route("PUT /{bucket}")
    @route("POST /{bucket}")
    def create(self, req, bucket):
        return Response(status=201)

    @route("DELETE /{bucket}")
    def remove(self, req, bucket):
        return None

    @route(r"GET /{bucket}/{key:[\s\S]*}")
    def get(self, req, bucket, key):
        return {"bucket": bucket, "key": key}

    @route("POST /{bucket}/refused")
    def refuse(self, req, bucket):
        raise BadRequest("not today")


def ask(app, method, path, **environ):
    """Call the application; return status line, headers (a dict), body and environ."""
    started = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1"), **environ}
    body = app(environ, lambda status, headers: started.append((status, dict(headers))))
    return (*started[0], b"".join(body), environ)


@pytest.fixture
def app():
    return Router(Objects())


def test_a_path_and_method_find_their_controller_method(app):
    assert ask(app, "GET", "/")[2] == b'["a", "b"]'
    assert ask(app, "GET", "/photos")[2] == b"bucket photos"
    assert ask(app, "PUT", "/photos")[0] == "201 Created"
    assert ask(app, "POST", "/photos")[0] == "201 Created"
    assert ask(app, "DELETE", "/photos")[:1] == ("204 No Content",)


def test_the_environ_tells_what_was_found(app):
    environ = ask(app, "GET", "/photos/cat.jpg")[3]
    assert environ["wsgiorg.routing_args"] == ((), {"bucket": "photos", "key": "cat.jpg"})
    assert environ["nova.operation"] == "Objects.get"


@pytest.mark.parametrize("key", ["a/b//c/", "a\nb", "ends with\n", "\n", "ä/\U0001f408", "a b+c%", "..", ""])
def test_a_variable_may_take_any_text(app, key):
    body = ask(app, "GET", f"/photos/{key}")[2]
    assert json.loads(body) == {"bucket": "photos", "key": key}


def test_a_trailing_newline_is_part_of_the_path(app):
    assert ask(app, "GET", "/photos\n")[2] == b"bucket photos\n"
    fixed = Router()
    fixed.add("GET /fixed", lambda req: "fixed")
    assert ask(fixed, "GET", "/fixed")[2] == b"fixed"
    assert ask(fixed, "GET", "/fixed\n")[0] == "404 Not Found"


def test_an_unknown_path_is_404(app):
    status, headers, body, _ = ask(Router(), "GET", "/nothing")
    assert status == "404 Not Found"
    assert headers["Content-Type"].startswith("text/plain")
    assert b"nothing is found at this path" in body


def test_an_unknown_method_is_405_and_says_which_there_are(app):
    status, headers, _, _ = ask(app, "PATCH", "/photos")
    assert status == "405 Method Not Allowed"
    assert headers["Allow"] == "DELETE, GET, HEAD, POST, PUT"


def test_head_is_answered_as_get_unless_it_has_its_own(app):
    assert ask(app, "HEAD", "/photos")[0] == "200 OK"
    app.add("HEAD /{bucket}", lambda req, bucket: Response(status=304))
    assert ask(app, "HEAD", "/photos")[0] == "304 Not Modified"
    assert ask(app, "HEAD", "/photos/refused")[0] == "200 OK"


def test_a_path_that_is_not_utf_8_is_400(app):
    environ = {"PATH_INFO": "/\xff"}
    assert ask(app, "GET", "/", **environ)[0] == "400 Bad Request"


def test_a_controllers_request_error_is_answered(app):
    status, _, body, _ = ask(app, "POST", "/photos/refused")
    assert status == "400 Bad Request"
    assert b"not today" in body


def test_errors_rise_when_nobody_is_to_render_them():
    app = Router(Objects(), render_error=None)
    with pytest.raises(BadRequest):
        ask(app, "POST", "/photos/refused")
    with pytest.raises(MethodNotAllowed) as caught:
        ask(app, "PATCH", "/photos")
    assert caught.value.allow == ("DELETE", "GET", "HEAD", "POST", "PUT")
    with pytest.raises(NotFound):
        ask(Router(render_error=None), "GET", "/x")


def test_an_empty_path_below_a_mount_point_is_its_root(app):
    assert ask(app, "GET", "", SCRIPT_NAME="/mounted")[2] == b'["a", "b"]'


def test_any_wsgi_application_may_be_returned():
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"by hand"]

    app = Router()
    app.add("GET /", lambda req: application)
    assert ask(app, "GET", "/")[2] == b"by hand"
    app.add("GET /wrong", lambda req: 5)
    with pytest.raises(TypeError, match="returned int"):
        ask(app, "GET", "/wrong")


def test_the_longer_fixed_beginning_wins_then_the_first_added():
    app = Router()
    app.add("GET /{a}/{b}", lambda req, a, b: "first")
    app.add("GET /{c}/{d}", lambda req, c, d: "second")
    app.add("GET /x/{b}", lambda req, b: "fixed")
    assert ask(app, "GET", "/y/1")[2] == b"first"
    assert ask(app, "GET", "/x/1")[2] == b"fixed"


def test_a_template_that_lacks_the_method_gives_way_to_one_that_has_it():
    app = Router()
    app.add(r"GET /{path:[\s\S]*}", lambda req, path: "page")
    app.add("POST /forms/{name}", lambda req, name: f"form {name}")
    app.add("PUT /{name}", lambda req, name: "put")
    assert ask(app, "GET", "/forms/a")[2] == b"page"
    assert ask(app, "HEAD", "/forms/a")[0] == "200 OK"
    assert ask(app, "POST", "/forms/a")[2] == b"form a"
    assert ask(app, "PUT", "/a")[2] == b"put"
    assert ask(app, "PUT", "/forms/a")[1]["Allow"] == "GET, HEAD, POST"


def test_the_table_lists_every_route(app):
    assert ("GET", "/{bucket}", "Objects.show") in app.table()
    assert len(app.table()) == 7


def test_a_subclass_inherits_and_replaces_routes():
    class Changed(Objects):
        @route("GET /{bucket}")
        def show(self, req, bucket):
            return "changed"

    app = Router(Changed())
    assert ask(app, "GET", "/photos")[2] == b"changed"
    assert ask(app, "GET", "/")[2] == b'["a", "b"]'


@pytest.mark.parametrize(
    ("request_line", "error", "match"),
    [
        ("/photos", ValueError, "METHOD /path"),
        ("GET photos", ValueError, "METHOD /path"),
        ("get /photos", ValueError, "METHOD /path"),
        ("GET /{bucket}", ValueError, "answered by Objects.show already"),
        ("GET /new/{thing}", TypeError, "cannot answer 'GET /new/{thing}'"),
        ("GET /new/{controller}", ValueError, "keeps the variable name"),
    ],
)
def test_a_bad_route_is_refused_when_it_is_added(app, request_line, error, match):
    with pytest.raises(error, match=match):
        app.add(request_line, lambda req: None)
