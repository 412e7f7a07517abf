"""Sell, hold or buy, by which of three barriers the price reaches first."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from pipeline.config import Record
from pipeline.labels.grid import Floats, Grid, Slots, later
from pipeline.labels.volatility import trailing_volatility

SELL, HOLD, BUY = 0, 1, 2


class TripleBarrier(Record):
    """Which of profit, stop and time comes first after a candle's close (López de Prado, 2018).

    The profit lies at ``close(t) * (1 + profit)``, the stop at ``close(t) * (1 - stop)``. The
    first later candle whose high reaches the profit says buy, whose low reaches the stop says
    sell; one that reaches both says sell, because its inside is unknown and the stop may have
    come first. With ``touched_by: close`` only closes count. Neither within the horizon says
    hold.

    With `volatility_hours`, `profit` and `stop` are multiples of ``volatility(t) * sqrt(n)`` as
    in `ThreeClassScaled`, known at t. A candle missing before a barrier is reached makes the
    label unknown, and the row is dropped. The label ends with the candle that decided it, so
    of the newest `horizon_hours` only the rows are there that were decided early.
    """

    classes: ClassVar[tuple[str, ...]] = ("sell", "hold", "buy")
    trades: ClassVar[None] = None

    profit: Annotated[float, Field(gt=0, le=100)]
    stop: Annotated[float, Field(gt=0, le=100)]
    horizon_hours: Annotated[float, Field(gt=0, le=24 * 90)]
    touched_by: Literal["high_low", "close"]
    volatility_hours: Annotated[float, Field(gt=0, le=24 * 365)] | None = None

    @model_validator(mode="after")
    def _can_be_stopped(self) -> Self:
        if self.volatility_hours is None and self.stop >= 1:
            raise ValueError(f"no price falls by stop = {self.stop:g} of itself; 0.01 is 1 %")
        return self

    def meanings(self, timeframe: str) -> tuple[str, ...]:  # noqa: ARG002
        """What each class says of a candle.

        Examples
        --------
        >>> label = TripleBarrier(profit=0.02, stop=0.01, horizon_hours=24, touched_by="close")
        >>> label.meanings("1h")[0]
        'the price falls by 1 % before it rises by 2 %, within 24 hours'
        """
        scale = "" if self.volatility_hours is None else " of the usual move"
        unit = "%" if self.volatility_hours is None else "times"
        factor = 100 if self.volatility_hours is None else 1
        fall = f"falls by {factor * self.stop:g} {unit}{scale}"
        rise = f"rises by {factor * self.profit:g} {unit}{scale}"
        within = f"within {self.horizon_hours:g} hours"
        return (
            f"the price {fall} before it {rise}, {within}",
            f"the price neither {fall} nor {rise} {within}",
            f"the price {rise} before it {fall}, {within}",
        )

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle whose outcome is known; see `pipeline.labels.base.Label`."""
        grid = Grid.of(candles, timeframe)
        close, horizon = grid.column("close"), grid.candles_in(self.horizon_hours)
        highest, lowest = close, close
        if self.touched_by == "high_low":
            highest, lowest = grid.column("high"), grid.column("low")
        scale = self._scale(grid, close, horizon)
        barriers = close * (1 + self.profit * scale), close * (1 - self.stop * scale)
        label, ahead = _first_touch((highest, lowest), barriers, horizon)
        return grid.frame("label", label, ahead)

    def _scale(self, grid: Grid, close: Floats, horizon: int) -> Floats:
        if self.volatility_hours is None:
            return np.ones(len(close))
        window = grid.candles_in(self.volatility_hours)
        return trailing_volatility(close, window) * math.sqrt(horizon)


def _first_touch(
    reach: tuple[Floats, Floats], barriers: tuple[Floats, Floats], horizon: int
) -> tuple[npt.NDArray[np.int8], Slots]:
    """Class of each place of the grid, and after how many candles; 0 where it stays unknown."""
    (highest, lowest), (profit, stop) = reach, barriers
    label, ahead = np.full(len(profit), HOLD, "int8"), np.zeros(len(profit), "int64")
    waiting = np.isfinite(profit) & np.isfinite(stop)
    for candles in range(1, horizon + 1):
        high, low = later(highest, candles), later(lowest, candles)
        waiting &= np.isfinite(high)
        stopped, gained = waiting & (low <= stop), waiting & (high >= profit)
        label[gained], label[stopped] = BUY, SELL
        touched = stopped | gained
        ahead[touched] = candles
        waiting &= ~touched
    ahead[waiting] = horizon
    return label, ahead
