"""What a table of features or labels owes the future: nothing.

A table is computed over all candles, and again over candles that end, are scrambled or are huge
from a moment on. What stands before that moment has to be the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.features.feature_set import FeatureSet
from pipeline.market.trades import SIGNS, TradeRule, trade_rows

Compute = Callable[[pd.DataFrame], pd.DataFrame]
Spoil = Callable[[pd.DataFrame, int, np.random.Generator], pd.DataFrame]


class Leaks(NamedTuple):
    """Where columns changed, by name, and how often a table was computed anew."""

    found: dict[str, list[int]]
    compared: int


def part(features: FeatureSet, names: Iterable[str]) -> FeatureSet:
    """Some columns of a set as a set."""
    columns = {name: features.columns[name].model_dump() for name in names}
    return FeatureSet.parse({"name": features.name, "columns": columns}, features.name)


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
    rng, caught = np.random.default_rng(seed), dict[str, list[int]]()
    for name, places in compared(compute, candles, cuts, SPOILS, rng).found.items():
        caught[name] = places
    return caught


def compared(
    compute: Compute,
    candles: pd.DataFrame,
    cuts: Iterable[int],
    spoils: Mapping[str, Spoil],
    rng: np.random.Generator,
) -> Leaks:
    """Compute a table over candles that are spoiled from each cut on, and compare what is before.

    A table of labels has ``ends_at``: rows whose label ended by the cut are those before it.
    """
    whole, caught, times = compute(candles), dict[str, list[int]](), 0
    for cut in cuts:
        known = _before(whole, candles.index[cut])
        for spoil in spoils.values():
            again = _before(compute(spoil(candles, cut, rng)), candles.index[cut])
            times += 1
            for name in _different(known, again):
                caught.setdefault(name, []).append(cut)
    return Leaks(caught, times)


def label_table(compute: Callable[[pd.DataFrame, str], pd.DataFrame], timeframe: str) -> Compute:
    """Labels, or the outcomes they are learned from, beside the end of each, for `compared`."""
    return lambda candles: compute(candles, timeframe).iloc[:, :2]


def cuts_of(warm_up: int, rows: int, count: int) -> list[int]:
    """Places to cut at, half of them inside the warm-up: a fill from behind shows nowhere else.

    Examples
    --------
    >>> cuts_of(100, 500, 4)
    [1, 100, 101, 499]
    """
    inside = np.linspace(1, max(warm_up, 2), count // 2)
    later = np.linspace(max(warm_up, 2) + 1, rows - 1, count - count // 2)
    return [int(cut) for cut in (*inside, *later)]


def _cut(candles: pd.DataFrame, cut: int, rng: np.random.Generator) -> pd.DataFrame:  # noqa: ARG001
    return candles.iloc[:cut]


def _scrambled(candles: pd.DataFrame, cut: int, rng: np.random.Generator) -> pd.DataFrame:
    spoiled = candles.copy()
    spoiled.iloc[cut:] *= rng.uniform(0.2, 5, (len(candles) - cut, candles.shape[1]))
    return spoiled


def _huge(candles: pd.DataFrame, cut: int, rng: np.random.Generator) -> pd.DataFrame:  # noqa: ARG001
    spoiled = candles.copy()
    spoiled.iloc[cut:] = 1e12
    return spoiled


TRUNCATED: Mapping[str, Spoil] = {"cut": _cut}
CORRUPTED: Mapping[str, Spoil] = {"scrambled": _scrambled, "huge": _huge}
SPOILS: Mapping[str, Spoil] = {**TRUNCATED, **CORRUPTED}


def _over_trades(features: FeatureSet, rule: TradeRule, timeframe: str) -> Compute:
    def compute(candles: pd.DataFrame) -> pd.DataFrame:
        rows = trade_rows(candles, rule, timeframe)
        if not (rows.row >= features.warm_up).any():
            index = rows.take(np.zeros(0, dtype=int)).index(candles)
            return pd.DataFrame(index=index, columns=list(features.names), dtype="float64")
        return features.compute_trades(candles, rows)

    return compute


def _before(table: pd.DataFrame, time: pd.Timestamp) -> pd.DataFrame:
    """Rows known before the candle at `time` was: a label is known at its end."""
    if "ends_at" in table:
        return table[table["ends_at"] <= time]
    return table[pd.DatetimeIndex(table.index.get_level_values("time")) < time]


def _different(known: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    if not known.index.equals(found.index):
        return ["rows"]
    changed = {name: _changed(known[name], found[name]) for name in known}
    return [str(name) for name, different in changed.items() if different]


def _changed(one: pd.Series, other: pd.Series) -> bool:
    return not np.array_equal(one.to_numpy(), other.to_numpy(), equal_nan=one.dtype.kind == "f")
