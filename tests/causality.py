"""What a table of features owes the future: nothing. One checker for real sets and planted leaks.

Every set of ``conf/features`` is found here by itself; a set with columns of trades is looked at
over the trades of both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from pipeline.build import build
from pipeline.compose import read_root
from pipeline.conf_options import options
from pipeline.extended_sets import read_feature_set
from pipeline.features.feature_set import FeatureSet
from pipeline.market.trades import SIGNS, TradeRule, trade_rows
from tests.spine import CONF

Compute = Callable[[pd.DataFrame], pd.DataFrame]


def declared(name: str) -> FeatureSet:
    """A set of conf/, its parents' columns among its own."""
    made: FeatureSet = build(
        read_feature_set(CONF, name), f"features={name}", read_root(CONF).plugins
    )
    return made


SETS: Mapping[str, FeatureSet] = {name: declared(name) for name in options(CONF, "features")}


def part(features: FeatureSet, names: Iterable[str]) -> FeatureSet:
    """Some columns of a set as a set."""
    columns = {name: features.columns[name].model_dump() for name in names}
    return FeatureSet.parse({"name": features.name, "columns": columns}, "test")


def tables(features: FeatureSet, timeframe: str) -> dict[str, tuple[FeatureSet, Compute]]:
    """Every way to compute a set, by name, with the columns that it gives.

    Candle columns over all candles, those of the warm-up too; columns of trades by themselves,
    which has rows inside the set's warm-up, and the whole set, over the trades of each side.
    """
    found: dict[str, tuple[FeatureSet, Compute]] = {}
    of_candles = [name for name in features.names if name not in features.of_trades]
    if of_candles:
        candle_part = part(features, of_candles)
        found["candles"] = candle_part, candle_part.compute_all
    if features.of_trades:
        own = part(features, features.of_trades)
        for side in SIGNS:
            rule = TradeRule(side=side)
            found[side] = own, _over_trades(own, rule, timeframe)
            found[f"{side} whole"] = features, _over_trades(features, rule, timeframe)
    return found


def leaking(
    compute: Compute, candles: pd.DataFrame, cuts: Iterable[int], seed: int = 3
) -> dict[str, list[int]]:
    """Columns that change when the candles from a cut on are missing or corrupt, and the cuts.

    "rows" stands for a table that has other rows before the cut. To the bit: NaN equals NaN,
    and nothing else that differs passes.
    """
    whole, rng = compute(candles), np.random.default_rng(seed)
    caught: dict[str, list[int]] = {}
    for cut in cuts:
        known = _before(whole, candles.index[cut])
        for other in (candles.iloc[:cut], _scrambled(candles, cut, rng), _huge(candles, cut)):
            for name in _different(known, _before(compute(other), candles.index[cut])):
                caught.setdefault(name, []).append(cut)
    return caught


def _over_trades(features: FeatureSet, rule: TradeRule, timeframe: str) -> Compute:
    def compute(candles: pd.DataFrame) -> pd.DataFrame:
        rows = trade_rows(candles, rule, timeframe)
        if not (rows.row >= features.warm_up).any():
            index = rows.take(np.zeros(0, dtype=int)).index(candles)
            return pd.DataFrame(index=index, columns=list(features.names), dtype="float64")
        return features.compute_trades(candles, rows)

    return compute


def _before(table: pd.DataFrame, time: pd.Timestamp) -> pd.DataFrame:
    return table[pd.DatetimeIndex(table.index.get_level_values("time")) < time]


def _scrambled(candles: pd.DataFrame, cut: int, rng: np.random.Generator) -> pd.DataFrame:
    spoiled = candles.copy()
    spoiled.iloc[cut:] *= rng.uniform(0.2, 5, (len(candles) - cut, candles.shape[1]))
    return spoiled


def _huge(candles: pd.DataFrame, cut: int) -> pd.DataFrame:
    spoiled = candles.copy()
    spoiled.iloc[cut:] = 1e12
    return spoiled


def _different(known: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    if not known.index.equals(found.index):
        return ["rows"]
    one, other = known.to_numpy(), found.to_numpy()
    changed = (one != other) & ~(np.isnan(one) & np.isnan(other))
    return [str(name) for name, column in zip(known, changed.T, strict=True) if column.any()]
