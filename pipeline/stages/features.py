"""Compute every feature set that a head of the recipe uses."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
from pydantic import Field

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
    lookback: Annotated[
        int, Field(ge=1, description="unbroken candles that a trade's row ends")
    ] = 1


def run(config: Config, context: Context) -> Facts:
    """One file per feature set and trade rule, the warm-up rows dropped."""
    candles = read_frame(paths.CLEAN)
    facts: Facts = {}
    timeframe, lookback = config.timeframe, config.lookback
    for name, node in sorted(config.sets.items()):
        feature_set: FeatureSet = context.build(node, f"features={name}")
        frame = compute(candles, feature_set, config.trades.get(name), timeframe, lookback)
        write_frame(paths.FEATURES / f"{name}.parquet", frame)
        facts[name] = f"{len(frame)} rows x {frame.shape[1]} columns"
    return facts


def compute(
    candles: pd.DataFrame,
    feature_set: FeatureSet,
    rule: TradeRule | None,
    timeframe: str,
    lookback: int = 1,
) -> pd.DataFrame:
    """Features of every candle, or of every row of the trades that a rule makes.

    Parameters
    ----------
    candles
        Candle frame keyed (market, time).
    lookback
        Unbroken candles that a row of a trade ends.

    Returns
    -------
    DataFrame
        Keyed (market, time), or (market, trade, time).
    """
    if rule is None:
        return feature_set.compute_many(candles)
    rows = trade_rows(candles, rule, timeframe, lookback)
    return feature_set.compute_trades(candles, rows)
