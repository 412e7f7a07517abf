"""Indicators made of a few single candles."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import FloatArray
from pipeline.features.arithmetic import over
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import UNITS, CandleField, Periods, PriceField, indicator
from pipeline.kernels import kernel, series_kernel


@indicator(
    warm_up=lambda **_: 0,
    memory=lambda **_: 1,
    formula="field",
    unit=lambda field: UNITS[field],
    scale_free=lambda field: field == "volume",
)
def candle(candles: CandleArrays, field: CandleField) -> FloatArray:
    """One column of the candles as it is."""
    column: FloatArray = getattr(candles, field)
    return column


@indicator(
    warm_up=lambda **_: 0,
    memory=lambda **_: 1,
    formula="numerator / denominator",
    unit="1",
    scale_free=True,
)
def ratio(candles: CandleArrays, numerator: PriceField, denominator: PriceField) -> FloatArray:
    """One price over another of the same candle."""
    return over(getattr(candles, numerator), getattr(candles, denominator))


@indicator(
    warm_up=lambda periods, **_: periods,
    memory=lambda periods, **_: periods + 1,
    formula="field / field[-periods] - 1",
    unit="1",
    scale_free=True,
)
def change(candles: CandleArrays, periods: Periods, field: CandleField = "close") -> FloatArray:
    """Relative change over `periods` candles, ``x / x[-periods] - 1``.

    From 0 to 0 the change is 0; from 0 to more it is 1, a rise without a base.
    """
    return candles.shared(relative_change, getattr(candles, field), periods)


@indicator(
    warm_up=lambda periods, **_: periods,
    memory=lambda periods, **_: periods + 1,
    formula="ln(field / field[-periods])",
    unit="1",
    scale_free=True,
)
def log_change(candles: CandleArrays, periods: Periods, field: PriceField = "close") -> FloatArray:
    """Logarithm of a price over the price `periods` candles before."""
    return log_ratio(getattr(candles, field), periods)


@indicator(
    warm_up=lambda periods, **_: periods,
    memory=lambda periods, **_: periods + 1,
    formula="field - field[-periods]",
    unit=lambda field, **_: UNITS[field],
    scale_free=lambda field, **_: field == "volume",
)
def momentum(candles: CandleArrays, periods: Periods, field: CandleField = "close") -> FloatArray:
    """Difference from `periods` candles before, in the column's own unit."""
    return difference(getattr(candles, field), periods)


@kernel
def _apart(
    values: FloatArray, periods: int, into: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values, those `periods` before, and where what is made of both goes; NaN before that."""
    into[:periods] = np.nan
    return values[periods:], values[: max(values.size - periods, 0)], into[periods:]


@series_kernel
def relative_change(values: FloatArray, periods: int, into: FloatArray) -> None:
    """``x / x[-periods] - 1``; 0 from 0 to 0, 1 from 0 to more; NaN without a candle before.

    Examples
    --------
    >>> relative_change(np.array([2.0, 3.0, 0.0, 0.0, 4.0]), 1).tolist()
    [nan, 0.5, -1.0, 0.0, 1.0]
    """
    newer, older, rises = _apart(values, periods, into)
    for row in range(newer.size):
        base, value = older[row], newer[row]
        rise = value / base - 1.0
        rises[row] = rise if base != 0.0 else (value - value) + (0.0 if value == 0.0 else 1.0)


@series_kernel
def log_ratio(values: FloatArray, periods: int, into: FloatArray) -> None:
    """``ln(x / x[-periods])``, NaN without a candle before.

    Examples
    --------
    >>> log_ratio(np.array([2.0, 2.0]), 1).tolist()
    [nan, 0.0]
    """
    newer, older, logarithms = _apart(values, periods, into)
    for row in range(newer.size):
        logarithms[row] = np.log(newer[row] / older[row])


@series_kernel
def difference(values: FloatArray, periods: int, into: FloatArray) -> None:
    """``x - x[-periods]``, NaN without a candle before.

    Examples
    --------
    >>> difference(np.array([2.0, 3.0, 7.0]), 2).tolist()
    [nan, nan, 5.0]
    """
    newer, older, differences = _apart(values, periods, into)
    for row in range(newer.size):
        differences[row] = newer[row] - older[row]
