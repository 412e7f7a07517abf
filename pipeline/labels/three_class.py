"""Sell, hold or buy: where the close stands a fixed time later."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.labels.grid import Grid, candles_in, later, span, where_known


class ThreeClass(Record):
    """Class of the return over a fixed horizon.

    With ``r = close(t + horizon) / close(t) - 1``: buy when ``r > threshold``, sell when
    ``r < -threshold``, else hold. The horizon is counted in time, not in rows: where the
    candle at its end is missing the label is unknown and the row is dropped.
    """

    classes: ClassVar[tuple[str, ...]] = ("sell", "hold", "buy")
    trades: ClassVar[None] = None

    horizon_hours: Annotated[float, Field(gt=0, le=24 * 90)]
    threshold: Annotated[float, Field(gt=0, lt=1, description="a return: 0.01 is 1 %")]

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle; `candles_in` tells what is refused.

        Examples
        --------
        >>> ThreeClass(horizon_hours=24, threshold=0.01).meanings("1h")[0]
        'the close 24 hours later is more than 1 % lower'
        """
        moment = f"the close {span(self.horizon_hours, timeframe)} later is"
        far = f"{100 * self.threshold:g} %"
        ends = (f"more than {far} lower", f"at most {far} away", f"more than {far} higher")
        return tuple(f"{moment} {end}" for end in ends)

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle whose horizon is known; see `pipeline.labels.base.Label`."""
        grid = Grid.of(candles, timeframe)
        close, horizon = grid.column("close"), candles_in(self.horizon_hours, timeframe)
        change = later(close, horizon) / close - 1
        label = 1 + (change > self.threshold).astype("int8") - (change < -self.threshold)
        return grid.frame("label", label.astype("int8"), where_known(np.isfinite(change), horizon))
