"""The kept SQL text."""

import subprocess
import sys

import pytest

from nova_wsgi.registry import compiler


@pytest.mark.parametrize("dialect", compiler.DIALECTS)
def test_the_kept_text_is_that_of_the_sources(dialect):
    assert compiler.kept_path(dialect).read_text() == compiler.render(dialect), "run tools/render-registry-sql"


def test_a_program_that_reports_imports_no_sqlalchemy():
    program = (
        "from nova_wsgi import green; green.patch()\n"
        "import sys\n"
        "from nova_wsgi.registry import reporter\n"
        "from nova_wsgi.registry.database import open_database\n"
        "open_database('sqlite:////tmp/never-opened')\n"
        "print(*sorted(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert not {"sqlalchemy", "psycopg", "alembic"} & set(run.stdout.split())
