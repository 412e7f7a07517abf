"""Checks that look at each candle by itself, or at it and the one before."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.market.candles import PRICES
from pipeline.market.checks.cut import Cut, Finding

WORTH = 1e-6  # relative room for the rounding of volume and value
LEAST_DIGITS = 1e-6  # volume below this has too few digits to divide by


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
    """``value / volume``, the mean price paid, lies between low and high."""
    candles = cut.candles
    if "value" not in candles:
        return Finding(np.zeros(len(candles), bool), "")
    traded = candles["volume"] > LEAST_DIGITS
    paid = candles["value"] / candles["volume"].where(traded)
    outside = (paid < candles["low"] * (1 - WORTH)) | (paid > candles["high"] * (1 + WORTH))
    return _of_cells(
        pd.DataFrame({"value": outside & traded}), "value / volume between low and high"
    )


def taker_above_volume(cut: Cut) -> Finding:
    """Takers cannot have bought more than was traded."""
    candles = cut.candles
    if "taker_volume" not in candles:
        return Finding(np.zeros(len(candles), bool), "")
    above = candles["taker_volume"] > candles["volume"] * (1 + WORTH)
    return _of_cells(pd.DataFrame({"taker_volume": above}), "taker_volume of at most volume")


def _of_cells(broken: pd.DataFrame, expected: str) -> Finding:
    return Finding(np.asarray(broken.to_numpy().any(axis=1)), expected, broken)


def _open_at_as_of(cut: Cut) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(cut.times + cut.step > cut.as_of)


def _closed(cut: Cut) -> str:
    return f"candles that are closed at {cut.as_of.isoformat()}"
