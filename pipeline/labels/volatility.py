"""How much a close moves, from returns of one candle each."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import FloatArray
from pipeline.labels.grid import later


def squared_returns(close: FloatArray) -> FloatArray:
    """Square of ``close[t] / close[t-1] - 1`` on the grid, NaN where either is missing."""
    squares = np.full(len(close), np.nan)
    squares[1:] = (close[1:] / close[:-1] - 1) ** 2
    return squares


def trailing_volatility(close: FloatArray, window: int) -> FloatArray:
    """Root mean square of the returns of the newest `window` candles, one candle each.

    A return beside a missing candle is left out. NaN in the first `window` places, so that the
    value never depends on where history starts, and where fewer than half of the returns are
    there.

    Parameters
    ----------
    close
        On the grid, NaN where the candle is missing.
    window
        Candles, the newest included.

    Examples
    --------
    >>> trailing_volatility(np.array([1.0, 2.0, 2.0, 3.0]), 2).round(4).tolist()
    [nan, nan, 0.7071, 0.3536]
    """
    squares = squared_returns(close)
    there = np.isfinite(squares)
    total, count = np.zeros(len(close)), np.zeros(len(close))
    for back in range(min(window, len(close))):
        newer = slice(back, len(close))
        older = slice(0, len(close) - back)
        total[newer] += np.where(there[older], squares[older], 0.0)
        count[newer] += there[older]
    enough = (np.arange(len(close)) >= window) & (2 * count >= window)
    mean = np.divide(total, count, out=np.full(len(close), np.nan), where=enough)
    return np.asarray(np.sqrt(mean))


def realised_volatility(close: FloatArray, candles: int) -> FloatArray:
    """Root of the sum of the squared returns of the next so many candles.

    NaN where one of these candles, or the present one, is missing.
    """
    squares = squared_returns(close)
    total = later(squares, 1)
    for ahead in range(2, candles + 1):
        total += later(squares, ahead)
    return np.asarray(np.sqrt(total))
