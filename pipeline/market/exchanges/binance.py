"""Binance's USD-M perpetual futures by ccxt's implicit endpoint.

A row holds twelve cells; beside the candle they are turnover and what takers bought. Moments are
UTC; a candle without trades is written flat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.market.candles import COLUMNS, duration
from pipeline.market.exchanges.answer import Answer, a_list, fields
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.ccxt_client import asked, client
from pipeline.market.exchanges.faults import UnknownMarketError, garbage
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.rate_bucket import RateLimit
from pipeline.market.exchanges.rows import cells_of, to_frame
from pipeline.market.exchanges.venue import Ask, Venue

ROWS = 1000
WEIGHT_A_MINUTE, WEIGHT = 2400, 5  # of the address; of 1000 rows, by ccxt 4.5.90
LIMIT = RateLimit(
    WEIGHT_A_MINUTE / WEIGHT,
    60,
    "2400 of weight a minute for each address, 5 for a page of candles: rateLimits of "
    "fapi/v1/exchangeInfo",
)
BUSY = 0.8  # of the weight, by all programs on this address
UNLISTED = {-1121, -1122}
OPENS, CLOSES = 0, 6
WEEK = pd.Timedelta(days=7)
PLACES = {
    "open": 1,
    "high": 2,
    "low": 3,
    "close": 4,
    "volume": 5,
    "value": 7,
    "taker_volume": 9,
}


@dataclass(frozen=True, slots=True)
class BinanceDesk:
    """Asks Binance over one line."""

    line: Line

    def page(self, ask: Ask) -> pd.DataFrame:
        """Candles of the window, and those that Binance gives beside them."""
        window = {"startTime": _ms(ask.start), "endTime": _ms(ask.stop) - 1, "limit": ask.count}
        return self._candles(ask.symbol, ask.timeframe, window)

    def latest(self, symbol: str, timeframe: str) -> pd.DataFrame:
        """The newest candles, the forming one among them."""
        return self._candles(symbol, timeframe, {"limit": 99})

    def first(self, symbol: str, timeframe: str) -> pd.Timestamp:
        """Open time of the first candle; where weeks began before, the close of the first."""
        return min(self._oldest(symbol, timeframe), self._oldest(symbol, "1w") + WEEK)

    def symbols(self) -> list[str]:
        """Every symbol of USD-M futures."""
        body = fields(asked(self._client().fapiPublicGetExchangeInfo))
        return [str(fields(row).get("symbol")) for row in a_list(body.get("symbols"), "the list")]

    def _oldest(self, symbol: str, interval: str) -> pd.Timestamp:
        oldest = self._candles(symbol, interval, {"startTime": 0, "limit": 1})
        if len(oldest) != 1:
            raise garbage("there is no first candle", oldest.index)
        return pd.Timestamp(oldest.index[0])

    def _client(self) -> Any:
        return client("binance", self.line, {"fapiPublic": f"{self.line.base_url}/fapi/v1"})

    def _candles(self, symbol: str, interval: str, window: dict[str, Any]) -> pd.DataFrame:
        api = self._client()
        query = {"symbol": symbol, "interval": interval, **window}
        rows = a_list(asked(lambda: api.fapiPublicGetKlines(query)), "the answer")
        cells = cells_of(rows, {**PLACES, "opens": OPENS, "closes": CLOSES})
        opens, closes = cells.pop("opens"), cells.pop("closes")
        frame = to_frame(opens, cells)
        step = WEEK if interval == "1w" else duration(interval)
        length = int(step / pd.Timedelta(milliseconds=1))
        for opened, closed in zip(opens, closes, strict=True):
            if closed != opened + length - 1:
                raise garbage(f"a row is no candle of {interval}", [opened, closed])
        return frame


def judge(answer: Answer, now: pd.Timestamp) -> float:
    """Refuse an unknown symbol; rest until the next minute when most of the weight is used.

    Raises
    ------
    UnknownMarketError
        When there is no such symbol.
    """
    body = fields(answer.json())
    if body.get("code") in UNLISTED:
        raise UnknownMarketError(str(body.get("msg", "")))
    used = answer.headers.get("X-MBX-USED-WEIGHT-1M", "")
    busy = used.isdigit() and int(used) >= BUSY * WEIGHT_A_MINUTE
    return (now.floor("min") + pd.Timedelta(minutes=1) - now).total_seconds() if busy else 0.0


def symbol_of(market: Instrument) -> str:
    """Binance's word has no dash."""
    return market.symbol.replace("-", "")


def _ms(moment: pd.Timestamp) -> int:
    return int(moment.value // 10**6)


VENUE = Venue(
    name="binance",
    base_url="https://fapi.binance.com",
    limit=LIMIT,
    rows=ROWS,
    columns=COLUMNS,
    omits_empty=False,
    reaches_back=False,
    symbol_of=symbol_of,
    open=BinanceDesk,
    judge=judge,
    first=lambda line, symbol, timeframe: BinanceDesk(line).first(symbol, timeframe),
    tells_first=True,
)
