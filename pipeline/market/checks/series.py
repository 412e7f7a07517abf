"""Checks that look at stretches of a cut, at what was told before, and at a second source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.market.candles import PRICES
from pipeline.market.checks.cut import Cut, Finding, Truths
from pipeline.market.checks.runs import constant, standing_still, unit_break
from pipeline.market.checks.shift import hours_late

if TYPE_CHECKING:
    from pipeline.market.validation import Validation


def frozen(cut: Cut, limits: Validation) -> Finding:
    """The feed does not repeat one candle, with its volume, for more than `max_frozen_candles`.

    Only candles with a range count: small equal trades at one price do make equal candles.
    """
    candles = cut.candles
    moved = (candles["volume"] > 0) & (candles["high"] > candles["low"])
    rows = standing_still(candles, limits.max_frozen_candles) & moved.to_numpy()
    return Finding(rows, f"at most {limits.max_frozen_candles} equal candles in a row")


def constant_price(cut: Cut, limits: Validation) -> Finding:
    """The prices do not stand still for longer than `max_constant_hours`: all four of them.

    A close alone does where the smallest step of the price is a large share of it.
    """
    longest = limits.longest_constant(cut.step)
    rows = standing_still(cut.candles[list(PRICES)], longest)
    return Finding(rows, f"at most {longest} candles in a row with one price")


def zero_volume(cut: Cut, limits: Validation) -> Finding:
    """Nothing is traded for `max_constant_hours` at most."""
    longest = limits.longest_constant(cut.step)
    volume = cut.candles["volume"].to_numpy("float64")
    rows = constant(volume, longest) & (volume == 0)
    return Finding(rows, f"at most {longest} candles in a row without volume")


def unit_breaks(cut: Cut, limits: Validation) -> Finding:
    """No price jumps to another order of magnitude and stays there."""
    return _breaks(cut, list(PRICES), limits, 1)


def volume_breaks(cut: Cut, limits: Validation) -> Finding:
    """No volume or value does: another unit, or a market that woke up."""
    counted = [name for name in cut.candles.columns if name not in PRICES]
    return _breaks(cut, counted, limits, limits.median_window)


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


def _breaks(cut: Cut, columns: list[str], limits: Validation, least_rows: int) -> Finding:
    cells = pd.DataFrame(data=False, index=range(len(cut.times)), columns=columns, dtype=bool)
    for name in columns:
        numbers = cut.candles[name].to_numpy("float64")
        at = unit_break(numbers, limits.median_window, limits.max_median_ratio, least_rows)
        if at is not None:
            cells.loc[at, name] = True
    expected = f"adjacent medians of {limits.median_window} candles within a factor of "
    rows = np.asarray(cells.to_numpy().any(axis=1))
    return Finding(rows, f"{expected}{limits.max_median_ratio:g}", cells)


def _none(cut: Cut) -> Truths:
    return np.zeros(len(cut.times), bool)
