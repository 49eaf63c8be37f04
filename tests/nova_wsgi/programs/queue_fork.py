"""Forks a process that has a consumer and a transport; prints what of them the child can use, as JSON."""

from nova_wsgi import green

green.patch()

import json  # noqa: E402
import os  # noqa: E402

from nova_wsgi import rpc  # noqa: E402
from nova_wsgi.rpc.embedded import EmbeddedTransport  # noqa: E402


def outcome(transport: EmbeddedTransport) -> str:
    try:
        return str(rpc.Client(transport, "forked").call("anything", timeout_s=1))
    except (AssertionError, rpc.QueueError) as error:
        return type(error).__name__


inherited = EmbeddedTransport()
inherited.listen("forked", "host", lambda message: rpc.Reply(message.id, "answered"))
told = {"parent": outcome(inherited)}
reading, writing = os.pipe()
if os.fork() == 0:
    green.after_fork()
    os.write(writing, json.dumps({"inherited": outcome(inherited), "own": outcome(EmbeddedTransport())}).encode())
    os._exit(0)
os.close(writing)
print(json.dumps(told | json.loads(os.read(reading, 1000))))
