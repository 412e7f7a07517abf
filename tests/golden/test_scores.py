"""Flat figures of a small demo run as they were when last accepted.

To accept new ones: ``VINTAGE_REFRESH_GOLDEN=1 python -m pytest tests/golden/test_scores.py``
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.evaluation.metrics import FLAT
from tests.conftest import AS_OF
from tests.runs import run_stages

FILE = Path(__file__).with_suffix(".json")
SMALL = {"recipe": "demo", "as_of": AS_OF, "recipe.history_days": 20}
TREES = {"model.n_estimators": 30, "model.learning_rate": 0.1}
RUNS = {
    "majority": {"model": "majority"},
    "lightgbm": TREES,
    "lightgbm_planted": {**TREES, "exchange.edge": 0.4},
}


def test_figures_are_the_accepted_ones(home: Path) -> None:
    found = {name: run_stages({**SMALL, **words}) for name, words in RUNS.items()}
    if os.environ.get("VINTAGE_REFRESH_GOLDEN"):
        FILE.write_text(json.dumps(found, indent=1) + "\n")
    accepted = json.loads(FILE.read_text())
    assert set(accepted) == set(found)
    for name, figures in accepted.items():
        assert set(figures) >= {*FLAT, "skill_over_climatology", "net_return", "trades"}
        assert found[name] == pytest.approx(figures, rel=2e-6, abs=1e-12), name
