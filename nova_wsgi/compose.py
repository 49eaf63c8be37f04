"""Compose WSGI applications from a PasteDeploy ini, and say what is wrong with one that cannot be.

PasteDeploy does the loading; here each of its steps is given the section it happens in, so that a mistake is told as
``api-paste.ini: [pipeline:s3]: it names the filter 'limts', but there is no [filter:limts]``.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from paste.deploy import loadwsgi

from nova_wsgi.errors import ConfigError, PasteConfigError

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# How sections of each kind are written; the first is the usual one.
_PREFIXES = {
    "app": ("app", "application", "composite", "composit", "pipeline", "filter-app"),
    "filter": ("filter",),
    "server": ("server",),
}
# Python's words for arguments that do not fit: the section's keys are the factory's keyword arguments.
_UNKNOWN_KEY = re.compile(r"unexpected keyword argument '(\w+)'")
_MISSING_KEYS = re.compile(r"missing \d+ required (?:keyword-only|positional) arguments?: ([^;]+)")


def load_app(path: str, name: str, *, global_conf: Mapping[str, str] | None = None) -> WSGIApplication:
    """Compose the application ``name`` of the ini at ``path``.

    Raises PasteConfigError that names the file, the section and what is missing; errors that a factory raises as
    ConfigError pass through.
    """
    path = os.path.abspath(path)
    try:
        loader = _Loader(path)
        if global_conf:
            loader.update_defaults(dict(global_conf), overwrite=False)
        return loader.get_app(name, global_conf=dict(global_conf or {}))  # type: ignore[no-any-return]
    except _MissingSection as missing:
        raise PasteConfigError(missing.tell_top(loader.parser.sections()), path=path) from None
    except OSError as error:
        raise PasteConfigError(error.strerror or str(error), path=path) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise PasteConfigError(_one_line(error), path=path) from None


class _MissingSection(LookupError):
    """A name was looked up and no section has it."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(name)

    def tell(self) -> str:
        """For the section that names it."""
        wanted = " or ".join(f"[{prefix}:{self.name}]" for prefix in _usual(self.kind))
        return f"it names the {self.kind} {self.name!r}, but there is no {wanted}"

    def tell_top(self, sections: list[str]) -> str:
        """For the one that asked for it from outside."""
        wanted = " or ".join(f"[{prefix}:{self.name}]" for prefix in _usual(self.kind))
        there = [section for section in sections if section.partition(":")[0] in _PREFIXES[self.kind]]
        return f"there is no {wanted}; it has {', '.join(f'[{section}]' for section in there) or 'no apps'}"


def _usual(kind: str) -> tuple[str, ...]:
    return ("app", "composite", "pipeline") if kind == "app" else _PREFIXES[kind]


class _Loader(loadwsgi.ConfigLoader):  # type: ignore[misc]
    """PasteDeploy's loader, which knows in which section it is when something fails."""

    def find_config_section(self, object_type: Any, name: str | None = None) -> str:
        """Find a section by its kind and name."""
        kind = _kind(object_type)
        there = [s for s in self.parser.sections() if s.partition(":")[0] in _PREFIXES[kind]]
        if not any(section.partition(":")[2].strip() == name for section in there) and name not in (None, "main"):
            raise _MissingSection(kind, str(name))
        try:
            return str(super().find_config_section(object_type, name=name))
        except LookupError:  # several kinds of section have the name, or none is the main one
            raise PasteConfigError(_tell_found(there, kind, name), path=self.filename) from None

    def get_context(self, object_type: Any, name: str | None = None, global_conf: Any = None) -> Any:
        """Give what one section describes; failures name the section."""
        if self.absolute_name(name):
            return super().get_context(object_type, name, global_conf)
        section = self.find_config_section(object_type, name=name)
        try:
            context = super().get_context(object_type, name, global_conf)
        except ConfigError:
            raise
        except _MissingSection as missing:
            raise PasteConfigError(missing.tell(), path=self.filename, section=section) from None
        except KeyError as error:
            problem = f"it gets the global option {error.args[0]!r}, which is not set"
            raise PasteConfigError(problem, path=self.filename, section=section) from None
        except (LookupError, ImportError, AttributeError, ValueError, OSError, configparser.Error) as error:
            raise PasteConfigError(_one_line(error), path=self.filename, section=section) from error
        self._explain(context, section)
        return context

    def _explain(self, context: Any, section: str) -> None:
        """Have what a factory raises name its section: the outermost, which gave the last of its keys."""
        if context.object is None:
            return
        if not isinstance(context.object, _Factory):
            context.object = _Factory(context.object, self.filename)
        context.object.section = section


class _Factory:
    """A factory, whose complaints about its section's keys become PasteConfigErrors."""

    def __init__(self, make: Callable[..., Any], path: str) -> None:
        self._make = make
        self._path = path
        self.section = ""

    def __call__(self, *args: Any, **keys: Any) -> Any:
        try:
            return self._make(*args, **keys)
        except ConfigError:
            raise
        except _MissingSection as missing:
            problem = missing.tell()
            cause: BaseException = missing
        except TypeError as error:
            problem, cause = _tell_keys(error), error
            if not problem:
                raise
        except (ValueError, LookupError, OSError, ImportError) as error:
            problem, cause = _one_line(error), error
        raise PasteConfigError(problem, path=self._path, section=self.section) from cause


def _tell_keys(error: TypeError) -> str:
    unknown = _UNKNOWN_KEY.search(str(error))
    if unknown:
        return f"unknown option {unknown[1]}"
    missing = _MISSING_KEYS.search(str(error))
    return f"option {missing[1]} is required" if missing else ""


def _tell_found(there: list[str], kind: str, name: str | None) -> str:
    """Why the name of a section does not find just one."""
    same = [f"[{section}]" for section in there if section.partition(":")[2].strip() == name]
    return f"{' and '.join(same)} have one name: which {kind} is meant?" if same else f"there is no main {kind}"


def _kind(object_type: Any) -> str:
    return {loadwsgi.FILTER: "filter", loadwsgi.SERVER: "server"}.get(object_type, "app")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
