"""Every combination of blocks is judged, so that each row is predicted by several models."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from pipeline.config import Record
from pipeline.splits.around import equal_blocks, folds_around
from pipeline.splits.fold import Fold

MOST_FOLDS = 100


class Combinatorial(Record):
    """Each choice of ``tested_blocks`` out of ``block_count`` equal blocks is a test once.

    With N blocks and k tested there are C(N, k) folds, and each row is predicted C(N-1, k-1)
    times. Purge and embargo hold for every block of a test. Source: López de Prado, "Advances in
    Financial Machine Learning", 2018, section 12.4.
    """

    block_count: Annotated[int, Field(ge=3, le=MOST_FOLDS)]
    tested_blocks: Annotated[int, Field(ge=2, description="of each fold")]
    embargo_hours: Annotated[float | None, Field(ge=0, description="null: the lookback")] = None

    @model_validator(mode="after")
    def _can_be_fitted(self) -> Self:
        if self.tested_blocks >= self.block_count:
            raise ValueError("tested_blocks must leave a block of block_count to train on")
        if (count := comb(self.block_count, self.tested_blocks)) > MOST_FOLDS:
            raise ValueError(f"{count} combinations are {count} fits; at most {MOST_FOLDS}")
        return self

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
        """One fold for each combination, in order of its blocks."""
        number = equal_blocks(time, self.block_count)
        chosen = combinations(range(self.block_count), self.tested_blocks)
        tests = (np.isin(number, blocks) for blocks in chosen)
        return folds_around(tests, time, ends_at, self.embargo_hours)
