"""The same signals traded by vectorbt and by backtesting.py, in the peers' process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

ROWS, THRESHOLD, LEVEL = 1_000_000, 0.98, 0.02
FEE, SLIPPAGE = 0.0005, 0.0002
Task = Callable[[], dict[str, float]]


def probabilities(rows: int = ROWS) -> tuple[Any, Any]:
    """Random probabilities of both sides, the same in every process."""
    long, short = np.random.default_rng(2).random((2, rows))
    return long, short


def vectorbt(frame: pd.DataFrame) -> Task:
    """``Portfolio.from_signals`` at the next open, with stop and profit, and its total return."""
    import vectorbt as vbt

    long, short = (side >= THRESHOLD for side in probabilities(len(frame)))
    frame = frame.reset_index(drop=True)  # without moments, which vectorbt reads one by one
    price = frame["open"].shift(-1).ffill()

    def run() -> dict[str, float]:
        portfolio = vbt.Portfolio.from_signals(
            frame["close"],
            entries=long,
            short_entries=short,
            price=price,
            open=frame["open"],
            high=frame["high"],
            low=frame["low"],
            sl_stop=LEVEL,
            tp_stop=LEVEL,
            size=0.5,
            size_type="percent",
            upon_opposite_entry="ignore",
            fees=FEE,
            slippage=SLIPPAGE,
        )
        return {"total_return": float(portfolio.total_return())}

    return run


def backtesting(frame: pd.DataFrame) -> Task:
    """A strategy of ``next`` calls that buys and sells with stop and profit."""
    from backtesting import Backtest, Strategy

    sides = probabilities(len(frame))
    table = frame.rename(columns=str.capitalize)

    class Threshold(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.long, self.short = sides

        def next(self) -> None:
            if self.position:
                return
            row, price = len(self.data) - 1, self.data.Close[-1]
            if self.long[row] >= THRESHOLD:
                self.buy(size=0.5, sl=price * (1 - LEVEL), tp=price * (1 + LEVEL))
            elif self.short[row] >= THRESHOLD:
                self.sell(size=0.5, sl=price * (1 + LEVEL), tp=price * (1 - LEVEL))

    test = Backtest(table, Threshold, cash=1e10, commission=FEE + SLIPPAGE, finalize_trades=True)
    return lambda: {"trades": float(test.run()["# Trades"])}
