"""Bringing a series of the store up to date with its exchange."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline.errors import DataError
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Exchange, Instrument
from pipeline.market.store import CandleStore, Series, Span
from pipeline.market.validation import check_times

COMPARED = 3


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did: candles asked for and appended, and what is stored now."""

    series: Series
    asked: int
    appended: int
    first: pd.Timestamp | None
    last: pd.Timestamp | None


def sync(  # noqa: PLR0913, PLR0917 - the three that name a series, and the two that name a span
    store: CandleStore,
    exchange: Exchange,
    market: Instrument,
    timeframe: str,
    start: pd.Timestamp,
    end: pd.Timestamp,
) -> SyncReport:
    """Fetch what is missing around the stored candles, as far as [start, end) reaches.

    What is fetched overlaps what is stored by three candles: an answer that stops short makes no
    hole, and a source that changed its mind is noticed. A month between stored ones whose file
    is gone is fetched anew.

    Raises
    ------
    DataError
        When what came is not increasing, on the grid, closed and inside what was asked, or when
        it differs from what is stored or lacks it.
    """
    series = Series(exchange.feed, market.name, timeframe)
    step = duration(timeframe)
    start, end = start.ceil(step), end.floor(step)
    asked, came = 0, []
    pieces = _pieces(store.span(series), step, start, end)
    for since, stop in pieces + _lost(store, series, start, end):
        candles = exchange.fetch(market, timeframe, since, stop)
        asked += int((stop - since) / step)
        if len(candles):
            _check_fetched(candles, series, since, stop)
            _require_stored(store.read(series, since, stop), candles, series)
            came.append(candles)
    appended = store.append(series, _joined(came)) if came else 0
    stored = store.span(series)
    first, last = (stored.first, stored.last) if stored else (None, None)
    return SyncReport(series, asked, appended, first, last)


def _pieces(
    span: Span | None, step: pd.Timedelta, start: pd.Timestamp, end: pd.Timestamp
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    if start >= end:
        return []
    if span is None:
        return [(start, end)]
    reach = (COMPARED - 1) * step
    head = (start, min(span.first + reach, span.last) + step)
    tail = (max(span.first, span.last - reach), end)
    return [head] * (start < span.first) + [tail] * (end > span.last + step)


def _lost(
    store: CandleStore, series: Series, start: pd.Timestamp, end: pd.Timestamp
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    months = [(max(first, start), min(stop, end)) for first, stop in store.missing_months(series)]
    return [(first, stop) for first, stop in months if first < stop]


def _joined(pieces: list[pd.DataFrame]) -> pd.DataFrame:
    joined = pd.concat(pieces)
    return joined[~joined.index.duplicated()].sort_index()


def _check_fetched(
    candles: pd.DataFrame, series: Series, first: pd.Timestamp, stop: pd.Timestamp
) -> None:
    check_times(candles.index, series.timeframe, stop, str(series))
    if candles.index[0] < first:
        raise DataError(
            "the source sent a candle that was not asked for",
            where=str(series),
            found=candles.index[0].isoformat(),
            expected=f"{first.isoformat()} or later",
            fix="correct the exchange adapter",
        )


def _require_stored(stored: pd.DataFrame, candles: pd.DataFrame, series: Series) -> None:
    gone = stored.index.difference(candles.index)
    if len(gone):
        raise DataError(
            "the source no longer has a candle that is stored",
            where=str(series),
            found=f"none at {gone[0].isoformat()}",
            expected="the stored candles again",
            fix="find out whether this is the same source; if not, give it its own store",
        )
