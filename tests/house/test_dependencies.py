"""What deployments install: pinned by hash, as setup.py allows it, and told in a bill of materials."""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "etc" / "constraints.txt"
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def required() -> list[Requirement]:
    """What setup.py asks for, with the extras that a deployment may have."""
    lists = {}
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("REQUIRES", "AMQP", "POSTGRES"):
                lists[name] = ast.literal_eval(node.value)
    return [Requirement(text) for name in ("REQUIRES", "AMQP", "POSTGRES") for text in lists[name]]


def pinned() -> dict[str, tuple[Requirement, list[str]]]:
    """Each entry of the file by its name: what it says, and its hashes."""
    text = re.sub(r"^\s*#.*\n", "", CONSTRAINTS.read_text(), flags=re.MULTILINE)
    entries = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found = {}
    for entry in entries:
        requirement = Requirement(entry.partition(" --hash")[0].strip())
        found[canonicalize_name(requirement.name)] = (requirement, HASH.findall(entry))
    assert len(found) == len(entries)
    return found


def test_every_distribution_is_pinned_to_one_version_by_its_hashes() -> None:
    for requirement, hashes in pinned().values():
        (specifier,) = requirement.specifier
        assert (specifier.operator, requirement.url) == ("==", None), requirement
        assert "*" not in specifier.version
        assert hashes, requirement


def test_the_pins_are_what_setup_py_allows() -> None:
    pins = pinned()
    for wanted in required():
        requirement, _ = pins[canonicalize_name(wanted.name)]
        (specifier,) = requirement.specifier
        assert wanted.specifier.contains(specifier.version), (
            f"{wanted}: tools/lock-dependencies brings the file up to date"
        )


def test_the_bill_of_materials_is_valid_and_whole(tmp_path: Path) -> None:
    if find_spec("cyclonedx_py") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("cyclonedx-bom is not installed")
        pytest.skip("cyclonedx-bom is not installed")
    path = tmp_path / "sbom.json"
    command = [sys.executable, ROOT / "tools" / "sbom", "--environment", sys.prefix, "--output", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr  # 1 where CycloneDX's schema does not take it
    bill = json.loads(path.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["type"]) == (
        "nova-wsgi",
        "application",
    )
    named = {canonicalize_name(component["name"]): component for component in bill["components"]}
    assert {canonicalize_name(wanted.name) for wanted in required()} <= named.keys()
    assert named["eventlet"]["purl"].startswith("pkg:pypi/eventlet@")
    assert "serialNumber" not in bill
    assert "timestamp" not in bill["metadata"], "the same versions give the same bytes"
    assert str(ROOT) not in path.read_text()
