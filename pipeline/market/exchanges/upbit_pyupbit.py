"""Upbit's candles by pyupbit, a second way to the same venue.

pyupbit asks one literal address without a time limit, tells every failure as None, reads ``to``
as UTC and answers in Korean time without a zone. Here it asks through the same line as the rest,
one page at a time; its index is read as Asia/Seoul; what it made of an answer must be what the
answer says; and None is told as what really happened.
Its ``get_ohlcv_from``, which mixes the two zones, is never used.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pandas as pd

from pipeline.market.candles import USUAL, duration
from pipeline.market.exchanges import upbit
from pipeline.market.exchanges.answer import Answer
from pipeline.market.exchanges.faults import Fault, garbage
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.rows import to_frame
from pipeline.market.exchanges.venue import Ask

ZONE = "Asia/Seoul"
READABLE = {"Remaining-Req": "group=candles; min=0; sec=1"}  # pyupbit stumbles over any other
ONE_AT_A_TIME = threading.Lock()  # pyupbit's way to the network is one name in a module


@dataclass(frozen=True, slots=True)
class PyupbitDesk:
    """Asks Upbit through pyupbit."""

    line: Line

    def page(self, ask: Ask) -> pd.DataFrame:
        """The newest ``ask.count`` candles before the stop, whatever their age."""
        to = ask.stop.strftime("%Y-%m-%d %H:%M:%S")
        return self._candles(ask.symbol, ask.timeframe, ask.count, to)

    def latest(self, symbol: str, timeframe: str) -> pd.DataFrame:
        """The newest candles, the forming one among them."""
        later = self.line.machine.now() + duration(timeframe)
        return self._candles(symbol, timeframe, upbit.ROWS, later.strftime("%Y-%m-%d %H:%M:%S"))

    def symbols(self) -> list[str]:
        """Every market code."""
        import pyupbit

        with _through(self.line):
            return [str(name) for name in pyupbit.get_tickers()]

    def _candles(self, symbol: str, timeframe: str, count: int, to: str) -> pd.DataFrame:
        import pyupbit

        step = duration(timeframe)
        minutes = None if step == upbit.DAY else int(step / pd.Timedelta(minutes=1))
        interval = "day" if minutes is None else f"minute{minutes}"
        with _through(self.line):
            came = pyupbit.get_ohlcv(symbol, interval=interval, count=count, to=to)
        if self.line.raised is not None:
            raise self.line.raised
        return _frame(came, self.line.last, symbol, minutes)


def _frame(came: Any, last: Answer | None, symbol: str, unit: int | None) -> pd.DataFrame:
    if last is None:
        raise Fault("pyupbit asked nothing")
    raw = upbit.frame_of(last.json(), symbol, unit)
    if came is None and raw.empty:
        return raw
    if not isinstance(came, pd.DataFrame) or not isinstance(came.index, pd.DatetimeIndex):
        raise garbage("pyupbit made nothing of the answer", last.text)
    if came.index.tz is not None or list(came.columns) != list(USUAL):
        raise garbage("pyupbit answers in another form", came.columns)
    utc = came.index.tz_localize(ZONE).tz_convert("UTC").as_unit("ms")
    moments = [int(moment) for moment in utc.asi8]
    made = to_frame(moments, {name: came[name].tolist() for name in USUAL})
    if not _alike(made, raw):
        raise garbage("pyupbit made other candles of the answer", made.index)
    return made


def _alike(made: pd.DataFrame, raw: pd.DataFrame) -> bool:
    """Whether the rows are the same, however often and in which order."""
    one, other = (set(frame.reset_index().itertuples(index=False)) for frame in (made, raw))
    return one == other


@contextmanager
def _through(line: Line) -> Iterator[None]:
    from pyupbit import request_api

    def get(url: str, **options: Any) -> Answer:
        answer = line.get(url.replace(upbit.URL, line.base_url, 1), **options)
        return replace(answer, headers={**answer.headers, **READABLE})

    with ONE_AT_A_TIME:
        usual = request_api.requests
        request_api.requests = SimpleNamespace(get=get)
        try:
            yield
        finally:
            request_api.requests = usual


VENUE = replace(upbit.VENUE, name="upbit_pyupbit", open=PyupbitDesk)
