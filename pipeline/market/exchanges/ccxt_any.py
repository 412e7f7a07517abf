"""Any exchange that ccxt knows, by its unified candles: five columns, fixed windows.

ccxt says how many candles an answer holds, how often one may ask and what a request costs; its
throttle is only told that cost here, the line waits. What ccxt cannot say is
probed: candles of the coarsest timeframe tell how far back the exchange goes, so an exchange
that serves only its newest candles is noticed.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.market.candles import REQUIRED, TIMEFRAMES
from pipeline.market.exchanges.answer import Answer, a_list
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.ccxt_client import asked, client, exchange_class
from pipeline.market.exchanges.faults import UnknownMarketError, garbage
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.rate_bucket import RateLimit
from pipeline.market.exchanges.rows import cells_of, to_frame
from pipeline.market.exchanges.venue import Ask, Venue

ROWS = 500  # where ccxt does not say how many candles an answer holds
PLACES = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}


@dataclass(frozen=True, slots=True)
class CcxtDesk:
    """Asks one exchange through ccxt's unified methods."""

    name: str
    line: Line

    def page(self, ask: Ask) -> pd.DataFrame:
        """Candles from the start on, and those that the exchange gives beside them."""
        since = int(ask.start.value // 10**6)
        return self._candles(ask.symbol, ask.timeframe, since, ask.count)

    def latest(self, symbol: str, timeframe: str) -> pd.DataFrame:
        """The newest candles, the forming one among them."""
        return self._candles(symbol, timeframe, None, None)

    def first(self, symbol: str) -> pd.Timestamp:
        """Close of the oldest candle of the coarsest timeframe that one answer holds."""
        api = self._client()
        coarsest = max(api.timeframes, key=api.parse_timeframe)
        oldest = self._candles(symbol, coarsest, None, venue_of(self.name).rows)
        if oldest.empty:
            raise garbage(f"there is no candle of {coarsest}", oldest.index)
        length = pd.Timedelta(seconds=api.parse_timeframe(coarsest))
        return pd.Timestamp(oldest.index.min()) + length

    def symbols(self) -> list[str]:
        """Every unified symbol."""
        return sorted(self._listed())

    def _client(self) -> Any:
        made = client(self.name, self.line)
        made.enableRateLimit, made.throttle = True, self.line.charge
        if self.line.base_url:
            made.urls["api"] = _moved(made.urls["api"], self.line.base_url)
        return made

    def _listed(self) -> Mapping[str, Any]:
        markets: Mapping[str, Any] = asked(self._client().load_markets)
        return markets

    def _symbol(self, words: str) -> str:
        listed = self._listed()
        for word in words.split():
            if word in listed:
                return word
        raise UnknownMarketError(f"none of {words} is listed")

    def _candles(
        self, words: str, timeframe: str, since: int | None, limit: int | None
    ) -> pd.DataFrame:
        api, symbol = self._client(), self._symbol(words)
        came = asked(lambda: api.fetch_ohlcv(symbol, timeframe, since, limit))
        cells = cells_of(a_list(came, "the answer"), {**PLACES, "time": 0})
        return to_frame(cells.pop("time"), cells)


def venue_of(name: str) -> Venue:
    """The facts that ccxt has of an exchange.

    Raises
    ------
    ConfigError
        When ccxt has no such exchange.
    """
    return _venue(name)


@functools.lru_cache(maxsize=8)
def _venue(name: str) -> Venue:
    described = exchange_class(name)({"enableRateLimit": False})
    spot = (described.features or {}).get("spot") or {}
    rows = ((spot.get("fetchOHLCV") or {}).get("limit")) or ROWS
    delay = float(described.rateLimit)
    return Venue(
        name=f"ccxt-{name}",
        base_url="",
        limit=RateLimit(1000 / delay, 1, f"one request in {delay:g} ms, by ccxt's table"),
        rows=int(rows),
        columns=REQUIRED,
        omits_empty=True,
        reaches_back=False,
        symbol_of=symbol_of,
        open=lambda line: CcxtDesk(name, line),
        judge=judge,
        first=lambda line, symbol, _timeframe: CcxtDesk(name, line).first(symbol),
        timeframes=tuple(name for name in TIMEFRAMES if name in described.timeframes),
    )


def symbol_of(market: Instrument) -> str:
    """Words to look for, the likeliest first: the symbol, then the name's parts in both orders.

    Examples
    --------
    >>> symbol_of(Instrument(name="KRW-BTC", symbol="KRW-BTC"))
    'KRW-BTC BTC/KRW KRW/BTC'
    """
    one, _, other = market.name.partition("-")
    return f"{market.symbol} {other}/{one} {one}/{other}"


def judge(_answer: Answer, _now: pd.Timestamp) -> float:
    """Nothing: ccxt itself reads the errors of its exchanges."""
    return 0.0


def _moved(node: Any, base_url: str) -> Any:
    from urllib.parse import urlsplit

    if isinstance(node, Mapping):
        return {key: _moved(value, base_url) for key, value in node.items()}
    if not isinstance(node, str) or node.startswith(base_url):
        return node
    return base_url + urlsplit(node).path
