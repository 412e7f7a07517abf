"""The rows of a page, as each venue writes them: when a row opens, and how to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from pipeline.sandbox import upbit
from pipeline.sandbox.messages import Answer, Ask
from pipeline.sandbox.numerals import numeral
from pipeline.sandbox.world import Series

_PRICES: dict[str, tuple[Any, ...]] = {
    "upbit": ("opening_price", "high_price", "low_price", "trade_price"),
    "bingx": ("open", "high", "low", "close"),
    "binance": (1, 2, 3, 4),
}


def with_rows(answer: Answer, rows: list[Any]) -> Answer:
    """The same answer with other rows."""
    if isinstance(answer.content, dict):
        return replace(answer, content=answer.content | {"data": rows})
    return replace(answer, content=rows)


def opened(venue: str, row: Any) -> pd.Timestamp:
    """Open time of a row."""
    if venue == "upbit":
        return pd.Timestamp(row["candle_date_time_utc"], tz="UTC")
    return pd.Timestamp(row["time"] if venue == "bingx" else row[0], unit="ms", tz="UTC")


def step_of(ask: Ask) -> pd.Timedelta:
    """Length of the candles of a page that is asked for."""
    timeframe = upbit.timeframe_of(ask.path) if ask.venue == "upbit" else ask.query["interval"]
    return Series(ask.venue, "", timeframe or "1d").step


def scaled(venue: str, row: Any, factor: float) -> Any:
    """A row with every price times a factor, in the same spelling."""
    spoilt = row.copy()
    for name in _PRICES[venue]:
        price = float(f"{float(row[name]) * factor:.8g}")
        spoilt[name] = price if venue == "upbit" else numeral(price, 2)
    return spoilt


def turned(venue: str, row: Any) -> Any:
    """A row whose high and low have changed places."""
    _, high, low, _ = _PRICES[venue]
    spoilt = row.copy()
    spoilt[high], spoilt[low] = row[low], row[high]
    return spoilt


def nulled(row: Any) -> Any:
    """A row with nothing in it."""
    return dict.fromkeys(row) if isinstance(row, dict) else [None] * len(row)


def change_forming(answer: Answer, ask: Ask, change: Callable[[Any], list[Any]]) -> Answer:
    """Put other rows in place of the one that is forming."""
    now = ask.now.floor(step_of(ask))
    rows = [
        kept
        for row in answer.rows
        for kept in (change(row) if opened(ask.venue, row) == now else [row])
    ]
    return with_rows(answer, rows)


def change_newest_closed(answer: Answer, ask: Ask, change: Callable[[Any], Any]) -> Answer:
    """Put another row in place of the newest that is final."""
    now = ask.now.floor(step_of(ask))
    closed = [row for row in answer.rows if opened(ask.venue, row) < now]
    if not closed:
        return answer
    newest = max(opened(ask.venue, row) for row in closed)
    rows = [change(row) if opened(ask.venue, row) == newest else row for row in answer.rows]
    return with_rows(answer, rows)
