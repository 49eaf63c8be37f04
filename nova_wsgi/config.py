"""Options: declared with oslo.config, given on the command line, in the environment, or in files; in that order.

Strategy: the command line is read here (``--foo-bar``, ``--foo_bar`` and ``--foo-bar=x`` are one flag), every value is
checked where it stands, so that a mistake is told as one line that names the flag, variable or file, and what is left
for oslo.config is a clean command line: files first, then the environment, then the flags, the later ones winning.

Laws:

- A mistake is a ConfigError whose text is one line. Nothing is applied when anything is wrong.
- A file that sets a secret option to something with a password is its owner's alone (:mod:`nova_wsgi.private_files`).
- Only options declared ``mutable=True`` change when the files are read again (:meth:`Config.reload`).
- Who runs a program in the background, as which user, and where its pid is kept, is a supervisor's business:
  ``--daemonize``, ``--pidfile``, ``--uid`` and ``--gid`` are refused with a word on what to use instead.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import io
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from oslo_config import cfg, iniparser

from nova_wsgi.errors import ConfigError
from nova_wsgi.private_files import check_private

DEFAULT_GROUP = "DEFAULT"

# A URL with a password, or libpq's own form of one: what makes a config file a secret.
_password = re.compile(r"://[^/?#]*:[^/?#]*@|\bpassword\s*=", re.IGNORECASE).search

# What a supervisor does better: told when one of these flags is given.
SUPERVISED_FLAGS = {
    "--daemonize": "run it in the foreground under a supervisor (systemd, runit, supervisord)",
    "--pidfile": "a supervisor (systemd, runit, supervisord) knows the process it started; no pid file is needed",
    "--uid": "set the user in the supervisor (systemd: User=, runit: chpst -u, supervisord: user=)",
    "--gid": "set the group in the supervisor (systemd: Group=, runit: chpst -u user:group, supervisord: user=)",
}


@dataclass(frozen=True, slots=True)
class Section:
    """Options that belong together: a heading in ``--help`` and in the sample file.

    ``group`` is the ini section they stand in; flags of other groups than DEFAULT begin with the group's name.
    A *family* has as many ini sections as the files have of ``[KIND:SOME_NAME]``: its group is ``KIND:NAME``, it has no
    flags and no variables, and :func:`read_family` tells what there is. ``note`` explains it in the sample file.
    """

    title: str
    options: Sequence[cfg.Opt]
    group: str = DEFAULT_GROUP
    is_family: bool = False
    note: str = ""

    @property
    def prefix(self) -> str:
        """What the names of a family's ini sections begin with."""
        return self.group.partition(":")[0] + ":"


@dataclass(frozen=True, slots=True)
class _Declared:
    """One option with the names it goes by."""

    option: cfg.Opt
    group: str

    @property
    def key(self) -> str:
        """The name under which the parsed command line holds it."""
        return f"{self.group}.{self.option.dest}"

    @property
    def flag(self) -> str:
        """``--s3-listen-port``; ``--database-connection`` in group database."""
        name = self.option.name if self.group == DEFAULT_GROUP else f"{self.group}-{self.option.name}"
        return "--" + name.replace("_", "-")

    @property
    def negative_flag(self) -> str:
        """How a boolean is switched off: ``--no-foo``."""
        return "--no-" + self.flag[2:]

    @property
    def variables(self) -> list[str]:
        """The environment variables that set it; the first one that is there counts."""
        exact = f"OS_{self.group.upper()}__{self.option.dest.upper()}"
        return [exact, f"NOVA_{self.option.dest.upper()}"] if self.group == DEFAULT_GROUP else [exact]

    @property
    def is_boolean(self) -> bool:
        return isinstance(self.option, cfg.BoolOpt)

    @property
    def metavar(self) -> str | None:
        """The placeholder of its value in ``--help``."""
        if self.option.metavar is not None or self.is_boolean:
            return self.option.metavar
        choices = getattr(self.option.type, "choices", None)
        if choices:
            return "{" + ",".join(str(choice) for choice in choices) + "}"
        kinds = {cfg.PortOpt: "PORT", cfg.IntOpt: "N", cfg.FloatOpt: "N", cfg.ListOpt: "A,B"}
        return kinds.get(type(self.option), "TEXT")

    def canonical(self, value: str) -> list[str]:
        """The value as arguments that oslo.config reads without a doubt."""
        prefix = "" if self.group == DEFAULT_GROUP else f"{self.group}-"
        if not self.is_boolean:
            return [f"--{prefix}{self.option.name}={value}"]
        return [f"--{prefix}{'' if self.option.type(value) else 'no'}{self.option.name}"]

    def check(self, value: str, origin: str) -> None:
        """Raise ConfigError when ``value``, which stands at ``origin``, is not one this option takes."""
        if "$" in value and isinstance(self.option, cfg.StrOpt | cfg.MultiOpt | cfg.ListOpt | cfg.URIOpt):
            return  # it names another option: known once all are loaded
        try:
            self.option.type(value)
        except ValueError as error:
            raise ConfigError(f"{origin}: {self.complaint(value, error)}") from None

    def complaint(self, value: str, error: ValueError) -> str:
        """Say in one line why ``value`` is refused; a secret is not repeated."""
        if self.option.secret:
            return "the value is not valid"
        reason = _one_line(error)
        if "invalid literal for int" in reason:
            reason = "not a whole number"
        elif "could not convert string to float" in reason:
            reason = "not a number"
        elif "boolean" in reason:
            reason = "neither true nor false"
        return f"{value!r} is not valid: {reason}"


class Config(cfg.ConfigOpts):
    """The options of one program, as attributes (``conf.s3_listen_port``, ``conf.database.connection``)."""

    def __init__(self, sections: Sequence[Section], *, program: str) -> None:
        super().__init__()
        self.program = program
        self._declared = list(_declared(sections))
        self._families = [section for section in sections if section.is_family]
        self._files: list[str] = []
        self._directories: list[str] = []
        for declared in self._declared:
            self.register_cli_opt(declared.option, None if declared.group == DEFAULT_GROUP else declared.group)

    def apply(self, arguments: Mapping[str, Any], environ: Mapping[str, str], files: Sequence[str]) -> None:
        """Take the values of a parsed command line, the environment and the files. Raises ConfigError."""
        self._files = [os.path.abspath(path) for path in arguments.get("config_file") or files]
        self._directories = [os.path.abspath(path) for path in arguments.get("config_dir") or ()]
        self._check_files()
        canonical = [f"--config-file={path}" for path in self._files]
        canonical += [f"--config-dir={path}" for path in self._directories]
        for declared in self._declared:
            for value, origin in _given(declared, arguments, environ):
                declared.check(value, origin)
                canonical += declared.canonical(value)
        self._load(canonical)

    def reload(self) -> dict[tuple[str | None, str], tuple[Any, Any]]:
        """Read the files again; mutable options take their new values.

        Returns what changed: {(group or None, name): (old, new)}. Raises ConfigError, with nothing changed, when a
        file is missing or holds a bad value.
        """
        self._check_files()
        try:
            return dict(self.mutate_config_files())
        except cfg.Error as error:
            raise ConfigError(_one_line(error)) from None

    def _load(self, canonical: list[str]) -> None:
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                self(canonical, prog=self.program, default_config_files=[], default_config_dirs=[], use_env=False)
        except cfg.RequiredOptError as error:
            raise ConfigError(self._tell_required(error)) from None
        except (cfg.NoSuchOptError, cfg.NoSuchGroupError, cfg.TemplateSubstitutionError) as error:
            raise ConfigError(f"{_one_line(error)}: a value names it with $; write $$ for a dollar sign") from None
        except cfg.Error as error:
            raise ConfigError(_one_line(error)) from None
        except SystemExit:  # oslo.config's own check, of a value that became wrong when $names were filled in
            raise ConfigError(_one_line(said.getvalue())) from None
        for declared in self._declared:
            self._check_loaded(declared)

    def _check_loaded(self, declared: _Declared) -> None:
        """Check what a value that names another option (``$state_path/x``) became."""
        holder = self if declared.group == DEFAULT_GROUP else self[declared.group]
        try:
            holder[declared.option.dest]
        except (cfg.Error, ValueError) as error:
            raise ConfigError(f"{declared.flag}: {_one_line(error)}") from None

    def _tell_required(self, error: cfg.RequiredOptError) -> str:
        for declared in self._declared:
            if declared.option.name == error.opt_name:
                ways = ", ".join([declared.flag, declared.variables[-1]])
                return f"{ways} or {declared.option.dest} in a config file is required"
        return str(error)

    def _check_files(self) -> None:
        """Read every file once, strictly, so that a mistake is told with its file before anything is applied."""
        for directory in self._directories:
            if not os.path.isdir(directory):
                raise ConfigError(f"--config-dir {directory}: no such directory")
        found = [path for directory in self._directories for path in sorted(glob.glob(f"{directory}/*.conf"))]
        for path in [*self._files, *found]:
            self._check_file(path)

    def _check_file(self, path: str) -> None:
        content: dict[str, dict[str, list[str]]] = {}
        try:
            cfg.ConfigParser(path, content).parse()
        except iniparser.ParseError as error:
            raise ConfigError(f"{path}: line {error.lineno}: {error.msg}") from None
        except OSError as error:
            raise ConfigError(f"--config-file {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"--config-file {path}: not a text file in UTF-8") from None
        for declared in self._declared:
            values = content.get(declared.group, {}).get(declared.option.dest, ())
            for value in values if declared.option.multi else values[-1:]:
                declared.check(value, f"{path}: [{declared.group}] {declared.option.dest}")
            if declared.option.secret and any(_password(value) for value in values):
                check_private(path, os.stat(path), what="there is a password in")
        for family in self._families:
            for group in content:
                if group.startswith(family.prefix):
                    _check_member(family, group, content[group], path)


def _check_member(family: Section, group: str, values: Mapping[str, Sequence[str]], path: str) -> None:
    """Check one ini section of a family: there what is no option is a mistake, since nothing else could read it."""
    if group == family.prefix:
        raise ConfigError(f"{path}: [{group}]: the section has no name")
    known = {option.dest: _Declared(option, group) for option in family.options}
    for name, given in values.items():
        if name not in known:
            raise ConfigError(f"{path}: [{group}] {name}: no such option; there are {', '.join(known)}")
        known[name].check(given[-1], f"{path}: [{group}] {name}")


def read_family(conf: cfg.ConfigOpts, family: Section) -> dict[str, Mapping[str, Any]]:
    """The ini sections of a family by name, in the order of their names, each with the values of its options."""
    found: dict[str, Mapping[str, Any]] = {}
    for group in conf.list_all_sections():
        if group.startswith(family.prefix):
            conf.register_opts(family.options, group)
            found[group[len(family.prefix) :]] = conf[group]
    return found


def load(
    sections: Sequence[Section],
    *,
    program: str,
    argv: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
    version: str = "",
    description: str = "",
    default_config_files: Sequence[str] = (),
) -> Config:
    """Read a program's options: command line over environment over files over the defaults.

    ``argv`` (without the program's name) and ``environ`` default to the process's own; ``default_config_files`` are
    read when no ``--config-file`` is given. ``--help`` and ``--version`` print and raise SystemExit(0).
    Raises ConfigError, one line, for anything that is wrong.
    """
    conf = Config(sections, program=program)
    parser = _make_parser(sections, program=program, version=version, description=description)
    arguments = parser.parse_args(_normalized(sections, sys.argv[1:] if argv is None else argv))
    conf.apply(vars(arguments), os.environ if environ is None else environ, default_config_files)
    return conf


def split_command(sections: Sequence[Section], argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide ``[options] COMMAND ...`` before the command: (arguments for :func:`load`, the command with its own)."""
    takes_value = {declared.flag for declared in _declared(sections) if not declared.is_boolean}
    takes_value |= {f"-{declared.option.short}" for declared in _declared(sections) if declared.option.short}
    takes_value |= {"--config-file", "--config-dir"}
    position = 0
    while position < len(argv) and argv[position].startswith("-") and argv[position] != "--":
        position += 2 if argv[position].replace("_", "-") in takes_value else 1
    return list(argv[:position]), list(argv[position:])


def render_sample(sections: Sequence[Section], *, program: str) -> str:
    """Write the commented sample file: every option with its help, its default and its other names. Deterministic."""
    lines = [f"# Options of {program}, with their defaults. Uncomment a line to change it.", "#"]
    lines += textwrap.wrap(
        "The command line and the environment come before this file: some_option is --some-option, and NOVA_SOME_OPTION"
        " (options of [DEFAULT]) or OS_<GROUP>__SOME_OPTION. Options marked as such are read again on SIGHUP.",
        width=100, initial_indent="# ", subsequent_indent="# ",
    )  # fmt: skip
    groups = list(dict.fromkeys(section.group for section in sections))
    for group in sorted(groups, key=lambda name: name != DEFAULT_GROUP):
        is_family = any(section.is_family for section in sections if section.group == group)
        lines += ["", f"{'#' if is_family else ''}[{group}]"]
        for section in sections:
            if section.group == group:
                lines += ["", f"# ---- {section.title} " + "-" * max(4, 90 - len(section.title))]
                if section.note:
                    lines += ["", *textwrap.wrap(section.note, width=100, initial_indent="# ", subsequent_indent="# ")]
                for option in section.options:
                    lines += ["", *_sample_lines(_Declared(option, group))]
    return "\n".join(lines) + "\n"


# -- the command line ----------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """argparse, whose mistakes are ConfigErrors with a hint at what was perhaps meant."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown == message:
            raise ConfigError(message.removeprefix("argument "))
        first = unknown.split()[0]
        if not first.startswith("-"):
            raise ConfigError(f"{first}: no argument is expected here (see --help)")
        raise ConfigError(f"{first.partition('=')[0]}: no such option{self._hint(first)} (see --help)")

    def _hint(self, flag: str) -> str:
        import difflib  # only a mistake needs it

        known = [name for name in self._option_string_actions if name.startswith("--")]
        near = difflib.get_close_matches(flag.partition("=")[0], known, n=1)
        return f"; did you mean {near[0]}?" if near else ""


class _SwitchAction(argparse.Action):
    """``--foo`` and ``--no-foo`` as the texts true and false."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: object, flag: str | None = None) -> None:
        setattr(namespace, self.dest, "true" if flag == self.option_strings[0] else "false")


def _make_parser(sections: Sequence[Section], *, program: str, version: str, description: str) -> _Parser:
    parser = _Parser(
        prog=program,
        usage="%(prog)s [options]",
        description=description or None,
        epilog="Every option can also stand in a config file (some_option = value) or in the environment"
        " (NOVA_SOME_OPTION, or OS_<GROUP>__SOME_OPTION): the command line comes first, then the environment, then"
        " the files. Dashes and underscores in flags mean the same.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30),
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    general = parser.add_argument_group("Help and files")
    general.add_argument("-h", "--help", action="help", help="Print this and exit.")
    general.add_argument("--version", action="version", version=f"{program} {version}".strip(),
                         help="Print the version and exit.")  # fmt: skip
    general.add_argument("--config-file", action="append", metavar="FILE",
                         help="Read options from this file; may be given several times, later files win.")  # fmt: skip
    general.add_argument("--config-dir", action="append", metavar="DIR",
                         help="Read every *.conf file of this directory, in order, after the files.")  # fmt: skip
    for section in sections:
        if section.is_family:
            continue
        container = parser.add_argument_group(section.title)
        for option in section.options:
            _add_flag(container, _Declared(option, section.group))
    return parser


def _add_flag(container: argparse._ArgumentGroup, declared: _Declared) -> None:
    option = declared.option
    default = _default_text(option)
    text = (option.help or "").strip().replace("%", "%%")
    shown = f"{text} (default: {default})".replace("%%", "%").replace("%", "%%") if default else text
    if declared.is_boolean:
        container.add_argument(
            declared.flag, declared.negative_flag, dest=declared.key, nargs=0, action=_SwitchAction, help=shown
        )
        return
    flags = [f"-{option.short}", declared.flag] if option.short else [declared.flag]
    container.add_argument(
        *flags, dest=declared.key, metavar=declared.metavar, help=shown, action="append" if option.multi else "store"
    )


def _normalized(sections: Sequence[Section], argv: Sequence[str]) -> list[str]:
    """Spell flags with dashes, and ``--foo=true`` as a switch; refuse what a supervisor does."""
    switches = {declared.flag: declared for declared in _declared(sections) if declared.is_boolean}
    normalized: list[str] = []
    for index, argument in enumerate(argv):
        if argument == "--":
            return [*normalized, *argv[index:]]
        if not argument.startswith("--"):
            normalized.append(argument)
            continue
        name, equals, value = argument.partition("=")
        name = name.replace("_", "-")
        if name in SUPERVISED_FLAGS:
            raise ConfigError(f"{name} is not offered: {SUPERVISED_FLAGS[name]}")
        if equals and name in switches:
            switches[name].check(value, name)
            on = switches[name].option.type(value)
            normalized.append(name if on else switches[name].negative_flag)
        else:
            normalized.append(name + equals + value)
    return normalized


def _given(declared: _Declared, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (value, where it stands) from the command line, else from the environment."""
    if declared.key in arguments:
        values = arguments[declared.key]
        for value in values if isinstance(values, list) else [values]:
            yield value, declared.flag
        return
    for variable in declared.variables:
        if variable in environ:
            values = environ[variable].splitlines() if declared.option.multi else [environ[variable]]
            for value in values:
                yield value, variable
            return


def _declared(sections: Sequence[Section]) -> Iterator[_Declared]:
    for section in sections:
        for option in () if section.is_family else section.options:
            yield _Declared(option, section.group)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


# -- texts ---------------------------------------------------------------------------------------------------------


def _default_text(option: cfg.Opt) -> str:
    """The default as one would write it; empty when there is none."""
    value = option.default if option.sample_default is None else option.sample_default
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    if isinstance(value, dict):
        return ",".join(f"{key}:{item}" for key, item in value.items())
    return str(value)


def _sample_lines(declared: _Declared) -> Iterator[str]:
    option = declared.option
    remarks = [(option.help or "").strip()]
    choices = getattr(option.type, "choices", None)
    if choices:
        remarks.append(f"One of: {', '.join(str(choice) for choice in choices)}.")
    if option.required:
        remarks.append("Required.")
    if option.mutable:
        remarks.append("Read again on SIGHUP.")
    yield from textwrap.wrap(" ".join(remarks), width=100, initial_indent="# ", subsequent_indent="# ")
    default = _default_text(option)
    yield f"#{option.dest} = {default}" if default else f"#{option.dest} = <{(declared.metavar or 'text').lower()}>"
