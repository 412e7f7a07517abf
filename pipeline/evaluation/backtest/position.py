"""One position's life: opened, charged, kept in view, closed."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.backtest.arrays import (
    COST,
    DONE,
    DUE,
    ENTRY_MINUTE,
    ENTRY_PRICE,
    ENTRY_ROW,
    EXIT_MINUTE,
    EXIT_PRICE,
    EXIT_ROW,
    FEE,
    FUNDING,
    HELD,
    HIGH,
    KEPT,
    LEVEL,
    LIQUIDATION,
    LOW,
    MARGIN,
    NET,
    PNL,
    PROFIT,
    QUANTITY,
    REASON,
    SHARE,
    SIDE,
    SIGNAL,
    SLIPPAGE,
    STATES,
    STOP,
    STREAK,
    USED,
    WALLET,
    WIDTH,
    Book,
    Fill,
    FloatArray,
    Rules,
)
from pipeline.kernels import kernel

DUST = 1e-9  # of the equity at the start: what rounding leaves of a margin is no position


@kernel
def new_book(positions: int, rows: int) -> Book:
    """An empty book with places for positions and for a trade a row."""
    state = np.zeros(STATES)
    state[WALLET] = 1.0
    book = Book(np.empty((positions, WIDTH)), state, np.empty((rows, KEPT)))
    _set_guard(book.held, state, 0)
    return book


@kernel
def enter(book: Book, rules: Rules, side: int, size: float, fill: Fill) -> None:
    """Open a position of `size` of the wallet, as far as margin and places are free."""
    held, state = book.held, book.state
    wallet = state[WALLET]
    share = size + rules.streak * _streak_factor(state[STREAK])
    share = min(max(share, rules.smallest), rules.largest)
    margin = min(share * wallet, wallet - state[USED])
    full = state[HELD] >= held.shape[0]
    if full or not margin > DUST or side == 0 or (side < 0 and not rules.shorts):
        return
    slot, (row, minute, price) = int(state[HELD]), fill
    held[slot, FEE] = held[slot, SLIPPAGE] = held[slot, FUNDING] = 0.0
    held[slot, ENTRY_ROW], held[slot, ENTRY_MINUTE], held[slot, ENTRY_PRICE] = row, minute, price
    held[slot, SIDE], held[slot, SHARE], held[slot, MARGIN] = side, share, margin
    held[slot, QUANTITY] = margin * rules.leverage / price
    held[slot, REASON] = -1.0
    held[slot, LEVEL + LIQUIDATION] = price * (1.0 - side * rules.liquidation)
    held[slot, LEVEL + STOP] = price * (1.0 - side * rules.stop)
    held[slot, LEVEL + PROFIT] = price * (1.0 + side * rules.profit)
    state[HELD] += 1.0
    state[USED] += margin
    state[WALLET] -= _charged(held, rules, slot, margin * rules.leverage)
    _set_guard(held, state, rules.holding)


@kernel
def leave(book: Book, rules: Rules, slot: int, reason: int, fill: Fill) -> None:
    """Close a position and note its trade; a liquidation takes its whole margin."""
    (held, state, trades), (row, minute, price) = book, fill
    gross = held[slot, SIDE] * held[slot, QUANTITY] * (price - held[slot, ENTRY_PRICE])
    if reason == LIQUIDATION:
        gross = -held[slot, MARGIN]
    else:
        state[WALLET] -= _charged(held, rules, slot, held[slot, QUANTITY] * price)
    held[slot, EXIT_ROW], held[slot, EXIT_MINUTE], held[slot, EXIT_PRICE] = row, minute, price
    held[slot, PNL] = gross - held[slot, FEE] - held[slot, SLIPPAGE] - held[slot, FUNDING]
    held[slot, REASON] = reason
    streak, won = state[STREAK], held[slot, PNL] > 0.0
    state[STREAK] = max(streak, 0.0) + 1.0 if won else min(streak, 0.0) - 1.0
    state[WALLET] += gross
    state[USED] -= held[slot, MARGIN]
    done = int(state[DONE])
    for column in range(KEPT):
        trades[done, column] = held[slot, column]
    state[DONE] += 1.0
    state[HELD] -= 1.0
    for place in range(slot, int(state[HELD])):
        for column in range(WIDTH):
            held[place, column] = held[place + 1, column]
    _set_guard(held, state, rules.holding)


@kernel
def pay_funding(book: Book, price: float, multiple: float) -> None:
    """Longs pay `price` (rate times close) for each unit; what is received is not multiplied."""
    for slot in range(int(book.state[HELD])):
        paid = book.held[slot, SIDE] * book.held[slot, QUANTITY] * price
        paid *= multiple if paid > 0.0 else 1.0
        book.held[slot, FUNDING] += paid
        book.state[WALLET] -= paid


@kernel
def _charged(held: FloatArray, rules: Rules, slot: int, notional: float) -> float:
    fee, slippage = notional * rules.fee, notional * rules.slippage
    held[slot, FEE] += fee
    held[slot, SLIPPAGE] += slippage
    return fee + slippage


@kernel
def _set_guard(held: FloatArray, state: FloatArray, holding: int) -> None:
    low, high, due, net, cost = -np.inf, np.inf, np.inf, 0.0, 0.0
    for slot in range(int(state[HELD])):
        below = max(held[slot, LEVEL + LIQUIDATION], held[slot, LEVEL + STOP])
        above = held[slot, LEVEL + PROFIT]
        if held[slot, SIDE] < 0.0:
            below, above = above, min(held[slot, LEVEL + LIQUIDATION], held[slot, LEVEL + STOP])
        asked = held[slot, REASON] == SIGNAL
        quantity = held[slot, SIDE] * held[slot, QUANTITY]
        low, high = max(low, below), min(high, above)
        due = min(due, -np.inf if asked else held[slot, ENTRY_MINUTE] + holding)
        net += quantity
        cost += quantity * held[slot, ENTRY_PRICE]
    state[LOW], state[HIGH], state[DUE], state[NET], state[COST] = low, high, due, net, cost


@kernel
def _streak_factor(streak: float) -> float:
    """Three wins in a row or more 0.8; one loss 0.9, two 0.6, three or more 0.3; else 1."""
    factors = (1.0, 1.0, 1.0, 0.8, 0.3, 0.6, 0.9)  # of 0 to 3 wins, then of -3 to -1
    return factors[int(min(max(streak, -3.0), 3.0))]
