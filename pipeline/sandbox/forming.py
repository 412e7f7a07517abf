"""The candle that is still open: on its way to what it will be, and another at every look."""

from __future__ import annotations

import math
import zlib

import pandas as pd


def forming(final: pd.DataFrame, step: pd.Timedelta, now: pd.Timestamp, turn: int) -> pd.DataFrame:
    """What the candle `final` (one row) is at `now`, as it stands at the `turn`-th look at it.

    With s the share of the candle that has passed (at least 0.001, and 5 to 0.1 % less at every
    look, so that it is never the final one)::

        close = open + s (close - open) + noise, inside the final low and high
        high  = max(open, close, open + s (high - open));  low likewise;  volumes times s

    Examples
    --------
    >>> at = pd.DatetimeIndex(["2025-12-20T00:00Z"], name="time")
    >>> columns = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 4.0}
    >>> final = pd.DataFrame(columns | {"value": 42.0, "taker_volume": 2.0}, index=at)
    >>> half = at[0] + pd.Timedelta(minutes=30)
    >>> float(forming(final, pd.Timedelta(hours=1), half, turn=9)["volume"].iloc[0])
    1.98
    """
    passed = max((now - final.index[0]) / step, 0.001)
    share = passed * (1 - 0.1 / (1 + turn))
    row = final.iloc[0]
    opened, high, low = float(row["open"]), float(row["high"]), float(row["low"])
    digits = 7 - math.floor(math.log10(opened))
    drift = (row["close"] - opened) * share + _noise(f"{final.index[0]}{turn}") * (high - low) / 4
    close = min(max(round(opened + drift, digits), low), high)
    part = final.copy()
    part["close"] = close
    part["high"] = max(opened, close, round(opened + (high - opened) * share, digits))
    part["low"] = min(opened, close, round(opened - (opened - low) * share, digits))
    for name in ("volume", "value", "taker_volume"):
        part[name] = round(row[name] * share, 8)
    return part


def _noise(text: str) -> float:
    return zlib.crc32(text.encode()) / 2**31 - 1
