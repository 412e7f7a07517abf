"""The candles that a re-enactment is made of."""

from __future__ import annotations

import pandas as pd

from pipeline.build import build
from pipeline.errors import DataError
from pipeline.market.checks.cut import Asked
from pipeline.market.exchanges.base import Market
from pipeline.market.sync import How, sync
from pipeline.operations.target import Target
from pipeline.stages import download


def candles_of(target: Target, market: Market, now: pd.Timestamp) -> pd.DataFrame:
    """The recipe's span of a market out of the store, fetched where the store lacks it, checked.

    Raises
    ------
    DataError
        When there is none.
    """
    config = download.Config.model_validate(target.plan.stages["download"])
    start, end = download.span(config)
    store, series, run = target.store, target.series_of(market), target.plan.run
    if target.exchange.reachable and store.lacks(series, start, end):
        how = How(now=now)
        sync(store, target.exchange, market.instrument, run.timeframe, start, end, how)
    candles = store.read(series, start, end)
    if candles.empty:
        raise DataError(
            f"no candles of {market.name} before as_of",
            where=f"feed {series.feed}, {run.timeframe}",
            fix="name a source for them: exchange=replay exchange.root=FOLDER",
        )
    node = target.plan.stages["validate"]["validation"]
    rules = build(node, "validation", target.plan.plugins)
    asked = Asked(market.name, start, tuple(store.holes(series, start, end)))
    checked: pd.DataFrame = rules.sift(candles, run.timeframe, end, asked).candles
    return checked
