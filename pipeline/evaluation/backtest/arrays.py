"""The arrays that the machine reads and writes, and what their columns mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Priority = tuple[int, int, int, int, int]
Fill = tuple[int, int, float]  # row, minute, price

LIQUIDATION, STOP, PROFIT, HOLDING, SIGNAL, END = range(6)
COLUMNS = (
    *("entry_row", "exit_row", "entry_minute", "exit_minute", "side", "entry_price", "exit_price"),
    *("share", "quantity", "margin", "fee", "slippage", "funding", "pnl", "reason"),
)
(ENTRY_ROW, EXIT_ROW, ENTRY_MINUTE, EXIT_MINUTE, SIDE, ENTRY_PRICE, EXIT_PRICE) = range(7)
(SHARE, QUANTITY, MARGIN, FEE, SLIPPAGE, FUNDING, PNL, REASON) = range(7, 15)
KEPT = len(COLUMNS)
LEVEL = KEPT  # then the prices of liquidation, stop and profit, while a position is held
WIDTH = LEVEL + 3
WALLET, USED, STREAK, HELD, DONE, LOW, HIGH, DUE, NET, COST = range(10)
STATES = 10


class Candles(NamedTuple):
    """Execution candles; `funding` is the rate settled since the candle before, longs pay."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    minute: IntArray
    funding: FloatArray

    def part(self, start: int, stop: int) -> Candles:
        """Rows from `start` to before `stop`."""
        return Candles(*(column[start:stop] for column in self))  # type: ignore[arg-type]


class Signals(NamedTuple):
    """What is known at each candle's close: probabilities (NaN: nothing), and the size to take."""

    long: FloatArray
    short: FloatArray
    exit_long: FloatArray
    exit_short: FloatArray
    size: FloatArray

    def part(self, start: int, stop: int) -> Signals:
        """Rows from `start` to before `stop`."""
        return Signals(*(column[start:stop] for column in self))


class Rules(NamedTuple):
    """A profile and its costs as numbers; a distance is a share of the entry price."""

    long_threshold: float
    short_threshold: float
    exit_threshold: float
    stop: float
    profit: float
    liquidation: float
    holding: int
    leverage: float
    shorts: bool
    at_close: bool
    streak: float
    smallest: float
    largest: float
    fee: float
    slippage: float
    funding_paid: float
    step: int
    priority: Priority


class Book(NamedTuple):
    """Positions held, the oldest first; trades done; and what is true of them all.

    `state` is money, the counts `HELD` and `DONE`, and a guard that spares most candles a look at
    the positions: outside its prices and before its minute no position leaves, and all are worth
    ``NET * close - COST``. One array, because each array handed to a compiled function costs as
    much as ten candles.
    """

    held: FloatArray
    state: FloatArray
    trades: FloatArray


class Bar(NamedTuple):
    """One candle."""

    row: int
    minute: int
    open: float
    high: float
    low: float
    close: float
