"""The example of docs/service.md runs as its page says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "example"


def test_the_example_service_greets_and_stops(live_server):
    server = live_server([sys.executable, "hello.py", "--hello-listen-port", "0"], cwd=EXAMPLE)
    status, headers, body = server.request("GET", "/hello/you")
    assert (status, body) == (200, b"Hello, you!\n")
    assert re.fullmatch(r"[A-Z0-9]{16}", headers["x-request-id"])
    assert server.request("GET", "/nothing")[0] == 404
    status, headers, _ = server.request("DELETE", "/hello/you")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    server.wait_for_output(r'"GET /hello/you HTTP/1\.1" 200 12 .* Greetings\.hello \+')
    assert server.stop() == 0


def test_the_page_shows_the_example_as_it_is():
    page = (DOCS / "service.md").read_text()
    for name in ("hello.py", "hello.ini"):
        assert (EXAMPLE / name).read_text().strip() in page, f"docs/service.md does not show docs/example/{name}"


def test_the_tests_that_the_page_shows_pass(tmp_path):
    """A project of its own, with the example's files and the page's blocks: conftest first, then each test."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "service.md").read_text(), re.DOTALL)
    tests = [block for block in blocks if "def test_" in block]
    assert len(tests) == 2
    (tmp_path / "conftest.py").write_text(next(block for block in blocks if "green.patch()" in block))
    for number, block in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(block)
    for name in ("hello.py", "hello.ini"):
        shutil.copy(EXAMPLE / name, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", tmp_path]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout
    assert "2 passed" in run.stdout
