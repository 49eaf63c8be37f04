"""The health app: does this process live, and is its service ready to work; for orchestrators and for people.

    GET /live     200 as soon as a process answers: restart it when this fails
    GET /ready    200, or 503 with the reasons: send no traffic while this fails

What ready means is for the Managers to say: they register checks in ``init_host`` and take them back in
``cleanup_host``. A check answers for its own process, so each worker gives its own answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from nova_wsgi import green
from nova_wsgi.manager import Manager
from nova_wsgi.response import Response, error_response, preferred_type

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

Check = Callable[[], str | None]

LOG = logging.getLogger(__name__)

CHECK_TIMEOUT_S = 5.0  # a check that hangs is an answer too, before the orchestrator's own patience ends
CACHE_S = 1.0  # however often it is asked, the checks are run this often at most

_checks: dict[str, Check] = {}


def register_check(name: str, check: Check) -> None:
    """Make readiness depend on ``check()``: None when all is well, or the reason in a few words for the operator.

    It runs in a greenthread and has five seconds; raising counts as not ready. A check of the same name is replaced.
    """
    _checks[name] = check


def unregister_check(name: str, check: Check) -> None:
    """Take a check back, unless another has replaced it meanwhile (a reload makes the new Manager first)."""
    if _checks.get(name) == check:
        del _checks[name]


def reasons(*, timeout_s: float = CHECK_TIMEOUT_S) -> dict[str, str]:
    """Run the checks, each for ``timeout_s`` at most; the reasons of those that fail, by name. Empty: ready."""
    outcomes = {name: _reason(name, check, timeout_s) for name, check in list(_checks.items())}
    return {name: reason for name, reason in outcomes.items() if reason is not None}


def _reason(name: str, check: Check, timeout_s: float) -> str | None:
    deadline = green.Timeout(timeout_s)
    try:
        return check()
    except green.Timeout as expired:
        if expired is not deadline:
            raise  # somebody else's, further out
        return f"no answer within {timeout_s:g} s"
    except Exception:  # whatever it is, the service is not ready, and the other checks go on
        LOG.exception("the readiness check %s failed", name)
        return "the check failed; the log has the reason"
    finally:
        deadline.cancel()


class Health(Manager):
    """Answers /live and /ready in JSON, or in text to a client that prefers it."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._checked_at = float("-inf")
        self._reasons: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a check."""
        return self._answer(environ)(environ, start_response)

    def _answer(self, environ: dict[str, Any]) -> Response:
        answer = {"/live": self._live, "/ready": self._ready}.get(environ["PATH_INFO"])
        if answer is None:
            return error_response(environ, 404, "the paths are /live and /ready")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return error_response(environ, 405, headers=[("Allow", "GET, HEAD")])
        environ["nova.operation"] = "Health"
        return answer(environ)

    def _live(self, environ: dict[str, Any]) -> Response:
        return _document(environ, "live", {})

    def _ready(self, environ: dict[str, Any]) -> Response:
        now = time.monotonic()
        if now - self._checked_at >= CACHE_S:
            self._checked_at = now
            self._reasons = reasons()
        return _document(environ, "ready", self._reasons)


def _document(environ: dict[str, Any], name: str, failing: dict[str, str]) -> Response:
    """``{"ready": false, "reasons": {"database": "cannot be reached"}}``, or the same in lines."""
    status = 503 if failing else 200
    headers = [("Cache-Control", "no-store")]
    form = preferred_type(environ.get("HTTP_ACCEPT", ""), ("application/json", "text/plain"))
    if form == "application/json":
        return Response.of_json({name: not failing, "reasons": failing}, status=status, headers=headers)
    lines = [f"not {name}" if failing else name, *(f"{check}: {reason}" for check, reason in failing.items())]
    return Response.of_text("".join(f"{line}\n" for line in lines), status=status, headers=headers)
