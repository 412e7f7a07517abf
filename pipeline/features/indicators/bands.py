"""Indicators of width: Bollinger bands, true range, volatility."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipeline.arrays import FloatArray
from pipeline.features.arithmetic import minus, over, plus
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import DegreesOfFreedom, Window, indicator
from pipeline.features.indicators.candles import relative_change
from pipeline.features.rolling import rolling_deviation, rolling_mean
from pipeline.kernels import series_kernel

_deviation = rolling_deviation.fills  # type: ignore[attr-defined]
BandPart = Literal["upper", "middle", "lower", "width", "position"]
Multiple = Annotated[float, Field(gt=0, le=100)]


@indicator(
    warm_up=lambda window, **_: window - 1,
    memory=lambda window, **_: window,
    formula="mean(close over window) +- multiple * deviation(close over window)",
    unit=lambda part, **_: "price" if part in {"upper", "middle", "lower"} else "1",
    scale_free=lambda part, **_: part in {"width", "position"},
    inputs=("close",),
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
    middle = candles.shared(rolling_mean, candles.close, window)
    if part == "middle":
        return middle
    reach = candles.shared(_reach, candles.close, window, multiple, ddof)
    if part == "upper":
        return plus(middle, reach)
    if part == "lower":
        return minus(middle, reach)
    return _width(middle, reach) if part == "width" else _position(candles.close, middle, reach)


@indicator(
    warm_up=lambda window, **_: window,
    memory=lambda window, **_: window + 1,
    formula="mean(max(high, close[-1]) - min(low, close[-1]) over window)",
    unit=lambda relative, **_: "share" if relative else "price",
    scale_free=lambda relative, **_: relative,
    inputs=("high", "low", "close"),
)
def atr(candles: CandleArrays, window: Window, relative: bool = False) -> FloatArray:
    """Average true range: plain mean of the newest `window` true ranges.

    A true range is the larger of high - low and the distances of high and of low from the
    close before. In units of price, or as a share of the close when `relative`.
    """
    ranges = candles.shared(true_range, candles.high, candles.low, candles.close)
    average = candles.shared(rolling_mean, ranges, window)
    return over(average, candles.close) if relative else average


@indicator(
    warm_up=lambda window, **_: window,
    memory=lambda window, **_: window + 1,
    formula="deviation(close / close[-1] - 1 over window)",
    unit="1",
    scale_free=True,
    inputs=("close",),
)
def volatility(candles: CandleArrays, window: Window, ddof: DegreesOfFreedom = 1) -> FloatArray:
    """Compute the standard deviation of the newest `window` relative changes of the close."""
    changes = candles.shared(relative_change, candles.close, 1)
    return candles.shared(rolling_deviation, changes, window, ddof)


@series_kernel
def true_range(highs: FloatArray, lows: FloatArray, closes: FloatArray, into: FloatArray) -> None:
    """Larger of high - low and the distances of both from the close before; NaN without one.

    Examples
    --------
    >>> true_range(np.array([3.0, 6.0]), np.array([1.0, 5.0]), np.array([2.0, 5.5])).tolist()
    [nan, 4.0]
    """
    into[:1] = np.nan
    for row in range(1, highs.size):
        before = closes[row - 1]
        into[row] = max(highs[row], before) - min(lows[row], before)


@series_kernel
def _reach(closes: FloatArray, window: int, multiple: float, ddof: int, into: FloatArray) -> None:
    _deviation(closes, window, ddof, into)
    for row in range(into.size):
        into[row] *= multiple


@series_kernel
def _width(middle: FloatArray, reach: FloatArray, into: FloatArray) -> None:
    for row in range(middle.size):
        into[row] = 2.0 * reach[row] / middle[row]


@series_kernel
def _position(closes: FloatArray, middle: FloatArray, reach: FloatArray, into: FloatArray) -> None:
    for row in range(closes.size):
        apart = 0.0 if reach[row] == 0.0 else (closes[row] - middle[row]) / reach[row]
        into[row] = 0.5 + 0.5 * apart
