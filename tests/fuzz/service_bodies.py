"""``os-services``, in process: bodies in JSON and XML, by an administrator; and paths.

Properties: no answer is a 5xx, nothing is raised.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.fuzz_answers import Caught, judge
from support.fuzz_mutations import damage_json
from support.fuzzing import Target
from support.registry import Place, beat

from nova_wsgi import admin_token, config
from nova_wsgi.apps.services import ServicesApp
from nova_wsgi.middleware.extension import Extension
from nova_wsgi.registry import options
from nova_wsgi.registry.database import open_database
from nova_wsgi.registry.services import Services
from nova_wsgi.testing import Client

SECTIONS = (*options.sections(), admin_token.section())
TARGETS_OF = ("/1", "/enable", "/disable", "/disable-log-reason")


class Api:
    """The application over a registry with one service."""

    _client: Client
    _caught: Caught

    @contextmanager
    def open(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="nova-fuzz-") as directory, Caught.of("nova_wsgi") as self._caught:
            token_file = Path(directory) / "token"
            place = Place(f"sqlite:///{directory}/services.sqlite")
            services = Services(open_database(place.url), down_time_s=60)
            services.report(beat())
            argv = [f"--database-connection={place.url}", f"--api-admin-token-file={token_file}"]
            manager = ServicesApp(conf=config.load(SECTIONS, program="x", argv=argv, environ={}), host="alpha")
            manager.init_host()
            headers = {"X-Auth-Token": token_file.read_text().strip()}
            self._client = Client(Extension(manager), headers=headers, environ={"SCRIPT_NAME": "/os-services"})
            try:
                yield
            finally:
                manager.cleanup_host()
                services.close()

    def check(self, data: bytes) -> str:
        """A body, as JSON where it may be, else as XML."""
        kind = "application/xml" if data.lstrip()[:1] == b"<" else "application/json"
        told = []
        for target in TARGETS_OF:
            answer = self._client.put(target, body=data, headers={"Content-Type": kind})
            told.append(judge(answer, self._caught))
        return f"{kind} {' '.join(told)}"


_SEEDS = (
    b'{"host": "alpha", "binary": "nova-thing", "topic": null, "disabled_reason": "why"}',
    b'{"service": {"status": "enabled"}}',
    b'{"status": "disabled", "disabled_reason": "why", "host": "alpha", "binary": "nova-thing"}',
    b'<service status="disabled" disabled_reason="why"/>', b'<service host="alpha" binary="nova-thing"/>',
)  # fmt: skip
_WORDS = (
    b'<?xml version="1.0" encoding="xyz"?>', b'<?xml version="1.0" encoding="big5"?>', b"<!DOCTYPE a>", b"\\ud800",
    b'"status":',
    b'"enabled"', b' host="', b"<!-- -->",
)  # fmt: skip


def make_body(rng: random.Random) -> bytes:
    """A damaged JSON."""
    body: object = json.loads(rng.choice(_SEEDS[:3]))
    for _ in range(rng.randrange(3)):
        body = damage_json(rng, body)
    return json.dumps(body).encode()


def _targets() -> Sequence[Target]:
    api = Api()
    growths: Mapping[str, Callable[[int], bytes]] = {
        "comments": lambda n: b"<service>" + b"<!---->a" * n + b"</service>",
        "brackets": lambda n: b"[" * n,
    }
    return (
        Target(
            "service_bodies",
            api.check,
            make_body,
            seeds=_SEEDS,
            words=_WORDS,
            growths=growths,
            open=api.open,
            short=400,
        ),
    )


TARGETS = _targets()
