"""What a check looks at, and how it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.market.candles import duration
from pipeline.market.holes import Hole

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a cut was made for and what is known of it beside its candles.

    ``holes`` are those whose kind is known; ``reference`` holds the same candles of a second
    source.
    """

    market: str
    start: pd.Timestamp
    holes: tuple[Hole, ...] = ()
    revised: tuple[pd.Timestamp, ...] = ()
    reference: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Candles with the timeframe, and the moment after which nothing is known."""

    candles: pd.DataFrame
    timeframe: str
    as_of: pd.Timestamp
    asked: Asked | None = None

    @property
    def times(self) -> pd.DatetimeIndex:
        """Open times."""
        return pd.DatetimeIndex(self.candles.index)

    @property
    def step(self) -> pd.Timedelta:
        """Length of one candle."""
        return duration(self.timeframe)

    @property
    def where(self) -> str:
        """Market and timeframe for a message."""
        return f"{self.asked.market} {self.timeframe}" if self.asked else self.timeframe


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows that break a check, and what was expected of them.

    ``cells`` marks the columns that are at fault where a check looks at single cells; ``fix`` says
    what to do where that depends on what was found.
    """

    rows: Truths
    expected: str
    cells: pd.DataFrame | None = field(default=None, compare=False)
    found: str = ""
    fix: str = ""

    @property
    def count(self) -> int:
        """How many rows."""
        return int(self.rows.sum())

    @property
    def first(self) -> int:
        """Position of the first of them."""
        return int(np.argmax(self.rows))

    def column(self) -> str | None:
        """Name of the first column at fault in the first row."""
        if self.cells is None:
            return None
        broken: Any = self.cells.iloc[self.first].to_numpy()
        return str(self.cells.columns[int(np.argmax(broken))])
