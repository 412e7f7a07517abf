"""Compiled arithmetic over a series: windows and exponential means.

A window's value is made from the candles in the window alone, by a fixed tree of pairwise
merges (Chan, Golub and LeVeque 1983). So a bad candle leaves no trace once it has left the
window, and the newest rows of a long series equal those of its tail bit for bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.kernels import kernel

FloatArray = npt.NDArray[np.float64]

_BLOCK = 1024


@kernel
def rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Mean of the newest `window` values, NaN for the first ``window - 1`` rows.

    Examples
    --------
    >>> rolling_mean(np.array([1.0, 2.0, 3.0, 5.0]), 2).tolist()
    [nan, 1.5, 2.5, 4.0]
    """
    means = np.full(values.size, np.nan)
    level = np.empty(_BLOCK + window - 1)
    spare = np.empty(_BLOCK + window - 1)
    for start in range(0, values.size - window + 1, _BLOCK):
        stop = min(start + _BLOCK, values.size - window + 1)
        chunk = values[start : stop + window - 1]
        _merge_means(chunk, window, (level, spare), means[start + window - 1 : stop + window - 1])
    return means


@kernel
def rolling_deviation(values: FloatArray, window: int, ddof: int) -> FloatArray:
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
    deviations = np.full(values.size, np.nan)
    scratch = np.empty((5, _BLOCK + window - 1))
    for start in range(0, values.size - window + 1, _BLOCK):
        stop = min(start + _BLOCK, values.size - window + 1)
        chunk = values[start : stop + window - 1]
        into = deviations[start + window - 1 : stop + window - 1]
        _merge_squares(chunk, window, scratch, into)
        for row in range(into.size):
            into[row] = np.sqrt(into[row] / (window - ddof))
    return deviations


@kernel
def exponential_mean(values: FloatArray, weight: float) -> FloatArray:
    """Exponential mean seeded with the first value, ``m += weight * (x - m)``.

    Leading NaN are skipped: the seed is the first number.

    Examples
    --------
    >>> exponential_mean(np.array([1.0, 3.0, 3.0]), 0.5).tolist()
    [1.0, 2.0, 2.5]
    """
    means = np.full(values.size, np.nan)
    first = 0
    while first < values.size and np.isnan(values[first]):
        first += 1
    if first < values.size:
        mean = values[first]
        for row in range(first, values.size):
            mean += weight * (values[row] - mean)
            means[row] = mean
    return means


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
