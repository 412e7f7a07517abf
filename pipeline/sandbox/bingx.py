"""BingX's public perpetual candles: an envelope, prices as text, newest first, at most 1440.

What is not published is answered the harsher way: a window with both ends and more candles than
the limit loses its oldest.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.market.candles import TIMEFRAMES
from pipeline.sandbox.messages import Answer, Ask, milliseconds
from pipeline.sandbox.numerals import numeral
from pipeline.sandbox.paging import newest, oldest
from pipeline.sandbox.world import WEEK, Series, World

DEFAULT, MOST = 500, 1440
KLINES = "openApi/swap/v3/quote/klines"


def respond(world: World, ask: Ask) -> Answer:
    """Answer one request as BingX does; its status is 200 even for a refusal."""
    match ask.path:
        case "openApi/swap/v2/quote/contracts":
            symbols = enumerate(world.listed("bingx"), start=100)
            return enveloped([_contract(world, number, symbol) for number, symbol in symbols])
        case "openApi/swap/v2/server/time":
            return enveloped({"serverTime": milliseconds(ask.now)})
        case "openApi/cswap/v1/market/contracts":
            return Answer({"code": 0, "msg": "", "timestamp": milliseconds(ask.now), "data": []})
        case "openApi/spot/v1/common/symbols":
            return Answer({"code": 0, "msg": "", "debugMsg": "", "data": {"symbols": []}})
        case path if path == KLINES:
            return _klines(world, ask)
    return refusal(100404, f"this api is not exist: /{ask.path}")


def series_of(ask: Ask) -> str | None:
    """Name the series that a page of candles belongs to; None for anything else."""
    if ask.path != KLINES:
        return None
    return f"{ask.query.get('symbol')} {ask.query.get('interval')}"


def enveloped(data: Any) -> Answer:
    """BingX's envelope of what went well."""
    return Answer({"code": 0, "msg": "", "data": data})


def refusal(code: int, message: str, status: int = 200) -> Answer:
    """BingX's envelope of what did not."""
    return Answer({"code": code, "msg": message, "data": {}}, status=status)


def _klines(world: World, ask: Ask) -> Answer:
    symbol, interval = ask.query.get("symbol", ""), ask.query.get("interval", "")
    if symbol not in world.listed("bingx"):
        return refusal(
            109425,
            f"{symbol} not exist, please verify it in api: /openApi/swap/v2/quote/contracts",
        )
    series = Series("bingx", symbol, interval)
    if interval not in (*TIMEFRAMES, WEEK) or not world.serves(series):
        return refusal(109400, f"Invalid parameters, err:interval: {interval} is not supported")
    try:
        limit = min(int(ask.query.get("limit") or DEFAULT), MOST)
        start, end = (_moment(ask.query.get(name)) for name in ("startTime", "endTime"))
    except ValueError:
        return refusal(109400, "Invalid parameters, err:a number is expected")
    frame = _window(world, series, (start, end), limit, ask)
    return enveloped([_row(at, row) for at, row in frame.iloc[::-1].iterrows()])


def _window(
    world: World,
    series: Series,
    window: tuple[pd.Timestamp | None, pd.Timestamp | None],
    limit: int,
    ask: Ask,
) -> pd.DataFrame:
    start, end = window
    if start is not None and end is None:
        return oldest(world, series, start, limit, ask)
    last = ask.now if end is None else end
    frame = newest(world, series, last + pd.Timedelta(milliseconds=1), limit, ask)
    return frame if start is None else frame[frame.index >= start]


def _moment(text: str | None) -> pd.Timestamp | None:
    return pd.Timestamp(int(text), unit="ms", tz="UTC") if text else None


def _row(at: Any, row: pd.Series) -> dict[str, Any]:
    named = {name: numeral(row[name]) for name in ("open", "close", "high", "low", "volume")}
    return named | {"time": milliseconds(at)}


def _contract(world: World, number: int, symbol: str) -> dict[str, Any]:
    return {
        "contractId": str(number),
        "symbol": symbol,
        "size": "0.0001",
        "quantityPrecision": "4",
        "pricePrecision": "1",
        "feeRate": "0.0005",
        "makerFeeRate": "0.0002",
        "takerFeeRate": "0.0005",
        "tradeMinLimit": "0",
        "tradeMinQuantity": "0.0001",
        "tradeMinUSDT": "2",
        "maxLongLeverage": "125",
        "maxShortLeverage": "125",
        "currency": "USDT",
        "asset": symbol.split("-", maxsplit=1)[0],
        "status": "1",
        "apiStateOpen": "true",
        "apiStateClose": "true",
        "ensureTrigger": True,
        "triggerFeeRate": "0.00020000",
        "launchTime": milliseconds(world.listed_at("bingx", symbol)),
    }
