"""On recorded bars in another order no label can be foreseen, whatever the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.configuration.conf_options import options
from pipeline.frames import key_by_market
from pipeline.labels.uniqueness import average_uniqueness
from pipeline.live.signals import CLASSES
from pipeline.market.trades import trade_rows
from tests.causality import SETS
from tests.shuffled import (
    MARKET,
    Skill,
    declared,
    features_of,
    judged,
    recorded_bars,
    shuffled,
    skill_of,
)
from tests.spine import CONF

pytestmark = pytest.mark.real
LABELS = {name: declared("label", name) for name in options(CONF, "label")}
OF_TRADES = [name for name, label in LABELS.items() if label.trades]
OF_CANDLES = [name for name in LABELS if name not in OF_TRADES]
TWO = [name for name in OF_CANDLES if len(LABELS[name].classes) == 2]
THREE = [name for name in OF_CANDLES if LABELS[name].classes == CLASSES]
OF_CANDLES_ALONE = [name for name, features in SETS.items() if not features.of_trades]
ROWS = {"5m": 26_000, "1h": 38_000}


def timeframe_of(label: str) -> str:
    """Labels that count candles are meant for short ones."""
    return "5m" if hasattr(LABELS[label], "horizon_candles") else "1h"


def bars(folder: Path, timeframe: str) -> pd.DataFrame:
    recorded = recorded_bars(folder, timeframe, ROWS[timeframe])
    return shuffled(recorded, np.random.default_rng(1))


def predicted(candles: pd.DataFrame, names: tuple[str, str], timeframe: str) -> pd.DataFrame:
    label, features = declared("label", names[1]), features_of(candles, names, timeframe)
    labels = key_by_market(label.compute(candles, timeframe), MARKET)
    return judged(features, labels, label.classes, label)


def two_classes(rows: pd.DataFrame, name: str) -> Skill:
    return skill_of(*(rows[column].to_numpy() for column in (f"p_{name}", "label", "weight")))


def test_every_label_is_tried() -> None:
    assert sorted([*TWO, *THREE, *OF_TRADES]) == sorted(LABELS)


@pytest.mark.parametrize("features", OF_CANDLES_ALONE)
@pytest.mark.parametrize("label", TWO)
def test_two_classes_are_a_coin(features: str, label: str, real_data: Path) -> None:
    timeframe = timeframe_of(label)
    rows = predicted(bars(real_data, timeframe), (features, label), timeframe)
    found = two_classes(rows, LABELS[label].classes[1])
    assert found.is_chance, found


@pytest.mark.parametrize("features", OF_CANDLES_ALONE)
@pytest.mark.parametrize("label", THREE)
def test_the_side_of_a_move_is_a_coin(features: str, label: str, real_data: Path) -> None:
    """Whether it moves is not asked: a threshold scaled by a noisy volatility tells that."""
    timeframe = timeframe_of(label)
    rows = predicted(bars(real_data, timeframe), (features, label), timeframe)
    moved = rows[rows["label"] != 1]
    score = (moved["p_buy"] / (moved["p_buy"] + moved["p_sell"])).to_numpy()
    happened = (moved["label"] == 2).to_numpy().astype("int64")
    found = skill_of(score, happened, moved["weight"].to_numpy())
    assert found.is_chance, found


@pytest.mark.parametrize("features", SETS)
@pytest.mark.parametrize("label", OF_TRADES)
def test_what_waiting_gains_is_foreseen_by_no_exit(
    features: str, label: str, real_data: Path
) -> None:
    """How near its peak a trade stands is known, and half the label; what comes after is not."""
    candles = bars(real_data, "5m")
    rows = predicted(candles, (features, label), "5m")
    assert two_classes(rows, "exit").auc > 0.8, "the half that is known"
    independent = float(rows["weight"].sum())
    correlation = np.corrcoef(rows["p_exit"], waited(candles, rows, label))[0, 1]
    assert abs(correlation) <= 3 / np.sqrt(independent)


def waited(candles: pd.DataFrame, rows: pd.DataFrame, name: str) -> np.ndarray:
    """What the trade of each row gains in the candles that its label waits."""
    label, close = LABELS[name], candles["close"].to_numpy()
    made = trade_rows(candles, label.trades, "5m")
    entry, now = (candles.index.get_indexer(rows.index.get_level_values(k)) for k in (1, 2))
    last = pd.Series(made.row).groupby(made.entry).max().loc[entry].to_numpy()
    later = np.minimum(now + label.horizon_candles, last)
    return np.asarray(label.trades.sign * (close[later] - close[now]) / close[entry])


@pytest.mark.parametrize("features", OF_CANDLES_ALONE)
def test_a_label_that_looks_back_would_be_seen(features: str, real_data: Path) -> None:
    """A short entry by the lowest of the closes before, at and after the candle."""
    candles = bars(real_data, "5m")
    close = candles["close"]
    low = close.shift(-1).rolling(3).min()
    known = low.notna()
    slots = np.arange(len(close))[known]
    labels = pd.DataFrame(
        {
            "label": (1 - low / close >= 0.003)[known].astype("int8"),
            "ends_at": close.index[known] + pd.Timedelta(minutes=10),
            "weight": average_uniqueness(slots, slots + 1),
        }
    )
    table = features_of(candles, (features, "short_entry"), "5m")
    found = two_classes(judged(table, key_by_market(labels, MARKET), ("no", "enter")), "enter")
    assert found.auc > 0.7
    assert not found.is_chance
