"""Labels for shorts as one predecessor published them; the window of one reaches backwards.

A threshold is a return, 0.003 is 0.3 %. Neither is a record of configuration, so no recipe can name
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from pipeline.labels.grid import Grid, later, where_known


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedShort:
    """Whether the lowest of the closes before, at and after a candle lies far enough below it.

    Enter when ``1 - min(close[t-1], close[t], close[t+1]) / close[t] >= threshold``. A close
    that has just jumped by the threshold is labelled by what is known at t, so a model that
    says nothing of the future scores high. For re-enactments alone; `pipeline.labels.entry`
    looks ahead only.
    """

    classes: ClassVar[tuple[str, ...]] = ("no", "enter")
    trades: ClassVar[None] = None

    threshold: float

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PointShort:
    """Whether one close a few candles later lies far enough below a candle's own.

    Enter when ``close[t+n] / close[t] - 1 < -threshold``: how shorts were labelled before the label
    above. It looks ahead only, and calls no trade that fell and came back. For re-enactments alone.
    """

    classes: ClassVar[tuple[str, ...]] = ("no", "enter")
    trades: ClassVar[None] = None

    horizon_candles: int
    threshold: float

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle."""
        far = f"more than {100 * self.threshold:g} % lower"
        close = f"the close {self.horizon_candles} candles ({timeframe}) later is"
        return f"{close} not {far}", f"{close} {far}"

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle whose later close is there; see `Entry.compute`."""
        grid = Grid.of(candles, timeframe)
        close = grid.column("close")
        change = later(close, self.horizon_candles) / close - 1
        label = (change < -self.threshold).astype("int8")
        return grid.frame("label", label, where_known(np.isfinite(change), self.horizon_candles))
