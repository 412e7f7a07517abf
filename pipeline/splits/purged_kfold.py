"""Every row is judged once, by a model trained on both sides of it."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.splits.around import equal_blocks, folds_around
from pipeline.splits.fold import Fold


class PurgedKFold(Record):
    """Each of ``fold_count`` equal blocks is a test once; all other rows are trained on.

    Rows whose label touches the test are purged, and those that open within ``embargo_hours``
    of the end of its last label. Source: López de Prado, "Advances in Financial Machine
    Learning", 2018, section 7.4.
    """

    fold_count: Annotated[int, Field(ge=2, le=100)]
    embargo_hours: Annotated[float | None, Field(ge=0, description="null: the lookback")] = None

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
        """One fold for each block, the oldest first; see `pipeline.splits.fold.Split`."""
        number = equal_blocks(time, self.fold_count)
        tests = (number == block for block in range(self.fold_count))
        return folds_around(tests, time, ends_at, self.embargo_hours)
