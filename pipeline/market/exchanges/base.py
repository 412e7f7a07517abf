"""What every exchange adapter promises."""

from __future__ import annotations

from typing import Annotated, Protocol

import pandas as pd
from pydantic import Field

from pipeline.config import Record

BasisPoints = Annotated[float, Field(ge=0, le=1000, description="1 basis point = 0.01 %")]


class Instrument(Record):
    """What an exchange must know to find a market's candles."""

    name: str
    symbol: str

    @property
    def members(self) -> tuple[Instrument, ...]:
        """Itself: see `pipeline.market.pool.Instruments`."""
        return (self,)


class Funding(Record):
    """What holding a perpetual contract costs: longs pay shorts, or are paid, at fixed hours."""

    hours: Annotated[float, Field(gt=0, le=24, description="between two payments, from 00:00 UTC")]
    bps: Annotated[float, Field(ge=-100, le=100, description="of the position; > 0: longs pay")]


class Market(Record):
    """One market: what is traded, where, and what trading it costs."""

    name: Annotated[str, Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$")]
    exchange: str
    symbol: str
    base: str
    quote: str
    fee_bps: BasisPoints
    slippage_bps: BasisPoints
    funding: Funding | None = None
    source: str

    @property
    def instrument(self) -> Instrument:
        """The part that its candles depend on."""
        return Instrument(name=self.name, symbol=self.symbol)

    @property
    def members(self) -> tuple[Market, ...]:
        """Itself: see `pipeline.market.pool.Pool`."""
        return (self,)


class Exchange(Protocol):
    """A source of final candles."""

    @property
    def feed(self) -> str:
        """Name of exactly this stream of candles; the store keeps one folder per feed."""
        ...

    @property
    def reachable(self) -> bool:
        """Whether `fetch` can be asked at all (a replay without files cannot)."""
        ...

    @property
    def omits_empty(self) -> bool:
        """Whether no candle is written where nothing was traded."""
        ...

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Timeframes that can be asked for."""
        ...

    def first_candle(self, market: Instrument, timeframe: str) -> pd.Timestamp | None:
        """Open time of the first candle there ever was, or None where nobody says it."""
        ...

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Final candles with ``start <= time`` and ``time + timeframe <= end``.

        Returns
        -------
        DataFrame
            A candle frame; empty where the venue has none. Rows that come from another source
            than the feed's own are named in a further column, ``source``.

        Raises
        ------
        DataError
            When the source holds broken rows.
        ConfigError
            When it has no such market or timeframe.
        RetryLater
            When it could not be asked to the end; nothing is returned in part.
        """
        ...

    def newest(self, market: Instrument, timeframe: str, now: pd.Timestamp) -> pd.Timestamp | None:
        """Open time of the newest final candle at `now`, or None when it has none."""
        ...
