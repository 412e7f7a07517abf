"""Candles of one market or of many, as the arrays that indicators read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from pipeline.arrays import FloatArray, RowArray
from pipeline.errors import DataError
from pipeline.market.candles import USUAL

if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result")

_AT_ZERO = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class CandleArrays:
    """Columns of candle frames as float64 arrays of one length, oldest candle first.

    Markets stand one after the other, each at a stretch; `starts` are the rows at which they
    begin. The arrays, and what `shared` gives, are for reading only.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    value: FloatArray
    starts: RowArray = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    _kept: dict[tuple[Any, ...], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def from_frame(cls, candles: pd.DataFrame) -> Self:
        """Take the columns of a candle frame, one market's or one keyed (market, time).

        A column that it lacks is NaN.

        Raises
        ------
        DataError
            When the candles of a market do not stand together.
        """
        opened, high, low, close, volume, value = (_column(candles, name) for name in USUAL)
        return cls(opened, high, low, close, volume, value, market_starts(candles.index))

    @property
    def lengths(self) -> RowArray:
        """Candles of each market."""
        return np.diff(self.starts, append=self.close.size)

    def part(self, first: int, last: int) -> Self:
        """Rows from `first` to before `last`, as views; the market of `first` begins there."""
        starts = _AT_ZERO
        if self.starts.size > 1:
            inside = self.starts[(self.starts > first) & (self.starts < last)] - first
            starts = np.concatenate((_AT_ZERO, inside))
        rows = slice(first, last)
        return type(self)(
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.volume[rows],
            self.value[rows],
            starts,
        )

    def shared(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function once for all columns that are made of the same piece.

        Parameters
        ----------
        function
            Pure; the same arguments give the same result.
        arguments
            Plain values, and arrays that live as long as the candles do: columns, `starts` or
            what `shared` gave.
        """
        key = (function, *[id(a) if type(a) is np.ndarray else a for a in arguments])
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = (function(*arguments), arguments)
        result: Result = kept[0]
        return result


def market_starts(index: pd.Index) -> RowArray:
    """Rows at which the markets of an index begin; 0 alone where it is of time only.

    Raises
    ------
    DataError
        When the rows of a market do not stand together.
    """
    import pandas as pd

    if not isinstance(index, pd.MultiIndex):
        return _AT_ZERO
    codes = np.asarray(index.codes[index.names.index("market")])
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]][: len(codes)])
    begun = codes[starts]
    if len(np.unique(begun)) < len(begun):
        twice = index.get_level_values("market")[starts]
        raise DataError(
            "the candles of a market do not stand together",
            where=str(twice[twice.duplicated()][0]),
            fix="sort the frame by market and time",
        )
    return starts.astype(np.int64)


def _column(candles: pd.DataFrame, name: str) -> FloatArray:
    if name not in candles.columns:
        return np.full(len(candles), np.nan)
    column = candles[name].array.to_numpy(dtype=np.float64)
    return np.ascontiguousarray(column)
