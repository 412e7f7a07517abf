"""Three venues behind one door: counts requests and pages, limits, lets faults in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from pipeline.sandbox import binance, bingx, upbit
from pipeline.sandbox.faults import FAULTS
from pipeline.sandbox.limits import Limiter, limiters
from pipeline.sandbox.messages import Answer, Ask, http_date
from pipeline.sandbox.script import FaultScript, Performance
from pipeline.sandbox.world import World

_RESPOND = {"upbit": upbit.respond, "bingx": bingx.respond, "binance": binance.respond}
_SERIES = {"upbit": upbit.series_of, "bingx": bingx.series_of, "binance": binance.series_of}
_UNCOUNTED = ("timestamp", "signature")


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was received, and how it was answered.

    `at` is the exchange's clock, `monotonic` the machine's (seconds), `page` counts the pages of a
    series (a page that is asked for again keeps its number), `fault` names what was played.
    """

    venue: str
    path: str
    query: Mapping[str, str]
    at: pd.Timestamp
    monotonic: float
    page: int | None
    status: int
    rows: int
    fault: str | None


@dataclass
class Exchange:
    """Answers requests; knows nothing of sockets."""

    world: World
    clock: Callable[[], pd.Timestamp]
    limited: bool = True
    performance: Performance = field(default_factory=lambda: Performance(FaultScript()))
    requests: list[Request] = field(default_factory=list)
    _limiters: dict[str, Limiter] = field(default_factory=limiters)
    _pages: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _previous: dict[tuple[str, str], Answer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def play(self, script: FaultScript | None) -> None:
        """Begin anew with another script: requests, pages and limits are forgotten."""
        with self._lock:
            self.performance = Performance(script or FaultScript())
            self.requests.clear()
            self._pages.clear()
            self._previous.clear()
            self._limiters = limiters()

    def answer(
        self, venue: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Answer:
        """Answer one request, and write it down."""
        with self._lock:
            monotonic = time.monotonic()
            ask = Ask(venue, path, query, self.clock(), len(self.requests) + 1, headers=headers)
            ask = self._paged(ask)
            limiter = self._limiters[venue] if self.limited else limiters()[venue]
            played: list[str] = []
            answer = limiter(ask, monotonic, lambda: self._played(ask, played))
            answer = replace(answer, headers={"Date": http_date(ask.now)} | dict(answer.headers))
            self._remember(ask, answer)
            self.requests.append(
                Request(
                    venue=venue,
                    path=path,
                    query=dict(query),
                    at=ask.now,
                    monotonic=monotonic,
                    page=ask.page,
                    status=answer.status,
                    rows=len(answer.rows),
                    fault=played[0] if played else None,
                )
            )
            return answer

    def _respond(self, ask: Ask) -> Answer:
        answer = _RESPOND[ask.venue](self.world, ask)
        return replace(answer, headers={"Date": http_date(ask.now)} | dict(answer.headers))

    def _played(self, ask: Ask, played: list[str]) -> Answer:
        name = self.performance.next(ask)
        if name is None:
            return self._respond(ask)
        played.append(name)
        return FAULTS[name].play(ask, self._respond)

    def _paged(self, ask: Ask) -> Ask:
        series = _SERIES[ask.venue](ask)
        if series is None:
            return ask
        known = self._pages.setdefault((ask.venue, series), [])
        cursor = str(sorted((k, v) for k, v in ask.query.items() if k not in _UNCOUNTED))
        if cursor not in known:
            known.append(cursor)
        previous = self._previous.get((ask.venue, series))
        return replace(ask, page=known.index(cursor) + 1, previous=previous)

    def _remember(self, ask: Ask, answer: Answer) -> None:
        series = _SERIES[ask.venue](ask)
        if series is not None and answer.rows:
            self._previous[ask.venue, series] = answer
