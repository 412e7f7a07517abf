"""Which stored candles did not come from the series' own feed: ``sources.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.market.partitions import moments_of

FILE = "sources.json"
COLUMN = "source"


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
    path = folder / FILE
    try:
        told = json.loads(path.read_bytes())["borrowed"]
        return [_parsed(span) for span in told]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            "is no list of sources",
            where=str(path),
            found=" ".join(str(error).split()),
            fix="delete that file; its rows then count as the feed's own",
        ) from None


def encode(spans: Iterable[Borrowed]) -> bytes:
    """Bytes of ``sources.json``; equal spans give equal bytes."""
    told = [
        {"first": _text(span.first), "last": _text(span.last), "source": span.source}
        for span in spans
    ]
    return (json.dumps({"borrowed": told}, indent=1) + "\n").encode()


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
    moments, names = moments_of(every), np.full(len(every), own, dtype=object)
    for span in held:
        names[slice(*np.searchsorted(moments, [span.first, span.last + 1]))] = span.source
    names[every.get_indexer(named.index)] = named.to_numpy(object)
    runs = np.split(np.arange(len(names)), np.flatnonzero(names[1:] != names[:-1]) + 1)
    return [
        Borrowed(int(moments[run[0]]), int(moments[run[-1]]), str(names[run[0]]))
        for run in runs
        if len(run) and names[run[0]] != own
    ]


def counts(spans: Iterable[Borrowed], times: pd.DatetimeIndex, own: str) -> dict[str, int]:
    """Count candles by source, the feed's own first."""
    moments = moments_of(times)
    found: dict[str, int] = {}
    for span in spans:
        first, stop = np.searchsorted(moments, [span.first, span.last + 1])
        found[span.source] = found.get(span.source, 0) + int(stop - first)
    elsewhere = {name: rows for name, rows in sorted(found.items()) if rows}
    return {own: len(moments) - sum(elsewhere.values()), **elsewhere}


def _text(moment: int) -> str:
    return pd.Timestamp(moment, unit="ms", tz="UTC").isoformat()


def _parsed(told: dict[str, str]) -> Borrowed:
    ends = [pd.Timestamp(told[name]).as_unit("ms").value // 10**6 for name in ("first", "last")]
    return Borrowed(ends[0], ends[1], told["source"])
