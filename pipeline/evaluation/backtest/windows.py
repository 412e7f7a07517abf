"""Five days at a time, each from the same start: the measure that predecessors reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest.arrays import Candles, Rules, Signals
from pipeline.evaluation.backtest.simulate import Trades, simulate
from pipeline.evaluation.backtest.sizing import BEAR, BULL

WINDOW_DAYS, STEP_DAYS = 5, 1
MINUTES_A_DAY = 1440


def five_day_windows(
    candles: Candles, signals: Signals, rules: Rules, positions: int
) -> pd.DataFrame:
    """One row a window of five days of candles, a day apart, each traded on its own.

    Columns: first_minute, return, win_rate and long_share (NaN without trades), trades, change of
    the price, excess over buying and holding it after the same costs, regime (bull above +3 %,
    bear below -2 %). What is open at a window's end is closed there and counted.
    """
    day = MINUTES_A_DAY // rules.step
    length = WINDOW_DAYS * day
    starts = range(0, candles.close.size - length + 1, max(STEP_DAYS * day, 1)) if day else range(0)
    rows = [
        _window(
            candles.part(start, start + length),
            signals.part(start, start + length),
            rules,
            positions,
        )
        for start in starts
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def summary(windows: pd.DataFrame) -> dict[str, Any]:
    """Means over the windows, for all of them and by regime; None where there is no value."""
    by_regime = {str(name): _means(group) for name, group in windows.groupby("regime")}
    return {**_means(windows), "by_regime": by_regime}


_COLUMNS = (
    *("first_minute", "return", "win_rate", "long_share", "trades", "change", "excess", "regime"),
)


def _window(candles: Candles, signals: Signals, rules: Rules, positions: int) -> tuple[Any, ...]:
    trades = simulate(candles, signals, rules, positions)
    change = float(candles.close[-1] / candles.close[0] - 1.0)
    earned = float(trades.equity[-1]) - 1.0
    return (
        int(candles.minute[0]),
        earned,
        _share(trades, "pnl"),
        _share(trades, "side"),
        len(trades.rows),
        change,
        earned - (change - 2.0 * (rules.fee + rules.slippage)),
        "bull" if change > BULL else "bear" if change < BEAR else "sideways",
    )


def _share(trades: Trades, name: str) -> float:
    column = trades.column(name)
    return float((column > 0.0).mean()) if column.size else np.nan


def _means(windows: pd.DataFrame) -> dict[str, Any]:
    names = ("return", "win_rate", "long_share", "trades", "change", "excess")
    means = {name: float(windows[name].mean()) for name in names}
    told = {name: None if np.isnan(mean) else mean for name, mean in means.items()}
    return {"windows": len(windows), **told}
