"""Sell, hold or buy, by a threshold that grows with the market's own volatility."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.labels.grid import Grid, candles_in, later, span, where_known
from pipeline.labels.volatility import trailing_volatility


class ThreeClassScaled(Record):
    """Class of the return over a fixed horizon, in units of what the close usually moves.

    With ``r = close(t + horizon) / close(t) - 1`` and ``s = volatility(t) * sqrt(n)``, n the
    candles of the horizon and ``volatility(t)`` the root mean square of the one-candle returns
    of the `volatility_hours` up to and including t: buy when ``r > multiple * s``, sell when
    ``r < -multiple * s``, else hold. The threshold is known at t. Rows whose horizon or
    volatility is unknown are dropped.
    """

    classes: ClassVar[tuple[str, ...]] = ("sell", "hold", "buy")
    trades: ClassVar[None] = None

    horizon_hours: Annotated[float, Field(gt=0, le=24 * 90)]
    multiple: Annotated[float, Field(gt=0, le=100)]
    volatility_hours: Annotated[float, Field(gt=0, le=24 * 365)]

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle; `candles_in` tells what is refused.

        Examples
        --------
        >>> ThreeClassScaled(horizon_hours=24, multiple=0.5, volatility_hours=168).meanings("1h")[0]
        'the close 24 hours later is lower by more than 0.5 of the usual move of 24 hours'
        """
        self._window(timeframe)
        horizon = span(self.horizon_hours, timeframe)
        move = f"{self.multiple:g} of the usual move of {horizon}"
        ends = (f"lower by more than {move}", f"at most {move} away", f"higher by more than {move}")
        return tuple(f"the close {horizon} later is {end}" for end in ends)

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle whose horizon is known; see `pipeline.labels.base.Label`."""
        grid = Grid.of(candles, timeframe)
        close, horizon = grid.column("close"), candles_in(self.horizon_hours, timeframe)
        volatility = trailing_volatility(close, self._window(timeframe))
        threshold = self.multiple * (volatility * math.sqrt(horizon))
        change = later(close, horizon) / close - 1
        known = np.isfinite(change) & np.isfinite(threshold)
        label = 1 + (change > threshold).astype("int8") - (change < -threshold).astype("int8")
        return grid.frame("label", label.astype("int8"), where_known(known, horizon))

    def _window(self, timeframe: str) -> int:
        return candles_in(self.volatility_hours, timeframe, "volatility_hours")
