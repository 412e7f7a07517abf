"""Trades that a rule would have made, candle by candle: what an exit is learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from pipeline.arrays import FloatArray, RowArray
from pipeline.config import Record
from pipeline.errors import DataError
from pipeline.market.candles import TIME, duration
from pipeline.market.gains import ends_of

if TYPE_CHECKING:
    import pandas as pd

Side = Literal["long", "short"]
Share = Annotated[float, Field(gt=0, lt=1, description="of the price at entry: 0.01 is 1 %")]

SIGNS: dict[Side, int] = {"long": 1, "short": -1}


class TradeRule(Record):
    """When a trade is opened, and what ends it; everything is judged at closes.

    A trade is entered at the close of every candle whose number on the timeframe's grid,
    counted from 1970, is a multiple of `every`: a cut of the candles that starts elsewhere
    has the same trades. It ends with the first candle that closes `stop` against it or
    `profit` for it, or `hold` candles after the entry; it never crosses a hole.
    """

    side: Side
    every: Annotated[int, Field(ge=1, le=10_000, description="candles from entry to entry")] = 10
    hold: Annotated[int, Field(ge=1, le=5000, description="most candles a trade is held")] = 48
    stop: Share = 0.01
    profit: Share = 0.03
    from_candle: Annotated[
        int, Field(ge=1, le=5000, description="candles after the entry of a trade's first row")
    ] = 5

    @model_validator(mode="after")
    def _has_rows(self) -> Self:
        if self.from_candle > self.hold:
            raise ValueError(
                f"no trade has a row: from_candle is {self.from_candle}, hold {self.hold}"
            )
        return self

    @property
    def sign(self) -> int:
        """1 for long trades, -1 for short ones."""
        return SIGNS[self.side]


@dataclass(frozen=True, slots=True)
class TradeRows:
    """Candles on which a trade is open, one row each, in order of entry, then of candle.

    All arrays are int64 of one length; candles are numbered as in the frame they came from.

    Parameters
    ----------
    row
        The candle at whose close the row stands.
    entry
        The candle at whose close its trade was entered.
    trade
        Number of its trade, in order of entry.
    side
        1 where its trade is long, -1 where it is short.
    """

    row: RowArray
    entry: RowArray
    trade: RowArray
    side: RowArray

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: npt.NDArray[Any]) -> TradeRows:
        """The rows at some positions, or where a mask is true."""
        return TradeRows(
            self.row[chosen], self.entry[chosen], self.trade[chosen], self.side[chosen]
        )

    def index(self, candles: pd.DataFrame) -> pd.MultiIndex:
        """Keys of the rows in the frame they came from: (market, trade, time) or (trade, time).

        ``trade`` is the open time of the entry candle.
        """
        import pandas as pd

        market, time = _market_and_time(candles)
        keys = [time[self.entry], time[self.row]]
        names = ["trade", TIME]
        if market is None:
            return pd.MultiIndex.from_arrays(keys, names=names)
        return pd.MultiIndex.from_arrays([market[self.row], *keys], names=["market", *names])


def trade_rows(
    candles: pd.DataFrame, rule: TradeRule, timeframe: str, lookback: int = 1
) -> TradeRows:
    """Candle by candle, every trade that a rule would have made.

    Whether a row stands here depends on no later candle. The candle that ends a trade is its
    last row; the `from_candle` candles from the entry on have none.

    Parameters
    ----------
    candles
        Candle frame of one market, or of several, keyed (market, time).
    lookback
        Unbroken candles that a row ends, its own included; rows with fewer are left out.

    Raises
    ------
    DataError
        When a candle lies off the grid of the timeframe, or a close is no positive number.

    Examples
    --------
    >>> import pandas as pd
    >>> time = pd.date_range("2025-01-01", periods=6, freq="1h", tz="UTC", name="time")
    >>> candles = pd.DataFrame({"close": [100.0, 101.0, 104.0, 103.0, 103.0, 103.0]}, time)
    >>> rows = trade_rows(candles, TradeRule(side="long", every=3, from_candle=1), "1h")
    >>> rows.entry.tolist(), rows.row.tolist()
    ([0, 0, 3, 3], [1, 2, 4, 5])
    """
    market, time = _market_and_time(candles)
    close = np.ascontiguousarray(candles["close"], "float64")
    slot = _slots(time, timeframe)
    _check(close, candles.index)
    follows = _follows(slot, market)
    entries = np.flatnonzero(slot % rule.every == 0)
    ends = ends_of(close, follows, entries, (rule.sign, rule.hold, rule.stop, rule.profit))
    counts = np.maximum(ends - entries - rule.from_candle + 1, 0)
    entries, counts = entries[counts > 0], counts[counts > 0]
    trade = np.repeat(np.arange(len(entries), dtype=np.int64), counts)
    within = np.arange(len(trade), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    entry = entries[trade].astype(np.int64)
    rows = TradeRows(
        row=entry + rule.from_candle + within,
        entry=entry,
        trade=trade,
        side=np.full(len(trade), rule.sign, np.int64),
    )
    return rows.take(_unbroken(follows)[rows.row] >= lookback)


def _follows(slot: RowArray, market: pd.Index | None) -> npt.NDArray[np.bool_]:
    """Whether each candle is the one right after the candle before it."""
    follows = np.zeros(len(slot), np.bool_)
    follows[1:] = np.diff(slot) == 1
    if market is not None:
        follows[1:] &= np.asarray(market[1:] == market[:-1])
    return follows


def _unbroken(follows: npt.NDArray[np.bool_]) -> RowArray:
    """How many candles without a hole each candle ends, itself included."""
    places = np.arange(len(follows), dtype=np.int64)
    return places - np.maximum.accumulate(np.where(follows, 0, places)) + 1


def _market_and_time(candles: pd.DataFrame) -> tuple[pd.Index | None, pd.DatetimeIndex]:
    import pandas as pd

    if isinstance(candles.index, pd.MultiIndex):
        market = candles.index.get_level_values("market")
        return market, pd.DatetimeIndex(candles.index.get_level_values(TIME))
    return None, pd.DatetimeIndex(candles.index)


def _slots(time: pd.DatetimeIndex, timeframe: str) -> RowArray:
    step = duration(timeframe)
    moments = time.as_unit("ms").asi8
    length = int(step.total_seconds() * 1000)
    off = np.flatnonzero(moments % length)
    if len(off):
        raise DataError(
            "a candle lies off the timeframe's grid",
            where=str(time[off[0]]),
            expected=f"multiples of {timeframe} since 1970",
            fix="vintage data status",
        )
    return np.asarray(moments // length, "int64")


def _check(close: FloatArray, index: pd.Index) -> None:
    bad = np.flatnonzero(~(np.isfinite(close) & (close > 0)))
    if len(bad):
        raise DataError(
            "a close is no positive number",
            where=str(index[bad[0]]),
            found=str(close[bad[0]]),
            fix="vintage data status",
        )
