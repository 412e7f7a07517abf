"""Checks that look at stretches of rows: what stands still, and what changes its unit.

They take any table of numbers, candles or not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.market.checks.cut import Truths

Floats = npt.NDArray[np.float64]


def long_runs(same_as_before: Truths, longest: int) -> Truths:
    """Rows of every run of more than `longest` rows that are each the same as the one before.

    Examples
    --------
    >>> long_runs(np.array([False, True, True, False, True]), 2)
    array([ True,  True,  True, False, False])
    """
    if not len(same_as_before):
        return np.zeros(0, bool)
    starts = np.flatnonzero(~same_as_before | (np.arange(len(same_as_before)) == 0))
    lengths = np.diff(starts, append=len(same_as_before))
    return np.repeat(lengths > longest, lengths)


def standing_still(table: pd.DataFrame, longest: int) -> Truths:
    """Rows of runs in which no column changes for more than `longest` rows.

    Examples
    --------
    >>> standing_still(pd.DataFrame({"a": [1.0, 1, 1, 2], "b": [5.0, 5, 5, 5]}), 2)
    array([ True,  True,  True, False])
    """
    values = table.to_numpy("float64")
    same = np.zeros(len(values), bool)
    same[1:] = (values[1:] == values[:-1]).all(axis=1)
    return long_runs(same, longest)


def constant(column: Floats, longest: int) -> Truths:
    """Rows of runs in which one column keeps a value for more than `longest` rows; NaN is one.

    Examples
    --------
    >>> constant(np.array([0.0, 0.0, 0.0, 1.0]), 2)
    array([ True,  True,  True, False])
    """
    same = np.zeros(len(column), bool)
    before, now = column[:-1], column[1:]
    same[1:] = (now == before) | (np.isnan(now) & np.isnan(before))
    return long_runs(same, longest)


def unit_break(column: Floats, window: int, ratio: float, least_rows: int) -> int | None:
    """Row from which a column is measured in another unit, or None.

    From there on it stands at another level: the row differs from the one before by a factor of
    `ratio` or more, and so does the median of the rows from it on from that of the rows before
    it: of `window` rows, at the ends of the column of `least_rows` or more. Zeros and NaN have no
    unit and are left out.

    Examples
    --------
    >>> unit_break(np.array([1.0, 2, 1, 2, 9000, 8000, 9000, 8000]), 3, 100, 3)
    4
    >>> unit_break(np.array([1.0, 2, 1, 9000, 1, 2, 1]), 3, 100, 3) is None
    True
    >>> unit_break(np.arange(1.0, 500), 3, 100, 3) is None
    True
    """
    usable = np.flatnonzero(np.isfinite(column) & (column != 0))
    level, step = np.log(np.abs(column[usable])), np.log(ratio)
    rows = np.flatnonzero(np.abs(np.diff(level)) >= step) + 1
    rows = rows[np.minimum(rows, len(level) - rows) >= least_rows]
    if not len(rows):
        return None
    around = sliding_window_view(np.pad(level, window, constant_values=np.nan), 2 * window)[rows]
    before, after = (
        np.nanmedian(around[:, :window], axis=1),
        np.nanmedian(around[:, window:], axis=1),
    )
    found = rows[np.abs(after - before) >= step]
    return int(usable[found[0]]) if len(found) else None
