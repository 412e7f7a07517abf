"""Divergence: price and an oscillator that disagree about their last two pivots."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.arrays import FloatArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import EXACT, FAR, Window, indicator, settled
from pipeline.features.indicators.oscillators import macd, rsi
from pipeline.features.indicators.pivots import TIE, Reach, clear_pivots, flags, last_two
from pipeline.features.rolling import blank_beginnings

Oscillator = Literal["rsi", "macd"]
DivergenceKind = Literal["bullish", "bearish"]

RSI_WINDOW, MACD_FAST, MACD_SLOW = 14, 12, 26


def _warm_up(oscillator: Oscillator, window: int, reach: int, **_: object) -> int:
    span = 2 * RSI_WINDOW - 1 if oscillator == "rsi" else MACD_SLOW
    return settled(span, EXACT, FAR) + window + reach


def _memory(oscillator: Oscillator, window: int, reach: int, **_: object) -> int:
    return _warm_up(oscillator, window, reach) + 2


@indicator(
    warm_up=_warm_up,
    memory=_memory,
    inputs=("close",),
    formula=(
        "bullish: 1 if the close's last trough is below the one before and the oscillator's "
        "last trough above its one before, else 0; bearish: 1 if peaks say the reverse"
    ),
    unit="1",
    scale_free=True,
)
def divergence(
    candles: CandleArrays,
    oscillator: Oscillator,
    kind: DivergenceKind,
    window: Window = 50,
    reach: Reach = 3,
) -> FloatArray:
    """Compare the last two confirmed pivots of the close with those of an oscillator: 1 or 0.

    The oscillator is the RSI (14, Wilder) or the MACD line (12, 26) of the close. Each has
    pivots of its own: strictly beyond the `reach` values on both sides, and confirmed, among
    the newest `window` candles before this one. 0 where either has fewer than two.

    Oscillator values closer than 1e-7 points of RSI, or 1e-9 of the close for MACD, count as
    equal, so that rounding raises no flag. A flag has no small errors, which is why the
    warm-up waits until the oscillator is exact.
    """
    sign = -1.0 if kind == "bullish" else 1.0
    values, apart = _oscillator(candles, oscillator)
    price, price_before = last_two(sign * candles.close, window, reach)
    newest, before = clear_pivots(sign * values, apart, window, reach)
    found = flags((price > price_before) & (before - newest > apart), 0)
    blank_beginnings(found, candles.starts, window + reach)
    return found


def _oscillator(candles: CandleArrays, oscillator: Oscillator) -> tuple[FloatArray, FloatArray]:
    if oscillator == "rsi":
        strength = rsi(candles, window=RSI_WINDOW, kind="wilder")
        return strength, np.full(strength.size, 100 * TIE)
    apart = TIE * candles.close
    return macd(candles, line="macd", fast=MACD_FAST, slow=MACD_SLOW), apart
