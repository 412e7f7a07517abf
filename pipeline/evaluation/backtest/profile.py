"""What a backtest assumes: when it enters, how much, when it leaves, and at which price."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from pipeline.config import Record
from pipeline.errors import ConfigError
from pipeline.market.candles import duration

Reason = Literal["liquidation", "stop", "profit", "holding", "signal"]
REASONS: tuple[str, ...] = ("liquidation", "stop", "profit", "holding", "signal", "end")
PESSIMISTIC = ("liquidation", "stop", "profit")
Threshold = Annotated[float, Field(ge=0, le=1, description="probability from which it acts")]
Share = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1)]
Span = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}[mhd]$", description="30m, 4h, 7d")]
_MINUTES = {"m": 1, "h": 60, "d": 1440}


class Level(Record):
    """A distance from the entry, and what it is a share of.

    ``price``: of the entry price. ``equity``: of the margin behind the position, so that 1 % at
    4 x leverage is 0.25 % of the price.
    """

    share: Annotated[float, Field(gt=0, le=10)]
    basis: Literal["price", "equity"]

    def of_price(self, leverage: float) -> float:
        """The distance as a share of the entry price.

        Examples
        --------
        >>> Level(share=0.01, basis="equity").of_price(4.0)
        0.0025
        """
        return self.share / leverage if self.basis == "equity" else self.share


class FixedSize(Record):
    """The same share of the equity for every position."""

    rule: Literal["fixed"]
    share: Share


class TieredSize(Record):
    """A share by strength, the larger of both probabilities: the highest tier it reaches."""

    rule: Literal["tiers"]
    base: Share
    tiers: dict[float, Share]


class DynamicSize(Record):
    """A share from four factors between 0 and 1, as `pipeline.evaluation.backtest.sizing` says."""

    rule: Literal["dynamic"]
    base: Share
    smallest: Share
    largest: Share
    signal: Weight
    volatility: Weight
    regime: Weight
    streak: Weight
    atr_window: Annotated[int, Field(ge=1, le=1000, description="candles of atr_pct")]
    usual_window: Annotated[int, Field(ge=1, le=100_000, description="candles of its mean")]

    @model_validator(mode="after")
    def _smallest_first(self) -> Self:
        if self.smallest > self.largest:
            raise ValueError(f"smallest {self.smallest:g} is above largest {self.largest:g}")
        return self


Sizing = Annotated[FixedSize | TieredSize | DynamicSize, Field(discriminator="rule")]


class Profile(Record):
    """One way to trade a head's probabilities.

    `thresholds` is ``stated`` (the three below) or ``folds``: each row brings those that were
    chosen inside its fold's training rows. `exit_priority` names what closes a position when
    several reasons meet at one price; a stop always goes before a profit.
    """

    venue: Literal["spot", "swap"]
    thresholds: Literal["stated", "folds"] = "stated"
    long_threshold: Threshold
    short_threshold: Threshold
    exit_threshold: Threshold | None = None
    stop_loss: Level | None = None
    take_profit: Level | None = None
    max_holding: Span | None = None
    exit_priority: tuple[Reason, ...] = ("liquidation", "stop", "profit", "holding", "signal")
    leverage: Annotated[float, Field(ge=1, le=125)] = 1.0
    liquidation: Annotated[float, Field(gt=0, le=1, description="loss, share of margin")] = 0.95
    positions: Annotated[int, Field(ge=1, le=100)] = 1
    fill: Literal["next_open", "same_close"] = "next_open"
    sizing: Sizing
    cost_multiples: tuple[Annotated[float, Field(ge=0, le=100)], ...] = (1.0, 2.0)
    execution_timeframe: str | None = None

    @model_validator(mode="after")
    def _can_be_traded(self) -> Self:
        if self.venue == "spot" and self.leverage != 1.0:
            raise ValueError(f"leverage is {self.leverage:g}; a spot venue lends nothing: 1")
        if sorted(self.exit_priority) != sorted(REASONS[:-1]):
            raise ValueError(f"exit_priority must name each of {', '.join(REASONS[:-1])} once")
        kept = tuple(reason for reason in self.exit_priority if reason in PESSIMISTIC)
        if kept != PESSIMISTIC:
            raise ValueError(f"exit_priority must keep the order {', '.join(PESSIMISTIC)}")
        if not self.cost_multiples:
            raise ValueError("cost_multiples is empty; name at least 1")
        stop = self.stop_loss.of_price(self.leverage) if self.stop_loss else 0.0
        if stop >= self.liquidation_distance:
            raise ValueError(
                f"stop_loss lies {stop:.2%} from the entry, behind the liquidation at "
                f"{self.liquidation_distance:.2%}: it would never be reached"
            )
        return self

    @property
    def liquidation_distance(self) -> float:
        """Share of the entry price at which a position is liquidated; infinite for spot."""
        return float("inf") if self.venue == "spot" else self.liquidation / self.leverage

    @property
    def holding_minutes(self) -> int | None:
        """The longest holding in minutes."""
        return None if self.max_holding is None else minutes_of(self.max_holding)

    def execution(self, timeframe: str) -> str:
        """Timeframe of the candles that orders are filled on, given that of the signals.

        Raises
        ------
        ConfigError
            When it is longer than the signals' or than the holding limit, or does not divide that.
        """
        finer = self.execution_timeframe or timeframe
        if duration(finer) > duration(timeframe):
            raise ConfigError(
                "orders cannot be filled on candles longer than those of the signals",
                found=f"execution_timeframe {finer}, signals on {timeframe}",
                fix=f"set backtest.execution_timeframe to {timeframe} or finer",
            )
        limit = self.holding_minutes
        if limit is not None and pd.Timedelta(minutes=limit) < duration(finer):
            raise ConfigError(
                "the holding limit is shorter than one candle, so it cannot be tested on these",
                found=f"max_holding {self.max_holding} on candles of {finer}",
                fix=f"set backtest.execution_timeframe to {self.max_holding} or finer, and have "
                "such candles",
            )
        if limit is not None and pd.Timedelta(minutes=limit) % duration(finer):
            raise ConfigError(
                "the holding limit is no whole number of candles, so none would be held that long",
                found=f"max_holding {self.max_holding} on candles of {finer}",
                fix=f"set backtest.max_holding to a multiple of {finer}, or "
                "backtest.execution_timeframe to finer candles that you have",
            )
        return finer


def minutes_of(span: str) -> int:
    """Minutes of a span of time.

    Examples
    --------
    >>> minutes_of("4h")
    240
    """
    return int(span[:-1]) * _MINUTES[span[-1]]
