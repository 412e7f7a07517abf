"""Remembering which candles a source was asked for and does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.market import holes
from pipeline.market.candles import duration
from pipeline.market.holes import UNLISTED, Confirmed
from pipeline.market.partitions import Moments, moments_of
from pipeline.market.plan import Ends
from pipeline.market.reasons import Neighbour, Rule, kinds
from pipeline.market.series import Series
from pipeline.market.store import CandleStore
from pipeline.market.writing import locked
from registry.files import write_atomic


@dataclass(frozen=True, slots=True)
class Answered:
    """What a source has answered for.

    Parameters
    ----------
    spans
        First open time and end of each span; only what lies between stored candles counts.
    at
        When.
    unlisted_from
        From where on the source has nothing before the first stored candle.
    """

    spans: Sequence[Ends]
    at: pd.Timestamp
    unlisted_from: pd.Timestamp | None = None


def confirm(store: CandleStore, series: Series, answered: Answered, rule: Rule) -> list[Confirmed]:
    """Remember what stayed missing, and judge why.

    What was confirmed before is judged again by what other markets show now.

    Raises
    ------
    DataError
        When a file of the series is damaged.
    """
    folder, step = store.folder(series), duration(series.timeframe)
    with locked(folder):
        held = holes.read(folder)
        times = store.times(series)
        known = [(span.first, span.last + step) for span in held]
        missing = holes.inside(holes.missing_between(times, step), [*answered.spans, *known])
        before = holes.kinds_of(missing, held)
        before[np.isin(missing, holes.inside(missing, answered.spans))] = "unknown"
        why = kinds(missing, before, rule, _neighbours(store, series, missing, rule))
        since = holes.since_when(missing, held, answered.at)
        spans = _unlisted(held, times, answered, step)
        spans += holes.confirmed_spans(missing, why, since, step)
        if spans != held:
            write_atomic(folder / holes.FILE, holes.encode(spans))
    return spans


def open_slots(store: CandleStore, series: Series, ends: Ends | None) -> Moments:
    """Missing candles of a span that nobody has answered for.

    Parameters
    ----------
    ends
        None: all that is missing, confirmed or not, and what lies before the venue's first candle.
    """
    confirmed, step = store.confirmed(series), duration(series.timeframe)
    missing = holes.missing_between(store.times(series), step)
    if ends is not None:
        unknown: Moments = missing[holes.kinds_of(missing, confirmed) == "unknown"]
        return holes.inside(unknown, [ends])
    unlisted = [span for span in confirmed if span.kind == UNLISTED]
    before = [moments_of(pd.date_range(span.first, span.last, freq=step)) for span in unlisted]
    return np.concatenate([*before, missing])


def fates(store: CandleStore, series: Series, asked: Moments) -> tuple[int, int]:
    """Of some candles that were missing, how many are stored now, and how many confirmed empty."""
    times = store.times(series)
    missing = holes.missing_between(times, duration(series.timeframe))
    empty = missing[holes.kinds_of(missing, store.confirmed(series)) != "unknown"]
    came, confirmed = np.isin(asked, moments_of(times)), np.isin(asked, empty)
    return int(came.sum()), int(confirmed.sum())


def _unlisted(
    held: list[Confirmed], times: pd.DatetimeIndex, answered: Answered, step: pd.Timedelta
) -> list[Confirmed]:
    known = [span for span in held if span.kind == UNLISTED]
    starts = [span.first for span in known]
    if answered.unlisted_from is not None:
        starts.append(answered.unlisted_from)
    if not starts or times.empty or min(starts) >= times[0]:
        return []
    first, last = min(starts), times[0] - step
    if known and (known[0].first, known[0].last) == (first, last):
        return known
    return [Confirmed(first, last, UNLISTED, answered.at.as_unit("ms"))]


def _neighbours(
    store: CandleStore, series: Series, missing: Moments, rule: Rule
) -> list[Neighbour]:
    if not (rule.omits_empty and len(missing)):
        return []
    found = []
    since, stop = holes.stamp(missing[0]), holes.stamp(missing[-1]) + rule.step
    for other in store.series():
        alike = (other.feed, other.timeframe) == (series.feed, series.timeframe)
        if alike and other.market != series.market:
            empty = holes.kinds_of(missing, store.confirmed(other)) != "unknown"
            traded = moments_of(store.times(other, since, stop))
            found.append(Neighbour(traded, missing[empty]))
    return found
