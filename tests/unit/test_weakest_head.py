"""What several heads together come to: the weakest one, and the last to end, speaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.evaluation.chronology import is_chronological
from pipeline.evaluation.evidence import evidence_of
from pipeline.evaluation.fold_thresholds import with_fold_thresholds
from pipeline.evaluation.trading import signals_of
from pipeline.frames import of_market
from tests.oracles.walks import random_walk
from tests.unit.test_backtest import profile
from tests.unit.test_trading import SETUP, direction


def scores(low: float, direction_low: float, rows: float) -> dict[str, float]:
    told = {"brier_skill": low + 0.1, "brier_skill_low": low, "effective_rows": rows}
    told |= {"direction_skill": direction_low + 0.1, "direction_skill_low": direction_low}
    return told | {"direction_effective_rows": rows / 2}


def test_the_gate_looks_at_the_weakest_head() -> None:
    heads = {"a": scores(0.1, -0.2, 90.0), "b": scores(-0.1, 0.2, 80.0)}
    for each in (heads, dict(reversed(heads.items()))):
        found = evidence_of(each, {"balanced_accuracy": 0.4}, [3, 3], chronological=True)
        assert (found.brier_skill_low, found.direction_skill_low) == (-0.1, -0.2)
        assert (found.brier_skill, found.direction_skill) == (0.0, -0.1)
        assert (found.effective_rows, found.direction_effective_rows) == (80.0, 40.0)
    older = {name: {**head} for name, head in heads.items()}
    for head in older.values():
        del head["direction_effective_rows"]
    told = evidence_of(older, {"balanced_accuracy": 0.4}, [3, 3], chronological=True)
    assert told.direction_effective_rows is None


def test_thresholds_are_chosen_on_rows_whose_every_label_had_ended() -> None:
    candles = random_walk(np.random.default_rng(5), 900)
    head = direction(candles)
    rows = of_market(head.joined, "SIM-BTC")
    open_still = rows.assign(ends_at=rows.index[-1] + pd.Timedelta(hours=4))
    signals = signals_of({"direction": head}, "SIM-BTC")
    setup = replace(SETUP, profile=profile("bingx_futures", thresholds="folds"))
    stated = setup.profile.long_threshold
    ended = with_fold_thresholds(signals, [rows, rows], candles, setup)
    assert (ended["long_threshold"] != stated).any()
    for heads in ([rows, open_still], [open_still, rows]):
        told = with_fold_thresholds(signals, heads, candles, setup)
        assert (told["long_threshold"] == stated).all(), "one of the two labels was not known"


def test_what_is_not_told_of_training_is_not_known() -> None:
    assert is_chronological([{"train_to": "2025-03-01T00:00Z"}]) is None, "the refit alone"
    later = {"train_to": "2025-03-01T00:00Z", "test_from": "2025-02-01T00:00Z"}
    assert is_chronological([later]) is False
