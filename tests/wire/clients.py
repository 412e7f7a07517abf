"""Unmodified client libraries, pointed at a loopback exchange."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from pipeline.sandbox import Sandbox

SYMBOLS = {"upbit": "SOL/KRW", "bingx": "SOL/USDT:USDT", "binance": "SOL/USDT:USDT"}
OPTIONS = {"fetchMarkets": {"types": ["linear"]}, "fetchCurrencies": False}


@contextmanager
def ccxt_client(sandbox: Sandbox, venue: str) -> Iterator[Any]:
    """A synchronous ccxt exchange whose addresses lead to the sandbox; not paced, no retries."""
    import ccxt

    made = getattr(ccxt, venue)({"enableRateLimit": False, "timeout": 5000, "options": OPTIONS})
    below = {"upbit": "", "bingx": "/openApi", "binance": "/fapi/v1"}[venue]  # as ccxt expects
    made.urls["api"] = dict.fromkeys(made.urls["api"], sandbox.url(venue) + below)
    try:
        yield made
    finally:
        made.session.close()


def frame_of(rows: list[list[float]]) -> pd.DataFrame:
    """What ccxt's fetch_ohlcv gives, as a candle frame."""
    columns = ["time", "open", "high", "low", "close", "volume"]
    frame = pd.DataFrame(rows, columns=columns, dtype="float64")
    frame["time"] = pd.to_datetime(frame["time"].astype("int64"), unit="ms", utc=True)
    frame["time"] = frame["time"].astype("datetime64[ms, UTC]")
    return frame.set_index("time")


def milliseconds(at: pd.Timestamp) -> int:
    return int(at.timestamp() * 1000)
