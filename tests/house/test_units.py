"""The systemd units: hardened as far as systemd can tell, all of them alike."""

import subprocess
from pathlib import Path

import pytest
from support.store import need_program

UNITS = sorted((Path(__file__).parents[2] / "etc" / "systemd").glob("*.service"))
EXPOSURE_MAX = 15  # tenths; systemd 252 says 11 of each (docs/operating.md), and later ones ask for more


def hardening(unit: Path) -> list[str]:
    """What follows the comment on what a service needs, up to the next section."""
    _, _, text = unit.read_text().partition("# It needs its state directory")
    return [line for line in text.partition("\n[")[0].splitlines()[1:] if line and not line.startswith("#")]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_exposed_to_little(unit: Path) -> None:
    program = need_program("systemd-analyze")
    command = [program, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze knows no units that are not installed")
    assert done.returncode == 0, done.stdout


def test_the_units_are_hardened_alike() -> None:
    assert len(UNITS) == 3
    first, *others = [hardening(unit) for unit in UNITS]
    assert len(first) > 25
    assert all(other == first for other in others)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_no_core_is_dumped_and_no_file_is_for_others(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert {"LimitCORE=1", "UMask=0077", "StateDirectoryMode=0700", "User=nova"} <= set(lines)
