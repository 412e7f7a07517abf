"""What a label promises."""

from __future__ import annotations

from typing import Protocol

import pandas as pd


class Label(Protocol):
    """A rule that says, some time later, what would have been right."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in order of the label's index."""
        ...

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle, for people: short clauses in the order of `classes`."""
        ...

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label one market's candles; rows without a known outcome are left out.

        Returns
        -------
        DataFrame
            Indexed by time: ``label`` (int8), ``ends_at`` (UTC), ``weight`` (in (0, 1]).
        """
        ...
