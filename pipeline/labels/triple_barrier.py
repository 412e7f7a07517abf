"""Sell, hold or buy, by which of three barriers the price reaches first."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from pipeline.arrays import FloatArray
from pipeline.config import Record
from pipeline.labels.grid import Grid, candles_in, greatest_later, later, span, where_known
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
    in `ThreeClassScaled`, known at t; where nothing has moved there is no barrier to reach, and
    the row is dropped. The whole horizon is waited for, though an early candle may decide, so
    that the newest rows, and those before a test, are not those alone that were quick. Where
    one of its candles is missing the label is unknown and the row is dropped.
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

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle; `candles_in` tells what is refused.

        Examples
        --------
        >>> label = TripleBarrier(profit=0.02, stop=0.01, horizon_hours=24, touched_by="close")
        >>> label.meanings("1h")[0]
        'the price falls by 1 % before it rises by 2 %, within 24 hours'
        """
        self._window(timeframe)
        horizon = span(self.horizon_hours, timeframe)
        fall = f"falls by {self._distance(self.stop, horizon)}"
        rise = f"rises by {self._distance(self.profit, horizon)}"
        within = f"within {horizon}"
        return (
            f"the price {fall} before it {rise}, {within}",
            f"the price neither {fall} nor {rise} {within}",
            f"the price {rise} before it {fall}, {within}",
        )

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle whose outcome is known; see `pipeline.labels.base.Label`."""
        grid = Grid.of(candles, timeframe)
        close, horizon = grid.column("close"), candles_in(self.horizon_hours, timeframe)
        highest, lowest = close, close
        if self.touched_by == "high_low":
            highest, lowest = grid.column("high"), grid.column("low")
        scale = self._scale(close, horizon, timeframe)
        barriers = close * (1 + self.profit * scale), close * (1 - self.stop * scale)
        label = _first_touch((highest, lowest), barriers, horizon)
        known = (scale > 0) & np.isfinite(greatest_later(close, horizon))
        return grid.frame("label", label, where_known(known, horizon))

    def _distance(self, barrier: float, horizon: str) -> str:
        if self.volatility_hours is None:
            return f"{100 * barrier:g} %"
        return f"{barrier:g} times the usual move of {horizon}"

    def _scale(self, close: FloatArray, horizon: int, timeframe: str) -> FloatArray:
        window = self._window(timeframe)
        if window is None:
            return np.ones(len(close))
        return trailing_volatility(close, window) * math.sqrt(horizon)

    def _window(self, timeframe: str) -> int | None:
        hours = self.volatility_hours
        return None if hours is None else candles_in(hours, timeframe, "volatility_hours")


def _first_touch(
    reach: tuple[FloatArray, FloatArray], barriers: tuple[FloatArray, FloatArray], horizon: int
) -> npt.NDArray[np.int8]:
    (highest, lowest), (profit, stop) = reach, barriers
    label, waiting = np.full(len(profit), HOLD, "int8"), np.ones(len(profit), np.bool_)
    for candles in range(1, horizon + 1):
        gained = waiting & (later(highest, candles) >= profit)
        stopped = waiting & (later(lowest, candles) <= stop)
        label[gained], label[stopped] = BUY, SELL
        waiting &= ~(stopped | gained)
    return label
