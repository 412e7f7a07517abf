"""Upbit's public candles: newest first, at most 200, no candle where nothing was traded."""

from __future__ import annotations

import re
import zlib
from typing import Any

import pandas as pd

from pipeline.sandbox.messages import Answer, Ask, milliseconds
from pipeline.sandbox.paging import newest, seen
from pipeline.sandbox.world import WEEK, Series, World

MOST = 200
UNITS = {"1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "240": "4h"}
COARSE = {"v1/candles/days": "1d", "v1/candles/weeks": WEEK}
NAMES = {"BTC": "Bitcoin", "ETH": "Ethereum", "XRP": "XRP", "SOL": "Solana"}
KOREAN = {"BTC": "비트코인", "ETH": "이더리움", "XRP": "엑스알피", "SOL": "솔라나"}
_MINUTES = re.compile(r"^v1/candles/minutes/(\d+)$")
_DAY = pd.Timedelta(days=1)


def respond(world: World, ask: Ask) -> Answer:
    """Answer one request as Upbit does."""
    if ask.path == "v1/market/all":
        return Answer(_markets(world, ask))
    if _MINUTES.match(ask.path) is None and ask.path not in COARSE:
        return refusal(404, "Not Found", 404)
    timeframe = timeframe_of(ask.path)
    if "market" not in ask.query:
        return refusal(400, "Missing request parameter error. Check the required parameters!", 400)
    if ask.query["market"] not in world.listed("upbit"):
        return refusal(404, "Code not found", 404)
    if timeframe is None or not world.serves(Series("upbit", ask.query["market"], timeframe)):
        return refusal(400, "Invalid parameter. Check the given value!", "invalid_parameter")
    return _page(world, Series("upbit", ask.query["market"], timeframe), ask)


def timeframe_of(path: str) -> str | None:
    """Timeframe of a path of candles; None where there is none such."""
    minutes = _MINUTES.match(path)
    return UNITS.get(minutes[1]) if minutes else COARSE.get(path)


def series_of(ask: Ask) -> str | None:
    """Name the series that a page of candles belongs to; None for anything else."""
    if not ask.path.startswith("v1/candles/"):
        return None
    return f"{ask.path} {ask.query.get('market')}"


def refusal(status: int, message: str, name: str | int) -> Answer:
    """Upbit's error envelope."""
    return Answer({"error": {"name": name, "message": message}}, status=status)


def _markets(world: World, ask: Ask) -> list[dict[str, Any]]:
    detailed = "true" in (ask.query.get("isDetails"), ask.query.get("is_details"))
    rows: list[dict[str, Any]] = []
    for symbol in world.listed("upbit"):
        coin = symbol.split("-")[1]
        row: dict[str, Any] = {
            "market": symbol,
            "korean_name": KOREAN.get(coin, coin),
            "english_name": NAMES.get(coin, coin),
        }
        rows.append(row | ({"market_event": _EVENT} if detailed else {}))
    return rows


_EVENT = {
    "warning": False,
    "caution": {
        "PRICE_FLUCTUATIONS": False,
        "TRADING_VOLUME_SOARING": False,
        "DEPOSIT_AMOUNT_SOARING": False,
        "GLOBAL_PRICE_DIFFERENCES": False,
        "CONCENTRATION_OF_SMALL_ACCOUNTS": False,
    },
}


def _page(world: World, series: Series, ask: Ask) -> Answer:
    try:
        count = int(ask.query.get("count") or 1)
        before = read_to(ask.query["to"]) if ask.query.get("to") else ask.now + series.step
    except ValueError:
        return refusal(400, "Invalid parameter. Check the given value!", "invalid_parameter")
    frame = newest(world, series, before, min(max(count, 1), MOST), ask)
    rows = [_row(series, at, row, ask.now) for at, row in frame.iterrows()]
    if series.timeframe == "1d" and rows:
        earlier = seen(world, series, frame.index[0] - _DAY, frame.index[0], ask)
        _compare(rows, earlier["close"].iloc[-1] if len(earlier) else rows[0]["opening_price"])
    return Answer(rows[::-1])


def read_to(text: str) -> pd.Timestamp:
    """Read the exclusive end of a page: UTC unless it names another zone.

    Examples
    --------
    >>> read_to("2025-06-24 04:56:53")
    Timestamp('2025-06-24 04:56:53+0000', tz='UTC')
    >>> read_to("2025-06-24T13:56:53 09:00")  # a plus sign that nobody encoded
    Timestamp('2025-06-24 04:56:53+0000', tz='UTC')
    """
    text = re.sub(r"(\d{2}:\d{2}:\d{2}(?:\.\d+)?) (\d{2}:?\d{2})$", r"\1+\2", text)
    read = pd.Timestamp(text)
    return read.tz_localize("UTC") if read.tzinfo is None else read.tz_convert("UTC")


def _row(series: Series, at: Any, row: pd.Series, now: pd.Timestamp) -> dict[str, Any]:
    last = at + series.step + _last_tick(f"{series.symbol}{at}")
    minutes = (
        {}
        if series.timeframe in COARSE.values()
        else {"unit": int(series.step / pd.Timedelta(minutes=1))}
    )
    return {
        "market": series.symbol,
        "candle_date_time_utc": at.strftime("%Y-%m-%dT%H:%M:%S"),
        "candle_date_time_kst": at.tz_convert("Asia/Seoul").strftime("%Y-%m-%dT%H:%M:%S"),
        "opening_price": float(row["open"]),
        "high_price": float(row["high"]),
        "low_price": float(row["low"]),
        "trade_price": float(row["close"]),
        "timestamp": milliseconds(min(last, now)),
        "candle_acc_trade_price": float(row["value"]),
        "candle_acc_trade_volume": float(row["volume"]),
        **minutes,
    }


def _last_tick(text: str) -> pd.Timedelta:
    """After the close: recorded pages have one candle in eight whose last tick is later."""
    drawn = zlib.crc32(text.encode())
    return pd.Timedelta(milliseconds=drawn // 8 % 2000 if drawn % 8 == 0 else -(drawn % 20_000))


def _compare(rows: list[dict[str, Any]], before: float) -> None:
    for row in rows:
        change = row["trade_price"] - before
        row |= {
            "prev_closing_price": float(before),
            "change_price": change,
            "change_rate": change / before,
        }
        before = row["trade_price"]
