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


class Market(Record):
    """One market: what is traded, where, and what trading it costs."""

    name: Annotated[str, Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$")]
    exchange: str
    symbol: str
    base: str
    quote: str
    fee_bps: BasisPoints
    slippage_bps: BasisPoints
    source: str

    @property
    def instrument(self) -> Instrument:
        """The part that its candles depend on."""
        return Instrument(name=self.name, symbol=self.symbol)


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

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Final candles with ``start <= time`` and ``time + timeframe <= end``.

        Returns
        -------
        DataFrame
            A candle frame; empty where the venue has none.

        Raises
        ------
        DataError
            When the source has no such market or holds broken rows.
        """
        ...

    def newest(self, market: Instrument, timeframe: str, now: pd.Timestamp) -> pd.Timestamp | None:
        """Open time of the newest final candle at `now`, or None when it has none."""
        ...
