"""Cut ``[as_of - history - memory, as_of)`` out of the candle store."""

from __future__ import annotations

import json
from typing import Annotated

import pandas as pd
from pydantic import Field

from pipeline.config import Node, Record, home
from pipeline.errors import DataError
from pipeline.frames import key_by_market, write_frame
from pipeline.market.candles import duration, moment
from pipeline.market.exchanges.base import Exchange, Instrument
from pipeline.market.store import CandleStore, Series
from pipeline.market.sync import sync
from pipeline.runner import Context, Facts
from pipeline.stages import paths
from registry.files import sha256, write_atomic


class Config(Record):
    """What to cut."""

    as_of: str
    exchange: Node
    market: Instrument
    timeframe: str
    history_days: Annotated[float, Field(gt=0, le=36500)]
    memory: Annotated[int, Field(ge=0, description="candles before the history")]


def run(config: Config, context: Context) -> Facts:
    """Sync the store where it lacks candles, then cut; a pure function of the store."""
    exchange: Exchange = context.build(config.exchange, "exchange")
    start, end = span(config)
    series = Series(exchange.feed, config.market.name, config.timeframe)
    store = CandleStore(home() / "data" / "store")
    if exchange.reachable and _lacks(store, series, start, end):
        sync(store, exchange, config.market, config.timeframe, start, end)
    candles = store.read(series, start, end)
    if candles.empty:
        raise DataError(
            f"no candles of {config.market.name} before as_of",
            where=f"feed {exchange.feed}, {config.timeframe}",
            found="none in the store" if store.span(series) is None else "only others",
            expected=f"{start.isoformat()} to {end.isoformat()}",
            fix="name a source for them (exchange=replay exchange.root=FOLDER) or another as_of",
        )
    return _save(config, exchange.feed, candles)


def span(config: Config) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last moment of the cut; the last is as_of on the grid of the timeframe."""
    step = duration(config.timeframe)
    end = moment(config.as_of).floor(step)
    start = end - pd.Timedelta(days=config.history_days) - config.memory * step
    return start.floor(step), end


def _lacks(store: CandleStore, series: Series, start: pd.Timestamp, end: pd.Timestamp) -> bool:
    held = store.span(series)
    step = duration(series.timeframe)
    if held is None or held.first > start or held.last + step < end:
        return True
    return any(first < end and start < stop for first, stop in store.missing_months(series))


def _save(config: Config, feed: str, candles: pd.DataFrame) -> Facts:
    write_frame(paths.RAW, key_by_market(candles, config.market.name))
    asked = span(config)
    facts: Facts = {
        "feed": feed,
        "market": config.market.name,
        "timeframe": config.timeframe,
        "rows": len(candles),
        "first": candles.index[0].isoformat(),
        "last": candles.index[-1].isoformat(),
    }
    manifest = {
        **facts,
        "asked_from": asked[0].isoformat(),
        "asked_to": asked[1].isoformat(),
        "sha256": sha256(paths.RAW.read_bytes()),
    }
    told = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    write_atomic(paths.RAW_MANIFEST, told.encode())
    return facts
