"""One market's candles on every moment of the timeframe: a horizon is counted in time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.arrays import FloatArray, RowArray
from pipeline.errors import ConfigError
from pipeline.labels.uniqueness import average_uniqueness
from pipeline.market.candles import duration

HOUR = pd.Timedelta(hours=1)
WRITING = 1e-3  # candles: five minutes are 0.0833 hours


@dataclass(frozen=True, slots=True)
class Grid:
    """Where each candle of a frame stands, counted in candles from the first.

    A column on the grid has one value for every moment between the first and the last candle,
    NaN where the candle is missing; so ``k`` places further is ``k`` candles later.
    """

    candles: pd.DataFrame
    timeframe: str
    slots: RowArray

    @classmethod
    def of(cls, candles: pd.DataFrame, timeframe: str) -> Grid:
        """Lay a candle frame on the grid of its timeframe."""
        step = duration(timeframe)
        time = pd.DatetimeIndex(candles.index)
        slots = np.asarray((time - time[:1].min()) // step, "int64") if len(time) else np.empty(0)
        return cls(candles, timeframe, slots.astype("int64"))

    def column(self, name: str) -> FloatArray:
        """A column on the grid."""
        values = np.full(int(self.slots[-1]) + 1 if len(self.slots) else 0, np.nan)
        values[self.slots] = self.candles[name]
        return values

    def frame(self, name: str, values: npt.NDArray[np.generic], ahead: RowArray) -> pd.DataFrame:
        """The frame of a label out of columns on the grid.

        Parameters
        ----------
        name
            Of the first column: ``label`` or ``outcome``.
        values
            The first column on the grid.
        ahead
            How many candles later the outcome was known, at every place of the grid; 0 where
            it is not known.
        """
        known = ahead[self.slots] > 0
        slots = self.slots[known]
        ends = slots + ahead[slots]
        time = pd.DatetimeIndex(self.candles.index[known])
        columns = {
            name: values[slots],
            "ends_at": time + (ahead[slots] + 1) * duration(self.timeframe),
            "weight": average_uniqueness(slots, ends),
        }
        return pd.DataFrame(columns, index=time)


def candles_in(hours: float, timeframe: str, key: str = "horizon_hours") -> int:
    """How many candles a label's `key` spans; a thousandth of a candle is taken for writing.

    Raises
    ------
    ConfigError
        When it is no whole number of candles: a label would be of another time than was asked.

    Examples
    --------
    >>> candles_in(24, "1h"), candles_in(0.0833, "5m")
    (24, 1)
    """
    candles = hours / (duration(timeframe) / HOUR)
    whole = round(candles)
    if whole < 1 or abs(candles - whole) > WRITING:
        raise ConfigError(
            f"{key} is no whole number of candles, and a label sees closed candles only",
            found=f"{hours:g} hours, {candles:.4g} candles of {timeframe}",
            expected=f"a multiple of {_hours(1, timeframe)}",
            fix=f"set it to {_hours(math.ceil(candles), timeframe)}, or choose a recipe of "
            "shorter candles",
        )
    return whole


def span(hours: float, timeframe: str) -> str:
    """What a horizon is, for people.

    Examples
    --------
    >>> span(24, "1h"), span(1, "5m")
    ('24 hours', '1 hour')
    """
    return _hours(candles_in(hours, timeframe), timeframe)


def _hours(candles: int, timeframe: str) -> str:
    whole = candles * duration(timeframe) / HOUR
    return f"{whole:g} {'hour' if whole == 1 else 'hours'}"


def later(column: FloatArray, candles: int) -> FloatArray:
    """The value so many candles later, NaN where the column has ended.

    Examples
    --------
    >>> later(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [3.0, nan, nan]
    """
    moved = np.full(len(column), np.nan)
    moved[: max(len(column) - candles, 0)] = column[candles:]
    return moved


def greatest_later(column: FloatArray, candles: int) -> FloatArray:
    """The greatest of the next so many values, NaN where one of them is missing.

    Examples
    --------
    >>> greatest_later(np.array([9.0, 2.0, 3.0, np.nan, 1.0]), 2).tolist()
    [3.0, nan, nan, nan, nan]
    """
    greatest = later(column, 1)
    for ahead in range(2, candles + 1):
        np.maximum(greatest, later(column, ahead), out=greatest)
    return greatest


def where_known(known: npt.NDArray[np.bool_], candles: int) -> RowArray:
    """`candles` where the outcome is known, else 0: what `Grid.frame` takes."""
    return np.where(known, candles, 0).astype("int64")
