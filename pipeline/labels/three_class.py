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
HOUR = pd.Timedelta(hours=1)


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
        """What each class says of a candle.

        Examples
        --------
        >>> ThreeClass(horizon_hours=24, threshold=0.01).meanings("1h")[0]
        'the close 24 hours later is more than 1 % lower'
        """
        hours = self._horizon(duration(timeframe)) / HOUR
        later = f"the close {hours:g} {'hour' if hours == 1 else 'hours'} later is"
        far = f"{100 * self.threshold:g} %"
        ends = (f"more than {far} lower", f"at most {far} away", f"more than {far} higher")
        return tuple(f"{later} {end}" for end in ends)

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
        horizon = self._horizon(step)
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

    def _horizon(self, step: pd.Timedelta) -> pd.Timedelta:
        return pd.Timedelta(hours=self.horizon_hours).ceil(step)
