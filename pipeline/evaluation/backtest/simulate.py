"""From a profile and a market's costs to the numbers of the machine, and its trades as a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.config import Record
from pipeline.evaluation.backtest.arrays import (
    COLUMNS,
    Candles,
    FloatArray,
    IntArray,
    Rules,
    Signals,
)
from pipeline.evaluation.backtest.funding import BASIS_POINT, RecordedFunding, settled
from pipeline.evaluation.backtest.machine import play
from pipeline.evaluation.backtest.profile import REASONS, DynamicSize, Profile
from pipeline.market.candles import PRICES
from pipeline.market.exchanges.base import Funding, Market

NEVER = 1 << 60


class Costs(Record):
    """What trading costs: shares of what is bought or sold, and the assumed funding."""

    fee: float
    slippage: float
    funding: Funding | None = None
    multiple: float = 1.0

    @classmethod
    def of_market(cls, market: Market, multiple: float = 1.0) -> Costs:
        """The costs that a market's file states; funding that is received is never multiplied."""
        return cls(
            fee=market.fee_bps * BASIS_POINT,
            slippage=market.slippage_bps * BASIS_POINT,
            funding=market.funding,
            multiple=multiple,
        )


@dataclass(frozen=True, slots=True)
class Trades:
    """Every trade, one row of `COLUMNS` each in the order of exits, and equity at each close.

    Money is in units of the equity at the start.
    """

    rows: FloatArray
    equity: FloatArray

    def column(self, name: str) -> FloatArray:
        """One column of the trades."""
        return self.rows[:, COLUMNS.index(name)]

    def table(self) -> pd.DataFrame:
        """The trades as a person reads them: times, sides and reasons in words."""
        frame = pd.DataFrame(self.rows, columns=list(COLUMNS))
        for place, name in enumerate(("entry", "exit")):
            minutes = frame.pop(f"{name}_minute").to_numpy("int64").astype("datetime64[m]")
            time = pd.DatetimeIndex(minutes.astype("datetime64[ms]"), tz="UTC")
            frame.insert(place, f"{name}_time", time)
            frame[f"{name}_row"] = frame[f"{name}_row"].astype("int64")
        frame["side"] = np.where(frame["side"] > 0, "long", "short")
        frame["reason"] = np.array(REASONS)[frame["reason"].astype("int64")]
        return frame


def simulate(candles: Candles, signals: Signals, rules: Rules, positions: int = 1) -> Trades:
    """Trade the signals on the candles; pure over its arrays, see `machine`."""
    return Trades(*play(candles, signals, rules, positions))


def rules_of(profile: Profile, costs: Costs, step: int) -> Rules:
    """A profile and its costs as the numbers that the machine reads; `step` minutes a candle."""
    stated = profile.thresholds == "stated"
    leverage, holding = profile.leverage, profile.holding_minutes
    sizing, swap = profile.sizing, profile.venue == "swap"
    dynamic = sizing if isinstance(sizing, DynamicSize) else None
    stop, profit = profile.stop_loss, profile.take_profit
    ask = profile.exit_threshold
    return Rules(
        long_threshold=profile.long_threshold if stated else 0.0,
        short_threshold=profile.short_threshold if stated else 0.0,
        exit_threshold=np.inf if ask is None else (ask if stated else 0.0),
        stop=stop.of_price(leverage) if stop else np.inf,
        profit=profit.of_price(leverage) if profit else np.inf,
        liquidation=profile.liquidation_distance,
        holding=NEVER if holding is None else holding,
        leverage=leverage,
        shorts=swap,
        at_close=profile.fill == "same_close",
        streak=dynamic.base * dynamic.streak if dynamic else 0.0,
        smallest=dynamic.smallest if dynamic else 0.0,
        largest=dynamic.largest if dynamic else 1.0,
        fee=costs.fee * costs.multiple,
        slippage=costs.slippage * costs.multiple,
        funding_paid=max(costs.multiple, 1.0),
        step=step,
        priority=tuple(REASONS.index(reason) for reason in profile.exit_priority),  # type: ignore[arg-type]
    )


def candle_arrays(frame: pd.DataFrame, funding: Funding | RecordedFunding | None) -> Candles:
    """A candle frame as the arrays that the machine reads."""
    minute = minutes_since_epoch(frame.index)
    price = {name: np.ascontiguousarray(frame[name].to_numpy("float64")) for name in PRICES}
    return Candles(**price, minute=minute, funding=settled(minute, funding))


def minutes_since_epoch(index: pd.Index) -> IntArray:
    """Moments as whole minutes since 1970, UTC."""
    time = pd.DatetimeIndex(index).tz_convert("UTC").tz_localize(None)
    return time.to_numpy("datetime64[m]").astype("int64")
