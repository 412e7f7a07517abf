"""Gain of trades, walked candle by candle; without leverage and costs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.arrays import FloatArray, RowArray
from pipeline.kernels import kernel


@kernel
def gains(
    close: FloatArray, row: RowArray, entry: RowArray, side: RowArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gain now, and its extremes since the entry, of rows in order of trade, then of candle.

    Examples
    --------
    >>> close, row = np.array([4.0, 5.0, 3.0]), np.array([1, 2])
    >>> [part.tolist() for part in gains(close, row, 0 * row, 0 * row + 1)]
    [[0.25, -0.25], [0.25, 0.25], [0.25, -0.25]]
    """
    now, peak, trough = np.empty(row.size), np.empty(row.size), np.empty(row.size)
    place, current, most, least = 0, 0.0, 0.0, 0.0
    for number in range(row.size):
        start, sign = entry[number], side[number]
        goes_on = number > 0 and start == entry[number - 1] and sign == side[number - 1]
        if not goes_on or place > row[number]:
            place, current, most, least = start, 0.0, 0.0, 0.0
        while place < row[number]:
            place += 1
            current = _gain(close, start, place, sign)
            first = place == start + 1
            most = current if first else max(most, current)
            least = current if first else min(least, current)
        now[number], peak[number], trough[number] = current, most, least
    return now, peak, trough


@kernel
def ends_of(
    close: FloatArray,
    follows: npt.NDArray[np.bool_],
    entries: npt.NDArray[np.intp],
    rule: tuple[int, int, float, float],
) -> RowArray:
    """Last candle of each trade so far as candles go: the entry itself where none follows."""
    sign, hold, stop, profit = rule
    ends = np.empty(entries.size, np.int64)
    for number in range(entries.size):
        entry = entries[number]
        row, last = entry, min(entry + hold, close.size - 1)
        while row < last and follows[row + 1]:
            row += 1
            gain = _gain(close, entry, row, sign)
            if gain <= -stop or gain >= profit:
                break
        ends[number] = row
    return ends


@kernel
def _gain(close: FloatArray, entry: int, row: int, sign: int) -> float:
    gain: float = sign * (close[row] / close[entry] - 1.0)
    return gain
