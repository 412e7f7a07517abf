"""What two versions would have come to after costs, held against each other day by day.

Both are traded by the same profile, on the same candles, with signals on the same candles: those
for which both said out of fold when to enter. Money needs no common label, so that a change of the
label can be judged by it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.bootstrap import SEED, Floats, drawn_sums, interval, over_moments
from pipeline.evaluation.chance import chance
from pipeline.evaluation.comparison import NO_ROWS, OutOfFold, not_evidence
from pipeline.evaluation.trading import SIDES, Predicted, Trading, signals_of, trade
from pipeline.market.candles import duration
from registry.evidence import MoneyEvidence

DAY = pd.Timedelta(days=1)
SAME = 1e-12  # share of the equity
SILENT = "one of the two never says when to enter"
Heads = Mapping[str, OutOfFold]


def common_moments(ours: Heads, theirs: Heads, market: str) -> pd.DatetimeIndex:
    """Open times of the candles for which both said when to enter, sorted."""
    first, second = (_entered(heads, market) for heads in (ours, theirs))
    return first.intersection(second).sort_values()


def spoken(ours: Heads, theirs: Heads) -> tuple[Heads, Heads]:
    """Both sides without the heads that one of the two has no rows of, which say nothing."""
    pairs = (*ours.items(), *theirs.items())
    silent = {name for name, head in pairs if head.frame.empty}
    first, second = (
        {name: head for name, head in side.items() if name not in silent} for side in (ours, theirs)
    )
    return first, second


def compare_money(ours: Heads, theirs: Heads, candles: pd.DataFrame, setup: Setup) -> MoneyEvidence:
    """Trade a candidate's and a champion's signals side by side.

    Parameters
    ----------
    candles
        Execution candles indexed by time; those before the first signal are looked back at.
    setup
        How both are traded; where a side has no folds, thresholds that others choose in their
        folds are the profile's for both.

    Raises
    ------
    DataError
        When the candles do not cover the signals.
    """
    if why_not := not_evidence(ours, theirs):
        return MoneyEvidence(comparable=False, why_not=why_not)
    times = common_moments(ours, theirs, setup.market.name)
    if not len(times):
        silent = any(not len(_entered(heads, setup.market.name)) for heads in (ours, theirs))
        return MoneyEvidence(comparable=False, why_not=SILENT if silent else NO_ROWS)
    sides = [_at(heads, times) for heads in (ours, theirs)]
    if not all("fold" in head.joined for side in sides for head in side.values()):
        told = setup.profile.model_copy(update={"thresholds": "stated"})
        setup = replace(setup, profile=told)
    held = setup.profile.execution(setup.timeframe)
    traded = [trade(side, candles, setup, held) for side in sides]
    if why_not := next((each.why_not for each in traded if each.result is None), ""):
        return MoneyEvidence(comparable=False, why_not=why_not)
    return _evidence(traded, _horizon_days(sides, setup))


def _entered(heads: Heads, market: str) -> pd.DatetimeIndex:
    told = {
        name: Predicted(head.frame, head.classes)
        for name, head in heads.items()
        if market in head.frame.index.get_level_values("market")
    }
    signals = signals_of(told, market)
    entries = signals[[name for name in SIDES if name in signals]]
    return pd.DatetimeIndex(entries.dropna(how="all").index, tz="UTC")


def _at(heads: Heads, times: pd.DatetimeIndex) -> dict[str, Predicted]:
    return {
        name: Predicted(
            head.frame[head.frame.index.get_level_values("time").isin(times)], head.classes
        )
        for name, head in heads.items()
    }


def _horizon_days(sides: list[dict[str, Predicted]], setup: Setup) -> int:
    """Days that the outcome of one signal may reach over: its label's, or its position's."""
    ahead = [
        (rows["ends_at"] - rows.index.get_level_values("time")).max() - duration(setup.timeframe)
        for side in sides
        for rows, _ in side.values()
        if len(rows)
    ]
    holding = pd.Timedelta(minutes=setup.profile.holding_minutes or 0)
    return max(int(-(-max([holding, *ahead]) // DAY)), 1)


def _evidence(traded: list[Trading], horizon: int) -> MoneyEvidence:
    mine, other = (each.daily_returns() for each in traded)
    daily: Floats = mine - other
    days = len(daily)
    blocks = over_moments(days, horizon)
    means = drawn_sums(daily[:, None], blocks, np.random.default_rng(SEED))[:, 0] / days
    low, high = interval(means, blocks.widening)
    candidate, champion = (float(np.prod(1 + one) - 1) for one in (mine, other))
    return MoneyEvidence(
        comparable=True,
        days=days,
        differing_days=int((np.abs(daily) > SAME).sum()),
        candidate_return=candidate,
        champion_return=champion,
        daily_difference=float(daily.mean()),
        low=low,
        high=high,
        daily_difference_p=chance(means, blocks),
    )
