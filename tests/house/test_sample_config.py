"""etc/nova.conf.sample says what the options say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_sample_is_not_stale() -> None:
    made = subprocess.run([sys.executable, ROOT / "tools/render-sample"], capture_output=True, text=True, check=True)
    assert (ROOT / "etc/nova.conf.sample").read_text() == made.stdout, "run `make sample`"
