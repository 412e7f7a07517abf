"""One chronological cut: train on the older rows, judge on the newer."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.splits.fold import Fold, purge


class Holdout(Record):
    """The newest share of all moments is the test; training rows reaching into it are purged."""

    test_share: Annotated[float, Field(gt=0, lt=1)]

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
        """One fold; see `pipeline.splits.fold.Split`."""
        moments = time.unique().sort_values()
        if len(moments) == 0:
            return [Fold(train=np.empty(0, np.intp), test=np.empty(0, np.intp))]
        first = moments[min(int(len(moments) * (1 - self.test_share)), len(moments) - 1)]
        older, newer = np.flatnonzero(time < first), np.flatnonzero(time >= first)
        return [purge(older, newer, time, ends_at)]
