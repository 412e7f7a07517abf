"""Tests in the middle of the history, trained on what lies around them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.config import Node
from pipeline.errors import ConfigError
from pipeline.market.candles import duration
from pipeline.splits.fold import Fold, purge

EMBARGO = "embargo_hours"


def equal_blocks(time: pd.DatetimeIndex, count: int) -> npt.NDArray[np.int64]:
    """Number of the block of each row, of `count` that follow each other.

    The blocks have equally many moments, to within one; rows of one moment share a block.

    Examples
    --------
    >>> time = pd.DatetimeIndex(["2025-01-03", "2025-01-01", "2025-01-02", "2025-01-01"])
    >>> equal_blocks(time, 2).tolist()
    [1, 0, 0, 0]
    """
    moments, places = np.unique(time.asi8, return_inverse=True)
    return np.asarray(places * count // max(len(moments), 1), "int64")


def folds_around(
    tests: Iterable[npt.NDArray[np.bool_]],
    time: pd.DatetimeIndex,
    ends_at: pd.DatetimeIndex,
    embargo_hours: float | None,
) -> list[Fold]:
    """For each test, the fold that is trained on every other row that neither touches nor follows.

    Raises
    ------
    ConfigError
        When the embargo is still to be derived; see `with_embargo`.
    """
    if embargo_hours is None:
        raise ConfigError(
            f"'{EMBARGO}' is not given",
            where="split",
            expected="a number of hours, which compose derives from the recipe's lookback",
            fix=f"set split.{EMBARGO}",
        )
    embargo = pd.Timedelta(hours=embargo_hours).round("ms")
    return [
        purge(np.flatnonzero(~test), np.flatnonzero(test), time, ends_at, embargo) for test in tests
    ]


def with_embargo(split: Node, lookback: int, timeframe: str) -> Node:
    """A split's mapping with its embargo, where that is still to be derived.

    The embargo runs from the end of a block's last label, so that the horizon of the labels is
    in it already; it lasts as long as the candles that a model sees at once. No window that is
    trained on after a test thereby holds a candle that a label of the test has seen; what an
    indicator remembers from before the window stays.

    Examples
    --------
    >>> with_embargo({"fold_count": 5, "embargo_hours": None}, 24, "30m")
    {'fold_count': 5, 'embargo_hours': 12.0}
    >>> with_embargo({"fold_count": 5}, 24, "30m")
    {'fold_count': 5}
    """
    if split.get(EMBARGO, 0.0) is not None:
        return split
    return {**split, EMBARGO: lookback * duration(timeframe) / pd.Timedelta(hours=1)}
