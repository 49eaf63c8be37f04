"""The yardstick: eventlet.wsgi as it comes, answering a fixed body under fixed headers. PORT SIZE [HEADER...]"""

import sys
import warnings

warnings.simplefilter("ignore")

import eventlet  # noqa: E402

eventlet.monkey_patch()

from eventlet import wsgi  # noqa: E402

PORT, SIZE = int(sys.argv[1]), int(sys.argv[2])
BODY = b"x" * SIZE
HEADERS = [(name, value) for name, _, value in (header.partition(": ") for header in sys.argv[3:])]


def app(environ, start_response):
    """Read what was sent, answer."""
    environ["wsgi.input"].read()
    start_response("200 OK", [*HEADERS, ("Content-Length", str(SIZE))])
    return [BODY]


wsgi.server(eventlet.listen(("127.0.0.1", PORT)), app, log_output=False)
