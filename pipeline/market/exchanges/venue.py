"""What an online adapter must know of a venue, and whom it asks there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from pipeline.market.candles import TIMEFRAMES, duration
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.line import Judge, Line
from pipeline.market.exchanges.rate_bucket import RateLimit


@dataclass(frozen=True, slots=True)
class Ask:
    """The candles with ``start <= time < stop`` of a symbol, at most one page of them."""

    symbol: str
    timeframe: str
    start: pd.Timestamp
    stop: pd.Timestamp

    @property
    def step(self) -> pd.Timedelta:
        """Length of a candle."""
        return duration(self.timeframe)

    @property
    def count(self) -> int:
        """How many candles it holds when none is missing."""
        return int((self.stop - self.start) / self.step)

    def __str__(self) -> str:
        ends = f"{self.start.isoformat()} to {self.stop.isoformat()}"
        return f"{self.symbol} {self.timeframe}, {ends}"


class Desk(Protocol):
    """Asks one venue over one line. Rows come as they are: any order, any moment, twice."""

    def page(self, ask: Ask) -> pd.DataFrame:
        """Rows that the venue gives for the ask.

        Raises
        ------
        Fault
            When what came is no list of candles.
        """
        ...

    def latest(self, symbol: str, timeframe: str) -> pd.DataFrame:
        """The venue's newest rows, the forming one among them."""
        ...

    def symbols(self) -> list[str]:
        """Every symbol the venue lists."""
        ...


@dataclass(frozen=True, slots=True)
class Venue:
    """The facts of a venue.

    Parameters
    ----------
    name
        Name of the feed.
    rows
        Candles that one answer holds at most.
    columns
        Columns of its candle frames.
    omits_empty
        Whether it writes no candle where nothing was traded.
    reaches_back
        Whether an answer goes on to older candles where some of the asked ones are missing.
    first
        Asks for a moment by which a symbol had its first candle of a timeframe for sure, of
        coarse candles: a venue may serve only the newest of each timeframe.
    tells_first
        Whether that is the first candle's open time, exactly.
    symbol_of
        The venue's own word for a market.
    judge
        Refuses answers that state an error in the venue's own way; returns for how many seconds
        nobody should ask again, 0 where the answer asks for no rest.
    """

    name: str
    base_url: str
    limit: RateLimit
    rows: int
    columns: tuple[str, ...]
    omits_empty: bool
    reaches_back: bool
    symbol_of: Callable[[Instrument], str]
    open: Callable[[Line], Desk]
    judge: Judge
    first: Callable[[Line, str, str], pd.Timestamp]
    timeframes: tuple[str, ...] = TIMEFRAMES
    tells_first: bool = False
