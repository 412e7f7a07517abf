"""Windows of consecutive candles over a feature table, without copying it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import DataError
from pipeline.models.base import FeatureTable, Rows, Samples

Values = npt.NDArray[np.floating]
Truths = npt.NDArray[np.bool_]
Moments = npt.NDArray[np.int64]


def view(values: Values, lookback: int) -> Values:
    """All windows as a read-only view on the same memory, oldest row of each first.

    Parameters
    ----------
    values
        Shape (rows, columns).
    lookback
        Rows of one window, at most as many as there are.

    Returns
    -------
    array
        Shape (rows - lookback + 1, lookback, columns); window k ends at row k + lookback - 1.

    Examples
    --------
    >>> view(np.array([[1.0], [2.0], [3.0]]), 2)[..., 0].tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    windows = np.lib.stride_tricks.sliding_window_view(values, lookback, axis=0)
    return windows.swapaxes(1, 2)


def gather(values: Values, rows: Rows, lookback: int) -> Values:
    """Copy the windows that end at `rows`, shape (rows, lookback, columns).

    Examples
    --------
    >>> gather(np.array([[1.0], [2.0], [3.0]]), np.array([2]), 2)[..., 0].tolist()
    [[2.0, 3.0]]
    """
    return np.ascontiguousarray(view(values, lookback)[rows - (lookback - 1)])


def step_of(table: FeatureTable) -> int:
    """Milliseconds from a candle to the next: the smallest step forward within a market.

    A table of single candles has none and gives 0.
    """
    same, forward = _steps(table)
    found = forward[same & (forward > 0)]
    return int(found.min()) if len(found) else 0


def whole(table: FeatureTable, rows: Rows, lookback: int, step: int | None = None) -> Truths:
    """Which rows end a window of `lookback` candles of one market with no hole.

    Parameters
    ----------
    step
        Milliseconds between consecutive candles; the table's own where not given.

    Returns
    -------
    array
        Truth values, one for each of `rows`.
    """
    step = step_of(table) if step is None else step
    starts = _run_starts(table, step)
    return np.asarray(rows - starts[rows] + 1 >= lookback)


def with_whole_windows(samples: Samples, lookback: int) -> Samples:
    """The samples whose window is whole; the others cannot be asked of a model that looks back."""
    return samples.take(np.flatnonzero(whole(samples.table, samples.rows, lookback)))


def rows_of_whole_windows(features: pd.DataFrame, lookback: int) -> pd.DataFrame:
    """The rows of a feature frame keyed (market, time) whose window is whole."""
    return features[whole(FeatureTable.from_frame(features), np.arange(len(features)), lookback)]


def require_whole(table: FeatureTable, rows: Rows, lookback: int, step: int) -> None:
    """Refuse rows outside the table, and windows that cross a hole or the table's start.

    Raises
    ------
    DataError
        Naming the first such row and the candles that it misses.
    """
    outside = (rows < 0) | (rows >= len(table.index))
    if outside.any():
        found, last = str(rows[outside][0]), len(table.index) - 1
        raise DataError(
            "a row lies outside the feature table", found=found, expected=f"0 to {last}"
        )
    broken = np.flatnonzero(~whole(table, rows, lookback, step))
    if len(broken):
        raise _refusal(table, _Wanted(int(rows[broken[0]]), lookback, step))


@dataclass(frozen=True, slots=True)
class _Wanted:
    row: int
    lookback: int
    step: int


def _times(table: FeatureTable) -> Moments:
    times = pd.DatetimeIndex(table.index.get_level_values("time")).as_unit("ms").asi8
    return np.asarray(times, "int64")


def _steps(table: FeatureTable) -> tuple[Truths, Moments]:
    market = table.index.codes[table.index.names.index("market")]
    return np.asarray(market[1:] == market[:-1]), np.diff(_times(table))


def _run_starts(table: FeatureTable, step: int) -> Rows:
    """First row of the unbroken run that each row belongs to."""
    same, forward = _steps(table)
    start = np.zeros(len(table.index), np.intp)
    broken = np.flatnonzero(~(same & (forward == step))) + 1
    start[broken] = broken
    return np.maximum.accumulate(start)


def _refusal(table: FeatureTable, wanted: _Wanted) -> DataError:
    start = int(_run_starts(table, wanted.step)[wanted.row])
    market = table.index[wanted.row][0]
    missing = wanted.lookback - (wanted.row - start + 1)
    first = pd.Timestamp(_times(table)[start], unit="ms", tz="UTC")
    before = first - pd.Timedelta(milliseconds=wanted.step)
    alone = start == 0 or table.index[start - 1][0] != market
    told = f"{missing} earlier, the table starts at {first.isoformat()}"
    return DataError(
        "a window is not whole",
        where=f"row {table.index[wanted.row]}",
        found=told if alone else f"a hole, candle {before.isoformat()} is missing",
        expected=f"{wanted.lookback} consecutive candles",
        fix="leave the row out, or fetch the missing candles",
    )
