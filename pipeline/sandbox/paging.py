"""Which candles stand on a page: newest before a moment, or oldest from one; forming included."""

from __future__ import annotations

import pandas as pd

from pipeline.sandbox.messages import Ask
from pipeline.sandbox.weeks import weeks
from pipeline.sandbox.world import WEEK, Series, World


def newest(
    world: World, series: Series, before: pd.Timestamp, count: int, ask: Ask
) -> pd.DataFrame:
    """The `count` newest candles with ``time < before`` that exist at `ask.now`, oldest first."""
    if series.timeframe == WEEK:
        return weeks(world, series.venue, series.symbol, ask.now)[:before].tail(count)
    first = world.first(series)
    before = min(before, ask.now.ceil(series.step) + series.step)
    reach = count
    while True:
        start = before - reach * series.step
        page = seen(world, series, max(start, first), before, ask)
        if len(page) >= count or start <= first:
            return page.tail(count)
        reach *= 4


def oldest(world: World, series: Series, start: pd.Timestamp, count: int, ask: Ask) -> pd.DataFrame:
    """The `count` oldest candles with ``start <= time`` that exist at `ask.now`."""
    if series.timeframe == WEEK:
        return weeks(world, series.venue, series.symbol, ask.now)[start:].head(count)
    start = max(start.ceil(series.step), world.first(series))
    reach = count
    while True:
        before = start + reach * series.step
        page = seen(world, series, start, before, ask)
        if len(page) >= count or before > ask.now:
            return page.head(count)
        reach *= 4


def seen(
    world: World, series: Series, start: pd.Timestamp, before: pd.Timestamp, ask: Ask
) -> pd.DataFrame:
    """Every candle with ``start <= time < before`` that exists at `ask.now`."""
    end = min(ask.now, before + series.step)
    page = world.candles(series.venue, series.symbol, series.timeframe, start, end)
    page = page[page.index < before]
    if start <= ask.now.floor(series.step) < before:
        page = pd.concat([page, world.forming(series, ask.now, ask.turn)])
    return page
