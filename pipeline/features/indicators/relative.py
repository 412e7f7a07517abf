"""Averages and slopes as parts of the close: the same ideas without the level of the price."""

from __future__ import annotations

from pipeline.arrays import FloatArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import (
    EXACT,
    FADED,
    FAR,
    REGISTERED,
    Window,
    indicator,
    settled,
)
from pipeline.features.indicators.oscillators import MacdLine, macd
from pipeline.features.indicators.trend import LineSide, trendline
from pipeline.features.rolling import exponential_mean


@indicator(
    warm_up=lambda span: settled(span, FADED, FAR),
    memory=lambda span: settled(span, EXACT, FAR) + 1,
    formula="close / m, with m = m[-1] + 2 / (span + 1) * (close - m[-1])",
    unit="1",
    scale_free=True,
    inputs=("close",),
)
def to_exponential_average(candles: CandleArrays, span: Window) -> FloatArray:
    """Close over its exponential mean of weight ``2 / (span + 1)``, seeded with the first close."""
    weight = 2.0 / (span + 1)
    mean = candles.shared(exponential_mean, candles.close, weight, candles.starts)
    return candles.close / mean


@indicator(
    warm_up=REGISTERED["macd"].warm_up,
    memory=REGISTERED["macd"].memory,
    formula="macd / close; macd: ema(close, fast) - ema(close, slow), signal its ema, histogram "
    "the difference",
    unit="share",
    scale_free=True,
    inputs=("close",),
)
def macd_to_close(
    candles: CandleArrays, line: MacdLine, fast: Window = 12, slow: Window = 26, signal: Window = 9
) -> FloatArray:
    """Lines of `macd` as a share of the close."""
    return macd(candles, line, fast, slow, signal) / candles.close


@indicator(
    warm_up=REGISTERED["trendline"].warm_up,
    memory=REGISTERED["trendline"].memory,
    formula="slope of the least-squares line through the window candles before / close",
    unit="share per candle",
    scale_free=True,
    inputs=("high", "low", "close"),
)
def slope_to_close(candles: CandleArrays, side: LineSide, window: Window = 20) -> FloatArray:
    """Slope of `trendline` as a share of the close; exactly 0 on a flat window."""
    return trendline(candles, side, "slope", window) / candles.close
