"""The candles of a slot, without a run: brought into the store, or known to lie there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import DataError, RetryLater
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Market
from pipeline.market.sync import How, SyncReport, sync
from pipeline.operations.places import Places
from pipeline.operations.retraining.revisions import mark_revised
from pipeline.operations.target import Target
from pipeline.operations.workspace import FOLDER
from pipeline.stages.download import Config, span
from registry.files import write_atomic


@dataclass(frozen=True, slots=True)
class Fetched:
    """How many candles are new, and what to say of them."""

    new: int
    sentence: str


def fetch(target: Target, places: Places, now: pd.Timestamp) -> Fetched:
    """Bring what a run would cut into the store, for every market of the slot.

    Raises
    ------
    DataError
        When the exchange cannot be asked, or has no candle.
    RetryLater
        When it did not answer for everything; what came is stored.
    """
    if not target.exchange.reachable:
        raise DataError(
            "there is nobody to ask for candles",
            where=f"exchange={target.plan.run.exchange}",
            fix="name where they are (exchange.root=FOLDER), or run without --download-only",
        )
    reports = [_sync(target, places, market, now) for market in target.market.members]
    new = sum(report.appended + report.revised for report in reports)
    return Fetched(new, "; ".join(map(_told, reports)))


def is_short(target: Target, places: Places) -> bool:
    """Whether the slot was last cut from a store that its exchange could have added to.

    DVC takes that cut for the one of its moment; a run that may ask has to make it anew.
    """
    return _mark(target, places).is_file()


def mark_short(target: Target, places: Places, fetched: bool) -> None:
    """Note or forget that; called after a run.

    Parameters
    ----------
    fetched
        Whether the run could ask the exchange.
    """
    if not fetched and _lacks(target):
        write_atomic(_mark(target, places), b"")
    elif fetched:
        _mark(target, places).unlink(missing_ok=True)


def stored_close(target: Target) -> pd.Timestamp:
    """Close of the last stored candle; of a pool, of the member whose candles end first.

    Raises
    ------
    DataError
        When the store has none.
    """
    return min(_close_of(target, market) for market in target.market.members)


def _close_of(target: Target, market: Market) -> pd.Timestamp:
    held = target.store.span(target.series_of(market))
    if held is None:
        raise DataError(
            f"the store has no candle of {market.name}, and --no-download fetches none",
            where=str(target.series_of(market)),
            fix=f"vintage data sync {target.words}, or leave out --no-download",
        )
    return held.last + duration(target.plan.run.timeframe)


def _mark(target: Target, places: Places) -> Path:
    return places.home / FOLDER / f"{target.slot}.short"


def _lacks(target: Target) -> bool:
    ends = span(Config.parse(target.plan.stages["download"], "download"))
    series = map(target.series_of, target.market.members)
    return target.exchange.reachable and any(target.store.lacks(each, *ends) for each in series)


def _sync(target: Target, places: Places, market: Market, now: pd.Timestamp) -> SyncReport:
    start, end = span(Config.parse(target.plan.stages["download"], "download"))
    timeframe = target.plan.run.timeframe
    how = How(now=now)
    exchange, instrument = target.exchange, market.instrument
    report = sync(target.store, exchange, instrument, timeframe, start, end, how)
    mark_revised(places.registry, target.store, target.series_of(market), now)
    require_candles(report, start, end, "another as_of")
    return report


def require_candles(
    report: SyncReport, start: pd.Timestamp, end: pd.Timestamp, instead: str
) -> None:
    """Refuse a span of which nothing, or not all, could be asked for; `instead` is what may help.

    Raises
    ------
    DataError
        When the source has no candle of it.
    RetryLater
        When it did not answer for everything; what came is stored.
    """
    if report.first is None:
        raise DataError(
            "the source has no candle of the span",
            where=f"{report.series}; missing: {start.isoformat()} to {end.isoformat()}",
            fix=f"ask for {instead}, or correct the exchange or its files",
        )
    if report.unknown:
        raise RetryLater(
            "the source did not answer for every hole",
            where=str(report.series),
            found=f"{report.unknown} candles still missing; vintage data status lists them",
            fix="repeat later; what came is stored",
        )


def _told(report: SyncReport) -> str:
    revised = f", {report.revised} revised" if report.revised else ""
    return f"{report.series}: {report.appended} new candles{revised}, stored to {report.last}"
