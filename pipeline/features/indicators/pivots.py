"""Peaks and troughs, each counted only once the candles that make it one are there.

A candle is a peak of `reach` when no candle of the `reach` before and the `reach` after it
is above it: known at the close of the last of these, and not before.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.arrays import FloatArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import Window, indicator
from pipeline.kernels import kernel

Truths = npt.NDArray[np.bool_]
Reach = Annotated[int, Field(ge=1, le=500)]
Tolerance = Annotated[float, Field(gt=0, lt=1)]
LevelSide = Literal["support", "resistance"]
PairKind = Literal["top", "bottom"]
Direction = Literal["rising", "falling"]

TIE = 1e-9  # what rounding may add to a difference that is meant to be exact
TOUCHING = 0.005


def _warm_up(window: int, reach: int, **_: object) -> int:
    return window + reach


def _memory(window: int, reach: int, **_: object) -> int:
    return window + reach + 1


@indicator(
    warm_up=_warm_up,
    memory=_memory,
    inputs=("high", "low", "close"),
    formula="100 * |close - level| / close",
    unit="percent",
    scale_free=True,
)
def level_distance(
    candles: CandleArrays, side: LevelSide, window: Window = 50, reach: Reach = 5
) -> FloatArray:
    """Distance of the close from the nearest level beyond it, in percent of the close.

    Supports are the lows of those of the newest `window` candles before this one that are
    confirmed troughs of `reach`, equal neighbours allowed; the nearest is the highest of them
    below the close. Resistances are their mirror among the highs.

    Where none lies beyond the close, the lowest low (highest high) of the same candles and
    this one stands in: the market has been no further. `level_touches` is 0 there.
    """
    levels, _ = _levels(candles, side, window, reach, TOUCHING)
    distance: FloatArray = 100.0 * (np.abs(candles.close - levels) / candles.close)
    return distance


@indicator(
    warm_up=_warm_up,
    memory=_memory,
    inputs=("high", "low", "close"),
    formula="number of levels with |level - nearest| <= tolerance * nearest",
    unit="1",
    scale_free=True,
)
def level_touches(
    candles: CandleArrays,
    side: LevelSide,
    window: Window = 50,
    reach: Reach = 5,
    tolerance: Tolerance = TOUCHING,
) -> FloatArray:
    """How often the nearest level was touched: levels near it, itself among them.

    Levels as in `level_distance`, on either side of the close; 0 where there is no nearest.
    """
    _, touches = _levels(candles, side, window, reach, tolerance)
    return touches


@indicator(
    warm_up=_warm_up,
    memory=_memory,
    inputs=("high", "low"),
    formula="1 if |newest - before| <= tolerance * max(newest, before), else 0",
    unit="1",
    scale_free=True,
)
def double_pivot(
    candles: CandleArrays,
    kind: PairKind,
    window: Window = 20,
    reach: Reach = 3,
    tolerance: Tolerance = 0.01,
) -> FloatArray:
    """Double top or double bottom: 1 where the last two pivots are at one height, else 0.

    The pivots are the last two confirmed peaks of the highs (troughs of the lows) of `reach`
    among the newest `window` candles before this one, each strictly beyond its neighbours;
    0 where there are fewer than two.
    """
    heights = candles.high if kind == "top" else candles.shared(np.negative, candles.low)
    newest, before = candles.shared(last_two, heights, window, reach)
    most = np.maximum(np.abs(newest), np.abs(before))
    near: Truths = np.abs(newest - before) <= tolerance * (1 + TIE) * most
    return flags(near, window + reach)


@indicator(
    warm_up=_warm_up,
    memory=_memory,
    inputs=("high", "low"),
    formula="1 if the last peak and the last trough are beyond those before, else 0",
    unit="1",
    scale_free=True,
)
def pivot_trend(
    candles: CandleArrays, direction: Direction, window: Window = 20, reach: Reach = 3
) -> FloatArray:
    """Higher highs and lows (lower ones where falling): 1 where both pairs say so, else 0.

    The last confirmed peak of the highs and the last confirmed trough of the lows are each
    compared with the one before; pivots as in `double_pivot`, 0 where a pair is not complete.
    """
    depths = candles.shared(np.negative, candles.low)
    peak, peak_before = candles.shared(last_two, candles.high, window, reach)
    depth, depth_before = candles.shared(last_two, depths, window, reach)
    if direction == "rising":
        return flags((peak > peak_before) & (depth < depth_before), window + reach)
    return flags((peak < peak_before) & (depth > depth_before), window + reach)


def flags(truths: Truths, unknown: int) -> FloatArray:
    """Truths as 1 and 0, NaN for the first `unknown` rows."""
    found = truths.astype(np.float64)
    found[:unknown] = np.nan
    return found


def last_two(values: FloatArray, window: int, reach: int) -> tuple[FloatArray, FloatArray]:
    """Heights of the newest confirmed peak among the `window` rows before, and of the one before.

    A peak is above each of the `reach` rows on both sides. NaN where there is none.

    Examples
    --------
    >>> values = np.array([0.0, 3.0, 0.0, 2.0, 0.0, 0.0])
    >>> newest, before = last_two(values, 3, 1)
    >>> newest.tolist(), before.tolist()
    ([nan, nan, 3.0, 3.0, 2.0, 2.0], [nan, nan, nan, nan, 3.0, nan])
    """
    return clear_pivots(values, np.zeros(values.size), window, reach)


@kernel
def clear_pivots(
    values: FloatArray, apart: FloatArray, window: int, reach: int
) -> tuple[FloatArray, FloatArray]:
    """As `last_two`, of peaks that are above their neighbours by more than `apart` there."""
    newest, before = np.full(values.size, np.nan), np.full(values.size, np.nan)
    places = np.empty(values.size, np.int64)
    count = 0
    for row in range(2 * reach, values.size):
        place = row - reach
        if _is_peak(values, place, reach, apart[place]):
            places[count] = place
            count += 1
        if count > 0 and places[count - 1] >= row - window:
            newest[row] = values[places[count - 1]]
            if count > 1 and places[count - 2] >= row - window:
                before[row] = values[places[count - 2]]
    return newest, before


def _levels(
    candles: CandleArrays, side: LevelSide, window: int, reach: int, tolerance: float
) -> tuple[FloatArray, FloatArray]:
    if side == "resistance":
        return candles.shared(_above, candles.high, candles.close, (window, reach), tolerance)
    low, close = (candles.shared(np.negative, each) for each in (candles.low, candles.close))
    depths, touches = candles.shared(_above, low, close, (window, reach), tolerance)
    return -depths, touches


@kernel
def _above(
    highs: FloatArray, closes: FloatArray, sizes: tuple[int, int], tolerance: float
) -> tuple[FloatArray, FloatArray]:
    window, reach = sizes
    levels, touches = np.full(highs.size, np.nan), np.full(highs.size, np.nan)
    places = np.empty(highs.size, np.int64)
    first = count = 0
    for row in range(2 * reach, highs.size):
        if _is_level(highs, row - reach, reach):
            places[count] = row - reach
            count += 1
        while first < count and places[first] < row - window:
            first += 1
        if row >= window + reach:
            level, near = _nearest(highs, places[first:count], closes[row], tolerance)
            touches[row] = near
            levels[row] = level if near > 0 else highs[row - window : row + 1].max()
    return levels, touches


@kernel
def _nearest(
    highs: FloatArray, places: npt.NDArray[np.int64], close: float, tolerance: float
) -> tuple[float, int]:
    level, near = np.inf, 0
    for place in places:
        if close < highs[place] < level:
            level = highs[place]
    if level < np.inf:
        for place in places:
            if abs(highs[place] - level) <= tolerance * (1.0 + TIE) * abs(level):
                near += 1
    return level, near


@kernel
def _is_level(values: FloatArray, place: int, reach: int) -> bool:
    around = values[place - reach : place + reach + 1]
    return bool(np.all(values[place] >= around))


@kernel
def _is_peak(values: FloatArray, place: int, reach: int, apart: float) -> bool:
    for step in range(1, reach + 1):
        beside = max(values[place - step], values[place + step])
        if not values[place] - beside > apart:
            return False
    return True
