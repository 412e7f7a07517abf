"""Compute every feature set that a head of the recipe uses."""

from __future__ import annotations

import pandas as pd

from pipeline.config import Node, Record
from pipeline.features.feature_set import FeatureSet
from pipeline.frames import read_frame, write_frame
from pipeline.market.trades import TradeRule, trade_rows
from pipeline.runner import Context, Facts
from pipeline.stages import paths


class Config(Record):
    """Feature sets by the name of their file; `trades` has the rule of those that need one."""

    sets: dict[str, Node]
    trades: dict[str, TradeRule]
    timeframe: str


def run(config: Config, context: Context) -> Facts:
    """One file per feature set and trade rule, the warm-up rows dropped."""
    candles = read_frame(paths.CLEAN)
    facts: Facts = {}
    for name, node in sorted(config.sets.items()):
        feature_set: FeatureSet = context.build(node, f"features={name}")
        frame = compute(candles, feature_set, config.trades.get(name), config.timeframe)
        write_frame(paths.FEATURES / f"{name}.parquet", frame)
        facts[name] = f"{len(frame)} rows x {frame.shape[1]} columns"
    return facts


def compute(
    candles: pd.DataFrame, feature_set: FeatureSet, rule: TradeRule | None, timeframe: str
) -> pd.DataFrame:
    """Features of every candle, or of every row of the trades that a rule makes.

    Parameters
    ----------
    candles
        Candle frame keyed (market, time).

    Returns
    -------
    DataFrame
        Keyed (market, time), or (market, trade, time).
    """
    if rule is None:
        return feature_set.compute_many(candles)
    return feature_set.compute_trades(candles, trade_rows(candles, rule, timeframe))
