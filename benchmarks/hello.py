"""The yardstick: eventlet.wsgi as it comes, answering as many bytes under the same headers. PORT ANSWERS log|quiet

ANSWERS is JSON: request method -> [status line, body size in bytes, [[header, value], ...]].
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

import eventlet  # noqa: E402

eventlet.monkey_patch()

from eventlet import wsgi  # noqa: E402

ANSWERS = {
    method: (status, [(name, value) for name, value in headers], [b"x" * size] if size else [])
    for method, (status, size, headers) in json.loads(sys.argv[2]).items()
}


def app(environ, start_response):
    """Read what was sent, answer."""
    environ["wsgi.input"].read()
    status, headers, body = ANSWERS[environ["REQUEST_METHOD"]]
    start_response(status, headers)
    return body


wsgi.server(eventlet.listen(("127.0.0.1", int(sys.argv[1]))), app, log_output=sys.argv[3] == "log")
