"""Scales, ticks and SVG pieces.

A chart has no fixed width: places along it are percentages, so that it stretches while its text
keeps its size. Only paths need a coordinate system; they lie in a nested one of `GRAIN` units,
with strokes that do not scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.report.figures import GAP, decimal
from pipeline.evaluation.report.markup import Attribute, Content, Html, join, tag

Floats = npt.NDArray[np.float64]
GRAIN = 1000
NICE = (1.0, 2.0, 5.0, 10.0)
MONTH_STARTS = (1, 2, 3, 6, 12)
DAYS = (1, 2, 5, 7, 14, 21)
MOST_DECIMALS = 6
NEARLY = 1e-9
FEW_TICKS = 6
LONG_DAYS = 62
EDGE = 0.06  # share of the width
LONG_TEXT = 7  # characters, for which there is room beside a chart
LONG_NAME = 5
UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
UNDER = 22  # pixels from a chart's lower end to the line its marks stand on


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to shares of a length.

    Examples
    --------
    >>> Scale(10, 20).at(15)
    0.5
    """

    low: float
    high: float

    def at(self, value: float) -> float:
        """Share of the length, 0 at `low`."""
        return (value - self.low) / (self.high - self.low)


def around(values: Iterable[float], room: float = 0.08) -> Scale:
    """The scale that holds all finite values with some room.

    Examples
    --------
    >>> around([1.0, 2.0], 0.5)
    Scale(low=0.5, high=2.5)
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    spread = (high - low) or abs(high) or 1.0
    return Scale(low - room * spread, high + room * spread)


def ticks(scale: Scale, most: int = 5) -> list[float]:
    """Round values inside a scale, at most so many.

    Examples
    --------
    >>> ticks(Scale(0.0, 1.0), 6)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (scale.high - scale.low) / max(most - 1, 1)
    unit = 10.0 ** math.floor(math.log10(raw))
    for step in (factor * unit for factor in NICE):
        first, last = math.ceil(scale.low / step - NEARLY), math.floor(scale.high / step + NEARLY)
        if last - first < most:
            return [round(number * step, 12) for number in range(first, last + 1)]
    return []


def decimals(values: Sequence[float]) -> int:
    """Decimals that tell ticks apart.

    Examples
    --------
    >>> decimals([0.0, 0.25, 0.5]), decimals([10, 20])
    (2, 0)
    """
    for digits in range(MOST_DECIMALS):
        if all(abs(round(value, digits) - value) < NEARLY for value in values):
            return digits
    return MOST_DECIMALS


def time_ticks(
    first: pd.Timestamp, last: pd.Timestamp, most: int = 12
) -> list[tuple[pd.Timestamp, str]]:
    """Starts of months (of days in short spans) inside a span, with their names.

    Examples
    --------
    >>> span = pd.Timestamp("2025-10-19T01:00Z"), pd.Timestamp("2026-02-02T00:00Z")
    >>> [name for _, name in time_ticks(*span)]
    ['Nov 25', 'Dec', 'Jan 26', 'Feb']
    """
    if (last - first).days > LONG_DAYS:
        months = pd.date_range(first.normalize(), last, freq="MS")
        for every in MONTH_STARTS:
            kept = [m for m in months if (m.month - 1) % every == 0 and m >= first]
            if len(kept) <= most:
                break
        return [(month, _month(month, kept)) for month in kept]
    days = pd.date_range(first.normalize(), last, freq="D")
    every = next((step for step in DAYS if len(days) / step <= most), DAYS[-1])
    return [(date, f"{date.day} {date:%b}") for date in days[::every] if date >= first]


def _month(month: pd.Timestamp, kept: Sequence[pd.Timestamp]) -> str:
    opens = month == kept[0] or month.year != kept[kept.index(month) - 1].year
    return f"{month:%b} {month:%y}" if opens else f"{month:%b}"


def share(fraction: float) -> str:
    """A fraction of a length as a percentage.

    Examples
    --------
    >>> share(0.12346)
    '12.35%'
    """
    return f"{round(100 * fraction, 2):g}%"


def svg(label: str, *children: Content, height: int, kind: str = "plot") -> Html:
    """A chart of this height, as wide as what holds it; `label` says what it shows."""
    return tag(
        "svg",
        tag("title", label),
        *children,
        class_=kind,
        role="img",
        aria_label=label,
        style=f"height:{height}px",
    )


def stretched(*paths: Content) -> Html:
    """Paths in `GRAIN` units, stretched over the whole chart."""
    box = f"0 0 {GRAIN} {GRAIN}"
    return tag("svg", *paths, viewBox=box, preserveAspectRatio="none", width="100%", height="100%")


def line(xs: Sequence[float], ys: Sequence[float], kind: str) -> Html:
    """A path through shares of the width and of the height (0 below); gaps where not finite.

    Examples
    --------
    >>> line([0, 0.5, 1], [0, 1, float("nan")], "test")
    '<path class="test" d="M0 1000L500 0"/>'
    """
    steps, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(y):
            steps.append(f"{pen}{round(GRAIN * x)} {round(GRAIN * (1 - y))}")
        pen = "L" if math.isfinite(y) else "M"
    return tag("path", class_=kind, d="".join(steps))


def thinned(xs: Floats, ys: Floats, buckets: int) -> tuple[Floats, Floats]:
    """The lowest and highest point of each bucket of the width, in order.

    Parameters
    ----------
    xs
        Shares of the width, increasing.
    """
    if len(xs) <= 2 * buckets:
        return xs, ys
    bucket = np.minimum((xs * buckets).astype("int64"), buckets - 1)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    kept: set[int] = set()
    for start, stop in zip(starts, [*starts[1:], len(xs)], strict=True):
        inside = ys[start:stop]
        kept |= {int(start + inside.argmin()), int(start + inside.argmax())}
    chosen = np.array(sorted(kept))
    return xs[chosen], ys[chosen]


def mark(x: float, y: Attribute, text: str, kind: str = "", dy: float | None = None) -> Html:
    """A text at a place of the width, turned inwards at the edges."""
    anchor = "start" if x < EDGE else "end" if x > 1 - EDGE else "middle"
    return tag("text", text, x=share(x), y=y, dy=dy, text_anchor=anchor, class_=kind or None)


def levels(scale: Scale, values: Sequence[float], texts: Sequence[str]) -> Html:
    """Grid lines across a chart, with their values to the left of it."""
    marks, short = [], shortened(values, texts)
    kind = "broad" if max(map(len, short), default=0) > LONG_TEXT else None
    for value, text in zip(values, short, strict=True):
        y = share(1 - scale.at(value))
        marks.append(tag("line", class_="grid", x1=0, x2="100%", y1=y, y2=y))
        marks.append(tag("text", text, x=-8, y=y, dy=5, text_anchor="end", class_=kind))
    return join(marks)


def shortened(values: Sequence[float], texts: Sequence[str]) -> list[str]:
    """The texts of ticks; in millions or billions where there is no room for them.

    Examples
    --------
    >>> found = shortened([149_500_000, 150_000_000], ["149,500,000", "150,000,000"])
    >>> [text.replace(GAP, " ") for text in found]
    ['149.5 M', '150.0 M']
    >>> shortened([0.25, 0.5], ["0.25", "0.50"])
    ['0.25', '0.50']
    """
    largest = max(map(abs, values), default=0.0)
    unit = next(((size, name) for size, name in UNITS if largest >= size), None)
    if unit is None or max(map(len, texts), default=0) <= LONG_TEXT:
        return list(texts)
    parts = [value / unit[0] for value in values]
    return [f"{decimal(part, decimals(parts))}{GAP}{unit[1]}" for part in parts]


def columns(places: Sequence[float], texts: Sequence[str]) -> Html:
    """Marks under a chart; every second gives way where there is little room.

    A long one at the right end is turned inwards, so that it stays on what holds the chart, and
    gives way to its neighbour.
    """
    crowded = len(places) > FEW_TICKS
    marks = []
    for number, (x, text) in enumerate(zip(places, texts, strict=True)):
        inwards = x > 1 - EDGE and len(text) > LONG_NAME
        kind = "wide under" if crowded and (number % 2 or inwards) else "under"
        marks.append(mark(x, "100%", text, f"{kind} inwards" if inwards else kind, UNDER))
    return join(marks)
