"""Whether the refit, which is served, says what the evaluated models say.

Scores are those of the folds' models; the refit is one more fit of the same procedure, on every
labelled row, and no labelled row is left to judge it by. So it is asked the same as the model of
the last fold, on the newest rows that this one was not fitted on: its test, and the rows after it
whose label nobody knows yet. The refit was fitted on the rows of the test, so on these it is surer
of itself: agreement here says that both came from one procedure and act about equally often, and
no more. It is no score, and neither model is judged by what happened. Only on the unlabelled rows,
few as they are, has neither seen anything of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.models.base import Floats, Rows, Samples
from pipeline.models.windows import whole
from pipeline.splits.fold import Fold

MOST_ROWS = 2000
FEWEST_ROWS = 3  # whose order says anything
SELL, BUY = "sell", "buy"


@dataclass(frozen=True, slots=True)
class Certification:
    """Agreement of the refit with the last fold's model on `rows` that this one did not know.

    `unlabelled_rows` of them were known to neither. `rank_correlation` is Spearman's, of buy less
    sell, or of the last class where there are other classes; None where one of the two says the
    same of every row. `signal_rate` and `fold_signal_rate` are the shares of rows whose most
    probable class is one to act on: buy or sell, else the last class.
    """

    rows: int
    unlabelled_rows: int
    rank_correlation: float | None
    unlabelled_rank_correlation: float | None
    signal_rate: float
    fold_signal_rate: float


def unlabelled_rows(samples: Samples, lookback: int, most: int = MOST_ROWS // 2) -> Rows:
    """Table rows later than every labelled one, their windows whole: the newest, oldest first."""
    time = pd.DatetimeIndex(samples.table.index.get_level_values("time"))
    later = np.flatnonzero(time > samples.time.max()).astype(np.intp)
    later = later[whole(samples.table, later, lookback)]
    return _newest(later, time, most)


def last_fold(folds: Sequence[Fold], time: pd.DatetimeIndex) -> int:
    """Number of the fold whose test reaches furthest, the last of several.

    Examples
    --------
    >>> time = pd.DatetimeIndex(["2025-01-01", "2025-01-02", "2025-01-03"])
    >>> last_fold([Fold(np.array([0]), np.array([2])), Fold(np.array([0]), np.array([1]))], time)
    0
    """
    return max(range(len(folds)), key=lambda number: (time[folds[number].test].max(), number))


def newest_tested(test: Rows, time: pd.DatetimeIndex, beside: int) -> npt.NDArray[np.intp]:
    """Places in a test of its newest rows, as many as there is room for with those `beside`."""
    return _newest(np.arange(len(test), dtype=np.intp), time[test], MOST_ROWS - beside)


def certify(
    classes: tuple[str, ...], refit: Floats, fold: Floats, unlabelled: int
) -> Certification:
    """Compare what two models said of the same rows.

    Parameters
    ----------
    refit, fold
        Probabilities as they are served and as they were judged, shape (rows, classes).
    unlabelled
        How many of the rows, the last ones, have no label.

    Examples
    --------
    >>> said = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.125, 0.875]])
    >>> certify(("no", "enter"), said, said ** 2, 0).rank_correlation
    1.0
    """
    both = [_leaning(said, classes) for said in (refit, fold)]
    known = len(refit) - unlabelled
    return Certification(
        rows=len(refit),
        unlabelled_rows=unlabelled,
        rank_correlation=_rank_correlation(both[0], both[1]),
        unlabelled_rank_correlation=_rank_correlation(both[0][known:], both[1][known:]),
        signal_rate=_signal_rate(refit, classes),
        fold_signal_rate=_signal_rate(fold, classes),
    )


def _newest(rows: Rows, time: pd.DatetimeIndex, most: int) -> Rows:
    """The newest of rows whose moments stand in `time` at the rows themselves."""
    order = rows[np.argsort(time.asi8[rows], kind="stable")]
    return order[max(len(order) - most, 0) :]


def _leaning(said: Floats, classes: tuple[str, ...]) -> Floats:
    if {SELL, BUY} <= {*classes}:
        return np.asarray(said[:, classes.index(BUY)] - said[:, classes.index(SELL)])
    return said[:, -1]


def _rank_correlation(one: Floats, other: Floats) -> float | None:
    if len(one) < FEWEST_ROWS:
        return None
    ranks = [pd.Series(each).rank().to_numpy("float64") for each in (one, other)]
    if any(np.ptp(each) == 0 for each in ranks):
        return None
    return round(float(np.corrcoef(ranks[0], ranks[1])[0, 1]), 6)


def _signal_rate(said: Floats, classes: tuple[str, ...]) -> float:
    acting = [k for k, name in enumerate(classes) if name in (SELL, BUY)] or [len(classes) - 1]
    return round(float(np.isin(said.argmax(axis=1), acting).mean()), 6)
