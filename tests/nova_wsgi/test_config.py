"""Options: where they come from, which place wins, and that every mistake is one clear line."""

import subprocess
import sys

import pytest
from oslo_config import cfg

from nova_wsgi import config
from nova_wsgi.errors import ConfigError

SECTIONS = (
    config.Section(
        "Listening",
        (
            cfg.PortOpt("s3_listen_port", default=3333, help="TCP port; 0 picks one of 100% that are free."),
            cfg.BoolOpt("fast", default=False, help="Hurry."),
            cfg.MultiStrOpt("network", default=[], help="Whom to believe; may be given several times."),
            cfg.ListOpt("apis", default=["s3", "iam"], help="What to serve."),
        ),
    ),
    config.Section(
        "Storage",
        (
            cfg.StrOpt("state_path", default="./nova-state", help="Where everything lies."),
            cfg.StrOpt("data_path", default="$state_path/data", help="Where objects lie."),
            cfg.StrOpt("level", default="info", choices=["info", "debug"], mutable=True, help="How much is told."),
            cfg.StrOpt("root_secret_key", secret=True, regex="^.{8,}$", help="The administrator's secret."),
            cfg.IntOpt("cores", default=12345, sample_default="number of cores", help="Machine's."),
        ),
    ),
    config.Section(
        "Database",
        (
            cfg.StrOpt("connection", help="Its URL."),
            cfg.FloatOpt("timeout_s", default=1.5, help="Seconds."),
            cfg.BoolOpt("echo", default=True, help="Log statements."),
        ),
        group="database",
    ),
)


def load(*argv, environ=None, **settings):
    return config.load(SECTIONS, program="nova-x", argv=argv, environ=environ or {}, **settings)


@pytest.fixture
def write(tmp_path):
    def write(text, name="nova.conf"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


# -- where values come from


def test_defaults_are_there():
    conf = load()
    assert (conf.s3_listen_port, conf.fast, conf.apis, conf.network) == (3333, False, ["s3", "iam"], [])
    assert conf.database.timeout_s == 1.5
    assert conf.data_path == "./nova-state/data"


@pytest.mark.parametrize(
    "argv",
    [
        ["--s3-listen-port", "1"],
        ["--s3_listen_port", "1"],
        ["--s3-listen-port=1"],
        ["--s3_listen-port=1"],
        ["--s3-listen-port=2", "--s3_listen_port=1"],
    ],
)
def test_dashes_and_underscores_are_the_same(argv):
    assert load(*argv).s3_listen_port == 1


@pytest.mark.parametrize(
    ("argv", "fast"),
    [
        (["--fast"], True),
        (["--no-fast"], False),
        (["--no_fast"], False),
        (["--fast=yes"], True),
        (["--fast=0"], False),
        (["--fast", "--no-fast"], False),
    ],
)
def test_switches(argv, fast):
    assert load(*argv).fast is fast


def test_options_of_a_group_begin_with_its_name():
    conf = load("--database-connection=sqlite://", "--database_timeout_s=3", "--no-database-echo")
    assert (conf.database.connection, conf.database.timeout_s, conf.database.echo) == ("sqlite://", 3.0, False)


def test_an_option_that_may_come_several_times_keeps_them_all():
    assert load("--network=a", "--network=b").network == ["a", "b"]
    assert load(environ={"NOVA_NETWORK": "a\nb"}).network == ["a", "b"]


def test_a_value_may_look_like_a_flag_or_hold_an_equals_sign():
    assert load("--state-path=--x=y").state_path == "--x=y"


def test_the_command_line_wins_over_the_environment_and_that_over_files(write):
    file = "--config-file=" + write("[DEFAULT]\ns3_listen_port = 3\n[database]\ntimeout_s = 3\n")
    assert load(file).s3_listen_port == 3
    assert load(file, environ={"NOVA_S3_LISTEN_PORT": "2"}).s3_listen_port == 2
    assert load(file, "--s3-listen-port=1", environ={"NOVA_S3_LISTEN_PORT": "2"}).s3_listen_port == 1
    assert load("--s3-listen-port=1", file).s3_listen_port == 1
    assert load(file, environ={"OS_DATABASE__TIMEOUT_S": "2"}).database.timeout_s == 2


def test_the_exact_variable_wins_over_the_readable_one():
    assert load(environ={"OS_DEFAULT__FAST": "true", "NOVA_FAST": "false"}).fast is True


def test_later_files_win_and_directories_come_after_files(write, tmp_path):
    first = write("[DEFAULT]\ns3_listen_port = 1\nstate_path = first\n", "1.ini")
    second = write("[DEFAULT]\ns3_listen_port = 2\n", "2.ini")
    conf = load("--config-file", first, "--config_file", second)
    assert (conf.s3_listen_port, conf.state_path) == (2, "first")
    write("[DEFAULT]\nstate_path = from the directory\n", "3.conf")
    conf = load("--config-file", first, "--config-dir", str(tmp_path))
    assert (conf.s3_listen_port, conf.state_path) == (1, "from the directory")


def test_default_files_are_read_when_none_is_named(write):
    default = write("[DEFAULT]\nstate_path = default\n", "default.ini")
    named = write("[DEFAULT]\nfast = true\n", "named.ini")
    assert load(default_config_files=[default]).state_path == "default"
    assert load("--config-file", named, default_config_files=[default]).state_path == "./nova-state"


def test_an_option_of_another_program_in_a_shared_file_is_no_mistake(write):
    assert load("--config-file", write("[DEFAULT]\nsomebody_elses = 1\n[neutron]\nx = 1\n")).fast is False


# -- mistakes


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--s3-port=1"], "--s3-port: no such option; did you mean --s3-listen-port? (see --help)"),
        (["--zzz"], "--zzz: no such option (see --help)"),
        (["--s3-listen"], "--s3-listen: no such option; did you mean --s3-listen-port? (see --help)"),
        (["serve"], "serve: no argument is expected here (see --help)"),
        (["--s3-listen-port"], "--s3-listen-port: expected one argument"),
        (["--s3-listen-port=x"], "--s3-listen-port: 'x' is not valid: not a whole number"),
        (["--s3-listen-port=65536"], "--s3-listen-port: '65536' is not valid: Should be less than or equal to 65535"),
        (["--fast=perhaps"], "--fast: 'perhaps' is not valid: neither true nor false"),
        (["--level=loud"], "--level: 'loud' is not valid: Valid values are [info, debug], but found 'loud'"),
        (["--database-timeout-s=soon"], "--database-timeout-s: 'soon' is not valid: not a number"),
        (["--config-file=/nowhere"], "--config-file /nowhere: No such file or directory"),
        (["--config-dir=/nowhere"], "--config-dir /nowhere: no such directory"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(argv, told):
    with pytest.raises(ConfigError) as caught:
        load(*argv)
    assert str(caught.value) == told


def test_a_secret_is_not_told():
    with pytest.raises(ConfigError) as caught:
        load("--root-secret-key=short")
    assert str(caught.value) == "--root-secret-key: the value is not valid"


def test_a_value_that_names_no_option_says_how_to_write_a_dollar():
    with pytest.raises(ConfigError, match=r"no such option nope.*write \$\$ for a dollar sign"):
        load("--state-path=$nope")
    assert load("--state-path=$$nope").state_path == "$nope"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"NOVA_S3_LISTEN_PORT": "x"}, "NOVA_S3_LISTEN_PORT: 'x' is not valid: not a whole number"),
        ({"OS_DATABASE__TIMEOUT_S": "x"}, "OS_DATABASE__TIMEOUT_S: 'x' is not valid: not a number"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(environ, told):
    with pytest.raises(ConfigError) as caught:
        load(environ=environ)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[DEFAULT]\ns3_listen_port = x\n", ": [DEFAULT] s3_listen_port: 'x' is not valid: not a whole number"),
        ("[database]\necho = x\n", ": [database] echo: 'x' is not valid: neither true nor false"),
        ("[DEFAULT]\nnonsense\n", ": line 2: No ':' or '=' found in assignment"),
        ("fast = 1\n", ": line 1: Section must be started before assignment"),
    ],
)
def test_a_mistake_in_a_file_names_the_file(write, text, told):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load("--config-file", path)
    assert str(caught.value) == path + told


def test_files_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(ConfigError, match=r"^--config-file .*: Is a directory$"):
        load("--config-file", str(tmp_path))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a text file in UTF-8"):
        load("--config-file", str(binary))


@pytest.mark.parametrize("flag", ["--daemonize", "--pidfile=/x", "--uid=1", "--gid", "--pid_file"])
def test_what_a_supervisor_does_is_not_offered(flag):
    with pytest.raises(ConfigError) as caught:
        load(flag)
    assert "\n" not in str(caught.value)
    if flag != "--pid_file":
        assert "supervisor" in str(caught.value)


def test_a_required_option_says_all_its_names():
    sections = [config.Section("Needs", [cfg.StrOpt("region_name", required=True, help="Where.")])]
    with pytest.raises(ConfigError) as caught:
        config.load(sections, program="nova-x", argv=[], environ={})
    assert str(caught.value) == "--region-name, NOVA_REGION_NAME or region_name in a config file is required"


# -- what is printed


def test_help_is_grouped_wrapped_and_shows_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        load("--help", description="Serves S3.")
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert "Serves S3." in text
    assert text.index("Listening:") < text.index("--s3-listen-port PORT") < text.index("Storage:")
    assert "--level {info,debug}" in text
    assert "(default: number of cores)" in text
    assert "100% that are free" in " ".join(text.split())
    assert "--fast, --no-fast" in text
    assert "NOVA_SOME_OPTION" in text
    assert max(map(len, text.splitlines())) <= 80


def test_version(capsys):
    with pytest.raises(SystemExit):
        load("--version", version="1.2")
    assert capsys.readouterr().out == "nova-x 1.2\n"


def test_the_sample_is_the_same_everywhere_and_says_the_defaults(write):
    text = config.render_sample(SECTIONS, program="nova-x")
    assert text == config.render_sample(SECTIONS, program="nova-x")
    for line in (
        "#s3_listen_port = 3333", "#apis = s3,iam", "#cores = number of cores", "#connection = <text>",
        "#data_path = $state_path/data", "[database]", "# How much is told. One of: info, debug. Read again on SIGHUP.",
    ):  # fmt: skip
        assert line in text.splitlines()
    assert "12345" not in text
    assert load("--config-file", write(text)).s3_listen_port == 3333


def test_a_sample_with_its_lines_uncommented_can_be_read(write):
    lines = config.render_sample(SECTIONS[2:], program="nova-x").splitlines()
    plain = "\n".join(line[1:] if line.startswith("#timeout_s") or line.startswith("#echo") else line for line in lines)
    assert load("--config-file", write(plain)).database.timeout_s == 1.5


# -- commands, reload


# -- families: as many sections of a kind as the files have ------------------------------------------------------------

SHELVES = config.Section(
    "Shelves",
    (
        cfg.StrOpt("place", default="here", help="Where it stands."),
        cfg.IntOpt("boards", min=1, help="How many it has."),
        cfg.BoolOpt("locked", default=False, help="Whether it is."),
    ),
    group="shelf:NAME",
    is_family=True,
    note="A section for each shelf.",
)


def load_shelves(write, text):
    conf = config.load(
        (*SECTIONS, SHELVES), program="nova-x", argv=["--config-file", write(text)], environ={"OS_SHELF__PLACE": "no"}
    )
    return {name: dict(section) for name, section in config.read_family(conf, SHELVES).items()}


def test_a_family_has_as_many_sections_as_the_files(write):
    assert load_shelves(write, "[DEFAULT]\nfast = true\n") == {}
    assert load_shelves(
        write, "[shelf:low]\nlocked = yes\n[shelf:a:b]\nplace = $level\nboards = 3\n[shelves]\nx = 1\n"
    ) == {
        "a:b": {"place": "info", "boards": 3, "locked": False},
        "low": {"place": "here", "boards": None, "locked": True},
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[shelf:low]\nplaec = x\n", "[shelf:low] plaec: no such option; there are place, boards, locked"),
        ("[shelf:low]\nboards = 0\n", "[shelf:low] boards: '0' is not valid"),
        ("[shelf:low]\nlocked = perhaps\n", "[shelf:low] locked: 'perhaps' is not valid: neither true nor false"),
        ("[shelf:]\nboards = 1\n", "[shelf:]: the section has no name"),
    ],
)
def test_a_mistake_in_a_section_of_a_family_is_one_line(write, text, told):
    with pytest.raises(ConfigError) as caught:
        load_shelves(write, text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_family_has_no_flags_and_is_explained_in_the_sample(capsys):
    with pytest.raises(SystemExit):
        config.load((*SECTIONS, SHELVES), program="nova-x", argv=["--help"], environ={})
    assert "shelf" not in capsys.readouterr().out.lower()
    with pytest.raises(ConfigError):
        config.load((*SECTIONS, SHELVES), program="nova-x", argv=["--shelf:NAME-place", "x"], environ={})
    sample = config.render_sample((*SECTIONS, SHELVES), program="nova-x")
    assert "\n#[shelf:NAME]\n" in sample
    assert "# A section for each shelf.\n" in sample
    assert "\n#boards = <n>\n" in sample


@pytest.mark.parametrize(
    ("argv", "options", "command"),
    [
        (["account", "list"], [], ["account", "list"]),
        (["--fast", "account"], ["--fast"], ["account"]),
        (["--state_path", "d", "--fast", "key", "--fast"], ["--state_path", "d", "--fast"], ["key", "--fast"]),
        (["--state-path=d", "--config-file", "f", "db"], ["--state-path=d", "--config-file", "f"], ["db"]),
        (["--fast"], ["--fast"], []),
    ],
)
def test_a_command_is_split_from_its_options(argv, options, command):
    assert config.split_command(SECTIONS, argv) == (options, command)


def test_only_mutable_options_are_reloaded(write):
    path = write("[DEFAULT]\nlevel = info\ns3_listen_port = 1\n")
    conf = load("--config-file", path, "--no-fast")
    write("[DEFAULT]\nlevel = debug\ns3_listen_port = 2\nfast = true\n")
    assert conf.reload() == {(None, "level"): ("info", "debug")}
    assert (conf.level, conf.s3_listen_port, conf.fast) == ("debug", 1, False)


def test_a_flag_still_wins_after_a_reload(write):
    path = write("[DEFAULT]\nlevel = info\n")
    conf = load("--config-file", path, "--level=info")
    write("[DEFAULT]\nlevel = debug\n")
    conf.reload()
    assert conf.level == "info"


def test_a_reload_with_a_mistake_changes_nothing(write):
    path = write("[DEFAULT]\nlevel = debug\n")
    conf = load("--config-file", path)
    write("[DEFAULT]\nlevel = loud\n")
    with pytest.raises(ConfigError, match="level: 'loud' is not valid"):
        conf.reload()
    assert conf.level == "debug"


def test_reading_options_pulls_in_no_heavy_library():
    code = "import nova_wsgi.cmd.run, sys; print([m for m in ('dns', 'sqlalchemy', 'kombu', 'requests') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "[]\n"
