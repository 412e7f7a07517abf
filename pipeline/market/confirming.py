"""Remembering which candles a source was asked for and does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.market import holes
from pipeline.market.candles import duration
from pipeline.market.holes import UNLISTED, Confirmed
from pipeline.market.partitions import Moments, load_times, moments_of, months_of, overlaps
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
    """Remember what stayed missing, and judge anew why each confirmed candle is.

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
        why = kinds(missing, step, rule, _neighbours(store, series, missing, rule))
        since = holes.since_when(missing, held, answered.at)
        spans = _unlisted(held, times, answered, step)
        spans += holes.confirmed_spans(missing, why, since, step)
        if spans != held:
            write_atomic(folder / holes.FILE, holes.encode(spans))
    return spans


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
    ends = holes.stamp(missing[0]), holes.stamp(missing[-1])
    for other in store.series():
        alike = (other.feed, other.timeframe) == (series.feed, series.timeframe)
        if not alike or other.market == series.market:
            continue
        months = months_of(store.folder(other))
        first, last = load_times(months[:1])[0], load_times(months[-1:])[-1]
        near = load_times([path for path in months if overlaps(path, *ends)])
        found.append(Neighbour(holes.moment_of(first), holes.moment_of(last), moments_of(near)))
    return found
