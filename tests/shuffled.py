"""Recorded bars in another order: nothing in them tells what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.configuration.extended_sets import read_feature_set
from pipeline.features.feature_set import FeatureSet
from pipeline.fitting.training import checked_folds, labelled_samples, predict_folds
from pipeline.frames import key_by_market
from pipeline.labels.learned import LearnedLabel
from pipeline.market.trades import trade_rows
from pipeline.models.lightgbm import LightGBM
from pipeline.splits.holdout import Holdout
from tests.spine import CONF

MARKET = "BTC-USDT"
QUICK = LightGBM(
    n_estimators=60,
    learning_rate=0.1,
    num_leaves=15,
    max_depth=4,
    min_data_in_leaf=50,
    feature_fraction=0.8,
    bagging_fraction=0.8,
    bagging_freq=1,
    lambda_l2=1.0,
)


@dataclass(frozen=True)
class Skill:
    """An AUC and the standard error that it has where there is nothing to know."""

    auc: float
    error: float

    @property
    def is_chance(self) -> bool:
        """Whether 0.5 lies within three errors."""
        return abs(self.auc - 0.5) <= 3 * self.error


def shuffled(candles: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The same bars, each with its gap, shape and volume, chained in another order."""
    close = np.log(candles["close"].to_numpy())
    before = np.r_[np.log(candles["open"].iloc[0]), close[:-1]]
    parts = {name: np.log(candles[name].to_numpy()) - before for name in ("open", "high", "low")}
    order = rng.permutation(len(candles))
    path = before[0] + np.cumsum((close - before)[order])
    start = np.r_[before[0], path[:-1]]
    prices = {name: np.exp(start + part[order]) for name, part in parts.items()}
    volume = candles["volume"].to_numpy()[order]
    frame = pd.DataFrame({**prices, "close": np.exp(path), "volume": volume}, candles.index)
    return frame.assign(value=frame["volume"] * frame["close"])


def recorded_bars(folder: Path, timeframe: str, rows: int) -> pd.DataFrame:
    """The newest recorded bars of BTC, on moments without a hole."""
    path = folder / "bingx_or_binance" / "binance_futures" / f"BTCUSDT-{timeframe}.parquet"
    frame = pd.read_parquet(path).iloc[-rows:].drop(columns="timestamp")
    step = pd.Timedelta(timeframe.replace("m", "min"))
    time = pd.date_range("2025-01-01", periods=rows, freq=step, tz="UTC", name="time", unit="ms")
    return frame.set_axis(time)


def declared(group: str, name: str) -> Any:
    """What a YAML of conf/ declares."""
    return build(read_yaml(CONF / group / f"{name}.yaml"), name)


def features_of(candles: pd.DataFrame, names: tuple[str, str], timeframe: str) -> pd.DataFrame:
    """Features of candles; those of the label's trades where the set has columns of trades."""
    keyed = key_by_market(candles, MARKET)
    feature_set: FeatureSet = build(read_feature_set(CONF, names[0]), names[0])
    if feature_set.of_trades:
        rows = trade_rows(keyed, declared("label", names[1]).trades, timeframe)
        return feature_set.compute_trades(keyed, rows)
    return key_by_market(feature_set.compute(candles), MARKET)


def judged(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    classes: tuple[str, ...],
    label: LearnedLabel | None = None,
) -> pd.DataFrame:
    """Predictions of the newest 40 % by a quick model of the older ones, with what happened."""
    samples = labelled_samples(features, labels, classes, label)
    folds = checked_folds(samples, Holdout(test_share=0.4))
    (part,) = predict_folds(samples, QUICK, folds, seed=3)
    columns = {"label": part.label, "weight": samples.weight[folds[0].test]}
    return part.predictions.drop(columns="label", errors="ignore").assign(**columns)


def skill_of(score: np.ndarray, happened: np.ndarray, weight: np.ndarray) -> Skill:
    """AUC of a score, its error over independent rows (Mann and Whitney)."""
    from sklearn.metrics import roc_auc_score

    yes, no = (float(weight[happened == each].sum()) for each in (1, 0))
    error = float(np.sqrt((yes + no + 1) / (12 * yes * no)))
    return Skill(float(roc_auc_score(happened, score)), error)
