"""A download: pages from the newest to the oldest, and proof of what is missing.

Windows are fixed in time, and the walk ends at its time bound or where the venue's first candle
is proven, never on an empty or short page. Each window overlaps the one before by three candles,
and the newest three are asked for twice, so a page that lies contradicts its neighbour. Slots
that did not come are asked for once more, together with the candles on both sides: a short page
cannot become a hole. A missing beginning is believed only when nothing is before it and candles
of a coarser timeframe, which reach back further, begin no earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd

from pipeline.market.candles import duration
from pipeline.market.exchanges.faults import Fault, beginning_withheld
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.page import (
    Page,
    empty,
    gaps_of,
    joined,
    read_page,
    require_reaching_back,
)
from pipeline.market.exchanges.retry import persist
from pipeline.market.exchanges.venue import Ask, Desk, Venue

OVERLAP = 3  # candles that neighbouring pages share
Window = tuple[pd.Timestamp, pd.Timestamp]
Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class Download:
    """One series of one venue, asked for over one line."""

    venue: Venue
    desk: Desk
    line: Line
    symbol: str
    timeframe: str

    def candles(self, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Closed candles with ``start <= time`` and ``time + timeframe <= end``.

        Parameters
        ----------
        start, end
            On the grid of the timeframe; `end` is not later than the last close.

        Raises
        ------
        Fault
            When the venue cannot be asked to the end, or its answers do not settle what there is.
        """
        candles = self._walked(start, end)
        if start not in candles.index:
            candles = joined([candles, self._beginning(candles, start, end)])
        if candles.empty:
            return candles
        gaps = gaps_of(candles.index, max(start, candles.index[0]), end, self._step)
        candles = joined([candles, *self._confirmed(candles, gaps, end)])
        return candles[(candles.index >= start) & (candles.index < end)]

    def newest(self, now: pd.Timestamp) -> pd.Timestamp | None:
        """Open time of the newest candle that is closed at `now`, or None.

        Raises
        ------
        Fault
            When the venue cannot be asked.
        """
        stop = now.floor(self._step)
        rows = self._latest(stop).rows
        return pd.Timestamp(rows.index[-1]) if len(rows) else None

    def first(self) -> pd.Timestamp:
        """A moment by which the venue had its first candle.

        Raises
        ------
        Fault
            When the venue cannot be asked.
        """
        return self._persist(lambda: self.venue.first(self.line, self.symbol, self.timeframe))

    @property
    def _step(self) -> pd.Timedelta:
        return duration(self.timeframe)

    @property
    def _reach(self) -> pd.Timedelta:
        return self.venue.rows * self._step

    def _persist(self, ask: Callable[[], Answered]) -> Answered:
        return persist(ask, self.line.deadline)

    def _page(self, start: pd.Timestamp, stop: pd.Timestamp, known: pd.DataFrame) -> Page:
        ask = Ask(self.symbol, self.timeframe, start, stop)

        def read() -> Page:
            page = read_page(self.desk.page(ask), ask, known)
            if self.venue.reaches_back:
                require_reaching_back(page, ask, known)
            return page

        return self._persist(read)

    def _latest(self, stop: pd.Timestamp) -> Page:
        ask = Ask(self.symbol, self.timeframe, stop - self._step, stop)
        nothing = empty(self.venue.columns)
        return self._persist(
            lambda: read_page(self.desk.latest(self.symbol, self.timeframe), ask, nothing)
        )

    def _walked(self, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        newest = max(start, end - OVERLAP * self._step)
        tail = self._page(newest, end, empty(self.venue.columns))
        pages, stop, known = [tail.inside], end, tail.rows
        new = self._reach - OVERLAP * self._step
        while True:
            left = max(1, -(-(stop - OVERLAP * self._step - start) // new))
            self.line.machine.tell(f"page {len(pages)} of {len(pages) - 1 + left}")
            first = max(start, stop - self._reach)
            page = self._page(first, stop, known)
            pages.append(page.inside)
            if first == start or self._ends(page, first, stop):
                return joined(pages)
            known = page.rows
            stop = first + OVERLAP * self._step

    def _ends(self, page: Page, first: pd.Timestamp, stop: pd.Timestamp) -> bool:
        if self.venue.reaches_back:
            short = len(page.rows) < int((stop - first) / self._step)
            return short and self._before(page.rows, stop).empty
        if self.venue.tells_first and len(page.inside) <= OVERLAP:
            return self.first() >= stop - OVERLAP * self._step
        return False

    def _before(self, rows: pd.DataFrame, stop: pd.Timestamp) -> pd.DataFrame:
        """What the venue gives before the oldest of the rows, that one asked for with it."""
        oldest = rows.index[0] if len(rows) else stop
        stop = oldest + self._step if len(rows) else stop
        page = self._page(stop - self._reach, stop, rows.head(1))
        return page.rows[page.rows.index < oldest]

    def _beginning(
        self, candles: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Candles before the first, or none when it is the venue's first for sure."""
        earlier = self._page(start - self._reach, start, empty(self.venue.columns)).rows
        if len(earlier):
            return earlier
        found = self._before(candles, end)
        candles = joined([candles, found])
        if candles.empty:
            self._require_unlisted(start, end)
            return candles
        if candles.index[0] < start or candles.index[0] > self.first():
            raise beginning_withheld(candles.index[0])
        return found

    def _require_unlisted(self, start: pd.Timestamp, end: pd.Timestamp) -> None:
        known = self.first()
        latest = self._persist(lambda: self.desk.latest(self.symbol, self.timeframe)).index
        inside = ((latest >= start) & (latest < end)).any()
        if latest.empty or inside or known < end:
            raise Fault("the venue gives no candle of a span in which it had some")
        if self.venue.reaches_back and latest.min() < end:
            raise Fault("the venue gives no candle of a span in which it had some")

    def _confirmed(
        self, candles: pd.DataFrame, gaps: list[Window], end: pd.Timestamp
    ) -> Iterator[pd.DataFrame]:
        for first, stop in self._around(candles, gaps, end):
            place = int(candles.index.searchsorted(stop))
            known = candles.iloc[max(0, place - self.venue.rows - 1) : place]
            yield self._page(first, stop, known).inside

    def _around(
        self, candles: pd.DataFrame, gaps: list[Window], end: pd.Timestamp
    ) -> Iterator[Window]:
        """Windows of at most one page that hold every gap and the candles on both its sides."""
        spans: list[Window] = []
        for first, last in gaps:
            place = max(int(candles.index.searchsorted(first)) - 1, 0)
            left, right = candles.index[place], min(last + 2 * self._step, end)
            if spans and right - spans[-1][0] <= self._reach:
                left = spans.pop()[0]
            spans.append((left, right))
        for left, right in spans:
            pages = -(-(right - left) // self._reach)
            for first in (left + place * self._reach for place in range(pages)):
                yield first, min(first + self._reach, right)
