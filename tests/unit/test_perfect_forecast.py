"""How far off a perfect forecaster seems, and that calibrated models come near it."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from pipeline.evaluation.measures import Floats
from pipeline.evaluation.metrics import score_head
from pipeline.evaluation.perfect_forecast import perfect_errors, perfect_range
from pipeline.fitting.training import checked_folds, labelled_samples, predict_folds
from pipeline.frames import key_by_market
from pipeline.models.windows import with_whole_windows
from tests.simulated import CLASSES, MARKET, declared, simulated_candles

FULL = bool(os.environ.get("VINTAGE_FULL"))
HOURS, MOST = (48_000, 0.03) if FULL else (8_000, 0.05)
TRIES = 200
HOUR = pd.Timedelta(hours=1)


def stated(rows: int, horizon: int, seed: int) -> tuple[Floats, pd.DataFrame]:
    """Probabilities of three classes, and when each row's label ends."""
    time = pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC", unit="ms")
    index = pd.MultiIndex.from_product([["SIM"], time], names=["market", "time"])
    drawn = np.random.default_rng(seed).dirichlet([6.0, 12.0, 6.0], rows)
    return drawn, pd.DataFrame({"ends_at": time + (horizon + 1) * HOUR}, index)


def test_the_error_is_that_of_the_scores() -> None:
    said, rows = stated(500, 1, 3)
    certain = np.eye(3)[said.argmax(axis=1)]
    assert perfect_errors(certain, rows, "1h", draws=5).tolist() == [0.0] * 5
    named = {f"{kind}_{name}": said[:, k] for kind in ("p", "base") for k, name in enumerate("abc")}
    luck = np.random.default_rng(5).random(500)
    label = (luck[:, None] > said.cumsum(axis=1)[:, :-1]).sum(axis=1)
    joined = rows.assign(**named, label=label)
    low, high = perfect_range(said, rows, "1h")
    assert 0 < low < score_head(joined, ("a", "b", "c"), "1h")["calibration_error"] < high


def test_fewer_independent_rows_leave_more_to_luck() -> None:
    alone, few, tied = (
        perfect_range(*stated(*of, 3), "1h") for of in ((2400, 1), (600, 1), (2400, 24))
    )
    assert alone[1] < few[1] < tied[1]
    assert few[1] == pytest.approx(2 * alone[1], rel=0.25)


def test_the_range_holds_perfect_forecasts_as_often_as_it_says() -> None:
    """Moves of a random walk, and a forecast that knows their spread and nothing else."""
    rng, (said, rows) = np.random.default_rng(11), stated(480, 12, 3)
    edges = scipy.stats.norm.ppf(said.cumsum(axis=1)[:, :-1])
    low, high = perfect_range(said, rows, "1h")
    named = {f"{kind}_{name}": said[:, k] for kind in ("p", "base") for k, name in enumerate("abc")}
    held = 0
    for _ in range(TRIES):
        price = rng.standard_normal(480 + 12).cumsum()
        move = (price[12:] - price[:-12]) / np.sqrt(12)
        joined = rows.assign(**named, label=(move[:, None] > edges).sum(axis=1))
        held += low <= score_head(joined, ("a", "b", "c"), "1h")["calibration_error"] <= high
    assert held / TRIES == pytest.approx(0.95, abs=0.05)


@pytest.mark.parametrize("calibration", ["recent", "sigmoid", "isotonic"])
@pytest.mark.parametrize("model", ["lightgbm", "xgboost"])
def test_calibrated_models_mean_what_they_say(model: str, calibration: str) -> None:
    candles = simulated_candles(HOURS, edge=0.3, seed=5)
    features = declared("features", "hourly46").compute(candles)
    label = declared("label", "three_class", {"horizon_hours": 1, "threshold": 0.004})
    keyed = [key_by_market(each, MARKET) for each in (features, label.compute(candles, "1h"))]
    samples = with_whole_windows(labelled_samples(keyed[0], keyed[1], CLASSES), 24)
    folds = checked_folds(samples, declared("split", "walk_forward"))
    way = declared("calibration", calibration)
    parts = [
        part.predictions for part in predict_folds(samples, declared("model", model), folds, 7, way)
    ]
    truth = pd.DataFrame({"label": samples.label, "ends_at": samples.ends_at}, samples.index)
    found = score_head(pd.concat(parts).join(truth, how="inner"), CLASSES, "1h")
    assert found["effective_rows"] >= (20_000 if FULL else 3_000)
    assert found["calibration_error"] <= MOST
