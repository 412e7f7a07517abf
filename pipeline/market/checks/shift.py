"""Whether two sources tell the same candles at other hours: a time zone read wrongly."""

from __future__ import annotations

import numpy as np
import pandas as pd

DAY = 24
CERTAIN = 0.7  # correlation of returns that no two markets of unlike moments reach
APART = 0.3  # by which the best shift is ahead of the next


def hours_late(close: pd.Series, reference: pd.Series, least_common: int) -> int | None:
    """How many whole hours the moments of `close` lie after those of `reference`.

    The shift, within a day on either side, at which the returns of both agree: correlation of at
    least 0.7, and 0.3 ahead of every other shift. None when no shift does, or when fewer than
    `least_common` moments are common.

    Examples
    --------
    >>> times = pd.date_range("2025-01-01", periods=200, freq="h", tz="UTC")
    >>> walk = np.random.default_rng(0).standard_normal(200).cumsum() + 100
    >>> hours_late(pd.Series(walk, times + pd.Timedelta(hours=9)), pd.Series(walk, times), 48)
    9
    """
    ours, theirs = _returns(close), _returns(reference)
    found = {}
    for late in range(-DAY, DAY + 1):
        moved = ours.set_axis(pd.DatetimeIndex(ours.index) - pd.Timedelta(hours=late))
        common = moved.index.intersection(theirs.index)
        if len(common) >= least_common:
            found[late] = _correlation(moved.loc[common], theirs.loc[common])
    ranked = sorted(found, key=lambda late: found[late], reverse=True)
    if not ranked or found[ranked[0]] < CERTAIN:
        return None
    ahead = found[ranked[0]] - found[ranked[1]] if len(ranked) > 1 else 1.0
    return ranked[0] if ahead >= APART else None


def _returns(close: pd.Series) -> pd.Series:
    return pd.Series(np.log(close.to_numpy("float64")), close.index).diff().dropna()


def _correlation(ours: pd.Series, theirs: pd.Series) -> float:
    if ours.std() == 0 or theirs.std() == 0:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])
