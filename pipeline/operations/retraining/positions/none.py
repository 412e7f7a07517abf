"""Nobody trades by these models, or the trader looks after its own positions."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline.config import Record
from pipeline.operations.retraining.positions.base import Patience, Standing


class NoPositions(Record):
    """Every market is flat at every moment."""

    patience: Patience = Patience()

    def standing(self, _markets: Sequence[str], _now: pd.Timestamp, /) -> Standing:
        """Flat."""
        return Standing(True, "nobody is asked for positions")
