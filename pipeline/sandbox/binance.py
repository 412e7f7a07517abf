"""Binance's USD-M perpetual candles: arrays of twelve, oldest first, at most 1500."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.market.candles import TIMEFRAMES
from pipeline.sandbox.messages import Answer, Ask, milliseconds
from pipeline.sandbox.numerals import numeral
from pipeline.sandbox.paging import newest, oldest
from pipeline.sandbox.world import WEEK, Series, World

DEFAULT, MOST = 500, 1500
KLINES = "fapi/v1/klines"
PERPETUAL = 4133404800000  # the delivery date of what is never delivered


def respond(world: World, ask: Ask) -> Answer:
    """Answer one request as Binance's futures do."""
    match ask.path:
        case "fapi/v1/ping":
            return Answer({})
        case "fapi/v1/time":
            return Answer({"serverTime": milliseconds(ask.now)})
        case "fapi/v1/exchangeInfo":
            return Answer(_information(world, ask.now))
        case path if path == KLINES:
            return _klines(world, ask)
    return refusal(-5000, f"Path /{ask.path}, Method GET is invalid", status=404)


def series_of(ask: Ask) -> str | None:
    """Name the series that a page of candles belongs to; None for anything else."""
    if ask.path != KLINES:
        return None
    return f"{ask.query.get('symbol')} {ask.query.get('interval')}"


def refusal(code: int, message: str, status: int = 400) -> Answer:
    """Binance's error body."""
    return Answer({"code": code, "msg": message}, status=status)


def _klines(world: World, ask: Ask) -> Answer:
    symbol, interval = ask.query.get("symbol", ""), ask.query.get("interval", "")
    for name in ("symbol", "interval"):
        if not ask.query.get(name):
            return refusal(
                -1102,
                f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
            )
    if symbol not in world.listed("binance"):
        return refusal(-1121, "Invalid symbol.")
    series = Series("binance", symbol, interval)
    if interval not in (*TIMEFRAMES, WEEK) or not world.serves(series):
        return refusal(-1120, "Invalid interval.")
    try:
        limit = min(int(ask.query.get("limit") or DEFAULT), MOST)
        start, end = (_moment(ask.query.get(name)) for name in ("startTime", "endTime"))
    except ValueError:
        return refusal(-1100, "Illegal characters found in a parameter.")
    if limit < 1:
        return refusal(-1130, "Data sent for parameter 'limit' is not valid.")
    last = ask.now if end is None else end
    if start is None:
        frame = newest(world, series, last + pd.Timedelta(milliseconds=1), limit, ask)
    else:
        frame = oldest(world, series, start, limit, ask)
    return Answer([_row(at, row, series) for at, row in frame[frame.index <= last].iterrows()])


def _moment(text: str | None) -> pd.Timestamp | None:
    return pd.Timestamp(int(text), unit="ms", tz="UTC") if text else None


def _row(at: Any, row: pd.Series, series: Series) -> list[Any]:
    opened = milliseconds(at)
    trades = int(row["volume"] * 7) % 100_000 + 1 if row["volume"] else 0
    return [
        opened,
        *(numeral(row[name], 2) for name in ("open", "high", "low", "close")),
        numeral(row["volume"], 3),
        opened + int(series.step / pd.Timedelta(milliseconds=1)) - 1,
        numeral(row["value"], 5),
        trades,
        numeral(row["taker_volume"], 3),
        numeral(row["value"] * row["taker_volume"] / row["volume"] if row["volume"] else 0.0, 5),
        "0",
    ]


def _information(world: World, now: pd.Timestamp) -> dict[str, Any]:
    return {
        "timezone": "UTC",
        "serverTime": milliseconds(now),
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 2400,
            }
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_symbol(world, name) for name in world.listed("binance")],
    }


def _symbol(world: World, name: str) -> dict[str, Any]:
    return {
        "symbol": name,
        "pair": name,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL,
        "onboardDate": milliseconds(world.listed_at("binance", name)),
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": name.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01",
                "maxPrice": "1000000",
                "tickSize": "0.01",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
