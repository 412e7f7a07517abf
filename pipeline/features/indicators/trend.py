"""Straight lines through recent highs and lows, and the average range in percent."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.arrays import FloatArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.bands import atr
from pipeline.features.indicators.base import Window, indicator
from pipeline.kernels import kernel

LinePart = Literal["slope", "distance"]
LineSide = Literal["upper", "lower"]


@indicator(
    warm_up=lambda window, **_: window,
    memory=lambda window, **_: window + 1,
    inputs=("high", "low", "close"),
    formula=(
        "slope of the least-squares line through the window candles before; "
        "distance: 100 * (close - the line here) / close"
    ),
    unit=lambda part, **_: "price per candle" if part == "slope" else "percent",
    scale_free=lambda part, **_: part == "distance",
)
def trendline(
    candles: CandleArrays, side: LineSide, part: LinePart, window: Window = 20
) -> FloatArray:
    """Line of least squares through the highs (upper) or lows (lower) of the candles before.

    This candle is not among the `window` that the line is fitted to; ``distance`` is how far
    the close lies above the line prolonged to it, in percent of the close. On a flat window
    the slope is exactly 0.
    """
    values = candles.high if side == "upper" else candles.low
    slope, here = candles.shared(_line, values, window)
    return slope if part == "slope" else 100.0 * ((candles.close - here) / candles.close)


@indicator(
    warm_up=lambda window, **_: window,
    memory=lambda window, **_: window + 1,
    inputs=("high", "low", "close"),
    formula="100 * mean of the newest window true ranges / close",
    unit="percent",
    scale_free=True,
)
def atr_percent(candles: CandleArrays, window: Window = 14) -> FloatArray:
    """Average true range in percent of the close: plain mean, not Wilder's smoothing."""
    return 100.0 * atr(candles, window=window, relative=True)


@kernel
def _line(values: FloatArray, window: int) -> tuple[FloatArray, FloatArray]:
    """Slope, and height one step past the end, of the line through the `window` rows before.

    Examples
    --------
    >>> slopes, heights = _line(np.array([1.0, 2.0, 3.0, 9.0]), 3)
    >>> slopes.tolist(), heights.tolist()
    ([nan, nan, nan, 1.0], [nan, nan, nan, 4.0])
    """
    slopes, heights = np.full(values.size, np.nan), np.full(values.size, np.nan)
    middle = 0.5 * (window - 1)
    spread = window * (window * window - 1.0) / 12.0
    for row in range(window, values.size):
        base = values[row - 1]
        total = tilt = 0.0
        for step in range(window):
            apart = values[row - window + step] - base
            total += apart
            tilt += (step - middle) * apart
        slopes[row] = tilt / spread
        heights[row] = base + total / window + slopes[row] * (window - middle)
    return slopes, heights
