"""The admin token: a secret in a file, without which nothing is changed through an administrator's API.

A service that listens on the loopback alone is not safe by that: every user of the machine reaches it, and so does a
web page in the browser of one of them, or whoever is let through by a proxy on the same machine. So the changing verbs
ask for the token wherever the request comes from.

    curl -X PUT -H "X-Auth-Token: $(cat nova-state/api-token)" ...
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from nova_wsgi.config import Section
from nova_wsgi.errors import ConfigError, RequestError
from nova_wsgi.private_files import check_private

GROUP = "api"
TOKEN_BYTES = 32
TOKEN_SIZE_MAX = 4096  # bytes of the file: what is larger is no token
TOKEN_SIZE_MIN = 16  # characters: a shorter one could be guessed


def section(*, default_file: str | None = None) -> Section:
    """The option of the token; the argument is a program's default, which may name other options."""
    return Section(
        "Administration",
        (
            cfg.StrOpt(
                "admin_token_file", default=default_file, metavar="FILE",
                help="File with the token that changing requests to administrators' APIs must bring (X-Auth-Token, or"
                " Authorization: Bearer); made with a random one when it is not there. Empty: nothing can be changed.",
            ),
        ),
        group=GROUP,
    )  # fmt: skip


class Unauthorized(RequestError):
    """The token is missing, or another one."""

    status = 401
    reason = "Unauthorized"
    headers = (("WWW-Authenticate", 'Bearer realm="administration"'),)


class ChangesForbidden(RequestError):
    """There is no token, so nobody may change anything."""

    status = 403
    reason = "Forbidden"


class AdminToken:
    """The token in ``path``, which is read at each check: another one counts from the moment it is written.

    None or an empty path: nobody has it.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path

    @classmethod
    def of(cls, conf: cfg.ConfigOpts) -> AdminToken:
        """The token that the options name."""
        return cls(conf.api.admin_token_file)

    def prepare(self) -> None:
        """Make the file with a random token if it is not there. Raises ConfigError when it cannot be used."""
        if not self._path:
            return
        try:
            if not os.path.exists(self._path):
                _make(self._path)
            check_private(self._path, os.stat(self._path), what="admin_token_file")
            if len(self._read()) < TOKEN_SIZE_MIN:
                raise ConfigError(f"admin_token_file {self._path}: a token has at least {TOKEN_SIZE_MIN} characters")
        except OSError as error:
            raise ConfigError(f"admin_token_file {self._path}: {error.strerror}") from None

    def check(self, environ: Mapping[str, Any]) -> None:
        """Raise Unauthorized unless a request brings the token; ChangesForbidden when there is none to bring."""
        try:
            token = self._read() if self._path else ""
        except OSError:
            token = ""
        if len(token) < TOKEN_SIZE_MIN:
            raise ChangesForbidden("nothing can be changed here: the option admin_token_file names no token")
        if not hmac.compare_digest(_brought(environ).encode("latin-1"), token.encode()):
            raise Unauthorized("this needs the administrator's token, as X-Auth-Token or Authorization: Bearer")

    def _read(self) -> str:
        assert self._path
        with open(self._path, encoding="utf-8", errors="replace") as file:
            return file.read(TOKEN_SIZE_MAX).strip()


def _make(path: str) -> None:
    """Write a new token under a name of its own, and link it: of several processes one wins, and nobody reads half."""
    unfinished = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        os.unlink(unfinished)


def _brought(environ: Mapping[str, Any]) -> str:
    scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return environ.get("HTTP_X_AUTH_TOKEN", "") or (value.strip() if scheme.lower() == "bearer" else "")
