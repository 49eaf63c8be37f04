"""A bucket's website: which page answers a path, and which paths are sent elsewhere (AWS: "Hosting a static website").

Pure: no requests, no storage. Paths are keys: without their leading slash, decoded.

Laws (AWS: "Configuring advanced conditional redirects"):

- A redirect of all requests stands alone. Otherwise the first routing rule that fits counts: those that ask for no error
  before the page is looked for, the others when it answered one.
- A prefix is one of the path as it was asked for, not of the index document that answers it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

WEBSITE = "website"  # the document's name

MOVED = 301

# What of a path goes into a URL as it is (RFC 3986: pchar and the slash), and what of text that is part of a URL already.
_PATH_SAFE = "/!$&'()*+,;=:@~-._"
_URL_SAFE = _PATH_SAFE + "%?#[]"


class Redirect(NamedTuple):
    """Where to: what is None is as in the request. ``code`` 0: MOVED."""

    host: str | None = None
    protocol: str | None = None  # "http" | "https"
    code: int = 0
    key: str | None = None
    key_prefix: str | None = None  # stands for the prefix that the rule asks for


class RoutingRule(NamedTuple):
    """A redirect and when it is taken: ``error_status`` 0 means before anything is looked for."""

    redirect: Redirect
    prefix: str = ""
    error_status: int = 0
    conditional: bool = False  # whether the rule was put with a condition


class Website(NamedTuple):
    """The whole of it: a redirect of all requests, or an index document with what may go with it."""

    index_suffix: str = ""
    error_key: str = ""
    rules: Sequence[RoutingRule] = ()
    redirect_all: Redirect | None = None

    def page_of(self, path: str) -> str:
        """The key that answers a path: a path that ends like a directory has its index document."""
        return path + self.index_suffix if not path or path.endswith("/") else path

    def index_below(self, path: str) -> str | None:
        """The key of the index document that ``path`` with a slash more would have; None where that means nothing."""
        return None if not path or path.endswith("/") else f"{path}/{self.index_suffix}"

    def rule_before(self, path: str) -> RoutingRule | None:
        """The rule that sends a path elsewhere before it is looked for."""
        return self._find(path, 0)

    def rule_after(self, path: str, status: int) -> RoutingRule | None:
        """The rule that sends a path elsewhere whose page answered an error."""
        return self._find(path, status)

    def _find(self, path: str, status: int) -> RoutingRule | None:
        fitting = (rule for rule in self.rules if rule.error_status == status and path.startswith(rule.prefix))
        return next(fitting, None)

    def encode(self) -> bytes:
        """The document to store."""
        return json.dumps(self).encode()

    @classmethod
    def decode(cls, document: bytes) -> Website:
        """From the stored document."""
        index_suffix, error_key, rules, redirect_all = json.loads(document)
        return cls(
            index_suffix,
            error_key,
            tuple(_decode_rule(*rule) for rule in rules),
            Redirect(*redirect_all) if redirect_all is not None else None,
        )


def _decode_rule(redirect: Sequence[Any], *condition: Any) -> RoutingRule:
    return RoutingRule(Redirect(*redirect), *condition)


def locate_rule(rule: RoutingRule, path: str, *, scheme: str, host: str) -> str:
    """The Location of a rule's redirect; ``scheme`` and ``host`` are those of the request."""
    redirect = rule.redirect
    if redirect.key is not None:
        target = quote(redirect.key, safe=_URL_SAFE)
    elif redirect.key_prefix is not None:
        target = quote(redirect.key_prefix, safe=_URL_SAFE) + quote(path[len(rule.prefix) :], safe=_PATH_SAFE)
    else:
        target = quote(path, safe=_PATH_SAFE)
    if redirect.host is None and redirect.protocol is None:
        return _on_this_host(target)
    return f"{redirect.protocol or scheme}://{redirect.host or host}/{target}"


def locate_all(redirect: Redirect, raw_path: str, query: str, *, scheme: str) -> str:
    """The Location of a redirect of all requests: the path (undecoded, with its slash) and the query stay."""
    target = quote(raw_path, safe=_URL_SAFE, encoding="latin-1")
    told = f"?{quote(query, safe=_URL_SAFE, encoding='latin-1')}" if query else ""
    return f"{redirect.protocol or scheme}://{redirect.host}{target}{told}"


def locate_directory(path: str) -> str:
    """The Location of a path with a slash more."""
    return _on_this_host(quote(f"{path}/", safe=_PATH_SAFE))


def _on_this_host(target: str) -> str:
    # APPSEC: two slashes would begin another host's name (RFC 3986 section 4.2)
    return f"/%2F{target[1:]}" if target.startswith("/") else f"/{target}"
