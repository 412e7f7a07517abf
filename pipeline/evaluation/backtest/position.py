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
    STOP,
    STREAK,
    USED,
    WALLET,
    WIDTH,
    Book,
    Fill,
    Rules,
)
from pipeline.kernels import kernel

DUST = 1e-9  # of the equity at the start: what rounding leaves of a margin is no position


@kernel
def new_book(positions: int, rows: int) -> Book:
    """An empty book with places for positions and for a trade a row."""
    money = np.zeros(3)
    money[WALLET] = 1.0
    trades = np.empty((rows, KEPT))
    counts, guard = np.zeros(2, np.int64), np.zeros(5)
    book = Book(np.empty((positions, WIDTH)), trades, money, counts, guard)
    _set_guard(book, 0)
    return book


@kernel
def enter(book: Book, rules: Rules, side: int, size: float, fill: Fill) -> None:
    """Open a position of `size` of the wallet, as far as margin and places are free."""
    wallet = book.money[WALLET]
    share = size + rules.streak * _streak_factor(book.money[STREAK])
    share = min(max(share, rules.smallest), rules.largest)
    margin = min(share * wallet, wallet - book.money[USED])
    full = book.counts[HELD] >= book.held.shape[0]
    if full or not margin > DUST or side == 0 or (side < 0 and not rules.shorts):
        return
    slot, (row, minute, price) = book.counts[HELD], fill
    held = book.held
    held[slot, FEE] = held[slot, SLIPPAGE] = held[slot, FUNDING] = 0.0
    held[slot, ENTRY_ROW], held[slot, ENTRY_MINUTE], held[slot, ENTRY_PRICE] = row, minute, price
    held[slot, SIDE], held[slot, SHARE], held[slot, MARGIN] = side, share, margin
    held[slot, QUANTITY] = margin * rules.leverage / price
    held[slot, REASON] = -1.0
    held[slot, LEVEL + LIQUIDATION] = price * (1.0 - side * rules.liquidation)
    held[slot, LEVEL + STOP] = price * (1.0 - side * rules.stop)
    held[slot, LEVEL + PROFIT] = price * (1.0 + side * rules.profit)
    book.counts[HELD] += 1
    book.money[USED] += margin
    _charge(book, rules, slot, margin * rules.leverage)
    _set_guard(book, rules.holding)


@kernel
def leave(book: Book, rules: Rules, slot: int, reason: int, fill: Fill) -> None:
    """Close a position and note its trade; a liquidation takes its whole margin."""
    held, (row, minute, price) = book.held, fill
    gross = held[slot, SIDE] * held[slot, QUANTITY] * (price - held[slot, ENTRY_PRICE])
    if reason == LIQUIDATION:
        gross = -held[slot, MARGIN]
    else:
        _charge(book, rules, slot, held[slot, QUANTITY] * price)
    held[slot, EXIT_ROW], held[slot, EXIT_MINUTE], held[slot, EXIT_PRICE] = row, minute, price
    held[slot, PNL] = gross - held[slot, FEE] - held[slot, SLIPPAGE] - held[slot, FUNDING]
    held[slot, REASON] = reason
    streak = book.money[STREAK]
    won = held[slot, PNL] > 0.0
    book.money[STREAK] = max(streak, 0.0) + 1.0 if won else min(streak, 0.0) - 1.0
    book.money[WALLET] += gross
    book.money[USED] -= held[slot, MARGIN]
    for column in range(KEPT):
        book.trades[book.counts[DONE], column] = held[slot, column]
    book.counts[DONE] += 1
    book.counts[HELD] -= 1
    for place in range(slot, book.counts[HELD]):
        for column in range(WIDTH):
            held[place, column] = held[place + 1, column]
    _set_guard(book, rules.holding)


@kernel
def pay_funding(book: Book, price: float, multiple: float) -> None:
    """Longs pay `price` (rate times close) for each unit; what is received is not multiplied."""
    for slot in range(book.counts[HELD]):
        paid = book.held[slot, SIDE] * book.held[slot, QUANTITY] * price
        paid *= multiple if paid > 0.0 else 1.0
        book.held[slot, FUNDING] += paid
        book.money[WALLET] -= paid


@kernel
def _charge(book: Book, rules: Rules, slot: int, notional: float) -> None:
    fee, slippage = notional * rules.fee, notional * rules.slippage
    book.held[slot, FEE] += fee
    book.held[slot, SLIPPAGE] += slippage
    book.money[WALLET] -= fee + slippage


@kernel
def _set_guard(book: Book, holding: int) -> None:
    guard, held = book.guard, book.held
    guard[LOW], guard[HIGH], guard[DUE] = -np.inf, np.inf, np.inf
    guard[NET] = guard[COST] = 0.0
    for slot in range(book.counts[HELD]):
        below = max(held[slot, LEVEL + LIQUIDATION], held[slot, LEVEL + STOP])
        above = held[slot, LEVEL + PROFIT]
        if held[slot, SIDE] < 0.0:
            below, above = above, min(held[slot, LEVEL + LIQUIDATION], held[slot, LEVEL + STOP])
        due = -np.inf if held[slot, REASON] == SIGNAL else held[slot, ENTRY_MINUTE] + holding
        quantity = held[slot, SIDE] * held[slot, QUANTITY]
        guard[LOW], guard[HIGH] = max(guard[LOW], below), min(guard[HIGH], above)
        guard[DUE] = min(guard[DUE], due)
        guard[NET] += quantity
        guard[COST] += quantity * held[slot, ENTRY_PRICE]


@kernel
def _streak_factor(streak: float) -> float:
    """Three wins in a row or more 0.8; one loss 0.9, two 0.6, three or more 0.3; else 1."""
    factors = (1.0, 1.0, 1.0, 0.8, 0.3, 0.6, 0.9)  # of 0 to 3 wins, then of -3 to -1
    return factors[int(min(max(streak, -3.0), 3.0))]
