"""Stay or exit: whether an open trade is near the best it will see."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from pipeline.arrays import RowArray
from pipeline.config import Record
from pipeline.labels.uniqueness import average_uniqueness
from pipeline.market.candles import duration
from pipeline.market.gains import gains
from pipeline.market.trades import TradeRows, TradeRule, trade_rows


class Exit(Record):
    """Whether leaving a trade at a candle's close was good.

    A trade's ``pnl`` at a candle is its side times ``close / close(entry) - 1``, its peak the
    greatest from the candle after the entry to the trade's end. Exit where ``pnl >= share *
    peak`` and ``pnl`` is greater than `horizon_candles` later, or than at the trade's end
    where that comes first. A row's label is known when its trade could have been held to the
    end, `trades.hold` candles after the entry, however soon it was over, so that the newest
    trades, and those before a test, are not those alone that were quick. Where one of these
    candles is missing the trade has no rows; nor has the candle that ended it.
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
        >>> Exit(trades=rule, share=0.8, horizon_candles=12).meanings("5m")[1].split(": ")[0]
        'leaving now is best'
        """
        most = f"{100 * self.share:g} % of the most it will ever gain"
        then = f"{self.horizon_candles} candles from now (at its end, if that comes first)"
        return (
            f"holding on is better: the trade has gained less than {most}, or {then} it will "
            "stand as high or higher",
            f"leaving now is best: the trade has gained at least {most}, and {then} it will stand "
            "lower",
        )

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every row of the trades that ended, indexed by trade and time.

        See `pipeline.labels.base.Label`.
        """
        rows, step = trade_rows(candles, self.trades, timeframe), duration(timeframe)
        time, hold = pd.DatetimeIndex(candles.index), self.trades.hold
        last = _last_places(rows)
        whole = np.isin(rows.entry, np.flatnonzero(time[hold:] - time[:-hold] == hold * step))
        kept = whole & (np.arange(len(rows)) < last)
        labelled = rows.take(kept)
        columns = {
            "label": self._judge(rows, last, candles)[kept].astype("int8"),
            "ends_at": time[labelled.entry] + (hold + 1) * step,
            "weight": average_uniqueness(labelled.row, labelled.entry + hold),
        }
        return pd.DataFrame(columns, index=labelled.index(candles))

    def _judge(
        self, rows: TradeRows, last: RowArray, candles: pd.DataFrame
    ) -> npt.NDArray[np.bool_]:
        close = np.ascontiguousarray(candles["close"], "float64")
        now, peak, _ = gains(close, rows.row, rows.entry, rows.side)
        waited = now[np.minimum(np.arange(len(rows)) + self.horizon_candles, last)]
        return np.asarray((now >= self.share * peak[last]) & (now > waited))


def _last_places(rows: TradeRows) -> RowArray:
    """Where the last row of each row's trade stands among the rows."""
    return np.searchsorted(rows.trade, rows.trade, side="right") - 1
