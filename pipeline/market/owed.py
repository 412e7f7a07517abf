"""After a sync: whether the source gave every candle that it says it has."""

from __future__ import annotations

import pandas as pd

from pipeline.errors import RetryLater
from pipeline.market.asking import Task


def require_given(task: Task) -> None:
    """Refuse an end before the source's newest candle, or a start after its first.

    Where a venue answers, the start was proven while it was asked.

    Raises
    ------
    RetryLater
        Naming the candle that the source has and did not give.
    """
    start, end = task.ends
    if start >= end:
        return
    held = task.store.span(task.series)
    last = held.last if held else start - task.step
    if last + task.step < end:
        newest = task.exchange.newest(task.market, task.series.timeframe, end)
        if newest is not None and last < newest < end:
            raise _withheld(task, newest)
    first = held.first if held else end
    if start < first and not task.online:
        known = task.exchange.first_candle(task.market, task.series.timeframe)
        if known is not None and max(known, start) < first:
            raise _withheld(task, max(known, start))


def _withheld(task: Task, moment: pd.Timestamp) -> RetryLater:
    return RetryLater(
        "the source has candles of the span that it did not give",
        where=str(task.series),
        found=f"none at {moment.isoformat()}",
        fix="repeat later; what came is stored",
    )
