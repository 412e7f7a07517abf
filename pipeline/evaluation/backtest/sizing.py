"""How much to take at each candle, from what is known at its close."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest.arrays import FloatArray, IntArray
from pipeline.evaluation.backtest.profile import DynamicSize, FixedSize, Profile, TieredSize
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.bands import atr
from pipeline.features.indicators.candles import relative_change
from pipeline.features.rolling import rolling_mean

REGIMES = ("unknown", "bull", "sideways", "bear")
REGIME_CANDLES, BULL, BEAR = 20, 0.03, -0.02
_REGIME_FACTORS = np.array([0.5, 1.0, 0.6, 0.3])


def sizes(strength: FloatArray, candles: pd.DataFrame, profile: Profile) -> FloatArray:
    """Share of the equity to take at each candle; NaN strength gives no position anyway.

    Fixed: the stated share. Tiers: the share of the highest tier that the strength reaches.
    Dynamic: ``base * (0.5 + F)`` with F the weighted sum of four factors; the machine adds the
    streak's and cuts to ``smallest`` and ``largest``. Signal: ``(2 p - 1) ** 1.5``. Volatility:
    1 at half the usual atr_pct or less, 0.5 at the usual, 0 from twice. Regime: bull 1,
    sideways 0.6, bear 0.3, unknown 0.5.
    """
    sizing = profile.sizing
    if isinstance(sizing, FixedSize):
        return np.full(strength.size, sizing.share)
    if isinstance(sizing, TieredSize):
        return _tiers(strength, sizing)
    signal = np.clip(2.0 * strength - 1.0, 0.0, 1.0) ** 1.5
    factors = (
        sizing.signal * signal
        + sizing.volatility * _volatility(candles, sizing)
        + sizing.regime * _REGIME_FACTORS[regimes(candles["close"].to_numpy("float64"))]
    )
    dynamic: FloatArray = sizing.base * (0.5 + factors)
    return dynamic


def regimes(close: FloatArray) -> IntArray:
    """Place in `REGIMES` by the change over the newest 20 candles.

    Examples
    --------
    >>> regimes(np.r_[np.full(20, 100.0), 104.0, 100.0, 97.0])[-4:].tolist()
    [0, 1, 2, 3]
    """
    change = relative_change(close, REGIME_CANDLES)
    unknown, bull, bear = np.isnan(change), change > BULL, change < BEAR
    return np.select([unknown, bull, bear], [0, 1, 3], default=2).astype("int64")


def _tiers(strength: FloatArray, sizing: TieredSize) -> FloatArray:
    bounds = sorted(sizing.tiers)
    shares = np.array([sizing.base, *(sizing.tiers[bound] for bound in bounds)])
    known = np.nan_to_num(strength, nan=-1.0)
    taken: FloatArray = shares[np.searchsorted(bounds, known, side="right")]
    return taken


def _volatility(candles: pd.DataFrame, sizing: DynamicSize) -> FloatArray:
    share = atr(CandleArrays.from_frame(candles), sizing.atr_window, relative=True)
    usual = rolling_mean(share, sizing.usual_window)
    known = usual > 0.0
    ratio = np.divide(share, usual, out=np.ones_like(share), where=known)
    factor: FloatArray = np.interp(ratio, [0.5, 1.0, 2.0], [1.0, 0.5, 0.0])
    return factor
