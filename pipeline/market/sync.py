"""Bringing a series of the store up to date with its exchange.

What is asked for grows outwards from what is stored, in pieces: each is checked and stored before
the next is asked for, so that a kill loses little. Nothing is locked while the exchange answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from pipeline.errors import ConfigError, DataError, RetryLater, VintageError
from pipeline.market.asking import (
    Progress,
    Tally,
    Task,
    ask_for_holes,
    extend,
    renew,
    silent,
    unlisted,
)
from pipeline.market.candles import duration
from pipeline.market.confirming import Answered, confirm, fates, open_slots
from pipeline.market.exchanges.base import Exchange, Instrument
from pipeline.market.feeds import remember
from pipeline.market.owed import require_given
from pipeline.market.partitions import Moments
from pipeline.market.plan import Ends
from pipeline.market.reasons import Rule
from pipeline.market.store import CandleStore, Series

__all__ = ["How", "Progress", "SyncReport", "sync"]
QUIET = pd.Timedelta(hours=3)  # longest time without a trade, where the exchange names none
KINDS = (RetryLater, DataError, ConfigError)


@dataclass(frozen=True, slots=True)
class How:
    """How a sync behaves, beside what it is asked for.

    Parameters
    ----------
    now
        Candles that close after it, less the exchange's grace, are not asked for yet; without
        it the end of the span is trusted.
    notify
        Called after every answer.
    force
        Fetch the whole span anew; what it replaces is kept as one generation.
    repair
        Ask again for every hole of the series, confirmed or not; what is stored is not
        extended by it.
    """

    now: pd.Timestamp | None = None
    notify: Callable[[Progress], None] = silent
    force: bool = False
    repair: bool = False


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, and what is stored now.

    Parameters
    ----------
    asked, appended, revised
        Candles asked for, added, and replaced because the source changed its mind.
    came
        Candles that the source sent, stored before or not.
    recovered, empty
        Of the candles that were missing inside what is stored, those that came after all, and
        those that the source confirmed not to have. A repair counts all of them, and what came
        before the venue's first candle; otherwise those of the span that nobody had answered for.
    unknown
        Candles that still nobody has answered for, of the span or, in a repair, of the series.
    """

    series: Series
    asked: int
    appended: int
    first: pd.Timestamp | None
    last: pd.Timestamp | None
    revised: int = 0
    recovered: int = 0
    empty: int = 0
    unknown: int = 0
    came: int = 0


def sync(  # noqa: PLR0913, PLR0917 - the three that name a series, and the two that name a span
    store: CandleStore,
    exchange: Exchange,
    market: Instrument,
    timeframe: str,
    start: pd.Timestamp,
    end: pd.Timestamp,
    how: How | None = None,
) -> SyncReport:
    """Fetch what is missing around and inside the stored candles, within [start, end).

    The last three closed candles are fetched again: one that changed becomes a revision. A
    candle that an answer lacks is remembered as confirmed and not asked for again.

    Raises
    ------
    DataError
        When what came is not increasing, on the grid, closed, sound and inside what was asked,
        lacks what is stored, or is another feed.
    RetryLater
        When the exchange does not answer, naming the span that is missing; what came before is
        stored.
    """
    step, how = duration(timeframe), how or How()
    ends = start.ceil(step), _closed(end, exchange, how).floor(step)
    series = Series(exchange.feed, market.name, timeframe)
    at = ends[1] if how.now is None else how.now
    exchange = _beside(_hurried(exchange), store, series)
    task = Task(store, exchange, market, series, ends, at, how.notify, Tally())
    counted = None if how.repair else ends
    asked = open_slots(store, series, counted)
    stays = how.repair and not how.force and store.span(series) is not None
    try:
        if ends[0] < ends[1] and not stays:
            (renew if how.force else extend)(task)
        ask_for_holes(task, how.repair)
        if not stays:
            require_given(task)
    except VintageError as error:
        _settle(task)
        raise _naming_what_lacks(error, task) from None
    _settle(task)
    remember(store, exchange)
    return _report(task, asked, counted)


def _hurried(exchange: Exchange) -> Exchange:
    """An exchange on the network ends all that one sync asks for by one deadline."""
    limit = getattr(exchange, "for_one_sync", None)
    return exchange if limit is None else limit()


def _beside(exchange: Exchange, store: CandleStore, series: Series) -> Exchange:
    """An exchange of several sources compares them with what is stored."""
    compare = getattr(exchange, "beside", None)
    return exchange if compare is None else compare(partial(store.own, series))


def _closed(end: pd.Timestamp, exchange: Exchange, how: How) -> pd.Timestamp:
    if how.now is None:
        return end
    grace = getattr(exchange, "grace_seconds", None) or 0.0
    return min(end, how.now - pd.Timedelta(seconds=grace))


def _settle(task: Task) -> None:
    if task.store.span(task.series) is None:
        return
    longest = getattr(task.exchange, "outage_candles", None) or int(-(-QUIET // task.step))
    rule = Rule(task.step, task.exchange.omits_empty, longest)
    answered = Answered(task.tally.answered, task.at, task.tally.unlisted_from)
    confirm(task.store, task.series, answered, rule)


def _report(task: Task, asked: Moments, counted: Ends | None) -> SyncReport:
    stored, tally = task.store.span(task.series), task.tally
    recovered, empty = fates(task.store, task.series, asked)
    holes = task.store.holes(task.series, *(counted or (None, None)))
    return SyncReport(
        series=task.series,
        asked=tally.asked,
        appended=tally.appended,
        first=stored.first if stored else None,
        last=stored.last if stored else None,
        revised=tally.revised,
        recovered=recovered,
        empty=empty,
        unknown=sum(hole.candles for hole in holes if hole.kind == "unknown"),
        came=tally.came,
    )


def _naming_what_lacks(error: VintageError, task: Task) -> VintageError:
    lacking = _lacking(task)
    kind = next((kind for kind in KINDS if isinstance(error, kind)), None)
    if not lacking or kind is None:
        return error
    told = f"{lacking[0][0].isoformat()} to {lacking[-1][1].isoformat()}"
    if told in str(error):
        return error
    return kind(
        error.what,
        where=f"{error.where or task.series}; missing: {told}",
        found=error.found,
        expected=error.expected,
        fix=error.fix or "repeat; what came is stored",
    )


def _lacking(task: Task) -> list[Ends]:
    start, end = task.ends
    held = task.store.span(task.series)
    if held is None:
        return [(start, end)] if start < end else []
    first = min([held.first, *(span.first for span in unlisted(task))])
    holes = task.store.holes(task.series, start, end)
    inner = [(hole.first, hole.last + task.step) for hole in holes if hole.kind == "unknown"]
    outer = [(start, min(first, end)), (max(held.last + task.step, start), end)]
    return sorted(ends for ends in (*outer, *inner) if ends[0] < ends[1])
