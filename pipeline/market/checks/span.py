"""Checks that look at how much of the asked span is there: its ends and its holes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.market import holes
from pipeline.market.candles import last_closed
from pipeline.market.checks.cut import Cut, Finding
from pipeline.market.holes import Confirmed, Hole, Kind

if TYPE_CHECKING:
    from pipeline.market.validation import Validation

REASONS: dict[Kind, str] = {
    "no_trade": "nothing was traded",
    "outage": "the venue stood still",
    "unknown": "no source confirmed it",
}
START = "let history start after the hole (recipe.history_days)"
FIXES: dict[Kind, str] = {
    "no_trade": f"choose a longer timeframe or a busier market, {START}, or raise "
    "validation.max_no_trade_hours",
    "outage": f"vintage data sync --repair asks again; else {START}, or raise "
    "validation.max_outage_hours",
    "unknown": f"vintage data sync --repair; else {START}, or raise validation.max_unknown_hours",
}


def min_rows(cut: Cut, limits: Validation) -> Finding:
    """There are enough candles."""
    rows = np.full(max(len(cut.times), 1), len(cut.times) < limits.min_rows)
    return Finding(rows, f"at least {limits.min_rows}", found=f"{len(cut.times)} candles")


def short_history(cut: Cut, limits: Validation) -> Finding:  # noqa: ARG001 - every check is told both
    """The cut starts where it was asked to."""
    rows = np.zeros(len(cut.times), bool)
    if cut.asked and len(rows):
        rows[0] = cut.times[0] > cut.asked.start.ceil(cut.step)
    start = cut.asked.start.isoformat() if cut.asked else ""
    return Finding(rows, f"a first candle at {start}")


def stale_end(cut: Cut, limits: Validation) -> Finding:
    """The cut reaches as_of, but for candles that may be missing there.

    These are `max_stale_candles`, or as many as were not traded in a row somewhere in the cut: a
    venue that writes no candle without a trade writes none before as_of either.
    """
    rows = np.zeros(len(cut.times), bool)
    room = max(limits.max_stale_candles, longest_of(missing(cut), "no_trade"))
    newest = last_closed(cut.as_of, cut.timeframe) - room * cut.step
    rows[-1:] = np.asarray(cut.times[-1:] < newest)
    found = f"the last candle at {cut.times[-1].isoformat()}" if len(rows) else ""
    return Finding(rows, f"one at {newest.isoformat()} or later", found=found)


def max_hole(cut: Cut, limits: Validation) -> Finding:
    """No more candles are missing in a row than the limit of their kind allows."""
    rows = np.zeros(len(cut.times), bool)
    long = [
        hole for hole in missing(cut) if hole.candles > limits.longest_hole(hole.kind, cut.step)
    ]
    if not long:
        return Finding(rows, "")
    for hole in long:
        rows[np.argmax(cut.times > hole.last)] = True
    hole = long[0]
    ends = f"{hole.first.isoformat()} to {hole.last.isoformat()}"
    return Finding(
        rows,
        f"at most {limits.longest_hole(hole.kind, cut.step)} of this kind",
        found=f"{hole.candles} in a row, {ends} ({hole.kind}: {REASONS[hole.kind]})",
        fix=FIXES[hole.kind],
    )


def missing(cut: Cut) -> list[Hole]:
    """Candles missing inside the cut, as holes of one kind each, else ``unknown``."""
    times = cut.times.unique().sort_values()
    known = [
        Confirmed(hole.first, hole.last, hole.kind, cut.as_of)
        for hole in (cut.asked.holes if cut.asked else ())
        if hole.kind != "unknown"
    ]
    return holes.holes(holes.missing_between(times, cut.step), known, cut.step)


def longest_of(found: Sequence[Hole], kind: Kind) -> int:
    """Candles of the longest hole of a kind."""
    return max((hole.candles for hole in found if hole.kind == kind), default=0)


def missing_before(cut: Cut) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many candles are missing right before each."""
    step = cut.step // pd.Timedelta(milliseconds=1)
    times = cut.times.as_unit("ms").asi8
    return np.diff(times, prepend=times[:1] - step) // step - 1
