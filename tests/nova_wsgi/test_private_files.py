"""Files with secrets are refused when they are looser than their rule; and nothing is dumped of a process that crashes."""

import os
import subprocess
import sys

import pytest
from oslo_config import cfg

from nova_wsgi.config import Section, load
from nova_wsgi.errors import ConfigError
from nova_wsgi.private_files import check_private

# Told by a process that is not root: who owns the file, its mode, and whether it is refused.
AS_SOMEBODY = """
import os, sys
from nova_wsgi.errors import ConfigError
from nova_wsgi.private_files import check_private
if os.geteuid() == 0:
    os.setuid(65534)
for owner, mode in ((0, 0o400), (0, 0o640), (0, 0o644), (0, 0o660), (1, 0o600), (1, 0o640)):
    try:
        check_private("f", os.stat_result((0o100000 | mode, 0, 0, 1, owner, 0, 0, 0, 0, 0)))
    except ConfigError:
        print(owner, oct(mode), "refused")
    else:
        print(owner, oct(mode), "taken")
"""

CRASHING = """
import os, resource, signal
from nova_wsgi.core_dumps import forbid_core_dumps
forbid_core_dumps()
print(*resource.getrlimit(resource.RLIMIT_CORE), flush=True)
forbid_core_dumps()  # idempotent
os.kill(os.getpid(), signal.SIGABRT)
"""


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_its_owner_s_alone(tmp_path, mode):
    path = tmp_path / "secret"
    path.touch()
    path.chmod(mode)
    check_private(path, path.stat())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_what_others_may_read_or_write_is_refused_in_one_line(tmp_path, mode):
    path = tmp_path / "secret"
    path.touch()
    path.chmod(mode)
    if os.geteuid() != 0 and path.stat().st_uid == 0:
        pytest.skip("the file is root's")
    with pytest.raises(ConfigError) as caught:
        check_private(path, path.stat(), what="the option")
    assert str(caught.value) == f"the option {path}: others than its owner may read or write it; run: chmod 600 {path}"


def test_a_file_of_root_may_be_readable_by_the_group_of_somebody_else_s_service():
    done = subprocess.run([sys.executable, "-c", AS_SOMEBODY], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "0 0o400 taken",
        "0 0o640 taken",
        "0 0o644 refused",
        "0 0o660 refused",
        "1 0o600 taken",
        "1 0o640 refused",
    ]


# -- config files ------------------------------------------------------------------------------------------------------


OPTIONS = (Section("Queue", (cfg.StrOpt("url", secret=True, default=""), cfg.StrOpt("name", default=""))),)


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ("url = amqp://nova:hunter2@localhost/", True),
        ("url = postgresql://nova:a%40b@db/nova", True),
        ("url = host=db user=nova password=hunter2", True),
        ("url = amqp://localhost/", False),
        ("url = amqp://nova@localhost/", False),
        ("url = embedded:", False),
        ("name = a:b@c", False),
    ],
)
def test_a_file_with_a_password_is_its_owner_s_alone(tmp_path, text, is_secret):
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\n{text}\n")
    path.chmod(0o600)
    conf = load(OPTIONS, program="p", argv=[f"--config-file={path}"], environ={})
    path.chmod(0o644)
    if not is_secret:
        conf.reload()
        return
    with pytest.raises(
        ConfigError, match=r"^there is a password in .*nova.conf: others than its owner may read"
    ) as caught:
        conf.reload()
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match="others than its owner"):
        load(OPTIONS, program="p", argv=[f"--config-file={path}"], environ={})


# -- core dumps --------------------------------------------------------------------------------------------------------


def test_no_core_is_dumped(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CRASHING], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -6
    assert set(done.stdout.split()) <= {"0", "1"}, "0 where the tests themselves run with no more"
    assert list(tmp_path.iterdir()) == []
