"""The compiled state machine: one pass over the candles of one market.

In each candle, in this order: funding that fell due since the candle before is paid; positions
held leave at the open (a gap beyond a level, the holding limit, a signal of the close before);
an order of the close before is filled at the open; levels are met inside the candle; signals are
read at the close. Equity starts at 1. Prices, entry signals and sizes are read at every
candle, needed or not: what is taken up again after a while costs more than reading it all along.
"""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.backtest.arrays import (
    COST,
    DONE,
    DUE,
    END,
    ENTRY_MINUTE,
    HELD,
    HIGH,
    HOLDING,
    LEVEL,
    LIQUIDATION,
    LOW,
    NET,
    PROFIT,
    REASON,
    SIDE,
    SIGNAL,
    STOP,
    WALLET,
    Book,
    Candles,
    Fill,
    FloatArray,
    Priority,
    Rules,
    Signals,
)
from pipeline.evaluation.backtest.position import enter, leave, new_book, pay_funding
from pipeline.kernels import kernel


@kernel
def play(
    candles: Candles, signals: Signals, rules: Rules, positions: int
) -> tuple[FloatArray, FloatArray]:
    """Trades in the order of their exits, one row of `COLUMNS` each, and equity per candle."""
    opened, high, low, close, minute, funding = candles
    long, short, exit_long, exit_short, size = signals
    book, equity, order, share = new_book(positions, close.size), np.empty(close.size), 0, 0.0
    state, exits = book.state, rules.exit_threshold < np.inf or not rules.shorts
    for row in range(close.size):
        if funding[row] != 0.0 and state[HELD] > 0.0:
            pay_funding(book, funding[row] * close[row - 1], rules.funding_paid)
        if not state[LOW] < opened[row] < state[HIGH] or minute[row] >= state[DUE]:
            _leave_at_open(book, rules, (row, minute[row], opened[row]))
        if order != 0 and state[HELD] < positions:
            enter(book, rules, order, share, (row, minute[row], opened[row]))
        if not (state[LOW] < low[row] and high[row] < state[HIGH]):
            _leave_at_levels(book, rules, (row, minute[row]), (low[row], high[row]))
        wish = _wish(rules, long[row], short[row])
        if exits and state[HELD] > 0.0 and _asked(rules, wish, exit_long[row], exit_short[row]):
            _mark(book, rules, (wish, exit_long[row], exit_short[row]))
        order, share = wish * int(not rules.at_close), size[row]
        if rules.at_close and (wish != 0 or minute[row] + rules.step >= state[DUE]):
            fill = (row, minute[row] + rules.step, close[row])
            _trade_at_close(book, rules, wish, share, fill)
        equity[row] = state[WALLET] + state[NET] * close[row] - state[COST]
    _close_all(book, rules, candles, equity)
    return book.trades[: int(state[DONE])], equity


@kernel
def _leave_at_open(book: Book, rules: Rules, fill: Fill) -> None:
    slot = 0
    while slot < book.state[HELD]:
        met = _levels_met(book.held, slot, fill[2], fill[2])
        if not rules.at_close:
            met |= _time_met(book.held, slot, fill[1], rules.holding)
        if met == 0:
            slot += 1
        else:
            leave(book, rules, slot, _first(met, rules.priority), fill)


@kernel
def _leave_at_levels(
    book: Book, rules: Rules, moment: tuple[int, int], reach: tuple[float, float]
) -> None:
    slot = 0
    while slot < book.state[HELD]:
        met = _levels_met(book.held, slot, reach[0], reach[1])
        if met == 0:
            slot += 1
        else:
            reason = _first(met, rules.priority)
            leave(book, rules, slot, reason, (*moment, book.held[slot, LEVEL + reason]))


@kernel
def _levels_met(held: FloatArray, slot: int, low: float, high: float) -> int:
    long = held[slot, SIDE] > 0.0
    met = 0
    for reason in (LIQUIDATION, STOP):
        level = held[slot, LEVEL + reason]
        if (long and low <= level) or (not long and high >= level):
            met |= 1 << reason
    level = held[slot, LEVEL + PROFIT]
    if (long and high >= level) or (not long and low <= level):
        met |= 1 << PROFIT
    return met


@kernel
def _time_met(held: FloatArray, slot: int, minute: int, holding: int) -> int:
    met = 1 << HOLDING if minute - held[slot, ENTRY_MINUTE] >= holding else 0
    return met | 1 << SIGNAL if held[slot, REASON] == SIGNAL else met


@kernel
def _first(met: int, priority: Priority) -> int:
    for reason in priority:
        if met & (1 << reason):
            return reason
    return END


@kernel
def _wish(rules: Rules, long: float, short: float) -> int:
    """1 to buy, -1 to sell, 0; what lies further above its threshold, long when they tie."""
    above, below = long - rules.long_threshold, short - rules.short_threshold
    if below >= 0.0 and not above >= below:
        return -1
    return 1 if above >= 0.0 else 0


@kernel
def _asked(rules: Rules, wish: int, exit_long: float, exit_short: float) -> bool:
    asked = exit_long >= rules.exit_threshold or exit_short >= rules.exit_threshold
    return asked or (wish < 0 and not rules.shorts)


@kernel
def _mark(book: Book, rules: Rules, signal: tuple[int, float, float]) -> None:
    """Remember which positions a signal closes."""
    wish, exit_long, exit_short = signal
    for slot in range(int(book.state[HELD])):
        long = book.held[slot, SIDE] > 0.0
        asked = exit_long if long else exit_short
        if asked >= rules.exit_threshold or (long and wish < 0 and not rules.shorts):
            book.held[slot, REASON] = SIGNAL
            book.state[DUE] = -np.inf


@kernel
def _trade_at_close(book: Book, rules: Rules, order: int, size: float, fill: Fill) -> None:
    slot = 0
    while slot < book.state[HELD]:
        met = _time_met(book.held, slot, fill[1], rules.holding)
        if met == 0:
            slot += 1
        else:
            leave(book, rules, slot, _first(met, rules.priority), fill)
    enter(book, rules, order, size, fill)


@kernel
def _close_all(book: Book, rules: Rules, candles: Candles, equity: FloatArray) -> None:
    """Close at the last close what is still open."""
    row = equity.size - 1
    while book.state[HELD] > 0.0:
        minute = candles.minute[row] + rules.step
        leave(book, rules, 0, END, (row, minute, candles.close[row]))
    if row >= 0:
        equity[row] = book.state[WALLET]
