"""Checks that look at each candle by itself, or at it and the one before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.market.candles import PRICES
from pipeline.market.checks.cut import Cut, Finding

SUMMED = 1e-6  # relative room for what sums of many trades lose in floating point
MOST_DIGITS = 8  # behind the point, in what exchanges write


def order(cut: Cut) -> Finding:
    """Moments increase: a row that opens before an earlier one."""
    highest = np.maximum.accumulate(cut.times.asi8) if len(cut.times) else cut.times.asi8
    return Finding(np.asarray(cut.times.asi8 < highest), "increasing moments")


def duplicates(cut: Cut) -> Finding:
    """Every moment once: the later copies."""
    return Finding(np.asarray(cut.times.duplicated()), "every moment once")


def off_grid(cut: Cut) -> Finding:
    """Open times are multiples of the timeframe."""
    return Finding(
        np.asarray(cut.times != cut.times.floor(cut.step)), f"multiples of {cut.timeframe}"
    )


def forming_last(cut: Cut) -> Finding:
    """The last candle is closed at as_of."""
    rows = _open_at_as_of(cut)
    rows[:-1] = False
    return Finding(rows, _closed(cut))


def future(cut: Cut) -> Finding:
    """No other candle closes after as_of."""
    rows = _open_at_as_of(cut)
    rows[-1:] = False
    return Finding(rows, _closed(cut))


def non_finite(cut: Cut) -> Finding:
    """No cell is NaN or infinite."""
    return _of_cells(cut.candles.isna() | cut.candles.isin([np.inf, -np.inf]), "finite numbers")


def non_positive(cut: Cut) -> Finding:
    """Prices are above 0."""
    return _of_cells(cut.candles[list(PRICES)] <= 0, "prices above 0")


def not_enclosed(cut: Cut) -> Finding:
    """Low and high enclose open and close."""
    prices = cut.candles[list(PRICES)]
    broken = pd.DataFrame(
        {
            "high": prices["high"] < prices.max(axis=1),
            "low": prices["low"] > prices.min(axis=1),
        }
    )
    return _of_cells(broken, "high and low that enclose open and close")


def negative_volume(cut: Cut) -> Finding:
    """Volume and what is counted like it are 0 or more."""
    counted = [name for name in cut.candles.columns if name not in PRICES]
    return _of_cells(cut.candles[counted] < 0, "volume and value of 0 or more")


def value_outside(cut: Cut) -> Finding:
    """``value / volume``, the mean price paid, lies between low and high.

    A column is written to a last digit, worth `u`, so that each number is known to ``u / 2``
    only. Solved for value, ``low * volume - room <= value <= high * volume + room`` where
    ``room = (high * u_volume + volume * u_price + u_value) / 2``, plus 1e-6 of value. This
    matters where a price or a volume is no more than a few of its last digits.
    """
    candles = cut.candles
    if "value" not in candles:
        return Finding(np.zeros(len(candles), bool), "")
    low, high, volume, value = (
        candles[name].to_numpy("float64") for name in ("low", "high", "volume", "value")
    )
    price_digit = max(last_digit(low), last_digit(high))
    room = (high * last_digit(volume) + volume * price_digit + last_digit(value)) / 2
    room += SUMMED * np.abs(value)
    outside = (value < low * volume - room) | (value > high * volume + room)
    return _of_cells(
        pd.DataFrame({"value": outside}, candles.index), "value / volume between low and high"
    )


def last_digit(column: npt.NDArray[np.float64]) -> float:
    """Worth of the last digit that the numbers of a column are written with, 1e-8 to 1.

    Examples
    --------
    >>> last_digit(np.array([0.5, 1.25, 3.0])), last_digit(np.array([1.0, 100.0]))
    (0.01, 1.0)
    """
    numbers = column[np.isfinite(column)]
    for digits in range(MOST_DIGITS):
        numbers = numbers[np.round(numbers, digits) != numbers]
        if not len(numbers):
            return float(10.0**-digits)
    return float(10.0**-MOST_DIGITS)


def taker_above_volume(cut: Cut) -> Finding:
    """Takers cannot have bought more than was traded."""
    candles = cut.candles
    if "taker_volume" not in candles:
        return Finding(np.zeros(len(candles), bool), "")
    above = candles["taker_volume"] > candles["volume"] * (1 + SUMMED)
    return _of_cells(pd.DataFrame({"taker_volume": above}), "taker_volume of at most volume")


def _of_cells(broken: pd.DataFrame, expected: str) -> Finding:
    return Finding(np.asarray(broken.to_numpy().any(axis=1)), expected, broken)


def _open_at_as_of(cut: Cut) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(cut.times + cut.step > cut.as_of)


def _closed(cut: Cut) -> str:
    return f"candles that are closed at {cut.as_of.isoformat()}"
