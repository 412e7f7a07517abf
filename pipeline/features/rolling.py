"""Compiled arithmetic over a series: windows and exponential means.

A window's value is made from the candles in the window alone, by a fixed tree of pairwise
merges (Chan, Golub and LeVeque 1983). So a bad candle leaves no trace once it has left the
window, and the newest rows of a long series equal those of its tail bit for bit.
"""

from __future__ import annotations

import numpy as np

from pipeline.arrays import FloatArray, RowArray
from pipeline.kernels import kernel, series_kernel

_BLOCK = 1024


@series_kernel
def rolling_mean(values: FloatArray, window: int, into: FloatArray) -> None:
    """Mean of the newest `window` values, NaN for the first ``window - 1`` rows.

    Examples
    --------
    >>> rolling_mean(np.array([1.0, 2.0, 3.0, 5.0]), 2).tolist()
    [nan, 1.5, 2.5, 4.0]
    """
    into[: window - 1] = np.nan
    level = np.empty(min(_BLOCK, values.size) + window - 1)
    spare = np.empty(level.size)
    for start in range(0, values.size - window + 1, _BLOCK):
        stop = min(start + _BLOCK, values.size - window + 1)
        chunk = values[start : stop + window - 1]
        _merge_means(chunk, window, (level, spare), into[start + window - 1 : stop + window - 1])


@series_kernel
def rolling_deviation(values: FloatArray, window: int, ddof: int, into: FloatArray) -> None:
    """Compute the standard deviation of the newest `window` values; exactly 0 when all are equal.

    Parameters
    ----------
    ddof
        The sum of squares is divided by ``window - ddof``.

    Examples
    --------
    >>> rolling_deviation(np.array([1.0, 3.0, 3.0]), 2, 0).tolist()
    [nan, 1.0, 0.0]
    """
    into[: window - 1] = np.nan
    scratch = np.empty((5, min(_BLOCK, values.size) + window - 1))
    for start in range(0, values.size - window + 1, _BLOCK):
        stop = min(start + _BLOCK, values.size - window + 1)
        chunk = values[start : stop + window - 1]
        squares = into[start + window - 1 : stop + window - 1]
        _merge_squares(chunk, window, scratch, squares)
        for row in range(squares.size):
            squares[row] = np.sqrt(squares[row] / (window - ddof))


@series_kernel
def exponential_mean(values: FloatArray, weight: float, starts: RowArray, into: FloatArray) -> None:
    """Exponential mean seeded with the first value, ``m += weight * (x - m)``.

    Leading NaN are skipped: the seed is the first number.

    Parameters
    ----------
    starts
        Rows at which the mean begins anew, ascending.

    Examples
    --------
    >>> exponential_mean(np.array([1.0, 3.0, 3.0]), 0.5, np.array([0])).tolist()
    [1.0, 2.0, 2.5]
    >>> exponential_mean(np.array([1.0, 3.0, 3.0]), 0.5, np.array([0, 2])).tolist()
    [1.0, 2.0, 3.0]
    """
    for market in range(starts.size):
        first = starts[market]
        stop = starts[market + 1] if market + 1 < starts.size else values.size
        while first < stop and np.isnan(values[first]):
            into[first] = np.nan
            first += 1
        mean = values[first] if first < stop else np.nan
        for row in range(first, stop):
            mean += weight * (values[row] - mean)
            into[row] = mean


@kernel
def exponential_means(
    values: FloatArray,
    weights: tuple[float, ...],
    starts: RowArray,
    into: tuple[FloatArray, ...],
) -> None:
    """Write four of `exponential_mean` in one pass, bit for bit the same.

    One mean waits for its own last step; four in turn take no longer than one.

    Examples
    --------
    >>> into = np.empty((4, 2))
    >>> exponential_means(
    ...     np.array([1.0, 3.0]), (0.5, 1.0, 0.25, 0.0), np.array([0]), tuple(into)
    ... )
    >>> into.tolist()
    [[1.0, 2.0], [1.0, 3.0], [1.0, 1.5], [1.0, 1.0]]
    """
    weight0, weight1, weight2, weight3 = weights
    into0, into1, into2, into3 = into
    for market in range(starts.size):
        first = starts[market]
        stop = starts[market + 1] if market + 1 < starts.size else values.size
        while first < stop and np.isnan(values[first]):
            into0[first] = into1[first] = into2[first] = into3[first] = np.nan
            first += 1
        mean0 = mean1 = mean2 = mean3 = values[first] if first < stop else np.nan
        for row in range(first, stop):
            value = values[row]
            mean0 += weight0 * (value - mean0)
            mean1 += weight1 * (value - mean1)
            mean2 += weight2 * (value - mean2)
            mean3 += weight3 * (value - mean3)
            into0[row], into1[row] = mean0, mean1
            into2[row], into3[row] = mean2, mean3


@kernel
def blank_beginnings(values: FloatArray, starts: RowArray, rows: int) -> None:
    """Write NaN over the first `rows` values of every market.

    Examples
    --------
    >>> values = np.arange(4.0)
    >>> blank_beginnings(values, np.array([0, 2]), 1)
    >>> values.tolist()
    [nan, 1.0, nan, 3.0]
    """
    for market in range(starts.size):
        stop = starts[market + 1] if market + 1 < starts.size else values.size
        values[starts[market] : min(starts[market] + rows, stop)] = np.nan


@kernel
def _merge_means(
    chunk: FloatArray, window: int, scratch: tuple[FloatArray, FloatArray], into: FloatArray
) -> None:
    level, spare = scratch
    level[: chunk.size] = chunk
    covered, size = 0, 1
    while True:
        if window & size:
            newest = window - 1 - covered
            _join_means(into, level[newest : newest + into.size], size / (covered + size))
            covered += size
        if covered == window:
            return
        older, newer = level[: chunk.size - size], level[size : chunk.size]
        merged = spare[size : chunk.size]
        for row in range(merged.size):
            merged[row] = 0.5 * (older[row] + newer[row])
        level, spare = spare, level
        size *= 2


@kernel
def _join_means(means: FloatArray, others: FloatArray, share: float) -> None:
    if share == 1.0:
        means[:] = others
    else:
        for row in range(means.size):
            means[row] += share * (others[row] - means[row])


@kernel
def _merge_squares(chunk: FloatArray, window: int, scratch: FloatArray, into: FloatArray) -> None:
    level, spare, squares, spare_squares = scratch[0], scratch[1], scratch[2], scratch[3]
    means = scratch[4, : into.size]
    level[: chunk.size] = chunk
    squares[:] = 0.0
    covered, size = 0, 1
    while True:
        if window & size:
            newest = window - 1 - covered
            others = level[newest : newest + into.size]
            _join_squares(
                into, means, squares[newest : newest + into.size], others, (covered, size)
            )
            _join_means(means, others, size / (covered + size))
            covered += size
        if covered == window:
            return
        _double_squares(level[: chunk.size], squares, spare, spare_squares, size)
        level, spare = spare, level
        squares, spare_squares = spare_squares, squares
        size *= 2


@kernel
def _join_squares(
    into: FloatArray,
    means: FloatArray,
    squares: FloatArray,
    others: FloatArray,
    sizes: tuple[int, int],
) -> None:
    covered, size = sizes
    if covered == 0:
        into[:] = squares
    else:
        weight = covered * size / (covered + size)
        for row in range(into.size):
            apart = others[row] - means[row]
            into[row] += squares[row] + weight * apart * apart


@kernel
def _double_squares(
    level: FloatArray,
    squares: FloatArray,
    means_into: FloatArray,
    squares_into: FloatArray,
    size: int,
) -> None:
    older, newer = level[: level.size - size], level[size:]
    older_squares, newer_squares = squares[: older.size], squares[size : level.size]
    means, sums = means_into[size : level.size], squares_into[size : level.size]
    for row in range(older.size):
        apart = newer[row] - older[row]
        means[row] = 0.5 * (older[row] + newer[row])
        sums[row] = older_squares[row] + newer_squares[row] + 0.5 * size * apart * apart
