"""A backtest as one would write it by hand: a list of positions, candle by candle, no arrays.

It shares nothing with the compiled machine but the names of what goes in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pipeline.evaluation.backtest.arrays import Candles, Rules, Signals

REASONS = ("liquidation", "stop", "profit", "holding", "signal", "end")


@dataclass
class Position:
    """What is held, and at the end what became of it."""

    side: int
    row: int
    minute: int
    price: float
    share: float
    margin: float
    quantity: float
    stop: float | None
    profit: float | None
    liquidation: float | None
    asked: bool = False
    fee: float = 0.0
    slippage: float = 0.0
    funding: float = 0.0


class Simulator:
    """Trades one case."""

    def __init__(self, candles: Candles, signals: Signals, rules: Rules, positions: int) -> None:
        names = ("open", "high", "low", "close", "minute", "funding")
        self.candles = [
            dict(zip(names, values, strict=True))
            for values in zip(*(column.tolist() for column in candles), strict=True)
        ]
        names = ("long", "short", "exit_long", "exit_short", "size")
        self.signals = [
            dict(zip(names, values, strict=True))
            for values in zip(*(column.tolist() for column in signals), strict=True)
        ]
        self.rules, self.places = rules, positions
        self.order = [REASONS[code] for code in rules.priority]
        self.wallet = 1.0
        self.held: list[Position] = []
        self.trades: list[dict[str, Any]] = []
        self.equity: list[float] = []

    def run(self) -> Simulator:
        """Go through all candles."""
        ordered = 0
        for row, candle in enumerate(self.candles):
            self.at_open(row, candle)
            if ordered:
                size = self.signals[row - 1]["size"]
                self.open(ordered, size, row, candle["minute"], candle["open"])
            for position in list(self.held):
                reasons = self.touched(position, candle["low"], candle["high"])
                self.close(position, reasons, row, candle["minute"], None)
            ordered = self.at_close(row, candle)
            self.equity.append(self.wallet + sum(self.gain(p, candle["close"]) for p in self.held))
        for position in list(self.held):
            end = candle["minute"] + self.rules.step
            self.close(position, {"end"}, row, end, candle["close"])
        self.equity[-1:] = [self.wallet] if self.equity else []
        return self

    def at_open(self, row: int, candle: dict[str, Any]) -> None:
        """Pay funding, then leave where a level is passed or the time has come."""
        for position in list(self.held):
            if candle["funding"]:
                self.pay(position, candle["funding"], self.candles[row - 1]["close"])
            reasons = self.touched(position, candle["open"], candle["open"])
            if not self.rules.at_close:
                reasons |= self.due(position, candle["minute"])
            self.close(position, reasons, row, candle["minute"], candle["open"])

    def at_close(self, row: int, candle: dict[str, Any]) -> int:
        """Read the signals; what is ordered for the next candle."""
        signal, minute = self.signals[row], candle["minute"] + self.rules.step
        wish = self.wish(signal)
        for position in list(self.held):
            name = {1: "exit_long", -1: "exit_short"}[position.side]
            if signal[name] >= self.rules.exit_threshold:
                position.asked = True
            if (self.rules.shorts, position.side, wish) == (False, 1, -1):
                position.asked = True
            if self.rules.at_close:
                self.close(position, self.due(position, minute), row, minute, candle["close"])
        if not self.rules.at_close:
            return wish
        if wish:
            self.open(wish, signal["size"], row, minute, candle["close"])
        return 0

    def due(self, position: Position, minute: int) -> set[str]:
        """What asks a position to leave by now."""
        overdue = {"holding"} if minute >= position.minute + self.rules.holding else set()
        return overdue | ({"signal"} if position.asked else set())

    def wish(self, signal: dict[str, float]) -> int:
        """What the probabilities ask for; NaN asks for nothing."""
        above = {
            1: signal["long"] - self.rules.long_threshold,
            -1: signal["short"] - self.rules.short_threshold,
        }
        asking = [side for side, excess in above.items() if excess >= 0]
        return max(asking, key=lambda side: above[side], default=0)

    def open(self, side: int, size: float, row: int, minute: int, price: float) -> None:
        """Open a position where there is a place and money."""
        rules = self.rules
        if len(self.held) >= self.places or (side == -1 and not rules.shorts):
            return
        share = min(max(size + rules.streak * self.streak(), rules.smallest), rules.largest)
        free = self.wallet - sum(position.margin for position in self.held)
        margin = min(share * self.wallet, free)
        if math.isnan(margin) or margin <= 1e-9:
            return
        position = Position(
            side=side,
            row=row,
            minute=minute,
            price=price,
            share=share,
            margin=margin,
            quantity=margin * rules.leverage / price,
            stop=None if math.isinf(rules.stop) else price * (1 - side * rules.stop),
            profit=None if math.isinf(rules.profit) else price * (1 + side * rules.profit),
            liquidation=None
            if math.isinf(rules.liquidation)
            else price * (1 - side * rules.liquidation),
        )
        self.held.append(position)
        self.charge(position, margin * rules.leverage)

    def touched(self, position: Position, low: float, high: float) -> set[str]:
        """Levels that lie within reach."""
        worst, best = (low, high) if position.side == 1 else (high, low)
        met = set()
        for name in ("liquidation", "stop"):
            level = getattr(position, name)
            if level is not None and (worst - level) * position.side <= 0:
                met.add(name)
        if position.profit is not None and (best - position.profit) * position.side >= 0:
            met.add("profit")
        return met

    def close(
        self, position: Position, reasons: set[str], row: int, minute: int, price: float | None
    ) -> None:
        """Close for the first reason of the list, if any, at a price or at that reason's level."""
        if not reasons:
            return
        reason = next((name for name in self.order if name in reasons), "end")
        price = getattr(position, reason) if price is None else price
        assert price is not None
        gross = self.gain(position, price)
        if reason == "liquidation":
            gross = -position.margin
        else:
            self.charge(position, position.quantity * price)
        self.wallet += gross
        self.held.remove(position)
        pnl = gross - position.fee - position.slippage - position.funding
        self.trades.append(
            {
                "entry_row": position.row,
                "exit_row": row,
                "entry_minute": position.minute,
                "exit_minute": minute,
                "side": position.side,
                "entry_price": position.price,
                "exit_price": price,
                "share": position.share,
                "quantity": position.quantity,
                "margin": position.margin,
                "fee": position.fee,
                "slippage": position.slippage,
                "funding": position.funding,
                "pnl": pnl,
                "reason": REASONS.index(reason),
            }
        )

    def gain(self, position: Position, price: float) -> float:
        """Profit at a price, before costs."""
        return position.side * position.quantity * (price - position.price)

    def charge(self, position: Position, notional: float) -> None:
        """Fee and slippage of a fill."""
        fee, slippage = notional * self.rules.fee, notional * self.rules.slippage
        position.fee += fee
        position.slippage += slippage
        self.wallet -= fee + slippage

    def pay(self, position: Position, rate: float, price: float) -> None:
        """Funding; only what is paid is multiplied."""
        paid = position.side * position.quantity * (rate * price)
        if paid > 0:
            paid *= self.rules.funding_paid
        position.funding += paid
        self.wallet -= paid

    def streak(self) -> float:
        """The factor of the newest trades in a row with the same outcome."""
        won = [trade["pnl"] > 0 for trade in self.trades]
        if not won:
            return 1.0
        length = 0
        while length < len(won) and won[-1 - length] == won[-1]:
            length += 1
        if won[-1]:
            return 0.8 if length >= 3 else 1.0
        return {1: 0.9, 2: 0.6}.get(length, 0.3)
