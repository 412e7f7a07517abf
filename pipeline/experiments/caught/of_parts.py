"""Mistakes in a label, in features and in a model: each part is asked, and its answer compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.experiments.caught.declared import Compute, Declared, Mistake
from pipeline.market.candles import PRICES, duration
from pipeline.models.base import FeatureTable, Samples

BACKWARD, QUANTILE = "backward label", "full-sample quantile"
SCALED_BY_ALL, FILLED, AHEAD = "scaler on all data", "back-fill", "feature looks ahead"
ASKED = 16  # candles, those of the largest changes
PAST = 1200  # candles before each of them
CUTS = (0.4, 0.7)  # of the history
EARLY = (3, 15, 40, 95)  # candles, inside the warm-up of most columns
LATE = (0.9, 0.97)
ROWS = 1000  # of a history that is cut so often
FITTED = 300  # rows
SPOILED = 3.0


def backward_label(parts: Declared) -> Mistake | None:
    """Candles after which nothing moved any more: an answer that differs was known before.

    After each of the candles that moved most the close is repeated until the answer is known. With
    one and the same future there can be but one answer; whatever tells them apart lies behind them.
    """
    change = parts.candles["close"].pct_change().abs()
    places = np.sort(np.argsort(change.fillna(0).to_numpy(), kind="stable")[-ASKED:])
    values = np.concatenate([_answers(parts, int(place)) for place in places])
    if not len(values):
        raise DataError("too few candles to ask the label about", found=str(len(parts.candles)))
    usual = np.unique(values, return_counts=True)
    other = len(values) - int(usual[1].max())
    told = f"{other} of {len(values)} answers differ though nothing moved after their candles"
    return Mistake(BACKWARD, told) if other else None


def full_sample_quantile(parts: Declared) -> Mistake | None:
    """Answers that had been known and changed when later, wilder candles came."""
    step, changed, total = duration(parts.timeframe), 0, 0
    for cut in _places(CUTS, len(parts.candles)):
        known_at = parts.candles.index[cut - 1] + step
        known = [
            _value(found[found["ends_at"] <= known_at])
            for found in (
                parts.label.compute(frame, parts.timeframe)
                for frame in (parts.candles.iloc[:cut], _wilder(parts.candles, cut))
            )
        ]
        both = known[0].index.intersection(known[1].index)
        changed += int((known[0].loc[both] != known[1].loc[both]).sum())
        total += len(both)
    told = f"{changed} of {total} answers changed after they were known"
    return Mistake(QUANTILE, told) if changed else None


def back_fill(parts: Declared) -> Mistake | None:
    """Columns whose first rows change with later candles, and whose later rows do not."""
    filled = sorted(_moved(parts, EARLY) - _moved(parts, _late(parts)))
    told = f"the first rows of {', '.join(filled[:4])} hold values of later candles"
    return Mistake(FILLED, told) if filled else None


def looks_ahead(parts: Declared) -> Mistake | None:
    """Columns whose rows change, anywhere, when later candles are cut off."""
    ahead = sorted(_moved(parts, _late(parts)))
    told = f"{', '.join(ahead[:4])} change when later candles are cut off"
    return Mistake(AHEAD, told) if ahead else None


def scaler_on_all_data(parts: Declared) -> Mistake | None:
    """A model whose answers change with rows that are newer than those it was given to fit on."""
    samples = parts.samples
    fold = min(parts.folds, key=lambda one: len(one.train))
    rows = fold.train[:FITTED]
    newer = _time(samples.table) > samples.time[rows].max()
    if not newer.any():
        return None
    values = np.where(newer[:, None], SPOILED * samples.table.values + 1.0, samples.table.values)
    spoiled = replace(samples.table, values=values)
    first, second = (
        _said(parts, replace(samples, table=table), rows) for table in (samples.table, spoiled)
    )
    apart = float(np.abs(first - second).max())
    told = f"probabilities move by up to {apart:.2g} with rows that the model was not given"
    return Mistake(SCALED_BY_ALL, told) if apart > 0 else None


def _said(parts: Declared, samples: Samples, rows: np.ndarray) -> np.ndarray:
    given = samples.take(rows)
    if given.outcomes is not None:
        rule = given.outcomes.label.learn(given.outcomes.values)
        given = replace(given, label=rule.assign(given.outcomes.values), outcomes=None)
    fitted = parts.model.fit(given, np.random.default_rng(0))
    return np.asarray(fitted.predict_proba(given.table, given.rows))


def _time(table: FeatureTable) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(table.index.get_level_values("time"))


def _answers(parts: Declared, place: int) -> np.ndarray:
    """What the label says of one candle, were its close the last price that moved."""
    past = parts.candles.iloc[max(0, place - PAST) : place + 1]
    time, step = past.index[-1], duration(parts.timeframe)
    ahead = int((parts.samples.ends_at - parts.samples.time).max() / step)
    still = past.iloc[[-1] * ahead].copy()
    for name in PRICES:
        still[name] = past["close"].iloc[-1]
    still.index = pd.DatetimeIndex([time + number * step for number in range(1, ahead + 1)])
    frame = pd.concat([past, still])
    frame.index = pd.DatetimeIndex(frame.index, name=past.index.name)
    found = parts.label.compute(frame, parts.timeframe)
    of_candle = pd.DatetimeIndex(found.index.get_level_values("time")) == time
    return np.asarray(_value(found)[of_candle], "float64")


def _value(found: pd.DataFrame) -> pd.Series:
    return found[found.columns[0]]


def _wilder(candles: pd.DataFrame, cut: int) -> pd.DataFrame:
    """The same candles up to a cut; after it every move is `SPOILED` times as far."""
    base = float(candles["close"].iloc[cut - 1])
    later = np.arange(len(candles)) >= cut
    moved = {
        name: candles[name].where(~later, base * (candles[name] / base) ** SPOILED)
        for name in PRICES
    }
    return candles.assign(**moved)


def _places(shares: Iterable[float], rows: int) -> list[int]:
    return [int(share * rows) for share in shares]


def _late(parts: Declared) -> list[int]:
    return _places(LATE, min(len(parts.candles), ROWS))


def _moved(parts: Declared, cuts: Iterable[int]) -> set[str]:
    candles = parts.candles.iloc[:ROWS]
    whole = parts.features(candles)
    return {name for cut in cuts for name in _different(whole, parts.features, candles.iloc[:cut])}


def _different(whole: pd.DataFrame, compute: Compute, cut: pd.DataFrame) -> Iterator[str]:
    known = compute(cut)
    both = known.index.intersection(whole.index)
    one, other = known.loc[both].to_numpy(), whole.loc[both].to_numpy()
    changed = (one != other) & ~(np.isnan(one) & np.isnan(other))
    yield from (str(name) for name, yes in zip(known, changed.any(axis=0), strict=True) if yes)
