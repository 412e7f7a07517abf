"""Several sources for one series: another stands in when the first cannot answer.

Another source is believed only where it can be compared: both are asked for the same closed
candles, and these must agree. Its rows carry its name in the column ``source``.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import Field, PrivateAttr, model_validator

from pipeline.build import build
from pipeline.config import Node, Record
from pipeline.errors import ConfigError, DataError, RetryLater
from pipeline.market.candles import PRICES, duration
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.machine import Machine
from pipeline.market.exchanges.online import Online

SOURCE = "source"
WIDTH = 3  # windows of comparison hold so many times the overlap, so that holes may be in them


class Failover(Record):
    """Serves the first source's feed; the others stand in for it.

    Parameters
    ----------
    sources
        Options of ``conf/exchange``; composing replaces each by what its file says.
    plugins
        Packages that a source may come from, filled in by composing.
    base_url
        Of every source that names none itself.
    overlap
        Closed candles that both must have, and agree on, before another source is believed.
    price_tolerance, volume_tolerance
        Relative difference that is no disagreement; null: volumes are not compared.
    """

    sources: Annotated[tuple[str, ...] | tuple[Node, ...], Field(min_length=2)]
    plugins: tuple[str, ...] = ()
    base_url: str | None = None
    overlap: Annotated[int, Field(ge=48, le=1000)] = 48
    price_tolerance: Annotated[float, Field(ge=0, le=0.01)] = 0.0
    volume_tolerance: Annotated[float, Field(ge=0, le=1)] | None = 0.0
    _built: tuple[Online, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _build(self) -> Self:
        nodes = [node for node in self.sources if not isinstance(node, str)]
        built = [self._online(node, place) for place, node in enumerate(nodes)]
        if len({source.feed for source in built}) < len(built):
            raise ConfigError("a source is named twice", where="exchange.sources")
        self._built = tuple(built)
        return self

    def on(self, machine: Machine) -> Self:
        """The same sources on another machine: other clocks, another sleep."""
        other = self.model_copy()
        built = {"_built": tuple(source.on(machine) for source in self._built)}
        object.__setattr__(other, "__pydantic_private__", built)
        return other

    @property
    def feed(self) -> str:
        """The first source's."""
        return self._first.feed

    @property
    def reachable(self) -> bool:
        """Always."""
        return True

    @property
    def omits_empty(self) -> bool:
        """As the first source."""
        return self._first.omits_empty

    @property
    def timeframes(self) -> tuple[str, ...]:
        """As the first source."""
        return self._first.timeframes

    @property
    def grace_seconds(self) -> float:
        """The longest of all sources."""
        return max(source.grace_seconds for source in (self._first, *self._built))

    @property
    def outage_candles(self) -> int | None:
        """As the first source."""
        return self._first.outage_candles

    def first_candle(self, market: Instrument, timeframe: str) -> pd.Timestamp | None:
        """As the first source.

        Raises
        ------
        RetryLater, ConfigError
            As the first source.
        """
        return self._first.first_candle(market, timeframe)

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Candles of the first source, or of the next that agrees with it.

        Returns
        -------
        DataFrame
            A candle frame; with the column ``source`` where another source stood in.

        Raises
        ------
        RetryLater
            When the first source cannot answer and no other could be compared with it.
        DataError
            When another source could answer but disagrees with the first.
        ConfigError
            As the first source.
        """
        try:
            return self._first.fetch(market, timeframe, start, end)
        except RetryLater as error:
            failed = error
        for other in self._built[1:]:
            try:
                if self._agrees(other, market, timeframe, (start, end)):
                    candles = other.fetch(market, timeframe, start, end)
                    return candles.assign(**{SOURCE: other.feed})
            except RetryLater:
                continue
        raise RetryLater(
            f"{failed.what}; no other source could be compared with it or could stand in",
            where=failed.where,
            found=failed.found,
            expected=f"{self.overlap} candles of both",
            fix=failed.fix,
        )

    def newest(self, market: Instrument, timeframe: str, now: pd.Timestamp) -> pd.Timestamp | None:
        """Open time of the newest closed candle, as the first source that answers tells it.

        Raises
        ------
        RetryLater, ConfigError
            When none answers.
        """
        for source in self._built[:-1]:
            try:
                return source.newest(market, timeframe, now)
            except RetryLater:
                continue
        return self._built[-1].newest(market, timeframe, now)

    @property
    def _first(self) -> Online:
        if not self._built:
            raise ConfigError(
                "sources are only names here",
                where="exchange.sources",
                fix="compose the exchange: vintage compose exchange=…",
            )
        return self._built[0]

    def _online(self, node: Node, place: int) -> Online:
        where = f"exchange.sources[{place}]"
        given = {"base_url": self.base_url} if self.base_url and not node.get("base_url") else {}
        source = build({**node, **given}, where, self.plugins)
        if not isinstance(source, Online):
            raise ConfigError("is no online exchange", where=where, fix="name one that is")
        return source

    def _agrees(
        self,
        other: Online,
        market: Instrument,
        timeframe: str,
        span: tuple[pd.Timestamp, pd.Timestamp],
    ) -> bool:
        """Whether a window shows both alike; False when none could be looked at."""
        width = WIDTH * self.overlap * duration(timeframe)
        for stop in span:
            try:
                ours = self._first.fetch(market, timeframe, stop - width, stop)
            except RetryLater:
                continue
            theirs = other.fetch(market, timeframe, stop - width, stop)
            self._require_same(ours, theirs, other, f"{self.feed}/{market.name}/{timeframe}")
            if len(ours) >= self.overlap:
                return True
        return False

    def _require_same(
        self, ours: pd.DataFrame, theirs: pd.DataFrame, other: Online, where: str
    ) -> None:
        if list(ours.columns) != list(theirs.columns):
            raise _disagreement(other, where, ", ".join(theirs.columns), ", ".join(ours.columns))
        apart = ours.index.symmetric_difference(theirs.index)
        if len(apart):
            found = f"only one of them has {apart[0].isoformat()}"
            raise _disagreement(other, where, found, "the same candles")
        for column in ours.columns:
            allowed = self.price_tolerance if column in PRICES else self.volume_tolerance
            if allowed is None:
                continue
            mine, yours = ours[column].to_numpy(), theirs[column].to_numpy()
            wrong = np.abs(mine - yours) > allowed * np.abs(mine)
            if wrong.any():
                row = int(np.argmax(wrong))
                at = f"{where}, {ours.index[row].isoformat()}, column {column}"
                raise _disagreement(other, at, repr(float(yours[row])), repr(float(mine[row])))


def _disagreement(other: Online, where: str, found: str, expected: str) -> DataError:
    return DataError(
        f"the first source cannot answer, and {other.feed} may not stand in: they disagree",
        where=where,
        found=found,
        expected=expected,
        fix="wait for the first source, or raise exchange.price_tolerance if that is meant",
    )
