"""A fold: rows to train on, rows to be judged on, and the rule that keeps them apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import DataError

Rows = npt.NDArray[np.intp]
NO_TIME = pd.Timedelta(0)


def _no_rows() -> Rows:
    return np.empty(0, np.intp)


@dataclass(frozen=True, slots=True)
class Fold:
    """Row positions of one train/test pair; `purged` are those that were left out for the test."""

    train: Rows
    test: Rows
    purged: Rows = field(default_factory=_no_rows)


class Split(Protocol):
    """A rule that cuts labelled rows into folds."""

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
        """Folds over rows of any order; several rows may share a moment.

        Rows of one trade have the ``ends_at`` of the trade, so that a purge by ``ends_at``
        never leaves a trade on both sides.

        Parameters
        ----------
        time
            Open time of each row's candle, shape (n,).
        ends_at
            Moment at which each row's label became known, shape (n,).
        """
        ...


def blocks_of(rows: Rows, time: pd.DatetimeIndex) -> list[Rows]:
    """Cut rows where a moment of other rows lies between them, the oldest block first.

    Examples
    --------
    >>> time = pd.DatetimeIndex(["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"])
    >>> [block.tolist() for block in blocks_of(np.array([0, 1, 3]), time)]
    [[0, 1], [3]]
    """
    moments, places = np.unique(time.asi8, return_inverse=True)
    own = np.zeros(len(moments), np.bool_)
    own[places[rows]] = True
    first = own & ~np.append(False, own[:-1])
    number = np.cumsum(first)[places[rows]]
    return [rows[number == block] for block in range(1, int(first.sum()) + 1)]


def purge(
    train: Rows,
    test: Rows,
    time: pd.DatetimeIndex,
    ends_at: pd.DatetimeIndex,
    embargo: pd.Timedelta = NO_TIME,
) -> Fold:
    """Drop the training rows whose label touches a block of the test, or that follow it too soon.

    A label that ends after a block's first candle opened has seen prices of the test, and a row
    that opens before the block's last label ended shares prices with it, unless all of it is
    older. For `embargo` after that end no row is trained on either.
    """
    dropped = np.zeros(len(train), np.bool_)
    for opens, closes in _windows(test, time, ends_at):
        dropped |= _touching(train, time, ends_at, (opens, closes + embargo))
    return Fold(train=train[~dropped], test=test, purged=train[dropped])


def check_folds(folds: list[Fold], time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> None:
    """Refuse folds that are empty or whose training labels touch a block of their test.

    Raises
    ------
    DataError
        Naming the fold and the first offending row.
    """
    for number, fold in enumerate(folds):
        if len(fold.train) == 0 or len(fold.test) == 0:
            found = f"{len(fold.train)} training and {len(fold.test)} test rows of {len(time)}"
            raise DataError(
                "too few rows for this split",
                where=f"fold {number}",
                found=found,
                fix="give more history (recipe.history_days; a later as_of or another market where "
                "there are no older candles) or a smaller test; the features' warm-up is no row",
            )
        for opens, closes in _windows(fold.test, time, ends_at):
            inside = _touching(fold.train, time, ends_at, (opens, closes))
            if inside.any():
                row = time[fold.train][inside][0]
                raise DataError(
                    "a training label reaches into the test window",
                    where=f"fold {number}, row {row.isoformat()}",
                    found=f"test from {opens.isoformat()} to {closes.isoformat()}",
                    fix="correct the splitter: it must purge by ends_at",
                )


def _windows(
    test: Rows, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex
) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    """First open and last end of each block."""
    for block in blocks_of(test, time):
        yield time[block].min(), ends_at[block].max()


def _touching(
    rows: Rows,
    time: pd.DatetimeIndex,
    ends_at: pd.DatetimeIndex,
    window: tuple[pd.Timestamp, pd.Timestamp],
) -> npt.NDArray[np.bool_]:
    opens, closes = window
    return np.asarray((ends_at[rows] > opens) & (time[rows] < closes))
