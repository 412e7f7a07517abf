"""Simulated candles for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd


def random_walk(generator: np.random.Generator, rows: int, start: float = 1.5e8) -> pd.DataFrame:
    """Hourly candles of a heavy-tailed random walk, some of them flat or without volume."""
    close = start * np.exp(np.cumsum(0.004 * generator.standard_t(4, rows)))
    opened = np.r_[start, close[:-1]]
    reach = np.abs(generator.normal(0, 0.001, (2, rows)))
    volume = generator.lognormal(3, 1, rows) * (generator.random(rows) > 0.05)
    flat = generator.random(rows) < 0.05
    close[flat] = opened[flat] = np.maximum(close, opened)[flat]
    reach[:, flat] = 0.0
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + reach[0]),
            "low": np.minimum(opened, close) * (1 - reach[1]),
            "close": close,
            "volume": volume,
            "value": volume * close,
        },
        index=pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC", name="time", unit="ms"),
    )
