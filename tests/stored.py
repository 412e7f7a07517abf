"""Made-up candles, and an exchange that serves them, for tests of the store."""

from __future__ import annotations

import pandas as pd

from pipeline.market.candles import TIMEFRAMES, USUAL, duration, last_closed
from pipeline.market.exchanges.base import Instrument, Market
from pipeline.market.store import Series

SERIES = Series("fake", "KRW-BTC", "1h")
MARKET = Market(
    name="KRW-BTC",
    exchange="fake",
    symbol="KRW-BTC",
    base="BTC",
    quote="KRW",
    fee_bps=5,
    slippage_bps=2,
    source="test",
)


def candles(first: str, rows: int, timeframe: str = "1h") -> pd.DataFrame:
    """Candles without a hole; each depends on its moment alone."""
    times = pd.date_range(first, periods=rows, freq=duration(timeframe), tz="UTC", unit="ms")
    close = 100 + times.asi8 // 300_000 % 9973 / 7
    table = {"open": close, "high": close + 2, "low": close - 2, "close": close + 1}
    frame = pd.DataFrame(table | {"volume": close / 3, "value": close * close / 3}, index=times)
    return frame[list(USUAL)].rename_axis("time")


class Fake:
    """An exchange that serves a frame and remembers what it was asked."""

    feed = "fake"
    reachable = True
    omits_empty = False
    timeframes = TIMEFRAMES
    grace_seconds: float | None = None

    def __init__(self, served: pd.DataFrame) -> None:
        self.served = served
        self.asked: list[tuple[str, str]] = []

    def first_candle(self, market: Instrument, timeframe: str) -> pd.Timestamp | None:
        """Nobody says it."""
        return None

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Whole candles of the span."""
        self.asked.append((f"{start:%d %H:%M}", f"{end:%d %H:%M}"))
        return self.served.loc[start : last_closed(end, timeframe)]

    def newest(self, market: Instrument, timeframe: str, now: pd.Timestamp) -> pd.Timestamp | None:
        """The newest that `now` allows."""
        closed = self.served.loc[: last_closed(now, timeframe)]
        return closed.index[-1] if len(closed) else None


class Venue(Fake):
    """A venue on the network: no candle without a trade, and what it said is remembered."""

    omits_empty = True
    grace_seconds = 2.0
