"""Candles of whole weeks, which tell how far back a venue goes.

A world of files whose timeframes begin at different moments began with the last of them: what an
older file has before it is no history that a venue withholds.
"""

from __future__ import annotations

import pandas as pd

from pipeline.market.candles import TIMEFRAMES
from pipeline.sandbox.world import Series, World


def weeks(world: World, venue: str, symbol: str, now: pd.Timestamp) -> pd.DataFrame:
    """Every week from Monday 00:00 UTC with a candle that is closed at `now`, oldest first."""
    coarsest_first = [Series(venue, symbol, timeframe) for timeframe in reversed(TIMEFRAMES)]
    served = [series for series in coarsest_first if world.serves(series)]
    series = max(served, key=world.first)
    frame = world.candles(venue, symbol, series.timeframe, world.first(series), now)
    times = pd.DatetimeIndex(frame.index)
    monday = times.normalize() - pd.to_timedelta(times.day_of_week, unit="D")
    how = {name: _how(name) for name in frame.columns}
    return frame.groupby(monday).agg(how)


def _how(column: str) -> str:
    return {"open": "first", "high": "max", "low": "min", "close": "last"}.get(column, "sum")
