"""Indicators made of a few single candles."""

from __future__ import annotations

import numpy as np

from pipeline.features.indicators.base import (
    CandleArrays,
    CandleField,
    FloatArray,
    Periods,
    PriceField,
    indicator,
)
from pipeline.kernels import kernel


@indicator(warm_up=lambda **_: 0, memory=lambda **_: 1)
def candle(candles: CandleArrays, field: CandleField) -> FloatArray:
    """One column of the candles as it is."""
    column: FloatArray = getattr(candles, field)
    return column.copy()


@indicator(warm_up=lambda **_: 0, memory=lambda **_: 1)
def ratio(candles: CandleArrays, numerator: PriceField, denominator: PriceField) -> FloatArray:
    """One price over another of the same candle."""
    quotient: FloatArray = getattr(candles, numerator) / getattr(candles, denominator)
    return quotient


@indicator(warm_up=lambda periods, **_: periods, memory=lambda periods, **_: periods + 1)
def change(candles: CandleArrays, periods: Periods, field: CandleField = "close") -> FloatArray:
    """Relative change over `periods` candles, ``x / x[-periods] - 1``.

    From 0 to 0 the change is 0; from 0 to more it is 1, a rise without a base.
    """
    return relative_change(getattr(candles, field), periods)


@indicator(warm_up=lambda periods, **_: periods, memory=lambda periods, **_: periods + 1)
def log_change(candles: CandleArrays, periods: Periods, field: PriceField = "close") -> FloatArray:
    """Logarithm of a price over the price `periods` candles before."""
    return log_ratio(getattr(candles, field), periods)


@indicator(warm_up=lambda periods, **_: periods, memory=lambda periods, **_: periods + 1)
def momentum(candles: CandleArrays, periods: Periods, field: CandleField = "close") -> FloatArray:
    """Difference from `periods` candles before, in the column's own unit."""
    return difference(getattr(candles, field), periods)


@kernel
def relative_change(values: FloatArray, periods: int) -> FloatArray:
    """``x / x[-periods] - 1``; 0 from 0 to 0, 1 from 0 to more; NaN without a candle before.

    Examples
    --------
    >>> relative_change(np.array([2.0, 3.0, 0.0, 0.0, 4.0]), 1).tolist()
    [nan, 0.5, -1.0, 0.0, 1.0]
    """
    changes = np.full(values.size, np.nan)
    for row in range(periods, values.size):
        base, value = values[row - periods], values[row]
        if base == 0.0:
            changes[row] = np.sign(value)
        else:
            changes[row] = value / base - 1.0
    return changes


@kernel
def log_ratio(values: FloatArray, periods: int) -> FloatArray:
    """``ln(x / x[-periods])``, NaN without a candle before.

    Examples
    --------
    >>> log_ratio(np.array([2.0, 2.0]), 1).tolist()
    [nan, 0.0]
    """
    logarithms = np.full(values.size, np.nan)
    for row in range(periods, values.size):
        logarithms[row] = np.log(values[row] / values[row - periods])
    return logarithms


@kernel
def difference(values: FloatArray, periods: int) -> FloatArray:
    """``x - x[-periods]``, NaN without a candle before.

    Examples
    --------
    >>> difference(np.array([2.0, 3.0, 7.0]), 2).tolist()
    [nan, nan, 5.0]
    """
    differences = np.full(values.size, np.nan)
    for row in range(periods, values.size):
        differences[row] = values[row] - values[row - periods]
    return differences
