"""Oscillators: RSI and MACD."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.features.indicators.base import (
    EXACT,
    FADED,
    FAR,
    NEAR,
    CandleArrays,
    FloatArray,
    Window,
    indicator,
    settled,
)
from pipeline.features.rolling import exponential_mean, rolling_mean
from pipeline.kernels import kernel

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


@indicator(warm_up=_rsi_warm_up, memory=_rsi_memory, inputs=("close",))
def rsi(candles: CandleArrays, window: Window, kind: SmoothingKind) -> FloatArray:
    """Relative strength index of the close, 0 to 100.

    ``100 * gain / (gain + loss)`` with the mean gain and the mean loss of the newest
    `window` changes: plain means when `kind` is ``simple``, exponential means of weight
    ``1 / window`` seeded with the first change when it is ``wilder`` (Wilder 1978).
    100 without losses, 0 without gains, 50 without either.
    """
    gains, losses = _rises(candles.close), _rises(-candles.close)
    if kind == "simple":
        return _strength(rolling_mean(gains, window), rolling_mean(losses, window))
    weight = 1.0 / window
    strength = _strength(exponential_mean(gains, weight), exponential_mean(losses, weight))
    strength[:window] = np.nan
    return strength


@indicator(warm_up=_macd_warm_up, memory=_macd_memory, inputs=("close",))
def macd(
    candles: CandleArrays, line: MacdLine, fast: Window = 12, slow: Window = 26, signal: Window = 9
) -> FloatArray:
    """Compute the moving average convergence divergence of the close (Appel 1979), in its unit.

    ``macd`` is EMA(fast) - EMA(slow), ``signal`` the EMA of that, ``histogram`` their
    difference; every EMA is seeded with its first value.
    """
    apart, smooth = _macd(candles.close, 2.0 / (fast + 1), 2.0 / (slow + 1), 2.0 / (signal + 1))
    if line == "macd":
        return apart
    return smooth if line == "signal" else apart - smooth


@kernel
def _macd(
    closes: FloatArray, fast: float, slow: float, signal: float
) -> tuple[FloatArray, FloatArray]:
    apart, smooth = np.empty(closes.size), np.empty(closes.size)
    quick = steady = closes[0] if closes.size else np.nan
    mean = 0.0
    for row in range(closes.size):
        quick += fast * (closes[row] - quick)
        steady += slow * (closes[row] - steady)
        apart[row] = quick - steady
        mean += signal * (apart[row] - mean)
        smooth[row] = mean
    return apart, smooth


@kernel
def _rises(values: FloatArray) -> FloatArray:
    rises = np.full(values.size, np.nan)
    for row in range(1, values.size):
        step = values[row] - values[row - 1]
        rises[row] = 0.5 * (abs(step) + step)
    return rises


@kernel
def _strength(gains: FloatArray, losses: FloatArray) -> FloatArray:
    strength = np.empty(gains.size)
    for row in range(gains.size):
        both = gains[row] + losses[row]
        strength[row] = 50.0 if both == 0.0 else 100.0 * (gains[row] / both)
    return strength
