"""Upbit's candles by ccxt's implicit endpoint, which keeps the turnover.

An answer holds the newest candles before ``to``, newest first, the forming one among them; an
interval without trades has none. Moments are read from the UTC field; the KST one is not used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from pipeline.market.candles import USUAL, duration
from pipeline.market.exchanges.answer import NOT_FOUND, Answer, a_list, fields
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.ccxt_client import asked, client
from pipeline.market.exchanges.faults import UnknownMarketError, garbage
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.rate_bucket import RateLimit
from pipeline.market.exchanges.rows import cells_of, to_frame
from pipeline.market.exchanges.venue import Ask, Venue

URL = "https://api.upbit.com"
ROWS = 200
LIMIT = RateLimit(
    10, 1, "candle group, for each IP address: docs.upbit.com/kr/reference/rate-limits, 2026-10"
)
PLACES = {
    "open": "opening_price",
    "high": "high_price",
    "low": "low_price",
    "close": "trade_price",
    "volume": "candle_acc_trade_volume",
    "value": "candle_acc_trade_price",
}
CLOCK = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")
REMAINS = re.compile(r"sec=(\d+)")
DAY, WEEK = pd.Timedelta(days=1), pd.Timedelta(days=7)


@dataclass(frozen=True, slots=True)
class UpbitDesk:
    """Asks Upbit over one line."""

    line: Line

    def page(self, ask: Ask) -> pd.DataFrame:
        """The newest ``ask.count`` candles before the stop, whatever their age."""
        to = ask.stop.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._candles(ask.symbol, ask.timeframe, {"count": ask.count, "to": to})

    def latest(self, symbol: str, timeframe: str) -> pd.DataFrame:
        """The newest candles, the forming one among them."""
        return self._candles(symbol, timeframe, {"count": ROWS})

    def first(self, symbol: str) -> pd.Timestamp:
        """Close of the oldest of the newest 200 weeks."""
        api, query = self._client(), {"timeframe": "weeks", "market": symbol, "count": ROWS}
        weeks = frame_of(asked(lambda: api.publicGetCandlesTimeframe(query)), symbol, None)
        if weeks.empty:
            raise garbage("there is no week", weeks.index)
        return pd.Timestamp(weeks.index.min()) + WEEK

    def symbols(self) -> list[str]:
        """Every market code."""
        api = self._client()
        listed = a_list(asked(api.publicGetMarketAll), "the list of markets")
        return [str(fields(row).get("market")) for row in listed]

    def _client(self) -> Any:
        return client("upbit", self.line, {"public": self.line.base_url})

    def _candles(self, symbol: str, timeframe: str, given: dict[str, Any]) -> pd.DataFrame:
        api, step = self._client(), duration(timeframe)
        query = {"market": symbol, **given}
        if step == DAY:
            came = asked(lambda: api.publicGetCandlesTimeframe({"timeframe": "days", **query}))
            return frame_of(came, symbol, None)
        unit = int(step / pd.Timedelta(minutes=1))
        minutes = {"timeframe": "minutes", "unit": unit, **query}
        came = asked(lambda: api.publicGetCandlesTimeframeUnit(minutes))
        return frame_of(came, symbol, unit)


def frame_of(came: Any, symbol: str, unit: int | None) -> pd.DataFrame:
    """Rows of a body of candles.

    Raises
    ------
    Fault
        When it is none, or is of another market or unit.
    """
    rows = a_list(came, "the answer")
    for row in rows:
        strange = fields(row).get("market") != symbol
        if strange or (unit is not None and fields(row).get("unit", unit) != unit):
            raise garbage(f"a row is no candle of {symbol} and unit {unit}", row)
    cells = cells_of(rows, {**PLACES, "time": "candle_date_time_utc"})
    moments = [_milliseconds(text) for text in cells.pop("time")]
    return to_frame(moments, cells)


def judge(answer: Answer, _now: pd.Timestamp) -> float:
    """Refuse what Upbit's error envelope states; rest a second when no request remains.

    Raises
    ------
    UnknownMarketError
        When there is no such market.
    """
    told = str(fields(fields(answer.json()).get("error")).get("message", ""))
    if answer.status_code == NOT_FOUND and told:
        raise UnknownMarketError(told)
    remains = REMAINS.search(answer.headers.get("Remaining-Req", ""))
    return 1.0 if remains and int(remains.group(1)) == 0 else 0.0


def symbol_of(market: Instrument) -> str:
    """Upbit's code: the market's symbol."""
    return market.symbol


def _milliseconds(text: Any) -> int:
    if not isinstance(text, str) or not CLOCK.fullmatch(text):
        raise garbage("a row names no moment", text)
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise garbage("a row names no moment", text) from None
    return int(moment.timestamp()) * 1000


VENUE = Venue(
    name="upbit",
    base_url=URL,
    limit=LIMIT,
    rows=ROWS,
    columns=USUAL,
    omits_empty=True,
    reaches_back=True,
    symbol_of=symbol_of,
    open=UpbitDesk,
    judge=judge,
    first=lambda line, symbol, _timeframe: UpbitDesk(line).first(symbol),
)
