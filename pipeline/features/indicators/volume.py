"""Volume and price together."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import FloatArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import Window, indicator
from pipeline.kernels import kernel


@indicator(
    warm_up=lambda window, **_: window - 1,
    memory=lambda window, **_: window,
    inputs=("close", "volume"),
    formula="correlation of volume and close over the newest window candles",
    unit="-1 to 1",
    scale_free=True,
)
def volume_price_correlation(candles: CandleArrays, window: Window = 20) -> FloatArray:
    """Correlation (Pearson 1895) of volume and close; 0 where either stood still in the window."""
    return _correlation(candles.volume, candles.close, window)


@indicator(
    warm_up=lambda: 1,
    memory=lambda: 2,
    inputs=("close", "volume"),
    formula="sign(close - close[-1]) if volume > volume[-1], else 0",
    unit="-1, 0 or 1",
    scale_free=True,
)
def price_volume_trend(candles: CandleArrays) -> FloatArray:
    """Which way the close moved on rising volume: 1 up, -1 down; 0 where either did not."""
    trend = np.full(candles.close.size, np.nan)
    rising = candles.volume[1:] > candles.volume[:-1]
    trend[1:] = np.where(rising, np.sign(candles.close[1:] - candles.close[:-1]), 0.0)
    return trend


@kernel
def _correlation(left: FloatArray, right: FloatArray, window: int) -> FloatArray:
    """Correlation of two columns over the newest `window` rows.

    Examples
    --------
    >>> found = _correlation(np.array([1.0, 2.0, 2.0]), np.array([3.0, 5.0, 4.0]), 2)
    >>> found.round(9).tolist()
    [nan, 1.0, 0.0]
    """
    correlations = np.full(left.size, np.nan)
    for row in range(window - 1, left.size):
        first = row - window + 1
        left_mean = right_mean = 0.0
        for place in range(first, row):
            left_mean += left[place] - left[row]
            right_mean += right[place] - right[row]
        left_mean, right_mean = left_mean / window, right_mean / window
        left_squares = right_squares = products = 0.0
        for place in range(first, row + 1):
            one = left[place] - left[row] - left_mean
            other = right[place] - right[row] - right_mean
            left_squares += one * one
            right_squares += other * other
            products += one * other
        spread = np.sqrt(left_squares) * np.sqrt(right_squares)
        correlations[row] = 0.0 if spread == 0.0 else min(1.0, max(-1.0, products / spread))
    return correlations
