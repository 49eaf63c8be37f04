"""A short soak: the load, the figures, and that all goes back to what it was. ``make soak`` is the long form, with slopes."""

from __future__ import annotations

import json
from pathlib import Path

from support.crash import seed_of
from support.soak import Plan, Soak
from support.soak_load import WEIGHTS
from support.soak_report import document, table
from support.soak_verdict import MEASURES


def test_what_a_load_takes_is_given_back(tmp_path: Path) -> None:
    plan = Plan(seed_of(), 8.0, 30.0, clients=4, sample_s=1.0, close_look_every=4, reload_s=2.0, collect_delay_s=1)
    print(f"CRASH_SEED={plan.seed}")

    outcome = Soak(plan, tmp_path).run()

    print(table(outcome))
    assert outcome.problems == []
    assert outcome.done.total() > 20
    assert outcome.reloads >= 2
    assert {line.name.rpartition(" ")[2] for line in outcome.lines} >= {"rss", "pss", "descriptors", "threads", "wal"}
    assert all(line.leaks is None for line in outcome.lines), "it was too short to be judged"
    assert json.loads(json.dumps(document(outcome)))["plan"]["seed"] == plan.seed


def test_every_figure_has_its_bound_and_every_verb_its_weight() -> None:
    assert all(measure.growth_max > 0 for measure in MEASURES.values())
    assert all(weight > 0 for weight in WEIGHTS.values())
