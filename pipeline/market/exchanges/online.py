"""Candles over the network: one adapter for every venue, and what all of them have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import Field, PrivateAttr, field_validator, model_validator

from pipeline.config import Record, RunOnlyMark
from pipeline.errors import ConfigError, RetryLater, nearest
from pipeline.market.candles import duration
from pipeline.market.exchanges import binance, bingx, ccxt_any, upbit, upbit_pyupbit
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.faults import Fault, UnknownMarketError
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.machine import Deadline, Machine
from pipeline.market.exchanges.page import empty
from pipeline.market.exchanges.paging import Download
from pipeline.market.exchanges.rate_bucket import KEY, agreed_rate
from pipeline.market.exchanges.venue import Venue

VENUES = {
    venue.name: venue for venue in (upbit.VENUE, upbit_pyupbit.VENUE, bingx.VENUE, binance.VENUE)
}
CCXT = "ccxt"
RunOnly = RunOnlyMark()


class Online(Record):
    """A venue on the network; `id` is ccxt's word for it where the venue is ``ccxt``."""

    venue: str
    id: str | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+[^\s?#/]$")] | None = None
    requests_per_second: Annotated[float, Field(gt=0), RunOnly] | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=120), RunOnly] = 10.0
    deadline_seconds: Annotated[float, Field(gt=0, le=86_400), RunOnly] = 600.0
    sync_seconds: Annotated[float, Field(gt=0, le=7 * 86_400), RunOnly] = 21_600.0
    grace_seconds: Annotated[float, Field(ge=0, le=60), RunOnly] = 3.0
    max_clock_skew_seconds: Annotated[float, Field(ge=0, le=60), RunOnly] = 10.0
    outage_candles: Annotated[int, Field(ge=1)] | None = None
    _machine: Machine = PrivateAttr(default_factory=Machine)
    _total: Deadline | None = PrivateAttr(default=None)
    _clients: dict[str, Any] | None = PrivateAttr(default=None)

    @field_validator("venue")
    @classmethod
    def _known(cls, venue: str) -> str:
        if venue not in (valid := [*VENUES, CCXT]):
            raise ValueError(f"is no venue: {nearest(venue, valid)}")
        return venue

    @model_validator(mode="after")
    def _agreed(self) -> Self:
        if (self.venue == CCXT) != (self.id is not None):
            raise ValueError("'id' is given where, and only where, venue is ccxt")
        agreed_rate(self.requests_per_second, self._facts.limit, self._facts.name)
        return self

    def on(self, machine: Machine) -> Self:
        """The same adapter on another machine: other clocks, another sleep."""
        return self._copy(machine, None, None)

    def for_one_sync(self) -> Self:
        """The same adapter, all of whose fetches end by one deadline, `sync_seconds` from now.

        What ccxt learns of the venue's markets is kept as long.
        """
        return self._copy(self._machine, Deadline.after(self._machine, self.sync_seconds), {})

    @property
    def feed(self) -> str:
        """The venue's name; with another base URL, and a digest of it."""
        return self._facts.name + self._elsewhere

    @property
    def address(self) -> str | None:
        """The base URL that the feed's digest stands for; None at the venue's own."""
        return self.base_url

    @property
    def reachable(self) -> bool:
        """Always: no key is needed."""
        return True

    @property
    def omits_empty(self) -> bool:
        """Whether the venue writes no candle where nothing was traded."""
        return self._facts.omits_empty

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Timeframes that the venue has."""
        return self._facts.timeframes

    def first_candle(self, market: Instrument, timeframe: str) -> pd.Timestamp | None:
        """Open time of the venue's first candle, or None where the venue does not say it.

        Raises
        ------
        RetryLater, ConfigError
            As `fetch`.
        """
        if not self._facts.tells_first:
            return None
        with self._asking(market, timeframe, "its first candle is not known") as download:
            return download.first()

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Closed candles with ``start <= time`` and ``time + timeframe <= end``.

        Returns
        -------
        DataFrame
            A candle frame; a slot that the venue twice left out is absent.

        Raises
        ------
        RetryLater
            Naming the span that is missing: the venue or its rate limit does not let us, or what
            came is no sound answer. Nothing is returned in part.
        ConfigError
            When the venue has no such market or timeframe.
        """
        step = duration(timeframe)
        start, end = start.ceil(step), self._closed(end, self._machine.now()).floor(step)
        if start >= end:
            return empty(self._facts.columns)
        span = f"{start.isoformat()} to {end.isoformat()} is missing"
        with self._asking(market, timeframe, span) as download:
            candles = download.candles(start, end)
            closed = self._closed(end, download.line.now())
            return candles[candles.index <= closed - step]

    def newest(self, market: Instrument, timeframe: str, now: pd.Timestamp) -> pd.Timestamp | None:
        """Open time of the newest closed candle at `now`, or None when there is none.

        Raises
        ------
        RetryLater, ConfigError
            As `fetch`.
        """
        closed = self._closed(now, self._machine.now())
        with self._asking(market, timeframe, "its newest candle is not known") as download:
            newest = download.newest(closed)
            theirs = self._closed(closed, download.line.now())
            late = newest is not None and newest + duration(timeframe) > theirs
            return download.newest(theirs) if late else newest

    @property
    def _facts(self) -> Venue:
        return VENUES[self.venue] if self.id is None else ccxt_any.venue_of(self.id)

    @property
    def _elsewhere(self) -> str:
        if self.base_url is None:
            return ""
        return f"-{hashlib.sha256(self.base_url.encode()).hexdigest()[:8]}"

    def _copy(
        self, machine: Machine, total: Deadline | None, clients: dict[str, Any] | None
    ) -> Self:
        other = self.model_copy()
        private = {"_machine": machine, "_total": total, "_clients": clients}
        object.__setattr__(other, "__pydantic_private__", private)
        return other

    def _closed(self, end: pd.Timestamp, now: pd.Timestamp) -> pd.Timestamp:
        return min(end, now - pd.Timedelta(self.grace_seconds, unit="s"))

    @contextmanager
    def _asking(self, market: Instrument, timeframe: str, without: str) -> Iterator[Download]:
        facts = self._facts
        if timeframe not in facts.timeframes:
            raise ConfigError(
                f"{facts.name} has no candles of {timeframe}",
                where="timeframe",
                expected=", ".join(facts.timeframes),
                fix="choose one of these",
            )
        where = f"{self.feed}/{market.name}/{timeframe}"
        if self._total is not None and not self._total.left:
            passed = Fault(f"the {self.sync_seconds:g} s of exchange.sync_seconds have passed")
            raise self._told(passed, where, without)
        line = self._line()
        download = Download(facts, facts.open(line), line, facts.symbol_of(market), timeframe)
        try:
            yield download
        except Fault as fault:
            raise self._told(fault, where, without) from None
        except UnknownMarketError as error:
            raise self._unknown(download, market, str(error)) from None
        finally:
            line.close()

    def _line(self) -> Line:
        facts, machine = self._facts, self._machine
        rate = agreed_rate(self.requests_per_second, facts.limit, facts.name)
        left = self.deadline_seconds if self._total is None else self._total.left
        seconds = min(self.deadline_seconds, left)
        return Line(
            rate=rate,
            judge=facts.judge,
            deadline=Deadline.after(machine, seconds),
            timeout=self.timeout_seconds,
            max_skew=self.max_clock_skew_seconds,
            base_url=self.base_url or facts.base_url,
            clients={} if self._clients is None else self._clients,
        )

    def _told(self, fault: Fault, where: str, without: str) -> RetryLater:
        fix = fault.fix or "repeat later; what is stored stays"
        if fault.until is not None:
            fix = (
                f"repeat after {fault.until.isoformat()}; if other programs of this address ask "
                f"{self._facts.name} too, lower {KEY}"
            )
        return RetryLater(f"{fault.what}; {without}", where=where, found=fault.found, fix=fix)

    def _unknown(self, download: Download, market: Instrument, told: str) -> ConfigError:
        listed: list[str] = []
        with suppress(Fault):
            listed = download.desk.symbols()
        hints = [nearest(word, listed).partition(" Valid:") for word in download.symbol.split()]
        close = next((hint for hint, valid, _ in hints if valid and hint), "")
        return ConfigError(
            f"{self._facts.name} has no such market",
            where=f"market={market.name}",
            found=f"{download.symbol} ({told})",
            fix=close or "correct the market's symbol",
        )
