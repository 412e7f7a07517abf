"""Thresholds to enter from, chosen for each fold on what was known before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest.profile import Profile
from pipeline.evaluation.backtest.result import Setup
from pipeline.evaluation.backtest.signals import THRESHOLDS, signal_arrays
from pipeline.evaluation.backtest.simulate import Costs, candle_arrays, rules_of
from pipeline.evaluation.backtest.thresholds import choose_threshold
from pipeline.market.candles import duration

GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
SIDES: dict[str, Literal["long", "short"]] = {"p_long": "long", "p_short": "short"}


def with_fold_thresholds(
    signals: pd.DataFrame, rows: Sequence[pd.DataFrame], candles: pd.DataFrame, setup: Setup
) -> pd.DataFrame:
    """Give each signal the thresholds of its fold.

    They are those that earned most on the out-of-fold rows whose candle had closed, and whose
    label had ended, before the fold's first row: no model saw these in training, and the fold's
    own training reached as far. Where there are none, as for the first fold, they are the
    profile's, and so is always the one to leave from.

    Parameters
    ----------
    signals
        Indexed by time; probabilities to enter from, see `pipeline.evaluation.backtest`.
    rows
        Each head's rows of this market: ``fold`` and ``ends_at``.
    """
    profile = setup.profile
    facts = pd.concat([each[["fold", "ends_at"]] for each in rows])
    grouped = facts.groupby(facts.index.get_level_values("time"))
    by_time = grouped.agg({"fold": "min", "ends_at": "max"}).reindex(signals.index)
    told = signals.assign(**{name: getattr(profile, name) for name in {*THRESHOLDS.values()}})
    stated = profile.model_copy(update={"thresholds": "stated"})
    for _, fold in by_time.groupby("fold"):
        known = signals[(by_time["ends_at"] <= fold.index[0]).to_numpy()]
        if len(known):
            for name, chosen in _chosen(known, candles, setup, stated).items():
                told.loc[fold.index, name] = chosen
    return told


def _chosen(
    known: pd.DataFrame, candles: pd.DataFrame, setup: Setup, stated: Profile
) -> dict[str, float]:
    last = known.index[-1] + duration(setup.timeframe)
    before = candles.loc[:last]
    laid = signal_arrays(known, before, stated, setup.timeframe)
    first = int(np.searchsorted(before.index, known.index[0]))
    funding = setup.market.funding if stated.venue == "swap" else None
    arrays = candle_arrays(before.iloc[first:], funding)
    rules = rules_of(stated, Costs.of_market(setup.market, stated.cost_multiples[0]), setup.step)
    spoken = laid.part(first, laid.size.size)
    return {
        THRESHOLDS[name]: choose_threshold(arrays, spoken, rules, side, GRID)
        for name, side in SIDES.items()
        if name in known and (side == "long" or stated.venue == "swap")
    }
