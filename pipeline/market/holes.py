"""Which candles are missing inside a series, and why: ``holes.json``.

A candle is missing when a moment of the timeframe's grid, between the first and the last stored
candle, has none. That is *confirmed* once the source answered a request that covered it, without
it; then nobody asks again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from pipeline.market.partitions import Moments, index_of, moments_of
from pipeline.market.spans import encode_spans, read_spans

FILE, NAME = "holes.json", "confirmed"
Reason = Literal["no_trade", "outage", "not_listed"]
Kind = Literal["no_trade", "outage", "unknown"]
UNLISTED: Reason = "not_listed"
REASONS = get_args(Reason)
KINDS = get_args(Kind)
Kinds = np.ndarray[Any, np.dtype[np.object_]]


@dataclass(frozen=True, slots=True)
class Hole:
    """Consecutive missing candles of one kind; both ends are open times of missing ones.

    Parameters
    ----------
    kind
        ``no_trade``: the venue writes no candle without a trade. ``outage``: the venue stood
        still. ``unknown``: nobody has asked yet.
    """

    first: pd.Timestamp
    last: pd.Timestamp
    candles: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Consecutive moments that the source has no candle for, both ends included.

    ``not_listed`` lies before the first candle that the venue has.
    """

    first: pd.Timestamp
    last: pd.Timestamp
    kind: Reason
    confirmed_at: pd.Timestamp


def missing_between(times: pd.DatetimeIndex, step: pd.Timedelta) -> Moments:
    """Milliseconds of the moments between the first and last of `times` that have no candle.

    Examples
    --------
    >>> times = pd.DatetimeIndex(["2025-01-01T00:00Z", "2025-01-01T03:00Z"])
    >>> len(missing_between(times, pd.Timedelta(hours=1)))
    2
    """
    moments = moments_of(times)
    if not len(moments):
        return moments
    length = milliseconds(step)
    there = (moments - moments[0]) // length
    empty = np.ones(int(there[-1]) + 1, dtype=bool)
    empty[there] = False
    found: Moments = moments[0] + np.flatnonzero(empty) * length
    return found


def holes(missing: Moments, confirmed: Iterable[Confirmed], step: pd.Timedelta) -> list[Hole]:
    """Missing candles as holes, cut where the kind changes."""
    return [
        Hole(stamp(run[0]), stamp(run[-1]), len(run), kind)
        for run, kind in _labelled(missing, kinds_of(missing, confirmed), step)
    ]


def kinds_of(missing: Moments, confirmed: Iterable[Confirmed]) -> Kinds:
    """Why each candle is missing, as far as that was confirmed."""
    found: Kinds = np.full(len(missing), "unknown", dtype=object)
    for span in confirmed:
        if span.kind != UNLISTED:
            ends = moment_of(span.first), moment_of(span.last) + 1
            found[slice(*np.searchsorted(missing, ends))] = span.kind
    return found


def confirmed_spans(
    missing: Moments, why: Kinds, since: Moments, step: pd.Timedelta
) -> list[Confirmed]:
    """Confirmed moments as spans, cut where the reason or the moment of confirmation changes."""
    labels: Kinds = np.array(
        [f"{reason} {at}" for reason, at in zip(why, since, strict=True)], dtype=object
    )
    spans = []
    for run, label in _labelled(missing, labels, step):
        reason, at = label.split()
        spans.append(Confirmed(stamp(run[0]), stamp(run[-1]), reason, stamp(int(at))))
    return spans


def since_when(missing: Moments, confirmed: Iterable[Confirmed], at: pd.Timestamp) -> Moments:
    """Moment at which each missing candle was confirmed first; `at` where it was not yet."""
    found: Moments = np.full(len(missing), moment_of(at), dtype="int64")
    for span in confirmed:
        ends = moment_of(span.first), moment_of(span.last) + 1
        found[slice(*np.searchsorted(missing, ends))] = moment_of(span.confirmed_at)
    return found


def read(folder: Path) -> list[Confirmed]:
    """Confirmed spans of a series, the earliest first.

    Raises
    ------
    DataError
        When the file holds something else.
    """
    return read_spans(folder / FILE, NAME, _parsed, "every hole is then asked for anew")


def encode(spans: Iterable[Confirmed]) -> bytes:
    """Bytes of ``holes.json``; equal spans give equal bytes."""
    ordered = sorted(spans, key=lambda span: span.first)
    return encode_spans(NAME, map(_told, ordered))


def inside(missing: Moments, spans: Iterable[tuple[pd.Timestamp, pd.Timestamp]]) -> Moments:
    """Slots that lie in one of some spans; each span's second end is left out."""
    chosen = np.zeros(len(missing), dtype=bool)
    for first, stop in spans:
        chosen[slice(*np.searchsorted(missing, [moment_of(first), moment_of(stop)]))] = True
    found: Moments = missing[chosen]
    return found


def moment_of(time: pd.Timestamp) -> int:
    """Milliseconds since 1970."""
    return int(time.value // 10**6)


def stamp(moment: int) -> pd.Timestamp:
    """Moment of milliseconds since 1970."""
    return index_of(np.array([moment], dtype="int64"))[0]


def milliseconds(step: pd.Timedelta) -> int:
    """Length of a candle."""
    return int(step // pd.Timedelta(milliseconds=1))


def _labelled(moments: Moments, labels: Kinds, step: pd.Timedelta) -> Iterable[tuple[Moments, Any]]:
    if not len(moments):
        return
    turns = (np.diff(moments) != milliseconds(step)) | (labels[1:] != labels[:-1])
    places = np.split(np.arange(len(moments)), np.flatnonzero(turns) + 1)
    for place in places:
        yield moments[place], labels[place[0]]


def _told(span: Confirmed) -> dict[str, str]:
    return {
        "first": span.first.isoformat(),
        "last": span.last.isoformat(),
        "kind": span.kind,
        "confirmed_at": span.confirmed_at.isoformat(),
    }


def _parsed(told: dict[str, str]) -> Confirmed:
    if told["kind"] not in REASONS:
        raise ValueError(f"kind {told['kind']!r} is none of {', '.join(REASONS)}")
    names = ("first", "last", "confirmed_at")
    first, last, at = (pd.Timestamp(told[name]).tz_convert("UTC").as_unit("ms") for name in names)
    return Confirmed(first, last, told["kind"], at)  # type: ignore[arg-type]
