"""What the candle store keeps apart, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.market.revisions import Revision


@dataclass(frozen=True, slots=True)
class Series:
    """Names one stream of candles."""

    feed: str
    market: str
    timeframe: str

    def __str__(self) -> str:
        return f"{self.feed}/{self.market}/{self.timeframe}"

    @classmethod
    def parse(cls, name: str) -> Series:
        """Read ``feed/MARKET/timeframe``.

        Raises
        ------
        ConfigError
            When it has other parts.

        Examples
        --------
        >>> Series.parse("upbit/KRW-SOL/1h")
        Series(feed='upbit', market='KRW-SOL', timeframe='1h')
        """
        match name.split("/"):
            case [feed, market, timeframe] if feed and market and timeframe:
                return cls(feed, market, timeframe)
        raise ConfigError(
            "is no series", found=repr(name), expected="feed/MARKET/timeframe: upbit/KRW-SOL/1h"
        )

    def folder(self, root: Path) -> Path:
        """Where its files lie below the root of a store."""
        return root / self.feed / self.market / self.timeframe


@dataclass(frozen=True, slots=True)
class Span:
    """Open times of the first and last stored candle, and how many there are."""

    first: pd.Timestamp
    last: pd.Timestamp
    rows: int


@dataclass(frozen=True, slots=True)
class Written:
    """What one write added, and which stored candles it changed."""

    appended: int
    revised: tuple[Revision, ...] = ()
