"""The candle store: append-only Parquet files, one for each month of a series.

``<root>/<feed>/<MARKET>/<timeframe>/YYYY-MM.parquet``, and beside them what is known of the
candles: ``holes.json``, ``revisions.jsonl``, ``sources.json``. Writers of a series wait for each
other; readers wait for nobody and never see half a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pandas as pd

from pipeline.errors import DataError
from pipeline.market import holes, revisions, sources, writing
from pipeline.market.candles import duration, last_closed
from pipeline.market.holes import Confirmed, Hole
from pipeline.market.partitions import MONTH_FILES, count, load, load_times, months_of, overlaps
from pipeline.market.revisions import Revision
from pipeline.market.series import Series, Span, Written
from pipeline.market.writing import Incoming, locked

__all__ = ["CandleStore", "Series", "Span", "Written"]
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class CandleStore:
    """Candles on disk, below `root`."""

    root: Path

    def series(self) -> list[Series]:
        """List the stored series, sorted by their names."""
        months = self.root.glob(f"*/*/*/{MONTH_FILES}")
        return sorted(
            {Series(*path.parent.relative_to(self.root).parts) for path in months}, key=str
        )

    def read(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Read the candles with ``start <= time`` and ``time + timeframe <= end``.

        So a cut at a moment inside a candle leaves that candle out: it is not known yet.

        Raises
        ------
        DataError
            When a file is damaged.
        """
        newest = None if end is None else last_closed(end, series.timeframe)
        return self._reading(series, start, newest, load).loc[start:newest]

    def times(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> pd.DatetimeIndex:
        """Read the open times alone, within the same ends as `read`.

        Raises
        ------
        DataError
            When a file is damaged.
        """
        newest = None if end is None else last_closed(end, series.timeframe)
        times = self._reading(series, start, newest, load_times)
        return times[times.slice_indexer(start, newest)]

    def span(self, series: Series) -> Span | None:
        """Tell what is stored, or None when nothing is.

        Raises
        ------
        DataError
            When a file is damaged.
        """
        return self._reading(series, None, None, _span)

    def holes(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> list[Hole]:
        """List what is missing between stored candles, within the same ends as `read`.

        Raises
        ------
        DataError
            When a file is damaged.
        """
        step = duration(series.timeframe)
        held = self.span(series)
        if held is None:
            return []
        times = self.times(series)
        missing = holes.missing_between(times, step)
        ends = (start or held.first, (end or held.last + step).floor(step))
        return holes.holes(holes.inside(missing, [ends]), self.confirmed(series), step)

    def confirmed(self, series: Series) -> list[Confirmed]:
        """Moments that the source has no candle for, those before its first one among them."""
        return holes.read(self.folder(series))

    def revisions(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> list[Revision]:
        """Stored candles that came with other values, within the same ends as `read`.

        Raises
        ------
        DataError
            When the journal is damaged.
        """
        newest = None if end is None else last_closed(end, series.timeframe)
        return [
            revision
            for revision in revisions.read(self.folder(series))
            if (start is None or start <= revision.time)
            and (newest is None or revision.time <= newest)
        ]

    def sources(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> dict[str, int]:
        """Count candles by who sent them, the feed itself first, within the ends of `read`."""
        borrowed = sources.read(self.folder(series))
        return sources.counts(borrowed, self.times(series, start, end), series.feed)

    def own(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Read the candles that the series' own feed sent, within the same ends as `read`.

        Raises
        ------
        DataError
            When a file is damaged.
        """
        candles = self.read(series, start, end)
        borrowed = sources.read(self.folder(series))
        senders = sources.senders(borrowed, pd.DatetimeIndex(candles.index), series.feed)
        own: pd.DataFrame = candles.loc[senders == series.feed]
        return own

    def faults(self, series: Series) -> list[DataError]:
        """Read all that is stored of a series, and tell each file that is damaged."""
        folder, found = self.folder(series), []
        months = [partial(load, [path]) for path in months_of(folder)]
        beside = [partial(read, folder) for read in (holes.read, revisions.read, sources.read)]
        for read in (*beside, *months):
            try:
                read()
            except FileNotFoundError:  # a writer took it away meanwhile
                continue
            except DataError as error:
                found.append(error)
        return found

    def lacks(self, series: Series, start: pd.Timestamp, end: pd.Timestamp) -> bool:
        """Tell whether asking the source could bring a candle of [start, end)."""
        held, step = self.span(series), duration(series.timeframe)
        if held is None or held.last + step < end.floor(step):
            return True
        listed = [span.first for span in self.confirmed(series) if span.kind == "not_listed"]
        if start < min([held.first, *listed]):
            return True
        return any(hole.kind == "unknown" for hole in self.holes(series, start, end))

    def append(self, series: Series, candles: pd.DataFrame) -> int:
        """Add candles, earlier or later than what is stored, and count the new ones.

        All is compared before anything is written. Months are written from the stored ones
        outwards, so an interrupted append leaves no hole that was not there.

        Raises
        ------
        DataError
            When a stored candle comes with another value, when the frame is no candle frame, or
            when a file is damaged.
        """
        return self._write(series, candles, None).appended

    def write(self, series: Series, candles: pd.DataFrame, seen_at: pd.Timestamp) -> Written:
        """Add candles as `append` does; another value replaces a stored one, as a revision.

        Raises
        ------
        DataError
            As `append`; and when three candles or more are stored already and all their closes
            differ, which is another feed and no revision.
        """
        return self._write(series, candles, seen_at)

    def replace(self, series: Series, candles: pd.DataFrame, seen_at: pd.Timestamp) -> Written:
        """Do as `write` does, in one step; the months it changes are kept as a generation.

        Raises
        ------
        DataError
            As `write`.
        """
        came, folder = Incoming.of(candles, series), self.folder(series)
        if came.candles.empty:
            return Written(0)
        with locked(folder):
            return writing.swap(folder, writing.merge(folder, series, came, seen_at), seen_at)

    def forget(self, series: Series) -> None:
        """Delete all that is stored of a series; its source can give it again."""
        folder = self.folder(series)
        with locked(folder):
            writing.forget(folder)

    def folder(self, series: Series) -> Path:
        """Where the files of a series lie."""
        return series.folder(self.root)

    def _write(
        self, series: Series, candles: pd.DataFrame, seen_at: pd.Timestamp | None
    ) -> Written:
        came, folder = Incoming.of(candles, series), self.folder(series)
        if came.candles.empty:
            return Written(0)
        with locked(folder):
            return writing.add(folder, writing.merge(folder, series, came, seen_at))

    def _reading(
        self,
        series: Series,
        start: pd.Timestamp | None,
        newest: pd.Timestamp | None,
        read: Callable[[list[Path]], Read],
    ) -> Read:
        """Read months, from the start again when a writer took one away meanwhile."""
        while True:
            months = months_of(self.folder(series))
            try:
                return read([path for path in months if overlaps(path, start, newest)])
            except FileNotFoundError:
                if months == months_of(self.folder(series)):
                    raise


def _span(months: list[Path]) -> Span | None:
    if not months:
        return None
    first, last = load_times(months[:1])[0], load_times(months[-1:])[-1]
    return Span(first, last, sum(count(path) for path in months))
