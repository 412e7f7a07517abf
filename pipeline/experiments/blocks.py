"""Blocks of time that the out-of-fold rows of all heads fall into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
BLOCKS = 16  # 12,870 ways to take one half of them
Sums = dict[str, list[float]]  # by head, one for each block


def block_starts(moments: Iterable[pd.DatetimeIndex]) -> pd.DatetimeIndex:
    """First moment of each block but the first, so that all hold as many moments.

    Examples
    --------
    >>> hours = pd.date_range("2025-01-01", periods=32, freq="h", tz="UTC")
    >>> block_starts([hours])[0].isoformat()
    '2025-01-01T02:00:00+00:00'
    """
    first, *others = moments
    every = first.append(others).unique().sort_values()
    return pd.DatetimeIndex(every[np.arange(1, BLOCKS) * len(every) // BLOCKS])


def block_sums(time: pd.DatetimeIndex, values: Floats, starts: pd.DatetimeIndex) -> Floats:
    """Sum of the values in each block, shape (blocks,)."""
    block = starts.searchsorted(time, side="right")
    return np.asarray(np.bincount(block, weights=values, minlength=BLOCKS), np.float64)


def as_lists(sums: Mapping[str, Floats]) -> Sums:
    """The same, ready for JSON."""
    return {head: [float(value) for value in each] for head, each in sums.items()}
