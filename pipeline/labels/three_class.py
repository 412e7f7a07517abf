"""Sell, hold or buy: where the close stands a fixed time later."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.labels.uniqueness import average_uniqueness
from pipeline.market.candles import duration

EPOCH = pd.Timestamp(0, tz="UTC")


class ThreeClass(Record):
    """Class of the return over a fixed horizon.

    With ``r = close(t + horizon) / close(t) - 1``: buy when ``r > threshold``, sell when
    ``r < -threshold``, else hold. The horizon is counted in time, not in rows: where the
    candle at its end is missing the label is unknown and the row is dropped.
    """

    classes: ClassVar[tuple[str, ...]] = ("sell", "hold", "buy")

    horizon_hours: Annotated[float, Field(gt=0, le=24 * 90)]
    threshold: Annotated[float, Field(gt=0, lt=1, description="a return: 0.01 is 1 %")]

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle whose horizon is known.

        Returns
        -------
        DataFrame
            Indexed by time (candle open, UTC): ``label`` (int8 index into `classes`),
            ``ends_at`` (the moment the label became known: close of the last candle it saw),
            ``weight`` (average uniqueness).
        """
        step = duration(timeframe)
        horizon = pd.Timedelta(hours=self.horizon_hours).ceil(step)
        close = candles["close"]
        later = close.reindex(close.index + horizon).to_numpy()
        change = later / close.to_numpy() - 1
        known = np.isfinite(change)
        time = pd.DatetimeIndex(close.index[known])
        label = 1 + (change[known] > self.threshold) - (change[known] < -self.threshold).astype(int)
        slot = np.asarray((time - EPOCH) // step, "int64")
        weight = average_uniqueness(slot, slot + int(horizon / step))
        columns = {
            "label": label.astype("int8"),
            "ends_at": time + horizon + step,
            "weight": weight,
        }
        return pd.DataFrame(columns, index=time)
