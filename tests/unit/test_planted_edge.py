"""Models find an edge that was planted and find none in a martingale, from candles to the gate.

`EDGE` is the correlation of the simulated market's state, which shows in its volume, with the
return of the next 24 hours; 24,000 hourly candles leave about 440 independent out-of-fold rows.
`python -m tests.bench.planted_edge` draws the power curve that these seeds are one point of.
"""

from __future__ import annotations

import pytest

from tests.simulated import SMALL, declared, direction, judged, scored, simulated_samples, walked

HOURS, EDGE, SEEDS = 24_000, 0.45, (7, 8, 9)
TIMED = (7, 10, 11)  # in the last two, trees know how often the price holds
every_seed = pytest.mark.parametrize("seed", SEEDS)
every_model = pytest.mark.parametrize("name", ["lightgbm", "lstm_lgbm"])
CHANGES = {"lightgbm": {}, "lstm_lgbm": SMALL}


@every_seed
@every_model
def test_a_planted_edge_is_found_and_promoted(name: str, seed: int) -> None:
    model = declared("model", name, CHANGES[name])
    found = walked(simulated_samples(HOURS, EDGE, seed), model)
    scores, moves = scored(found), direction(found)
    assert scores["effective_rows"] > 400
    assert scores["brier_skill_low"] > 0
    assert moves["brier_skill_low"] > 0
    assert moves["balanced_accuracy"] > 0.55
    assert judged(scores).outcome == "promote"


@pytest.mark.parametrize("seed", TIMED)
@every_model
def test_a_martingale_earns_nothing(name: str, seed: int) -> None:
    model = declared("model", name, CHANGES[name])
    found = walked(simulated_samples(HOURS, 0.0, seed), model)
    scores, moves = scored(found), direction(found)
    assert scores["effective_rows"] > 400
    assert moves["brier_skill_low"] < 0
    assert moves["balanced_accuracy"] < 0.55
    assert judged(scores).outcome == "observe"
