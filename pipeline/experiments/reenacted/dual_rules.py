"""How the dual-model bot traded, in terms of this backtest.

Long was asked first, orders were filled at the close that decided, and positions left at closes
alone: so each candle is given to the machine as its close. A position open at a window's end is
closed there and counted; the original left it out.
"""

from __future__ import annotations

from typing import Literal

import pandas as pd

from pipeline.evaluation.backtest import Profile, Result, Setup, backtest
from pipeline.market.candles import PRICES
from pipeline.market.exchanges.base import Market

Thresholds = Literal["stated", "folds"]
CLAIMED_FEE_BPS = 2.0


def old_profile(profile: Profile) -> Profile:
    """The profile with orders filled at the close that decided them, at stated thresholds."""
    return profile.model_copy(
        update={
            "fill": "same_close",
            "thresholds": "stated",
            "exit_threshold": None,
            "cost_multiples": (1.0,),
        }
    )


def honest_profile(profile: Profile, thresholds: Thresholds) -> Profile:
    """The profile with fills at the next open, entered from stated or from learnt thresholds."""
    update = {"fill": "next_open", "thresholds": thresholds, "cost_multiples": (1.0,)}
    return profile.model_copy(update=update)


def cheap(market: Market) -> Market:
    """The market at the claimed fee of 0.02 % a side, without slippage and funding."""
    free = {"fee_bps": CLAIMED_FEE_BPS, "slippage_bps": 0.0, "funding": None}
    return market.model_copy(update=free)


def at_closes(candles: pd.DataFrame) -> pd.DataFrame:
    """Candles in which nothing happened but their close."""
    return candles.assign(**dict.fromkeys(PRICES, candles["close"]))


def long_first(signals: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Silence short wherever long is asked for.

    Examples
    --------
    >>> said = pd.DataFrame({"p_long": [0.7, 0.1], "p_short": [0.9, 0.9]})
    >>> long_first(said, 0.7)["p_short"].tolist()
    [nan, 0.9]
    """
    return signals.assign(p_short=signals["p_short"].where(signals["p_long"] < threshold))


def trade_as_then(candles: pd.DataFrame, signals: pd.DataFrame, setup: Setup) -> Result:
    """Backtest signals by the old rules; `setup` says which market, and what trading it costs."""
    profile = old_profile(setup.profile)
    asked = long_first(signals, profile.long_threshold)
    return backtest(at_closes(candles), asked, Setup(profile, setup.market, setup.timeframe))
