"""BingX's USDT perpetual swaps by ccxt's implicit endpoint.

Errors come with status 200 and a code; 100410 is the rate limit and states until when it lasts.
Moments are UTC; a candle without trades is written flat; there is no turnover.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.market.candles import REQUIRED
from pipeline.market.exchanges.answer import Answer, a_list, fields
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.ccxt_client import asked, client
from pipeline.market.exchanges.faults import Fault, UnknownMarketError, garbage, stated_block
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.rate_bucket import RateLimit
from pipeline.market.exchanges.rows import cells_of, to_frame
from pipeline.market.exchanges.venue import Ask, Venue

ROWS = 1440
LIMIT = RateLimit(
    10, 1, "ccxt 4.5.90; bingx.com/support/articles/31103871611289 allows 500 in 10 s, 2025-10"
)
LIMITED, UNLISTED = {100410}, {100421, 100490, 109418, 109425}
PASSING = {100500, 100503, 109500, 110500}  # busy, by ccxt 4.5.90
DEFAULT_BLOCK = 300.0  # seconds: "recover after 5 minutes", BingX's documentation
WEEK = pd.Timedelta(days=7)
MILLISECOND = pd.Timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class BingxDesk:
    """Asks BingX over one line."""

    line: Line

    def page(self, ask: Ask) -> pd.DataFrame:
        """Candles of the window, and those that BingX gives beside them."""
        window = {
            "startTime": _ms(ask.start) - 1,
            "endTime": _ms(ask.stop - MILLISECOND),
            "limit": ask.count,
        }
        return self._candles(ask.symbol, ask.timeframe, window)

    def latest(self, symbol: str, timeframe: str) -> pd.DataFrame:
        """The newest candles, the forming one among them."""
        return self._candles(symbol, timeframe, {"limit": 100})

    def first(self, symbol: str) -> pd.Timestamp:
        """Close of the first week that has candles."""
        weeks = self._candles(symbol, "1w", {"limit": ROWS})
        if weeks.empty:
            raise garbage("there is no week", weeks.index)
        return pd.Timestamp(weeks.index.min()) + WEEK

    def symbols(self) -> list[str]:
        """Every swap."""
        api = self._client()
        body = fields(asked(api.swapV2PublicGetQuoteContracts))
        return [str(fields(row).get("symbol")) for row in a_list(body.get("data"), "the list")]

    def _client(self) -> Any:
        return client("bingx", self.line, {"swap": f"{self.line.base_url}/openApi"})

    def _candles(self, symbol: str, timeframe: str, window: dict[str, Any]) -> pd.DataFrame:
        api = self._client()
        query = {"symbol": symbol, "interval": timeframe, **window}
        body = asked(lambda: api.swapV3PublicGetQuoteKlines(query))
        rows = a_list(fields(body).get("data"), "the answer's data")
        cells = cells_of(rows, {**{name: name for name in REQUIRED}, "time": "time"})
        return to_frame(cells.pop("time"), cells)


def judge(answer: Answer, now: pd.Timestamp) -> float:
    """Refuse what the code of the envelope states.

    Raises
    ------
    Fault
        For the rate limit (with the end of the block) and for a busy system.
    UnknownMarketError
        When there is no such market.
    """
    body = fields(answer.json())
    code, told = body.get("code"), str(body.get("msg", ""))
    if code in LIMITED:
        block = stated_block(told, now) or DEFAULT_BLOCK
        raise Fault("the rate limit is exceeded", found=f"code {code}", block=block)
    if code in UNLISTED:
        raise UnknownMarketError(told)
    if code in PASSING:
        raise Fault("the venue is busy", found=f"code {code}: {told}")
    if answer.ok and (code is None or (code == 0 and "data" not in body)):
        raise garbage("the answer has no code and data", answer.text)
    return 0.0


def symbol_of(market: Instrument) -> str:
    """BingX's word has a dash: the symbol where it has one, else the market's name."""
    return market.symbol if "-" in market.symbol else market.name


def _ms(moment: pd.Timestamp) -> int:
    return int(moment.value // 10**6)


VENUE = Venue(
    name="bingx",
    base_url="https://open-api.bingx.com",
    limit=LIMIT,
    rows=ROWS,
    columns=REQUIRED,
    omits_empty=False,
    reaches_back=False,
    symbol_of=symbol_of,
    open=BingxDesk,
    judge=judge,
    first=lambda line, symbol, _timeframe: BingxDesk(line).first(symbol),
)
