"""A fold: rows to train on, rows to be judged on, and the rule that keeps them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import DataError

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Fold:
    """Row positions of one train/test pair."""

    train: Rows
    test: Rows


class Split(Protocol):
    """A rule that cuts labelled rows into folds."""

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
        """Folds over rows in order of time.

        Parameters
        ----------
        time
            Open time of each row's candle, shape (n,).
        ends_at
            Moment at which each row's label became known, shape (n,).
        """
        ...


def purge(train: Rows, test: Rows, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> Fold:
    """Drop the training rows before the test whose label reaches into it.

    A label that ends after the first test candle opened has seen prices of the test.
    """
    first = time[test].min()
    return Fold(train=train[np.asarray(ends_at[train] <= first)], test=test)


def check_folds(folds: list[Fold], time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> None:
    """Refuse folds that are empty or whose training labels touch the test window.

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
        opens, closes = time[fold.test].min(), ends_at[fold.test].max()
        inside = (ends_at[fold.train] > opens) & (time[fold.train] < closes)
        if inside.any():
            row = time[fold.train][inside][0]
            raise DataError(
                "a training label reaches into the test window",
                where=f"fold {number}, row {row.isoformat()}",
                found=f"test from {opens.isoformat()} to {closes.isoformat()}",
                fix="correct the splitter: it must purge by ends_at",
            )
