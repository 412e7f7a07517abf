"""What a label promises."""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from pipeline.market.trades import TradeRule


class Label(Protocol):
    """A rule that says, some time later, what would have been right."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in order of the label's index."""
        ...

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle, for people: short clauses in the order of `classes`."""
        ...

    @property
    def trades(self) -> TradeRule | None:
        """The rule of the trades whose rows are labelled; None where candles are."""
        ...

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label one market's candles; rows without a known outcome are left out.

        Returns
        -------
        DataFrame
            Indexed by time, or by trade (open time of its entry candle) and time: ``label``
            (int8), ``ends_at`` (UTC), ``weight`` (in (0, 1]). A label that learns gives
            ``outcome`` (float64) in place of ``label``; see `pipeline.labels.learned`.
        """
        ...
