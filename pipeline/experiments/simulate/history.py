"""One market's candles of a whole simulation, and cuts of it as a retrain would have made them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.market import holes
from pipeline.market.candles import duration, last_closed
from pipeline.market.checks.cut import Asked
from pipeline.market.holes import Confirmed
from pipeline.market.partitions import Moments
from pipeline.market.store import CandleStore, Series


@dataclass(frozen=True, slots=True)
class Cut:
    """Candles of a span and what is known of them beside; `digest` stands for all of it."""

    candles: pd.DataFrame
    asked: Asked
    digest: str


@dataclass(frozen=True, slots=True)
class History:
    """A market's candles, those that are missing and why, and those that were revised.

    `reference` are the candles of a second source, where the validation has one.
    """

    market: str
    timeframe: str
    candles: pd.DataFrame
    missing: Moments
    confirmed: tuple[Confirmed, ...] = ()
    revised: tuple[pd.Timestamp, ...] = ()
    reference: pd.DataFrame | None = None

    @classmethod
    def of_store(
        cls,
        store: CandleStore,
        series: Series,
        span: tuple[pd.Timestamp, pd.Timestamp],
        reference: str | None = None,
    ) -> History:
        """Read a span of a series.

        Raises
        ------
        DataError
            When the store has no candle of it.
        """
        candles = store.read(series, *span)
        if candles.empty:
            raise DataError(
                f"no candles of {series.market}",
                where=f"feed {series.feed}, {series.timeframe}",
                expected=" to ".join(end.isoformat() for end in span),
                fix="name a source for them: exchange=replay exchange.root=FOLDER",
            )
        times = pd.DatetimeIndex(candles.index)
        return cls(
            market=series.market,
            timeframe=series.timeframe,
            candles=candles,
            missing=holes.missing_between(times, duration(series.timeframe)),
            confirmed=tuple(store.confirmed(series)),
            revised=tuple(sorted({one.time for one in store.revisions(series, *span)})),
            reference=store.read(Series.parse(reference), *span) if reference else None,
        )

    def cut(self, start: pd.Timestamp, end: pd.Timestamp) -> Cut:
        """The candles that open from `start` on and were closed at `end`.

        Raises
        ------
        DataError
            When there is none.
        """
        newest = last_closed(end, self.timeframe)
        candles = self.candles.loc[start:newest]
        if candles.empty:
            raise DataError(
                f"no candles of {self.market} before {end.isoformat()}",
                expected=f"some from {start.isoformat()} on",
                fix="begin the simulation later, or import older candles",
            )
        step = duration(self.timeframe)
        ends = candles.index[0], candles.index[-1] + step
        missing = holes.inside(self.missing, [ends])
        asked = Asked(
            market=self.market,
            start=start,
            holes=tuple(holes.holes(missing, self.confirmed, step)),
            revised=tuple(time for time in self.revised if ends[0] <= time < ends[1]),
            reference=None if self.reference is None else self.reference.loc[start:newest],
        )
        return Cut(candles, asked, _digest(candles, asked))


def _digest(candles: pd.DataFrame, asked: Asked) -> str:
    found = hashlib.sha256()
    for part in _parts(candles, asked):
        found.update(part)
    return found.hexdigest()


def _parts(candles: pd.DataFrame, asked: Asked) -> Iterator[bytes]:
    yield f"{asked.market} {asked.start.isoformat()}".encode()
    for frame in [candles] if asked.reference is None else [candles, asked.reference]:
        yield " ".join(map(str, frame.columns)).encode()
        yield pd.DatetimeIndex(frame.index).as_unit("ms").asi8.tobytes()
        yield np.ascontiguousarray(frame.to_numpy("float64")).tobytes()
    for hole in asked.holes:
        yield f"{hole.first.isoformat()} {hole.candles} {hole.kind}".encode()
    yield " ".join(time.isoformat() for time in asked.revised).encode()
