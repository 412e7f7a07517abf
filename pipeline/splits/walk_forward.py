"""Several chronological cuts: train on the past, judge on the next stretch, move on."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from pipeline.config import Record
from pipeline.splits.fold import Fold, purge


class WalkForward(Record):
    """Consecutive test stretches at the end of the history; each trains on all rows before it.

    With n moments, ``fold_count`` tests of ``test_share * n`` moments each follow each other
    up to the newest. Training rows that reach into a fold's test are purged. The training
    window expands from fold to fold.
    """

    fold_count: Annotated[int, Field(ge=1, le=100)]
    test_share: Annotated[float, Field(gt=0, lt=1, description="of all moments, for each fold")]

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> Self:
        if self.fold_count * self.test_share >= 1:
            raise ValueError(
                f"fold_count * test_share is {self.fold_count * self.test_share:g}; "
                "below 1 leaves rows to train on"
            )
        return self

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
        """One fold for each stretch, the oldest first; see `pipeline.splits.fold.Split`."""
        moments = time.unique().sort_values()
        length = int(len(moments) * self.test_share)
        starts = [len(moments) - length * left for left in range(self.fold_count, 0, -1)]
        return [self._fold(moments[start : start + length], time, ends_at) for start in starts]

    def _fold(
        self, tested: pd.DatetimeIndex, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex
    ) -> Fold:
        if len(tested) == 0:
            return Fold(train=np.empty(0, np.intp), test=np.empty(0, np.intp))
        older = np.flatnonzero(time < tested[0])
        test = np.flatnonzero((time >= tested[0]) & (time <= tested[-1]))
        return purge(older, test, time, ends_at)
