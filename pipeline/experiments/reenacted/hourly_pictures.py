"""Why a score of the hourly classifier is one of copying, in two pictures of recorded hours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.experiments.reenacted.drawing import (
    EMPTY,
    HONEST,
    INK,
    LEAKED,
    QUIET,
    RULE,
    box,
    path,
    picture,
    words,
)
from pipeline.experiments.reenacted.hours import agreement
from pipeline.experiments.reenacted.old_network import Cut
from pipeline.models.base import Samples

LEFT, RIGHT = 40, 740
SHOWN = 96  # hours
ANSWER = 24  # hours that an answer is of
APART = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 30, 36, 48, 60, 72)


def pictures(
    candles: pd.DataFrame, samples: Samples, shuffled: Cut, by_time: Cut
) -> dict[str, str]:
    """SVG by name: which hours were the test, and how often neighbours have one answer."""
    return {
        "which-hours.svg": which_hours(candles, samples, shuffled, by_time),
        "same-answer.svg": same_answer(samples),
    }


def which_hours(candles: pd.DataFrame, samples: Samples, shuffled: Cut, by_time: Cut) -> str:
    """Four days of hours, coloured by whether they were learnt or asked; below, all by time."""
    time = samples.time
    middle = len(time) // 2
    window = time[(time >= time[middle]) & (time < time[middle] + pd.Timedelta(hours=SHOWN))]
    parts = [
        words((LEFT, 28), f"Four days, hour by hour, from {window[0].day} {window[0]:%B %Y}", 16),
        words((LEFT, 52), "Then: the hours asked (orange) were drawn from those learnt (blue)."),
        *_price(candles, window),
        *_hours(window, samples, shuffled),
        *_spans(window, samples, shuffled),
        words(
            (LEFT, 298), "Fair: the whole history, learnt first and asked afterwards; the gaps are"
        ),
        words((LEFT, 316), "hours whose answer reaches into the next part."),
        *_whole(samples, by_time),
    ]
    return picture("Hours of the test between the hours learnt, and after them", 392, parts)


def _price(candles: pd.DataFrame, window: pd.DatetimeIndex) -> Iterator[str]:
    close = candles["close"].reindex(window).ffill()
    low, high = float(close.min()), float(close.max())
    points = [
        (_x(place, len(window)), 150 - 80 * (value - low) / (high - low))
        for place, value in enumerate(close)
    ]
    yield path(points, INK, 1.5)
    yield words((RIGHT, 66), "price", 12, QUIET, "end")


def _hours(window: pd.DatetimeIndex, samples: Samples, cut: Cut) -> Iterator[str]:
    tested = samples.time[cut.test]
    width = (RIGHT - LEFT) / len(window)
    for place, moment in enumerate(window):
        fill = LEAKED if moment in tested else HONEST
        yield box((LEFT + place * width, 162), (width - 1, 26), fill)


def _spans(window: pd.DatetimeIndex, samples: Samples, cut: Cut) -> Iterator[str]:
    """The hours that the answer of one asked hour is of, and those of the hour learnt before it."""
    tested = window.isin(samples.time[cut.test])
    for place in range(8, len(window) - ANSWER - 1):
        if tested[place] and not tested[place - 1]:
            break
    for row, (at, fill, told) in enumerate(
        ((place - 1, HONEST, "learnt: these 24 hours"), (place, LEAKED, "asked: these 24 hours"))
    ):
        y = 204 + 22 * row
        start, end = _x(at + 1, len(window)), _x(at + 1 + ANSWER, len(window))
        yield box((start, y), (end - start, 12), fill)
        yield words((end + 8, y + 11), told, 13, fill)
    yield words((LEFT, 262), "23 of the 24 are the same: the answer had been learnt.", 13, QUIET)


def _whole(samples: Samples, cut: Cut) -> Iterator[str]:
    time = samples.time.asi8
    first, last = time.min(), time.max()
    named = ((cut.train, HONEST, "learnt"), (cut.validation, EMPTY, "says when to stop"))
    for rows, fill, told in (*named, (cut.test, LEAKED, "asked")):
        start, end = (
            LEFT + (RIGHT - LEFT) * (edge - first) / (last - first)
            for edge in (time[rows].min(), time[rows].max())
        )
        yield box((start, 330), (end - start, 26), fill)
        yield words(((start + end) / 2, 376), told, 13, QUIET, "middle")


def same_answer(samples: Samples) -> str:
    """How often two hours have the same answer, by how far they lie apart."""
    shares = [agreement(samples, apart) for apart in APART]
    counts = np.bincount(samples.label)
    commonest = float(counts.max() / counts.sum())
    points = [(_apart(apart), _level(share)) for apart, share in zip(APART, shares, strict=True)]
    parts = [
        words((LEFT, 28), "How often two hours have the same answer", 16),
        *_levels(),
        path([(_apart(0), _level(commonest)), (RIGHT, _level(commonest))], EMPTY, 2, dashed=True),
        words((RIGHT, _level(commonest) - 7), "always the commonest answer", 13, QUIET, "end"),
        path(points, LEAKED, 2.5),
        words(
            (points[0][0] + 10, points[0][1] - 2),
            f"one hour apart: {100 * shares[0]:.0f} % have the same answer",
            14,
            LEAKED,
        ),
        *(
            words((_apart(apart), 312), str(apart), 13, QUIET, "middle")
            for apart in (1, 12, 24, 36, 48, 72)
        ),
        words((RIGHT, 332), "hours apart", 13, QUIET, "end"),
    ]
    return picture(
        "How often two hours have the same answer, by the hours between them", 340, parts
    )


def _levels() -> Iterator[str]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _level(share)
        yield path([(_apart(0), y), (RIGHT, y)], RULE, 1)
        yield words((LEFT + 26, y + 5), f"{100 * share:.0f} %", 13, QUIET, "end")


def _apart(hours: int) -> float:
    return LEFT + 40 + (RIGHT - LEFT - 40) * hours / APART[-1]


def _level(share: float) -> float:
    return 290 - 240 * share


def _x(place: float, places: int) -> float:
    return LEFT + (RIGHT - LEFT) * place / places
