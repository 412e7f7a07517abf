"""Checks that look at a whole cut: its ends, its holes, its stretches, a second source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.market.candles import PRICES, last_closed
from pipeline.market.checks.cut import Cut, Finding, Truths
from pipeline.market.checks.runs import constant, standing_still, unit_break
from pipeline.market.checks.shift import hours_late

if TYPE_CHECKING:
    from pipeline.market.validation import Validation


def min_rows(cut: Cut, limits: Validation) -> Finding:
    """There are enough candles."""
    rows = np.full(max(len(cut.times), 1), len(cut.times) < limits.min_rows)
    return Finding(rows, f"at least {limits.min_rows}", found=f"{len(cut.times)} candles")


def short_history(cut: Cut, limits: Validation) -> Finding:  # noqa: ARG001 - every check is told both
    """The cut starts where it was asked to."""
    rows = _none(cut)
    if cut.asked and len(rows):
        rows[0] = cut.times[0] > cut.asked.start.ceil(cut.step)
    start = cut.asked.start.isoformat() if cut.asked else ""
    return Finding(rows, f"a first candle at {start}")


def stale_end(cut: Cut, limits: Validation) -> Finding:
    """The cut reaches as_of, but for `max_stale_candles`."""
    rows = _none(cut)
    newest = last_closed(cut.as_of, cut.timeframe) - limits.max_stale_candles * cut.step
    rows[-1:] = np.asarray(cut.times[-1:] < newest)
    found = f"the last candle at {cut.times[-1].isoformat()}" if len(rows) else ""
    return Finding(rows, f"one at {newest.isoformat()} or later", found=found)


def max_hole(cut: Cut, limits: Validation) -> Finding:
    """No more candles are missing in a row than `max_hole_candles`, whatever the reason."""
    skipped = missing_before(cut)
    rows = skipped > limits.max_hole_candles
    found = ""
    if rows.any():
        at = int(np.argmax(rows))
        before, after = (cut.times[row].isoformat() for row in (at - 1, at))
        found = f"{skipped[at]} in a row, between {before} and {after}"
    return Finding(rows, f"at most {limits.max_hole_candles}", found=found)


def frozen(cut: Cut, limits: Validation) -> Finding:
    """The feed does not repeat one candle, with its volume, for more than `max_frozen_candles`."""
    traded = cut.candles["volume"].to_numpy() > 0
    rows = standing_still(cut.candles, limits.max_frozen_candles) & traded
    return Finding(rows, f"at most {limits.max_frozen_candles} equal candles in a row")


def constant_price(cut: Cut, limits: Validation) -> Finding:
    """The close does not stand still for more than `max_constant_candles`."""
    rows = constant(cut.candles["close"].to_numpy("float64"), limits.max_constant_candles)
    return Finding(rows, f"at most {limits.max_constant_candles} candles with one close")


def zero_volume(cut: Cut, limits: Validation) -> Finding:
    """Nothing is traded for at most `max_constant_candles`."""
    volume = cut.candles["volume"].to_numpy("float64")
    rows = constant(volume, limits.max_constant_candles) & (volume == 0)
    return Finding(rows, f"at most {limits.max_constant_candles} candles without volume")


def unit_breaks(cut: Cut, limits: Validation) -> Finding:
    """No column jumps to another order of magnitude and stays there."""
    rows = _none(cut)
    cells = pd.DataFrame(
        data=False, index=range(len(rows)), columns=cut.candles.columns, dtype=bool
    )
    for name in cut.candles.columns:
        at = unit_break(
            cut.candles[name].to_numpy("float64"), limits.median_window, limits.max_median_ratio
        )
        if at is not None:
            rows[at] = True
            cells.loc[at, name] = True
    expected = f"adjacent medians of {limits.median_window} candles within a factor of "
    return Finding(rows, f"{expected}{limits.max_median_ratio:g}", cells)


def revised(cut: Cut, limits: Validation) -> Finding:  # noqa: ARG001
    """No candle of the cut was told differently before."""
    moments = cut.asked.revised if cut.asked else ()
    return Finding(np.asarray(cut.times.isin(list(moments))), "candles told once")


def shifted_hours(cut: Cut, limits: Validation) -> Finding:
    """The candles' moments are those of the second source, and not whole hours beside them."""
    rows, found = _none(cut), ""
    reference = cut.asked.reference if cut.asked else None
    if reference is not None and len(rows):
        late = hours_late(cut.candles["close"], reference["close"], limits.least_common)
        common = int(cut.times.isin(reference.index).sum())
        rows[0] = bool(late) or common < limits.least_common
        found = f"moments {late:+d} hours late" if late else f"{common} common candles"
    expected = f"the moments of the second source, at least {limits.least_common} of them"
    return Finding(rows, expected, found=found)


def disagrees(cut: Cut, limits: Validation) -> Finding:
    """Prices are those of the second source, but for `max_price_difference`."""
    reference = cut.asked.reference if cut.asked else None
    if reference is None:
        return Finding(_none(cut), "")
    theirs = reference[list(PRICES)].reindex(cut.times)
    ours = cut.candles[list(PRICES)]
    apart = ((ours - theirs).abs() / theirs) > limits.max_price_difference
    expected = f"the second source's price within {limits.max_price_difference:.2%}"
    return Finding(np.asarray(apart.to_numpy().any(axis=1)), expected, apart)


def missing_before(cut: Cut) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many candles are missing right before each."""
    step = cut.step // pd.Timedelta(milliseconds=1)
    times = cut.times.as_unit("ms").asi8
    return np.diff(times, prepend=times[:1] - step) // step - 1


def _none(cut: Cut) -> Truths:
    return np.zeros(len(cut.times), bool)
