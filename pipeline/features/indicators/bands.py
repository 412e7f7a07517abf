"""Indicators of width: Bollinger bands, true range, volatility."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipeline.features.indicators.base import (
    CandleArrays,
    DegreesOfFreedom,
    FloatArray,
    Window,
    indicator,
)
from pipeline.features.indicators.candles import relative_change
from pipeline.features.rolling import rolling_deviation, rolling_mean
from pipeline.kernels import kernel

BandPart = Literal["upper", "middle", "lower", "width", "position"]
Multiple = Annotated[float, Field(gt=0, le=100)]


@indicator(
    warm_up=lambda window, **_: window - 1, memory=lambda window, **_: window, inputs=("close",)
)
def bollinger(
    candles: CandleArrays,
    window: Window,
    part: BandPart,
    multiple: Multiple = 2.0,
    ddof: DegreesOfFreedom = 1,
) -> FloatArray:
    """Bollinger bands of the close: the moving average and `multiple` deviations around it.

    ``upper``, ``middle`` and ``lower`` are prices; ``width`` is (upper - lower) / middle;
    ``position`` is (close - lower) / (upper - lower), 0.5 where the band has no width.
    """
    middle = rolling_mean(candles.close, window)
    if part == "middle":
        return middle
    reach = multiple * rolling_deviation(candles.close, window, ddof)
    if part == "upper":
        return middle + reach
    if part == "lower":
        return middle - reach
    return 2.0 * reach / middle if part == "width" else _position(candles.close, middle, reach)


@indicator(
    warm_up=lambda window, **_: window,
    memory=lambda window, **_: window + 1,
    inputs=("high", "low", "close"),
)
def atr(candles: CandleArrays, window: Window, relative: bool = False) -> FloatArray:
    """Average true range: plain mean of the newest `window` true ranges.

    A true range is the larger of high - low and the distances of high and of low from the
    close before. In units of price, or as a share of the close when `relative`.
    """
    average = rolling_mean(_true_range(candles.high, candles.low, candles.close), window)
    return average / candles.close if relative else average


@indicator(
    warm_up=lambda window, **_: window, memory=lambda window, **_: window + 1, inputs=("close",)
)
def volatility(candles: CandleArrays, window: Window, ddof: DegreesOfFreedom = 1) -> FloatArray:
    """Compute the standard deviation of the newest `window` relative changes of the close."""
    return rolling_deviation(relative_change(candles.close, 1), window, ddof)


@kernel
def _position(closes: FloatArray, middle: FloatArray, reach: FloatArray) -> FloatArray:
    position = np.empty(closes.size)
    for row in range(closes.size):
        apart = 0.0 if reach[row] == 0.0 else (closes[row] - middle[row]) / reach[row]
        position[row] = 0.5 + 0.5 * apart
    return position


@kernel
def _true_range(highs: FloatArray, lows: FloatArray, closes: FloatArray) -> FloatArray:
    ranges = np.full(highs.size, np.nan)
    for row in range(1, highs.size):
        before = closes[row - 1]
        ranges[row] = max(highs[row], before) - min(lows[row], before)
    return ranges
