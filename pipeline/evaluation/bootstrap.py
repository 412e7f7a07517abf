"""How far luck could have moved a figure: scored rows drawn again, block by block.

A stationary block bootstrap (Politis and Romano 1994, The stationary bootstrap): blocks start
anywhere, have geometric lengths and run past the newest row into the oldest. What is drawn are
moments, each with all rows it has, so that markets which move together and rows of one trade stay
together. Blocks are two label horizons long on average, and an interval is widened by what such
blocks are known to miss of labels that overlap, see `Blocks`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.kernels import kernel
from pipeline.market.candles import duration

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DRAWS = 2000
SEED = 20_251  # every figure of a run is drawn from the same blocks
CONFIDENCE = 0.9
HORIZONS = 2  # a block's mean length
LEAST_BLOCKS = 4
WIDEST = 5.0
NORMAL = 1.645


@dataclass(frozen=True, slots=True)
class Blocks:
    """The moments that are drawn, and how.

    ``moment`` is each row's moment, shape (rows,); `length` is a block's mean length in
    moments; `widening` is by how much an interval is wider than its draws are spread.

    Overlapping labels of horizon h correlate like 1 - k/h at a distance of k rows. Of that the
    stationary bootstrap sees the share that its blocks hold together, less what centring on the
    mean of so few blocks takes away. Both are known, and `widening` makes up for them; and for a
    deviation that rests on few horizons itself.
    """

    moment: Ints
    moments: int
    length: float
    widening: float
    draws: int = DRAWS


def blocks_of(rows: pd.DataFrame, timeframe: str) -> Blocks:
    """How to draw rows keyed by a ``time`` among others, with ``ends_at``, in any order."""
    moment, last_seen = spans_of(rows, timeframe)
    moments = int(moment.max(initial=-1)) + 1
    horizon = max(int((last_seen - moment).max(initial=1)), 1)
    length = block_length(moments, horizon)
    widened = widening(moments, horizon, length) * student(max(moments, 1) / horizon)
    return Blocks(moment, moments, length, widened)


def over_moments(moments: int, horizon: int) -> Blocks:
    """How to draw figures that do not overlap, one for each moment, such as daily returns.

    Blocks are as long as where they do, because what moves one figure may last a `horizon`;
    nothing is made up for labels that share their future.
    """
    length = block_length(moments, horizon)
    widened = widening(moments, 1, length) * student(max(moments, 1) / horizon)
    return Blocks(np.arange(moments), moments, length, widened)


def spans_of(rows: pd.DataFrame, timeframe: str) -> tuple[Ints, Ints]:
    """Each row's moment, counted from 0, and the first whose label sees nothing that its own saw.

    Both of shape (rows,); the difference is a horizon in moments.
    """
    time = pd.DatetimeIndex(rows.index.get_level_values("time"))
    moments, moment = np.unique(time.asi8, return_inverse=True)
    last_seen = (pd.DatetimeIndex(rows["ends_at"]) - duration(timeframe)).as_unit(time.unit)
    return moment.astype("int64"), np.searchsorted(moments, last_seen.asi8)


def block_length(moments: int, horizon: int) -> float:
    """Mean block length in moments: two horizons, at least a cube root, at most a quarter.

    Examples
    --------
    >>> block_length(8000, 24), block_length(8000, 3), round(block_length(60, 24))
    (48.0, 20.0, 15)
    """
    wanted = max(HORIZONS * horizon, round(moments ** (1 / 3), 9))
    return max(min(float(wanted), moments / LEAST_BLOCKS), 1.0)


def widening(moments: int, horizon: int, length: float) -> float:
    """True deviation of a mean of overlapping labels by the one that such blocks show.

    With rho the correlation at each distance, s the share of pairs of moments that are so far
    apart and w the weight that the stationary bootstrap gives them (Politis and Romano 1994,
    lemma 1), the root of ``sum(s rho) / (sum(w s rho) - sum(w s) sum(s rho) / n)``; at most 5.

    Examples
    --------
    >>> round(widening(2000, 24, 48.0), 2), round(widening(2000, 1, 12.6), 2)
    (1.12, 1.01)
    """
    distance, left = np.arange(moments), 1 - 1 / length
    together = 1 - distance / max(moments, 1)
    weight = together * left**distance + (1 - together) * left ** (moments - distance)
    weight[:1] = 1.0
    correlated = np.maximum(1 - distance / horizon, 0.0)
    true = _both_sides(together * correlated)
    centred = _both_sides(together * weight) * true / max(moments, 1)
    shown = _both_sides(together * weight * correlated) - centred
    return math.sqrt(true / shown) if shown * WIDEST**2 > true else WIDEST


def student(freedom: float) -> float:
    """Student's t by the normal deviation, one in twenty beyond on either side.

    The first terms of Fisher's expansion; of as many degrees of freedom as there are horizons.

    Examples
    --------
    >>> round(1.645 * student(25.0), 2), round(1.645 * student(1e6), 3)
    (1.71, 1.645)
    """
    square = NORMAL**2
    second = (5 * square**2 + 16 * square + 3) / (96 * freedom**2)
    return 1 + (square + 1) / (4 * freedom) + second


def drawn_sums(columns: Floats, blocks: Blocks, rng: np.random.Generator) -> Floats:
    """Sums of columns over the rows, and over the rows drawn again.

    Parameters
    ----------
    columns
        One value for each row and column, shape (rows, columns).

    Returns
    -------
    ndarray
        Shape (1 + draws, columns); the first is that of the rows themselves.
    """
    by_moment = np.column_stack(
        [np.bincount(blocks.moment, column, blocks.moments) for column in columns.T]
    )
    running = np.vstack([np.zeros(columns.shape[1]), np.cumsum(by_moment, axis=0)])
    drawn = np.empty((1 + blocks.draws, columns.shape[1]))
    drawn[0] = by_moment.sum(axis=0)
    _draw_sums(running, blocks.length, rng, drawn[1:])
    return drawn


def interval(drawn: Floats, widened: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a figure from its draws.

    Parameters
    ----------
    drawn
        The figure, then that of each draw, shape (1 + draws,); draws of which the figure cannot
        be told are NaN.
    widened
        `Blocks.widening`.

    Examples
    --------
    >>> low, high = interval(np.array([0.5, *np.linspace(0.3, 0.5, 101)]), 2.0)
    >>> round(low, 3), round(high, 3)
    (0.32, 0.68)
    """
    value, told = drawn[0], drawn[1:][np.isfinite(drawn[1:])]
    if not math.isfinite(value) or len(told) == 0:
        return math.nan, math.nan
    ends = np.quantile(told, [(1 - confidence) / 2, (1 + confidence) / 2]) - told.mean()
    low, high = value + widened * ends
    return float(low), float(high)


def deviation(drawn: Floats, widened: float) -> float:
    """Standard error of a figure from its draws; see `interval`."""
    return widened * float(np.nanstd(drawn[1:]))


@kernel
def next_block(moments: int, length: float, rng: np.random.Generator) -> tuple[int, int]:
    """Where the next block starts, and how many moments it has."""
    start = int(rng.random() * moments)
    chance = 1.0 - rng.random()
    long = 1 + int(math.log(chance) / math.log(1 - 1 / length)) if length > 1 else 1
    return start, long


@kernel
def draw_counts(length: float, rng: np.random.Generator, counts: Ints) -> None:
    """Draw moments once: how often each was, into `counts`, shape (moments,)."""
    moments = len(counts)
    counts[:] = 0
    every, left = 0, moments
    while left > 0:
        start, long = next_block(moments, length, rng)
        long = min(long, left)
        left -= long
        end = start + long
        counts[start] += 1
        if end < moments:
            counts[end] -= 1
        elif end > moments:
            every += 1
            counts[end - moments] -= 1
    running = every
    for k in range(moments):
        running += counts[k]
        counts[k] = running


@kernel
def _draw_sums(running: Floats, length: float, rng: np.random.Generator, drawn: Floats) -> None:
    moments, width = running.shape[0] - 1, running.shape[1]
    for row in range(len(drawn)):
        drawn[row] = 0.0
        left = moments
        while left > 0:
            start, long = next_block(moments, length, rng)
            long = min(long, left)
            left -= long
            end = start + long
            over = end - moments if end > moments else 0
            for k in range(width):
                drawn[row, k] += running[end - over, k] - running[start, k] + running[over, k]


def _both_sides(values: Floats) -> float:
    return float(2 * values.sum() - values[:1].sum())
