"""Shapes of one candle, or of one and the candle before (Nison 1991)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.arrays import FloatArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import indicator
from pipeline.features.indicators.pivots import TIE, flags
from pipeline.kernels import kernel

RangePart = Literal["body", "upper_shadow", "lower_shadow"]
EngulfingKind = Literal["bullish", "bearish"]
ShapeKind = Literal["hammer", "shooting_star", "doji"]

PARTS: tuple[RangePart, ...] = ("body", "upper_shadow", "lower_shadow")

SMALL, LONG, TINY = 0.3, 0.6, 0.1


@indicator(
    warm_up=lambda **_: 0,
    memory=lambda **_: 1,
    inputs=("open", "high", "low", "close"),
    formula=(
        "body: |close - open| / (high - low); upper_shadow: (high - max(open, close)) / "
        "(high - low); lower_shadow: (min(open, close) - low) / (high - low)"
    ),
    unit="share",
    scale_free=True,
)
def range_share(candles: CandleArrays, part: RangePart) -> FloatArray:
    """Share of a candle's range that is its body or a shadow; all 0 where it has no range."""
    return _shares_of(candles)[PARTS.index(part)]


@indicator(
    warm_up=lambda **_: 1,
    memory=lambda **_: 2,
    inputs=("open", "close"),
    formula=(
        "bullish: 1 if close[-1] < open[-1], close > open, open < close[-1] and "
        "close > open[-1], else 0; bearish: the reverse"
    ),
    unit="1",
    scale_free=True,
)
def engulfing(candles: CandleArrays, kind: EngulfingKind) -> FloatArray:
    """Whether the body turns and reaches beyond the body before at both ends: 1 or 0."""
    engulfs = np.zeros(candles.close.size, np.bool_)
    sign = 1.0 if kind == "bullish" else -1.0
    before, after = sign * candles.open, sign * candles.close
    turned = (after[:-1] < before[:-1]) & (after[1:] > before[1:])
    engulfs[1:] = turned & (before[1:] < after[:-1]) & (after[1:] > before[:-1])
    return flags(engulfs, 1)


@indicator(
    warm_up=lambda **_: 0,
    memory=lambda **_: 1,
    inputs=("open", "high", "low", "close"),
    formula=(
        "hammer: body < 0.3 and lower shadow > 0.6; shooting_star: body < 0.3 and upper "
        "shadow > 0.6; doji: body < 0.1; shares of the range; 1 or 0"
    ),
    unit="1",
    scale_free=True,
)
def candle_shape(candles: CandleArrays, kind: ShapeKind) -> FloatArray:
    """Whether a candle has a named shape: 1 or 0.

    A share within 1e-9 of a bound does not pass it, so that rounding decides nothing. A
    candle without range is a doji (its four prices are one) and neither of the others.
    """
    body, upper, lower = _shares_of(candles)
    if kind == "doji":
        return flags(body < TINY - TIE, 0)
    shadow = lower if kind == "hammer" else upper
    return flags((body < SMALL - TIE) & (shadow > LONG + TIE), 0)


def _shares_of(candles: CandleArrays) -> tuple[FloatArray, FloatArray, FloatArray]:
    return candles.shared(_shares, candles.open, candles.high, candles.low, candles.close)


@kernel
def _shares(
    opens: FloatArray, highs: FloatArray, lows: FloatArray, closes: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares of the range that are body, upper shadow and lower shadow.

    Examples
    --------
    >>> candle = (np.array([price]) for price in (2.0, 5.0, 1.0, 3.0))
    >>> [part.tolist() for part in _shares(*candle)]
    [[0.25], [0.5], [0.25]]
    """
    body, upper, lower = np.zeros(opens.size), np.zeros(opens.size), np.zeros(opens.size)
    for row in range(opens.size):
        whole = highs[row] - lows[row]
        if whole != 0.0:
            top, bottom = max(opens[row], closes[row]), min(opens[row], closes[row])
            body[row] = (top - bottom) / whole
            upper[row] = (highs[row] - top) / whole
            lower[row] = (bottom - lows[row]) / whole
    return body, upper, lower
