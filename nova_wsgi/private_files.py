"""Files with secrets: refused when others than those they are meant for may read or write them.

The rule is PostgreSQL's for its TLS keys: 0600 or stricter; and 0640 where root owns the file and the service runs as
somebody else, in the file's group.
"""

from __future__ import annotations

import os
import stat

from nova_wsgi.errors import ConfigError

_OTHERS = 0o077
_BEYOND_GROUP_READ = 0o037


def check_private(path: str | os.PathLike[str], status: os.stat_result, *, what: str = "") -> None:
    """Raise ConfigError, one line that says what to do, for a file that is looser than the rule; ``what`` it is, for the line."""
    by_root_for_us = status.st_uid == 0 and os.geteuid() != 0
    loose = stat.S_IMODE(status.st_mode) & (_BEYOND_GROUP_READ if by_root_for_us else _OTHERS)
    if loose:
        name = os.fspath(path)
        before = f"{what} " if what else ""
        raise ConfigError(f"{before}{name}: others than its owner may read or write it; run: chmod 600 {name}")
