"""Several chronological cuts: train on the past, judge on the next stretch, move on."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from pipeline.config import Record
from pipeline.splits.fold import Fold, purge


class WalkForward(Record):
    """Consecutive test stretches at the end of the history; each trains on rows before it only.

    With n moments, ``fold_count`` tests of ``test_share * n`` moments each, or of ``every_days``
    days each, follow each other up to the newest. The training window holds everything before
    the test (``expanding``) or what there is of the ``train_days`` before it (``rolling``); rows
    that reach into the test are purged. None is trained on after a test: there is no embargo.
    """

    fold_count: Annotated[int, Field(ge=1, le=1000)]
    test_share: Annotated[
        float | None, Field(gt=0, lt=1, description="of all moments, for each fold")
    ] = None
    every_days: Annotated[float | None, Field(gt=0, le=3660, description="of each test")] = None
    window: Literal["expanding", "rolling"] = "expanding"
    train_days: Annotated[float | None, Field(gt=0, le=36500, description="if rolling")] = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.test_share is None) == (self.every_days is None):
            raise ValueError("give a test's length as test_share or as every_days, the other null")
        if (self.window == "rolling") != (self.train_days is not None):
            raise ValueError("train_days is the length of a rolling window: give both or neither")
        if self.test_share is not None and self.fold_count * self.test_share >= 1:
            raise ValueError(
                f"fold_count * test_share is {self.fold_count * self.test_share:g}; "
                "below 1 leaves rows to train on"
            )
        return self

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
        """One fold for each stretch, the oldest first; see `pipeline.splits.fold.Split`."""
        moments = time.unique().sort_values()
        stretches = self._stretches(moments)
        return [self._fold(moments[first:end], time, ends_at) for first, end in stretches]

    def _stretches(self, moments: pd.DatetimeIndex) -> list[tuple[int, int]]:
        """First moment of each test, and the first after it, by position."""
        left = np.arange(self.fold_count, -1, -1)
        if self.every_days is None:
            cuts = len(moments) - int(len(moments) * (self.test_share or 0.0)) * left
        else:
            lengths = [_days(float(count * self.every_days)) for count in left]
            cuts = np.asarray([(moments <= moments.max() - length).sum() for length in lengths])
        return [(int(first), int(end)) for first, end in pairwise(cuts)]

    def _fold(
        self, tested: pd.DatetimeIndex, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex
    ) -> Fold:
        if len(tested) == 0:
            return Fold(train=np.empty(0, np.intp), test=np.empty(0, np.intp))
        older = time < tested[0]
        if self.train_days is not None:
            older &= time >= tested[0] - _days(self.train_days)
        test = np.flatnonzero((time >= tested[0]) & (time <= tested[-1]))
        return purge(np.flatnonzero(older), test, time, ends_at)


def _days(count: float) -> pd.Timedelta:
    """To the millisecond: a fraction of a day is seldom a whole number of nanoseconds."""
    return pd.Timedelta(days=count).round("ms")
