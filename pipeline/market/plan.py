"""Which spans a sync asks for: pieces of a long one, and holes with the candles around them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pandas as pd

from pipeline.market.holes import Hole
from pipeline.market.series import Span

Ends = tuple[pd.Timestamp, pd.Timestamp]
COMPARED = 3  # stored candles that are asked for again beside the new ones
NEAR = 200  # holes with fewer candles between them are one request


def pieces_of(span: Ends, longest: int, step: pd.Timedelta) -> list[Ends]:
    """Cut a span into pieces of at most `longest` candles.

    Examples
    --------
    >>> day, hour = pd.Timestamp("2025-01-01T00:00Z"), pd.Timedelta(hours=1)
    >>> [stop.hour for _, stop in pieces_of((day, day + 5 * hour), 2, hour)]
    [2, 4, 5]
    """
    cuts = [*pd.date_range(*span, freq=longest * step, inclusive="left"), span[1]]
    return list(pairwise(cuts))


def around_holes(holes: Iterable[Hole], held: Span, longest: int, step: pd.Timedelta) -> list[Ends]:
    """Spans that hold some holes and the stored candles beside them, joined where they are near."""
    beside = (COMPARED - 1) * step
    spans: list[Ends] = []
    for hole in holes:
        since = max(held.first, hole.first - beside)
        stop = min(held.last, hole.last + beside) + step
        near = bool(spans) and since <= spans[-1][1] + NEAR * step
        if near and stop - spans[-1][0] <= longest * step:
            since = spans.pop()[0]
        spans.append((since, stop))
    return [piece for span in spans for piece in pieces_of(span, longest, step)]


def joined(spans: Iterable[Ends]) -> list[Ends]:
    """Spans that touch or overlap as one, the earliest first.

    Examples
    --------
    >>> one, two, three = pd.date_range("2025-01-01", periods=3, tz="UTC")
    >>> joined([(two, three), (one, two)]) == [(one, three)]
    True
    """
    found: list[Ends] = []
    for since, stop in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((since, stop))
    return found
