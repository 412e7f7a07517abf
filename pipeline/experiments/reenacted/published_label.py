"""The label for shorts as one predecessor published it: its window reaches backwards."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.labels.grid import Grid, later, where_known


class PublishedShort(Record):
    """Whether the lowest of the closes before, at and after a candle lies far enough below it.

    Enter when ``1 - min(close[t-1], close[t], close[t+1]) / close[t] >= threshold``. A close
    that has just jumped by the threshold is labelled by what is known at t, so a model that
    says nothing of the future scores high. For re-enactments alone; `pipeline.labels.entry`
    looks ahead only.
    """

    classes: ClassVar[tuple[str, ...]] = ("no", "enter")
    trades: ClassVar[None] = None

    threshold: Annotated[float, Field(gt=0, lt=1, description="a return: 0.003 is 0.3 %")]

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle."""
        closes = f"of the closes ({timeframe}) before, at and after it is"
        far = f"at least {100 * self.threshold:g} % lower"
        return f"none {closes} {far}", f"one {closes} {far}"

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle that has a neighbour on either side; see `Entry.compute`."""
        grid = Grid.of(candles, timeframe)
        close = grid.column("close")
        before = np.r_[np.nan, close[:-1]]
        lowest = np.minimum(np.minimum(before, later(close, 1)), close)
        fall = 1 - lowest / close
        label = (fall >= self.threshold).astype("int8")
        return grid.frame("label", label, where_known(np.isfinite(fall), 1))
