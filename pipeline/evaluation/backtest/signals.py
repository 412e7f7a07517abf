"""A head's probabilities, laid on the candles that orders are filled on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.evaluation.backtest.arrays import FloatArray, IntArray, Signals
from pipeline.evaluation.backtest.profile import Profile
from pipeline.evaluation.backtest.sizing import sizes
from pipeline.market.candles import duration

PROBABILITIES = ("p_long", "p_short", "p_exit_long", "p_exit_short")
THRESHOLDS = {
    "p_long": "long_threshold",
    "p_short": "short_threshold",
    "p_exit_long": "exit_threshold",
    "p_exit_short": "exit_threshold",
}


def signal_arrays(
    signals: pd.DataFrame, candles: pd.DataFrame, profile: Profile, timeframe: str
) -> Signals:
    """Probabilities at the close of each execution candle, and the size to take.

    Parameters
    ----------
    signals
        Indexed by the open time of candles of `timeframe`; columns of `PROBABILITIES`, and of
        thresholds where the profile's are chosen in folds. An absent column says nothing.
    candles
        The execution candles.

    Raises
    ------
    DataError
        When the profile's thresholds are chosen in folds and their columns are missing.
    """
    at = _places(pd.DatetimeIndex(signals.index), candles, profile, timeframe)
    laid = {name: _laid(signals, name, at, len(candles)) for name in PROBABILITIES}
    strength = np.fmax(laid["p_long"], laid["p_short"])
    if profile.thresholds == "folds":
        for name in PROBABILITIES:
            if name in signals:
                laid[name] = laid[name] - _threshold(signals, name, at, len(candles))
    return Signals(
        long=laid["p_long"],
        short=laid["p_short"],
        exit_long=laid["p_exit_long"],
        exit_short=laid["p_exit_short"],
        size=sizes(strength, candles, profile),
    )


def _places(
    time: pd.DatetimeIndex, candles: pd.DataFrame, profile: Profile, timeframe: str
) -> IntArray:
    """Row of the newest candle closed when each signal is known; -1 where it fills nowhere."""
    known = time + duration(timeframe)
    closes = pd.DatetimeIndex(candles.index) + duration(profile.execution(timeframe))
    at = closes.searchsorted(known, side="right").astype("int64") - 1
    if profile.fill == "same_close":  # no fill at a close that was past when the signal came
        at[closes[np.maximum(at, 0)] != known] = -1
    return at


def _laid(signals: pd.DataFrame, name: str, at: IntArray, length: int) -> FloatArray:
    laid = np.full(length, np.nan)
    if name in signals:
        laid[at[at >= 0]] = signals[name].to_numpy("float64")[at >= 0]
    return laid


def _threshold(signals: pd.DataFrame, name: str, at: IntArray, length: int) -> FloatArray:
    column = THRESHOLDS[name]
    if column not in signals:
        raise DataError(
            "the profile takes thresholds that were chosen in folds, and the signals bring none",
            where=f"column {column}",
            fix="train with thresholds chosen in folds, or set backtest.thresholds to stated",
        )
    return _laid(signals, column, at, length)
