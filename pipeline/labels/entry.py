"""Enter or not: whether one of the next closes gains enough."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.labels.grid import Grid, greatest_later, where_known


class Entry(Record):
    """Whether the best of the next closes lies far enough on the right side.

    With n = ``horizon_candles``: enter when ``max(close[t+1 .. t+n]) / close[t] - 1 >=
    threshold`` (long), or ``1 - min(close[t+1 .. t+n]) / close[t] >= threshold`` (short). The
    n candles follow each other in time: where one is missing the label is unknown and the row
    is dropped. All of them are waited for, though the first may decide, so that the newest
    rows are not those alone that were quick.
    """

    classes: ClassVar[tuple[str, ...]] = ("no", "enter")
    trades: ClassVar[None] = None

    side: Literal["long", "short"]
    horizon_candles: Annotated[int, Field(ge=1, le=1000)]
    threshold: Annotated[float, Field(gt=0, lt=1, description="a return: 0.003 is 0.3 %")]

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle.

        Examples
        --------
        >>> Entry(side="short", horizon_candles=3, threshold=0.003).meanings("5m")[1]
        'one of the next 3 closes (5m) is at least 0.3 % lower'
        """
        word = "higher" if self.side == "long" else "lower"
        closes = f"of the next {self.horizon_candles} closes ({timeframe}) is"
        far = f"at least {100 * self.threshold:g} % {word}"
        return f"none {closes} {far}", f"one {closes} {far}"

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle whose horizon is known; see `pipeline.labels.base.Label`."""
        grid = Grid.of(candles, timeframe)
        close = grid.column("close")
        if self.side == "long":
            gain = greatest_later(close, self.horizon_candles) / close - 1
        else:
            gain = 1 - -greatest_later(-close, self.horizon_candles) / close
        label = (gain >= self.threshold).astype("int8")
        return grid.frame("label", label, where_known(np.isfinite(gain), self.horizon_candles))
