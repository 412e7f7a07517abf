"""On recorded candles calibrated probabilities mean what they say, as far as rows can tell."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from pipeline.evaluation.metrics import score_head
from pipeline.evaluation.perfect_forecast import perfect_range
from pipeline.experiments.reenacted.entries import head_of
from pipeline.fitting.training import checked_folds, labelled_samples, predict_folds
from pipeline.frames import key_by_market
from pipeline.models.base import Model, Samples
from pipeline.models.calibration import Calibration
from pipeline.models.windows import with_whole_windows
from tests.simulated import CLASSES, declared
from tests.spine import planned

pytestmark = pytest.mark.real
UPBIT = [f"upbit/KRW-{coin}-60m" for coin in ("BTC", "ETH", "SOL", "XRP")]
BINANCE = [
    f"bingx_or_binance/binance_futures/{coin}USDT-1h" for coin in ("BTC", "ETH", "SOL", "XRP")
]
RECORDED = UPBIT + BINANCE if os.environ.get("VINTAGE_FULL") else UPBIT
COLUMNS = ["open", "high", "low", "close", "volume", "value"]
DAYS = 63  # those of the recipe, and what its columns look back
SWAP = ("bingx_swap/BTCUSDT", "2025-10-14")
SWAPS = [
    ("bybit_linear/ETHUSDT", "2025-06-10"),
    ("bybit_linear/XRPUSDT", "2025-06-10"),
    ("binance_futures/BTCUSDT", "2023-11-01"),
    ("binance_futures/ETHUSDT", "2024-01-10"),
]
HEADS = ["long_entry", "short_entry", "long_exit", "short_exit"]
FOUR_HEADS = [(head, *SWAP) for head in HEADS[:2]]  # exits take minutes
if os.environ.get("VINTAGE_FULL"):
    FOUR_HEADS = [(head, *swap) for swap in (SWAP, *SWAPS) for head in HEADS]


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
    way, made = declared("calibration", "recent"), declared("model", model)
    found, low, high = _error(samples, made, way, "1h")
    assert low <= found <= high


@pytest.mark.parametrize(("head", "recorded", "until"), FOUR_HEADS)
def test_the_error_of_the_four_heads_is_that_of_a_perfect_forecaster(
    real_data: Path, head: str, recorded: str, until: str
) -> None:
    """Sixty days before a moment, as `bingx_calibrated` is trained on them."""
    samples, model = _swap(real_data, head, (recorded, until), "bingx_calibrated")
    found, low, high = _error(samples, model, declared("calibration", "recent_intraday"), "5m")
    assert low <= found <= high


def test_weights_of_a_fit_are_taken_back(real_data: Path) -> None:
    """`bingx_dual`'s short entry: big trees whose every probability is far too high."""
    samples, model = _swap(real_data, "short_entry", SWAP, "bingx_dual")
    raw, _, _ = _error(samples, model, declared("calibration", "none"), "5m")
    found, _, _ = _error(samples, model, declared("calibration", "recent_intraday"), "5m")
    assert raw > 0.15
    assert found < 0.03


def _swap(real_data: Path, head: str, where: tuple[str, str], recipe: str) -> tuple[Samples, Model]:
    candles = _candles(real_data / "bingx_or_binance" / f"{where[0]}-5m.parquet")
    until = pd.Timestamp(where[1], tz="UTC")
    cut = candles[(candles.index >= until - pd.Timedelta(days=DAYS)) & (candles.index < until)]
    found = head_of(cut, planned(f"recipe={recipe}", "exchange=simulated"), head)
    return found.samples, found.model


def _error(
    samples: Samples, model: Model, calibration: Calibration, timeframe: str
) -> tuple[float, float, float]:
    """The calibration error out of fold, and the range in which a perfect forecaster's lies."""
    folds = checked_folds(samples, declared("split", "walk_forward"))
    parts = predict_folds(samples, model, folds, 7, calibration)
    predictions = pd.concat(part.predictions for part in parts).sort_index()
    outcomes = pd.DataFrame(
        {"label": samples.label, "ends_at": samples.ends_at}, index=samples.index
    )
    rows = predictions.join(outcomes)
    probability = rows[[f"p_{name}" for name in samples.classes]].to_numpy("float64")
    low, high = perfect_range(probability, rows, timeframe)
    return score_head(rows, samples.classes, timeframe)["calibration_error"], low, high


def _candles(path: Path) -> pd.DataFrame:
    found = pd.read_parquet(path)
    moments = next(name for name in found if "time" in str(name))
    time = pd.DatetimeIndex(pd.to_datetime(found[moments], utc=True), name="time").as_unit("ms")
    if "value" not in found:
        found["value"] = found["close"] * found["volume"]
    return found.set_axis(time)[COLUMNS].astype("float64")
