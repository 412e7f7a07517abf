"""Which stored candles did not come from the series' own feed: ``sources.json``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.market.partitions import moments_of
from pipeline.market.spans import encode_spans, read_spans

FILE, NAME = "sources.json", "borrowed"
COLUMN = "source"
IMPORTED = "import"  # rows of a file that says whose they are, but proves it by nothing
Names = np.ndarray[Any, np.dtype[np.object_]]


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Consecutive candles from one other source, milliseconds since 1970, both included."""

    first: int
    last: int
    source: str


def read(folder: Path) -> list[Borrowed]:
    """Spans of a series that came from elsewhere, the earliest first.

    Raises
    ------
    DataError
        When the file holds something else.
    """
    return read_spans(folder / FILE, NAME, _parsed, "its rows then count as the feed's own")


def encode(spans: Iterable[Borrowed]) -> bytes:
    """Bytes of ``sources.json``; equal spans give equal bytes."""
    return encode_spans(NAME, map(_told, spans))


def updated(
    held: Iterable[Borrowed], known: pd.DatetimeIndex, named: pd.Series, own: str
) -> list[Borrowed]:
    """Spans after some candles were stored.

    Parameters
    ----------
    known
        Open times that were stored before.
    named
        Source of each candle that is stored now, by its open time.
    own
        The series' feed: what it sends is not borrowed.

    Examples
    --------
    >>> times = pd.date_range("2025-01-01", periods=3, freq="h", tz="UTC", unit="ms")
    >>> spans = updated([], times[:0], pd.Series(["b", "b", "a"], index=times), own="a")
    >>> [((span.last - span.first) // 3_600_000 + 1, span.source) for span in spans]
    [(2, 'b')]
    """
    every = known.union(pd.DatetimeIndex(named.index))
    moments, names = moments_of(every), senders(held, every, own)
    names[every.get_indexer(named.index)] = named.to_numpy(object)
    runs = np.split(np.arange(len(names)), np.flatnonzero(names[1:] != names[:-1]) + 1)
    return [
        Borrowed(int(moments[run[0]]), int(moments[run[-1]]), str(names[run[0]]))
        for run in runs
        if len(run) and names[run[0]] != own
    ]


def senders(spans: Iterable[Borrowed], times: pd.DatetimeIndex, own: str) -> Names:
    """Who sent each candle."""
    moments = moments_of(times)
    names: Names = np.full(len(moments), own, dtype=object)
    for span in spans:
        names[slice(*np.searchsorted(moments, [span.first, span.last + 1]))] = span.source
    return names


def counts(spans: Iterable[Borrowed], times: pd.DatetimeIndex, own: str) -> dict[str, int]:
    """Count candles by source, the feed's own first."""
    moments = moments_of(times)
    found: dict[str, int] = {}
    for span in spans:
        first, stop = np.searchsorted(moments, [span.first, span.last + 1])
        found[span.source] = found.get(span.source, 0) + int(stop - first)
    elsewhere = {name: rows for name, rows in sorted(found.items()) if rows}
    return {own: len(moments) - sum(elsewhere.values()), **elsewhere}


def _told(span: Borrowed) -> dict[str, str]:
    first, last = (pd.Timestamp(end, unit="ms", tz="UTC") for end in (span.first, span.last))
    return {"first": first.isoformat(), "last": last.isoformat(), "source": span.source}


def _parsed(told: dict[str, str]) -> Borrowed:
    ends = [pd.Timestamp(told[name]).as_unit("ms").value // 10**6 for name in ("first", "last")]
    return Borrowed(ends[0], ends[1], told["source"])
