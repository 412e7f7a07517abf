"""Stay or exit: whether an open trade is near the best it will see."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.labels.uniqueness import average_uniqueness
from pipeline.market.candles import duration
from pipeline.market.trades import TradeRows, TradeRule, trade_rows

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]


class Exit(Record):
    """Whether leaving a trade at a candle's close was good.

    A trade's ``pnl`` at a candle is its side times ``close / close(entry) - 1``, its peak the
    greatest from the candle after the entry to the trade's end. Exit where ``pnl >= share *
    peak`` and ``pnl`` is greater than `horizon_candles` later, or than at the trade's end
    where that comes first. Both are known when the trade has ended, so every row of a trade
    ends with its last candle; rows of trades that are still open, or that a hole cut, are
    dropped, and so is the last candle of a trade, which is over by then.
    """

    classes: ClassVar[tuple[str, ...]] = ("stay", "exit")

    trades: TradeRule
    share: Annotated[float, Field(gt=0, le=1, description="of the whole trade's peak")]
    horizon_candles: Annotated[int, Field(ge=1, le=5000)]

    def meanings(self, timeframe: str) -> tuple[str, ...]:  # noqa: ARG002
        """What each class says of an open trade.

        Examples
        --------
        >>> rule = TradeRule(side="long")
        >>> Exit(trades=rule, share=0.8, horizon_candles=12).meanings("5m")[1]
        'the trade has 80 % of the best gain of its life or more, and more than 12 candles later'
        """
        near = f"{100 * self.share:g} % of the best gain of its life or more"
        later = f"more than {self.horizon_candles} candles later"
        return "one of the two does not hold", f"the trade has {near}, and {later}"

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every row of the trades that ended, indexed by trade and time.

        See `pipeline.labels.base.Label`.
        """
        every, step = trade_rows(candles, self.trades, timeframe), duration(timeframe)
        last = _last_rows(every)
        close = candles["close"].to_numpy("float64")
        kept = _has_ended(every.entry, last, close, self.trades) & (every.row < last)
        rows, last = every.take(kept), last[kept]
        time = pd.DatetimeIndex(candles.index)
        columns = {
            "label": self._judge(rows, last, close).astype("int8"),
            "ends_at": time[last] + step,
            "weight": average_uniqueness(rows.row, last),
        }
        return pd.DataFrame(columns, index=rows.index(candles))

    def _judge(self, rows: TradeRows, last: Slots, close: Floats) -> npt.NDArray[np.bool_]:
        sign = self.trades.sign
        now = _pnl(close, rows.entry, rows.row, sign)
        waited = _pnl(close, rows.entry, np.minimum(rows.row + self.horizon_candles, last), sign)
        entries, first = np.unique(rows.entry, return_index=True)
        peaks = _peaks(close, entries, last[first], self.trades)
        peak = peaks[np.searchsorted(entries, rows.entry)]
        return np.asarray((now >= self.share * peak) & (now > waited))


def _pnl(close: Floats, entry: Slots, row: Slots, sign: int) -> Floats:
    return np.asarray(sign * (close[row] / close[entry] - 1.0))


def _last_rows(rows: TradeRows) -> Slots:
    """The last candle of each row's trade."""
    count = np.bincount(rows.trade) if len(rows) else np.empty(0, "int64")
    return np.repeat(rows.row[np.cumsum(count) - 1], count)


def _has_ended(entry: Slots, last: Slots, close: Floats, rule: TradeRule) -> npt.NDArray[np.bool_]:
    """Whether a trade's last candle ended it, rather than a hole or the end of the candles."""
    pnl = _pnl(close, entry, last, rule.sign)
    return np.asarray((last - entry == rule.hold) | (pnl <= -rule.stop) | (pnl >= rule.profit))


def _peaks(close: Floats, entries: Slots, last: Slots, rule: TradeRule) -> Floats:
    """Greatest pnl of each trade over its whole life."""
    peaks = np.full(len(entries), -np.inf)
    for held in range(1, rule.hold + 1):
        pnl = _pnl(close, entries, np.minimum(entries + held, last), rule.sign)
        np.maximum(peaks, pnl, out=peaks)
    return peaks
