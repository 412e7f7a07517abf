"""Cut ``[as_of - history - memory, as_of)`` out of the candle store, for every market of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import pandas as pd
from pydantic import Field

from pipeline.config import Node, Record, home
from pipeline.errors import DataError
from pipeline.frames import key_by_market, write_frame
from pipeline.market.candles import duration, moment
from pipeline.market.exchanges.base import Exchange, Instrument
from pipeline.market.pool import Instruments
from pipeline.market.revisions import known_to
from pipeline.market.store import CandleStore, Series
from pipeline.market.sync import How, sync
from pipeline.runner import Context, Facts
from pipeline.stages import paths
from registry.files import sha256, write_atomic

KNOWN = "revisions_known"
NO_DOWNLOAD = "VINTAGE_NO_DOWNLOAD"  # set, the store is cut as it is


class Config(Record):
    """What to cut; of a pool, the same span of every member."""

    as_of: str
    exchange: Node
    market: Instrument | Instruments
    timeframe: str
    history_days: Annotated[float, Field(gt=0, le=36500)]
    memory: Annotated[int, Field(ge=0, description="candles before the history")]
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class _Cut:
    """One market's candles, and what the store knows of them beside."""

    market: str
    candles: pd.DataFrame
    known: Facts

    def span(self) -> Facts:
        """How many candles, and the first and the last."""
        first, last = self.candles.index[0], self.candles.index[-1]
        return {"rows": len(self.candles), "first": first.isoformat(), "last": last.isoformat()}


def run(config: Config, context: Context) -> Facts:
    """Sync the store where it lacks candles, then cut; a pure function of the store.

    The manifest says beside the rows who sent them (`sources`), what is missing and why
    (`holes`), which candles came with other values once (`revised`), and which of these revisions
    the cut holds (`revisions_known`); of a pool it says so of each of the `members`.
    """
    exchange: Exchange = context.build(config.exchange, "exchange")
    store = CandleStore(home() / "data" / "store")
    how = How(now=context.now)
    cuts = [_cut(config, exchange, store, each, how) for each in config.market.members]
    _save_reference(config, store)
    return _save(config, exchange.feed, cuts)


def span(config: Config) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last moment of the cut; the last is as_of on the grid of the timeframe."""
    step = duration(config.timeframe)
    end = moment(config.as_of).floor(step)
    start = end - pd.Timedelta(days=config.history_days) - config.memory * step
    return start.floor(step), end


def _cut(
    config: Config, exchange: Exchange, store: CandleStore, market: Instrument, how: How
) -> _Cut:
    start, end = span(config)
    series = Series(exchange.feed, market.name, config.timeframe)
    asked = exchange.reachable and not os.environ.get(NO_DOWNLOAD)
    if asked and store.lacks(series, start, end):
        sync(store, exchange, market, config.timeframe, start, end, how)
    candles = store.read(series, start, end)
    if candles.empty:
        raise DataError(
            f"no candles of {market.name} before as_of",
            where=f"feed {exchange.feed}, {config.timeframe}",
            found="none in the store" if store.span(series) is None else "only others",
            expected=f"{start.isoformat()} to {end.isoformat()}",
            fix="name a source for them (exchange=replay exchange.root=FOLDER) or another as_of",
        )
    return _Cut(market.name, candles, _known(store, series, candles))


def _known(store: CandleStore, series: Series, candles: pd.DataFrame) -> Facts:
    """What the store knows of the cut beside its candles."""
    ends = candles.index[0], candles.index[-1] + duration(series.timeframe)
    every = store.revisions(series, *ends)
    known = known_to(candles, every)
    return {
        "sources": store.sources(series, *ends),
        "holes": [
            {
                "first": hole.first.isoformat(),
                "last": hole.last.isoformat(),
                "candles": hole.candles,
                "kind": hole.kind,
            }
            for hole in store.holes(series, *ends)
        ],
        "revised": [time.isoformat() for time in sorted({one.time for one in every})],
        KNOWN: [revision.key for revision in known],
    }


def _save_reference(config: Config, store: CandleStore) -> None:
    paths.REFERENCE.unlink(missing_ok=True)
    if config.reference is None:
        return
    candles = store.read(Series.parse(config.reference), *span(config))
    if candles.empty:
        raise DataError(
            "the second source has no candles of this span",
            where="validation.reference",
            found=config.reference,
            fix="sync or import it first; vintage data status lists what is stored",
        )
    write_frame(paths.REFERENCE, key_by_market(candles, config.market.name))


def _save(config: Config, feed: str, cuts: Sequence[_Cut]) -> Facts:
    candles = pd.concat([key_by_market(cut.candles, cut.market) for cut in cuts])
    write_frame(paths.RAW, candles)
    time = candles.index.get_level_values("time")
    asked = span(config)
    facts: Facts = {
        "feed": feed,
        "market": config.market.name,
        "timeframe": config.timeframe,
        "rows": len(candles),
        "first": time.min().isoformat(),
        "last": time.max().isoformat(),
    }
    manifest = {
        **facts,
        **_told(config, cuts),
        "asked_from": asked[0].isoformat(),
        "asked_to": asked[1].isoformat(),
        "sha256": sha256(paths.RAW.read_bytes()),
    }
    told = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    write_atomic(paths.RAW_MANIFEST, told.encode())
    return facts


def _told(config: Config, cuts: Sequence[_Cut]) -> Facts:
    """What is known of the one market, or of each member of a pool."""
    if isinstance(config.market, Instrument):
        return cuts[0].known
    members = {cut.market: {**cut.span(), **cut.known} for cut in cuts}
    return {
        "members": members,
        KNOWN: [f"{name} {key}" for name, facts in members.items() for key in facts[KNOWN]],
    }
