"""Thresholds to enter from, chosen for each fold on what was known before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest.arrays import Candles, Rules, Signals
from pipeline.evaluation.backtest.profile import Profile
from pipeline.evaluation.backtest.result import Setup
from pipeline.evaluation.backtest.signals import THRESHOLDS, signal_arrays
from pipeline.evaluation.backtest.simulate import (
    Costs,
    Trades,
    candle_arrays,
    rules_of,
    simulate,
)
from pipeline.evaluation.backtest.thresholds import UNREACHED, choose_threshold
from pipeline.market.candles import duration

GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
SIDES: dict[str, Literal["long", "short"]] = {"p_long": "long", "p_short": "short"}
CALIBRATED = "calibrated"


def with_scales(rows: pd.DataFrame, fits: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Mark the rows whose fold was calibrated, given what training says of a head's fits.

    Examples
    --------
    >>> fits = [{"fit": "fold 0", "calibration": {"left_out": "no rows"}},
    ...         {"fit": "fold 1", "calibration": {"rows": 90}}, {"fit": "all rows"}]
    >>> with_scales(pd.DataFrame({"fold": [0, 1, 1]}), fits)["calibrated"].tolist()
    [False, True, True]
    """
    if CALIBRATED in rows or "fold" not in rows:
        return rows
    told = [fit.get("calibration", {"left_out": "none was asked for"}) for fit in fits]
    done = [number for number, each in enumerate(told) if "left_out" not in each]
    return rows.assign(**{CALIBRATED: rows["fold"].isin(done)})


def with_fold_thresholds(
    signals: pd.DataFrame, rows: Sequence[pd.DataFrame], candles: pd.DataFrame, setup: Setup
) -> pd.DataFrame:
    """Give each signal the thresholds of its fold.

    They are those that earned most on the out-of-fold rows whose candle had closed, and whose
    label had ended, before the fold's first row: no model saw these in training, and the fold's
    own training reached as far. Where there are none, as for the first fold, they are the
    profile's, unless a fold is calibrated; the one to leave from always is.

    A calibrated probability and one that is not are of two scales. Where some folds are
    calibrated, only rows of the fold's own scale speak for its thresholds, and a fold without any
    does not trade: its thresholds are `UNREACHED`.

    Parameters
    ----------
    signals
        Indexed by time; probabilities to enter from, see `pipeline.evaluation.backtest`.
    rows
        Each head's rows of this market: ``fold``, ``ends_at``, and ``calibrated`` where some
        folds may be, see `with_scales`.
    """
    profile = setup.profile
    facts = pd.concat([_by_moment(each) for each in rows])
    grouped = facts.groupby(level="time")
    by_time = grouped.agg({"fold": "min", "ends_at": "max"}).reindex(signals.index)
    by_time["scale"] = _scales(rows, signals.index)
    told = signals.assign(**{name: getattr(profile, name) for name in {*THRESHOLDS.values()}})
    stated = profile.model_copy(update={"thresholds": "stated"})
    several = bool((by_time["scale"] > 0).any())
    for (_, scale), fold in by_time.groupby(["fold", "scale"]):
        before = (by_time["ends_at"] <= fold.index[0]) & (by_time["scale"] == scale)
        known = signals[before.to_numpy()]
        for name, chosen in _chosen_of(known, candles, setup, stated, several).items():
            told.loc[fold.index, name] = chosen
    return told


def without_thresholds(signals: pd.DataFrame) -> str:
    """Say which candles are not traded for want of rows to choose a threshold on; empty: none."""
    entered = [
        THRESHOLDS[name] for name in SIDES if name in signals and THRESHOLDS[name] in signals
    ]
    silent = (signals[entered] >= UNREACHED).all(axis=1).to_numpy()
    if not entered or not silent.any():
        return ""
    last = signals.index[silent][-1]
    return (
        f"{int(silent.sum())} of {len(silent)} candles, the last at {last:%Y-%m-%d %H:%M} UTC, are "
        "not traded: no earlier rows of the same scale, calibrated or not, were there to choose a "
        "threshold on."
    )


def _by_moment(head: pd.DataFrame) -> pd.DataFrame:
    """Indexed by time alone, as rows of candles and of trades can stand together."""
    return head[["fold", "ends_at"]].set_axis(head.index.get_level_values("time"))


def _scales(rows: Sequence[pd.DataFrame], moments: pd.Index) -> pd.Series[int]:
    """One number for each combination of heads that are calibrated; 0 where none is."""
    scale = pd.Series(0, index=moments)
    for number, head in enumerate(rows):
        if CALIBRATED in head:
            said = head[CALIBRATED].groupby(head.index.get_level_values("time")).max()
            known = said.astype("float64").reindex(moments).ffill().bfill().fillna(0.0)
            scale = scale + known.astype("int64") * 2**number
    return scale


def _chosen_of(
    known: pd.DataFrame, candles: pd.DataFrame, setup: Setup, stated: Profile, several: bool
) -> dict[str, float]:
    """What `known` speaks for; without any the profile's own, or nothing where scales differ."""
    if len(known):
        return _chosen(known, candles, setup, stated)
    return {THRESHOLDS[name]: UNREACHED for name in SIDES} if several else {}


def _chosen(
    known: pd.DataFrame, candles: pd.DataFrame, setup: Setup, stated: Profile
) -> dict[str, float]:
    last = known.index[-1] + duration(setup.timeframe)
    before = candles.loc[:last]
    laid = signal_arrays(known, before, stated, setup.timeframe)
    first = int(np.searchsorted(before.index, known.index[0]))
    arrays = candle_arrays(before.iloc[first:], setup.paid)
    rules = rules_of(stated, Costs.of_market(setup.market, stated.cost_multiples[0]), setup.step)
    spoken = laid.part(first, laid.size.size)
    trade = partial(_trade, arrays, spoken, stated.positions)
    return {
        THRESHOLDS[name]: choose_threshold(trade, rules, side, GRID)
        for name, side in SIDES.items()
        if name in known and (side == "long" or stated.venue == "swap")
    }


def _trade(candles: Candles, signals: Signals, positions: int, rules: Rules) -> Trades:
    return simulate(candles, signals, rules, positions)
