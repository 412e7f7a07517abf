"""How many independent rows overlapping labels are worth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.labels.uniqueness import average_uniqueness
from pipeline.market.candles import duration

Floats = npt.NDArray[np.float64]
ONE_SIDED_95 = 1.645


def effective_rows(joined: pd.DataFrame, timeframe: str) -> float:
    """Sum of the average uniqueness of the scored rows' label intervals, all markets together.

    Markets move together: rows of several markets at one moment count as one row, as if they
    told the same. That is a lower bound where they do not.
    """
    return independent_rows(joined, duration(timeframe))


def independent_rows(labelled: pd.DataFrame, step: pd.Timedelta) -> float:
    """The same of any rows keyed (market, time) with ``ends_at``, `step` apart at the closest."""
    if labelled.empty:
        return 0.0
    time = pd.DatetimeIndex(labelled.index.get_level_values("time"))
    origin = time.min()
    starts = np.asarray((time - origin) // step, "int64")
    ends = np.asarray((pd.DatetimeIndex(labelled["ends_at"]) - step - origin) // step, "int64")
    return float(average_uniqueness(starts, ends).sum())


def skill(loss: Floats, base_loss: Floats) -> float:
    """``1 - mean(loss) / mean(base_loss)``; where the base is never wrong, ``-mean(loss)``.

    Examples
    --------
    >>> skill(np.array([0.2, 0.4]), np.array([0.4, 0.8]))
    0.5
    >>> skill(np.array([0.25, 0.75]), np.zeros(2))
    -0.5
    """
    return float((base_loss - loss).mean() / (float(base_loss.mean()) or 1.0))
