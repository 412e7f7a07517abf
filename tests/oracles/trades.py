"""Trades and the eight columns of an open trade, computed a second time: one trade at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.market.candles import duration
from pipeline.market.trades import TradeRule

NAMES = (
    "time_held",
    "current_pnl_pct",
    "pnl_peak",
    "pnl_trough",
    "pnl_from_peak",
    "volatility_since_entry",
    "volume_change",
    "momentum_shift",
)


def position8(candles: pd.DataFrame, rule: TradeRule, timeframe: str) -> pd.DataFrame:
    """Every trade of one market walked alone, keyed (trade, time)."""
    time, step = list(candles.index), duration(timeframe)
    close = [np.longdouble(x) for x in candles["close"]]
    volume = [np.longdouble(x) for x in candles["volume"]]
    keys, found = [], []
    for entry, opened in enumerate(time):
        if round(opened.timestamp() / step.total_seconds()) % rule.every:
            continue
        path: list[np.longdouble] = []
        row = entry
        while row + 1 < len(time) and time[row + 1] - time[row] == step and len(path) < rule.hold:
            row += 1
            pnl = (
                close[row] / close[entry] - 1
                if rule.side == "long"
                else 1 - close[row] / close[entry]
            )
            path.append(pnl)
            if len(path) >= rule.from_candle:
                changes = [close[i] / close[i - 1] - 1 for i in range(entry + 1, row + 1)]
                latest = [close[i] / close[i - 1] - 1 for i in (row - 1, row)]
                base = volume[entry]
                keys.append((opened, time[row]))
                found.append(
                    (
                        np.longdouble(len(path)) / 12,
                        pnl,
                        max(path),
                        min(path),
                        pnl - max(path),
                        _deviation(changes),
                        (volume[row] - base) / base if base else np.longdouble(0),
                        (latest[0] + latest[1]) / 2,
                    )
                )
            if float(pnl) <= -rule.stop or float(pnl) >= rule.profit:
                break
    index = pd.MultiIndex.from_tuples(keys, names=["trade", "time"])
    return pd.DataFrame(found, index=index, columns=list(NAMES)).astype("float64")


def _deviation(changes: list[np.longdouble]) -> np.longdouble:
    if len(changes) < 2:
        return np.longdouble(0)
    mean = sum(changes) / len(changes)
    return np.sqrt(sum((x - mean) ** 2 for x in changes) / (len(changes) - 1))
