"""On recorded candles calibrated probabilities mean what they say, as far as rows can tell."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from pipeline.evaluation.metrics import score_head
from pipeline.evaluation.perfect_forecast import perfect_range
from pipeline.frames import key_by_market
from pipeline.models.windows import with_whole_windows
from pipeline.training import checked_folds, labelled_samples, predict_folds
from tests.simulated import CLASSES, declared

pytestmark = pytest.mark.real
UPBIT = [f"upbit/KRW-{coin}-60m" for coin in ("BTC", "ETH", "SOL", "XRP")]
BINANCE = [
    f"bingx_or_binance/binance_futures/{coin}USDT-1h" for coin in ("BTC", "ETH", "SOL", "XRP")
]
RECORDED = UPBIT + BINANCE if os.environ.get("VINTAGE_FULL") else UPBIT
COLUMNS = ["open", "high", "low", "close", "volume", "value"]


@pytest.mark.parametrize("model", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("recorded", RECORDED)
def test_the_error_is_that_of_a_perfect_forecaster(
    real_data: Path, recorded: str, model: str
) -> None:
    candles = _candles(real_data / f"{recorded}.parquet")
    features = declared("features", "hourly46").compute(candles)
    labels = declared("label", "three_class").compute(candles, "1h")
    keyed = [key_by_market(each, "SIM") for each in (features, labels)]
    samples = with_whole_windows(labelled_samples(keyed[0], keyed[1], CLASSES), 24)
    folds = checked_folds(samples, declared("split", "walk_forward"))
    way, made = declared("calibration", "recent"), declared("model", model)
    predictions = pd.concat(
        part.predictions for part in predict_folds(samples, made, folds, 7, way)
    ).sort_index()
    rows = predictions.join(keyed[1][["label", "ends_at"]])
    probability = rows[[f"p_{name}" for name in CLASSES]].to_numpy("float64")
    low, high = perfect_range(probability, rows, "1h")
    assert low <= score_head(rows, CLASSES, "1h")["calibration_error"] <= high


def _candles(path: Path) -> pd.DataFrame:
    found = pd.read_parquet(path)
    moments = next(name for name in found if "time" in str(name))
    time = pd.DatetimeIndex(pd.to_datetime(found[moments], utc=True), name="time").as_unit("ms")
    if "value" not in found:
        found["value"] = found["close"] * found["volume"]
    return found.set_axis(time)[COLUMNS].astype("float64")
