"""What each policy's answers came to after costs, day by day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.bootstrap import SEED, Floats, drawn_sums, interval, over_moments
from pipeline.evaluation.trading import Predicted, Trading, daily_returns, trade
from pipeline.experiments.simulate.policies import (
    ALLOWED,
    FIRST,
    FLAT,
    GATED,
    HOLD,
    NEWEST,
    Served,
    Turns,
)
from pipeline.experiments.simulate.scoring import Outcomes
from pipeline.market.candles import duration
from registry.evidence import MoneyEvidence

LOOKED_BACK = pd.Timedelta(days=90)  # sizes and regimes look at candles before the first signal
SAME = 1e-12  # share of the equity
MODELS = (GATED, FIRST, NEWEST, ALLOWED)
CURVES = (GATED, FIRST, NEWEST, HOLD, FLAT)
NO_ANSWER = "no model answered"


@dataclass(frozen=True, slots=True)
class Earned:
    """What the policies came to; `why_not` is why nothing could be traded.

    `equity` has the close of each UTC day in units of the start, one column for each policy,
    `daily` the returns of these days.
    """

    tradings: Mapping[str, Trading]
    equity: pd.DataFrame
    daily: Mapping[str, Floats]
    why_not: str = ""

    def against(self, rival: str, horizon: int, ours: str = GATED) -> MoneyEvidence:
        """One policy's daily returns less a rival's; see `registry.evidence.MoneyEvidence`."""
        if self.why_not:
            return MoneyEvidence(comparable=False, why_not=self.why_not)
        return paired(self.daily[ours], self.daily[rival], horizon)


def earned(
    turns: Turns, outcomes: Mapping[str, Outcomes], candles: pd.DataFrame, setup: Setup
) -> Earned:
    """Trade every policy by one profile on the same candles.

    Parameters
    ----------
    candles
        Execution candles indexed by time.
    setup
        Thresholds that others choose in their folds are the profile's here: no policy has folds.
    """
    stated = setup.profile.model_copy(update={"thresholds": "stated"})
    setup = replace(setup, profile=stated)
    by_models: dict[Served, Trading] = {}
    for served in {*turns.served().values()}:
        heads = _predicted(turns, served, outcomes)
        if not heads:
            return Earned({}, pd.DataFrame(), {}, NO_ANSWER)
        by_models[served] = _traded(heads, candles, setup)
    tradings = {name: by_models[served] for name, served in turns.served().items()}
    if why_not := next((each.why_not for each in tradings.values() if each.result is None), ""):
        return Earned(tradings, pd.DataFrame(), {}, why_not)
    return _told(tradings)


def paired(mine: Floats, other: Floats, horizon: int) -> MoneyEvidence:
    """Two series of daily returns held against each other.

    Parameters
    ----------
    horizon
        Days that the outcome of one signal may reach over.

    Examples
    --------
    >>> better = paired(np.full(60, 0.002), np.full(60, 0.001), 1)
    >>> better.word, round(better.daily_difference, 6)
    ('better', 0.001)
    """
    daily: Floats = mine - other
    blocks = over_moments(len(daily), horizon)
    sums = drawn_sums(daily[:, None], blocks, np.random.default_rng(SEED))[:, 0]
    low, high = interval(sums / len(daily), blocks.widening)
    ours, theirs = (float(np.prod(1 + one) - 1) for one in (mine, other))
    return MoneyEvidence(
        comparable=True,
        days=len(daily),
        differing_days=int((np.abs(daily) > SAME).sum()),
        candidate_return=ours,
        champion_return=theirs,
        daily_difference=float(daily.mean()),
        low=low,
        high=high,
    )


def _traded(heads: Mapping[str, Predicted], candles: pd.DataFrame, setup: Setup) -> Trading:
    held = setup.profile.execution(setup.timeframe)
    try:
        return trade(heads, _within(heads, candles, setup), setup, held)
    except DataError as error:
        return Trading(None, error.what)


def _predicted(
    turns: Turns, served: Served, outcomes: Mapping[str, Outcomes]
) -> dict[str, Predicted]:
    """Every head's rows of all turns; where no model answers, rows that say nothing."""
    parts: dict[str, list[pd.DataFrame]] = {head: [] for head in outcomes}
    for turn, model in enumerate(served):
        rows = turns.some(turn)
        said = turns.answered(turn, model)
        if rows is None:
            continue
        for head, own in outcomes.items():
            if said is None or model is None:
                columns = [f"p_{name}" for name in own.classes]
                parts[head].append(pd.DataFrame(np.nan, rows.keys(head), columns))
            else:
                parts[head].append(said.frame(model, head, own.classes))
    return {
        head: Predicted(_with_ends(pd.concat(frames), outcomes[head].frame), outcomes[head].classes)
        for head, frames in parts.items()
        if frames
    }


def _with_ends(said: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    if said.index.names != labels.index.names:
        return said.assign(ends_at=pd.Series(pd.NaT, said.index, "datetime64[ms, UTC]"))
    return said.assign(ends_at=labels["ends_at"].reindex(said.index))


def _within(heads: Mapping[str, Predicted], candles: pd.DataFrame, setup: Setup) -> pd.DataFrame:
    times = [pd.DatetimeIndex(rows.index.get_level_values("time")) for rows, _ in heads.values()]
    first, last = min(each.min() for each in times), max(each.max() for each in times)
    return candles.loc[first - LOOKED_BACK : last + duration(setup.timeframe)]


def _told(tradings: Mapping[str, Trading]) -> Earned:
    curves: dict[str, pd.Series[float]] = {}
    for name, trading in tradings.items():
        assert trading.result is not None
        curves[name] = trading.result.curve["equity"]
    result = tradings[GATED].result
    assert result is not None
    curves |= {name: result.curve[name] for name in (HOLD, FLAT)}
    daily = {name: daily_returns(curve) for name, curve in curves.items()}
    equity = {name: np.cumprod(1.0 + returns) for name, returns in daily.items()}
    opened = pd.DatetimeIndex(result.curve.index) - pd.Timedelta(minutes=1)
    days = pd.date_range(opened[0].floor("D"), periods=len(daily[GATED]), freq="D")
    return Earned(tradings, pd.DataFrame(equity, index=days), daily)
