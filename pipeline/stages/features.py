"""Compute every feature set that a head of the recipe uses."""

from __future__ import annotations

import pandas as pd

from pipeline.config import Node, Record
from pipeline.features.feature_set import FeatureSet
from pipeline.frames import key_by_market, of_market, read_frame, write_frame
from pipeline.runner import Context, Facts
from pipeline.stages import paths


class Config(Record):
    """Feature sets by name."""

    sets: dict[str, Node]


def run(config: Config, context: Context) -> Facts:
    """One file per feature set, its warm-up rows dropped."""
    candles = read_frame(paths.CLEAN)
    facts: Facts = {}
    for name, node in sorted(config.sets.items()):
        feature_set: FeatureSet = context.build(node, f"features={name}")
        frame = compute(candles, feature_set)
        write_frame(paths.FEATURES / f"{name}.parquet", frame)
        facts[name] = f"{len(frame)} rows x {frame.shape[1]} columns"
    return facts


def compute(candles: pd.DataFrame, feature_set: FeatureSet) -> pd.DataFrame:
    """Features of every market in a candle frame keyed (market, time)."""
    markets = candles.index.unique("market")
    parts = [
        key_by_market(feature_set.compute(of_market(candles, market)), market) for market in markets
    ]
    return pd.concat(parts)
