"""Oscillators: RSI and MACD."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.arrays import FloatArray, RowArray
from pipeline.features.arithmetic import minus
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import EXACT, FADED, FAR, NEAR, Window, indicator, settled
from pipeline.features.rolling import blank_beginnings, exponential_mean, rolling_mean
from pipeline.kernels import series_kernel

SmoothingKind = Literal["simple", "wilder"]
MacdLine = Literal["macd", "signal", "histogram"]


def _rsi_warm_up(window: int, kind: SmoothingKind) -> int:
    return window if kind == "simple" else settled(2 * window - 1, FADED, FAR) + 1


def _rsi_memory(window: int, kind: SmoothingKind) -> int:
    return window + 1 if kind == "simple" else settled(2 * window - 1, EXACT, FAR) + 2


def _macd_warm_up(slow: int, fast: int, signal: int, line: MacdLine) -> int:
    return _macd_steps(max(fast, slow), signal, line, FADED)


def _macd_memory(slow: int, fast: int, signal: int, line: MacdLine) -> int:
    return _macd_steps(max(fast, slow), signal, line, EXACT) + 1


def _macd_steps(span: int, signal: int, line: MacdLine, tolerance: float) -> int:
    extra = 0 if line == "macd" else settled(signal, tolerance, NEAR)
    return settled(span, tolerance, FAR) + extra


@indicator(
    warm_up=_rsi_warm_up,
    memory=_rsi_memory,
    formula="100 * gain / (gain + loss), means of the rises and of the falls of the close",
    unit="0 to 100",
    scale_free=True,
    inputs=("close",),
)
def rsi(candles: CandleArrays, window: Window, kind: SmoothingKind) -> FloatArray:
    """Relative strength index of the close, 0 to 100.

    ``100 * gain / (gain + loss)`` with the mean gain and the mean loss of the newest
    `window` changes: plain means when `kind` is ``simple``, exponential means of weight
    ``1 / window`` seeded with the first change when it is ``wilder`` (Wilder 1978).
    100 without losses, 0 without gains, 50 without either.
    """
    if kind == "simple":
        return _simple_strength(candles.close, window)
    gains = candles.shared(_rises, candles.close, 1.0, candles.starts)
    falls = candles.shared(_rises, candles.close, -1.0, candles.starts)
    gain = candles.shared(exponential_mean, gains, 1.0 / window, candles.starts)
    loss = candles.shared(exponential_mean, falls, 1.0 / window, candles.starts)
    return _wilder_strength(gain, loss, candles.starts, window)


@indicator(
    warm_up=_macd_warm_up,
    memory=_macd_memory,
    formula="ema(close, fast) - ema(close, slow); signal is its ema, histogram the difference",
    unit="price",
    scale_free=False,
    inputs=("close",),
)
def macd(
    candles: CandleArrays, line: MacdLine, fast: Window = 12, slow: Window = 26, signal: Window = 9
) -> FloatArray:
    """Compute the moving average convergence divergence of the close (Appel 1979), in its unit.

    ``macd`` is EMA(fast) - EMA(slow), ``signal`` the EMA of that, ``histogram`` their
    difference; every EMA is seeded with its first value.
    """
    weights = (2.0 / (fast + 1), 2.0 / (slow + 1))
    apart = candles.shared(_apart, candles.close, weights, candles.starts)
    if line == "macd":
        return apart
    smooth = candles.shared(exponential_mean, apart, 2.0 / (signal + 1), candles.starts)
    return smooth if line == "signal" else minus(apart, smooth)


@series_kernel
def _apart(
    closes: FloatArray, weights: tuple[float, float], starts: RowArray, into: FloatArray
) -> None:
    fast, slow = weights
    for market in range(starts.size):
        first = starts[market]
        stop = starts[market + 1] if market + 1 < starts.size else closes.size
        quick = steady = closes[first] if first < stop else np.nan
        for row in range(first, stop):
            quick += fast * (closes[row] - quick)
            steady += slow * (closes[row] - steady)
            into[row] = quick - steady


@series_kernel
def _rises(values: FloatArray, sign: float, starts: RowArray, into: FloatArray) -> None:
    for row in range(1, values.size):
        step = sign * (values[row] - values[row - 1])
        into[row] = 0.5 * (abs(step) + step)
    for start in starts:
        into[start : start + 1] = np.nan


@series_kernel
def _strength(gains: FloatArray, losses: FloatArray, into: FloatArray) -> None:
    for row in range(gains.size):
        both = gains[row] + losses[row]
        into[row] = 50.0 if both == 0.0 else 100.0 * (gains[row] / both)


@series_kernel
def _wilder_strength(
    gains: FloatArray, losses: FloatArray, starts: RowArray, window: int, into: FloatArray
) -> None:
    _fill_strength(gains, losses, into)
    blank_beginnings(into, starts, window)


@series_kernel
def _simple_strength(closes: FloatArray, window: int, into: FloatArray) -> None:
    rises, losses, start = np.empty(closes.size), np.empty(closes.size), np.zeros(1, np.int64)
    _fill_rises(closes, -1.0, start, rises)
    _fill_mean(rises, window, losses)
    _fill_rises(closes, 1.0, start, rises)
    _fill_mean(rises, window, into)
    _fill_strength(into, losses, into)


_fill_mean = rolling_mean.fills  # type: ignore[attr-defined]
_fill_rises = _rises.fills  # type: ignore[attr-defined]
_fill_strength = _strength.fills  # type: ignore[attr-defined]
