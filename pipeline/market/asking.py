"""One sync under way: spans are asked for, checked and stored one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from pipeline.errors import DataError, RetryLater
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Exchange, Instrument
from pipeline.market.holes import UNLISTED, Confirmed
from pipeline.market.plan import COMPARED, Ends, around_holes, joined, pieces_of
from pipeline.market.series import Series
from pipeline.market.store import CandleStore
from pipeline.market.validation import check_times

PIECE = 5_000  # a few seconds of the slowest venue
WHOLE = 1_000_000  # a file is read in one go


@dataclass(frozen=True, slots=True)
class Progress:
    """Candles asked for so far, and all that will be."""

    done: int
    total: int


def silent(progress: Progress) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Tally:
    """What has happened so far."""

    planned: int = 0
    asked: int = 0
    came: int = 0
    appended: int = 0
    revised: int = 0
    answered: list[Ends] = field(default_factory=list)
    unlisted_from: pd.Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One series, the exchange that serves it, and the span that is asked for.

    Parameters
    ----------
    ends
        First open time, and the moment at which the last candle is closed.
    at
        When this happens; what is found out is dated by it.
    """

    store: CandleStore
    exchange: Exchange
    market: Instrument
    series: Series
    ends: Ends
    at: pd.Timestamp
    notify: Callable[[Progress], None]
    tally: Tally

    @property
    def step(self) -> pd.Timedelta:
        """Length of a candle."""
        return duration(self.series.timeframe)

    @property
    def online(self) -> bool:
        """Whether a venue answers; what it said is remembered, while a file may grow."""
        return getattr(self.exchange, "grace_seconds", None) is not None

    @property
    def piece(self) -> int:
        """Candles asked for, checked and stored as one."""
        return PIECE if self.online else WHOLE


def extend(task: Task) -> None:
    """Ask for what is missing before and after the stored candles."""
    start, end = task.ends
    held = task.store.span(task.series)
    listed = [span.first for span in unlisted(task)]
    edge = min([held.first, *listed]) if held else end
    tail = (end - held.last) / task.step + COMPARED - 1 if held and end > held.last else 0
    task.tally.planned += int(tail + max(0, (edge - start) / task.step))
    if held and end > held.last:
        _forwards(task, held.last)
    if start < edge:
        _backwards(task, edge)
        if task.online:
            task.tally.unlisted_from = start


def renew(task: Task) -> None:
    """Fetch the whole span, as far as it touches the rest, before any of it is replaced."""
    start, end = task.ends
    held = task.store.span(task.series)
    if held is not None:
        start = min(start, max(held.first, held.last - (COMPARED - 1) * task.step))
        end = max(end, min(held.last, held.first + (COMPARED - 1) * task.step) + task.step)
    spans = pieces_of((start, end), task.piece, task.step)
    task.tally.planned += int((end - start) / task.step)
    came = [_fetch(task, *span) for span in spans]
    for span, candles in zip(spans, came, strict=True):
        _require_stored(task, span, candles)
    if any(len(candles) for candles in came):
        whole = pd.concat([candles for candles in came if len(candles)])
        written = task.store.replace(task.series, whole, task.at)
        task.tally.appended += written.appended
        task.tally.revised += len(written.revised)
    task.tally.answered += spans
    if task.online:
        task.tally.unlisted_from = start


def ask_for_holes(task: Task, every: bool) -> None:
    """Ask for what is missing in the span unanswered; or, with `every`, for every hole there is."""
    held, tally = task.store.span(task.series), task.tally
    if held is None:
        return
    known = joined(tally.answered)
    wanted = [
        hole
        for hole in task.store.holes(task.series, *((None, None) if every else task.ends))
        if (every or hole.kind == "unknown")
        and not any(since <= hole.first and hole.last < stop for since, stop in known)
    ]
    spans = around_holes(wanted, held, task.piece, task.step)
    for before in unlisted(task) if every else []:
        spans += pieces_of((before.first, before.last + task.step), task.piece, task.step)
    tally.planned += sum(int((stop - since) / task.step) for since, stop in spans)
    for span in spans:
        (_answers if every else _ask)(task, *span)


def unlisted(task: Task) -> list[Confirmed]:
    """What is known to lie before the source's first candle."""
    return [span for span in task.store.confirmed(task.series) if span.kind == UNLISTED]


def _forwards(task: Task, last: pd.Timestamp) -> None:
    """From the last stored candles to the end, over stretches where the source has none."""
    end, since = task.ends[1], _again(task, last)
    stop = since
    while stop < end:
        stop = min(end, since + task.piece * task.step)
        _ask(task, since, stop)
        held = task.store.span(task.series)
        moved = held is not None and held.last > last
        last = held.last if held else last
        since = _again(task, last) if moved else stop


def _again(task: Task, last: pd.Timestamp) -> pd.Timestamp:
    held = task.store.span(task.series)
    since = last - (COMPARED - 1) * task.step
    return since if held is None else max(since, held.first)


def _backwards(task: Task, edge: pd.Timestamp) -> None:
    """From the first stored candles, or the end, to the start or to where the venue begins."""
    start = _listing(task)
    while edge > start:
        since, stop = max(start, edge - task.piece * task.step), edge
        held = task.store.span(task.series)
        if held and held.first == edge:
            stop = min(edge + (COMPARED - 1) * task.step, held.last) + task.step
        _ask(task, since, stop)
        held = task.store.span(task.series)
        edge = held.first if held and held.first < edge else since


def _listing(task: Task) -> pd.Timestamp:
    if not task.online:
        return task.ends[0]
    first = task.exchange.first_candle(task.market, task.series.timeframe)
    return task.ends[0] if first is None else max(task.ends[0], first)


def _ask(task: Task, since: pd.Timestamp, stop: pd.Timestamp) -> None:
    if not _answers(task, since, stop):
        raise RetryLater(
            "the source gives nothing of a span of which candles are stored",
            where=str(task.series),
            found=f"nothing from {since.isoformat()} to {stop.isoformat()}",
            expected="at least the stored candles again",
            fix="repeat later; what is stored stays",
        )


def _answers(task: Task, since: pd.Timestamp, stop: pd.Timestamp) -> bool:
    """Ask and store; an empty answer where candles are stored is no answer."""
    candles = _fetch(task, since, stop)
    if len(candles):
        _require_stored(task, (since, stop), candles)
        written = task.store.write(task.series, candles, task.at)
        task.tally.appended += written.appended
        task.tally.revised += len(written.revised)
    elif len(task.store.times(task.series, since, stop)):
        return False
    task.tally.answered.append((since, stop))
    return True


def _fetch(task: Task, since: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
    tally, series = task.tally, task.series
    candles = task.exchange.fetch(task.market, series.timeframe, since, stop)
    if len(candles):
        check_times(candles.index, series.timeframe, stop, str(series))
        if candles.index[0] < since:
            raise DataError(
                "the source sent a candle that was not asked for",
                where=str(series),
                found=candles.index[0].isoformat(),
                expected=f"{since.isoformat()} or later",
                fix="correct the exchange adapter",
            )
    tally.asked += int((stop - since) / task.step)
    tally.came += len(candles)
    task.notify(Progress(tally.asked, max(tally.asked, tally.planned)))
    return candles


def _require_stored(task: Task, ends: Ends, candles: pd.DataFrame) -> None:
    stored = task.store.times(task.series, *ends)
    gone = stored.difference(pd.DatetimeIndex(candles.index))
    if len(gone):
        raise DataError(
            "the source no longer has a candle that is stored",
            where=str(task.series),
            found=f"none at {gone[0].isoformat()}",
            expected="the stored candles again",
            fix="find out whether this is the same source; if not, give it its own store",
        )
