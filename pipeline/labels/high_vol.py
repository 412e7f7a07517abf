"""Calm or high: whether the next window moves more than training rows usually did."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.arrays import FloatArray
from pipeline.config import Record
from pipeline.labels.grid import Grid, candles_in, greatest_later, span, where_known
from pipeline.labels.learned import LearnedThreshold
from pipeline.labels.volatility import realised_volatility


class HighVol(Record):
    """Whether the window after a candle is among the wild ones.

    The outcome of a row is what its next `horizon_hours` did: ``range`` is ``(max(high) -
    min(low)) / close(t)``, ``realised`` the root of the sum of squared one-candle returns. A
    row is high when its outcome lies above the `quantile` of the outcomes of training rows.
    Where a candle of the window is missing the outcome is unknown and the row is dropped.
    """

    classes: ClassVar[tuple[str, ...]] = ("calm", "high")
    trades: ClassVar[None] = None

    measure: Literal["range", "realised"]
    horizon_hours: Annotated[float, Field(gt=0, le=24 * 90)]
    quantile: Annotated[float, Field(gt=0, lt=1)]

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle; `candles_in` tells what is refused.

        Examples
        --------
        >>> HighVol(measure="range", horizon_hours=24, quantile=0.8).meanings("1h")[1]
        'the range of the next 24 hours is above that of 80 % of the training rows'
        """
        names = {"range": "range", "realised": "realised volatility"}
        window = f"the {names[self.measure]} of the next {span(self.horizon_hours, timeframe)} is"
        usual = f"that of {100 * self.quantile:g} % of the training rows"
        return f"{window} not above {usual}", f"{window} above {usual}"

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Measure every candle whose window is known; see `pipeline.labels.base.Label`."""
        grid = Grid.of(candles, timeframe)
        close, horizon = grid.column("close"), candles_in(self.horizon_hours, timeframe)
        if self.measure == "range":
            highest = greatest_later(grid.column("high"), horizon)
            lowest = -greatest_later(-grid.column("low"), horizon)
            outcome = (highest - lowest) / close
        else:
            outcome = realised_volatility(close, horizon)
        return grid.frame("outcome", outcome, where_known(np.isfinite(outcome), horizon))

    def learn(self, outcomes: FloatArray) -> LearnedThreshold:
        """Learn the threshold from the outcomes of training rows, each counted once."""
        return LearnedThreshold(threshold=float(np.quantile(outcomes, self.quantile)))
