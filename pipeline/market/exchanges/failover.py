"""Several sources for one series: another stands in when the first cannot answer.

Another source is believed only where it can be compared: it is asked for closed candles that the
first one gave before and the store holds, and must give them alike. Its rows carry its name in the
column ``source``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

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
Stored = Callable[[], pd.DataFrame]


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
        Stored candles of the first source, those nearest to what is asked for, that another must
        have and agree on before it is believed.
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
    _stored: Stored | None = PrivateAttr(default=None)

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
        return self._copy(_built=tuple(source.on(machine) for source in self._built))

    def for_one_sync(self) -> Self:
        """The same sources, each of which ends all its fetches by its own deadline."""
        return self._copy(_built=tuple(source.for_one_sync() for source in self._built))

    def beside(self, stored: Stored) -> Self:
        """The same sources, which may stand in for each other where `stored` allows it.

        Parameters
        ----------
        stored
            Gives the candles of the series that its own feed, the first source, sent before.
        """
        return self._copy(_stored=stored)

    @property
    def feed(self) -> str:
        """The first source's."""
        return self._first.feed

    @property
    def address(self) -> str | None:
        """As the first source."""
        return self._first.address

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
        """Candles of the first source, or of the next that agrees with what that one gave before.

        Returns
        -------
        DataFrame
            A candle frame; with the column ``source`` where another source stood in. What the
            first source gave before is in it as it is stored.

        Raises
        ------
        RetryLater
            When the first source cannot answer, and no other can or may: fewer than `overlap` of
            its candles are stored.
        DataError
            When another source could answer but disagrees with what is stored.
        ConfigError
            As the first source.
        """
        try:
            return self._first.fetch(market, timeframe, start, end)
        except RetryLater as error:
            failed = error
        stored = self._stored() if self._stored else pd.DataFrame()
        if len(stored) < self.overlap:
            raise self._alone(failed, f"{len(stored)} stored candles of {self.feed}")
        for other in self._built[1:]:
            try:
                self._require_same(other, market, timeframe, _nearest(stored, start, self.overlap))
                candles = other.fetch(market, timeframe, start, end)
            except RetryLater:
                continue
            return _beside(stored.loc[start : end - duration(timeframe)], candles, other.feed)
        raise self._alone(failed, "no other source that answers")

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

    def _copy(self, **private: Any) -> Self:
        other = self.model_copy()
        held = {"_built": self._built, "_stored": self._stored, **private}
        object.__setattr__(other, "__pydantic_private__", held)
        return other

    def _alone(self, failed: RetryLater, found: str) -> RetryLater:
        return RetryLater(
            f"{failed.what}; no other source may stand in",
            where=failed.where,
            found="; ".join(part for part in (failed.found, found) if part),
            expected=f"{self.overlap} stored candles of {self.feed}, and a source that agrees",
            fix=failed.fix,
        )

    def _require_same(
        self, other: Online, market: Instrument, timeframe: str, ours: pd.DataFrame
    ) -> None:
        stop = ours.index[-1] + duration(timeframe)
        theirs = other.fetch(market, timeframe, ours.index[0], stop)
        where = f"{self.feed}/{market.name}/{timeframe}"
        if set(ours.columns) != set(theirs.columns):
            raise _disagreement(other, where, ", ".join(theirs.columns), ", ".join(ours.columns))
        lacking = ours.index.difference(theirs.index)
        if len(lacking):
            found = f"it has none at {lacking[0].isoformat()}"
            raise _disagreement(other, where, found, "every candle that is stored")
        theirs = theirs.loc[ours.index]
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


def _nearest(stored: pd.DataFrame, at: pd.Timestamp, count: int) -> pd.DataFrame:
    """So many stored candles before a moment, or the first ones."""
    first = max(0, int(stored.index.searchsorted(at)) - count)
    return stored.iloc[first : first + count]


def _beside(stored: pd.DataFrame, candles: pd.DataFrame, feed: str) -> pd.DataFrame:
    """A stored candle is not told anew by who stands in."""
    fresh = candles.drop(index=stored.index, errors="ignore").assign(**{SOURCE: feed})
    return pd.concat([part for part in (stored, fresh) if len(part)] or [fresh]).sort_index()


def _disagreement(other: Online, where: str, found: str, expected: str) -> DataError:
    return DataError(
        f"the first source cannot answer, and {other.feed} may not stand in: it disagrees with "
        "what is stored",
        where=where,
        found=found,
        expected=expected,
        fix="wait for the first source, or raise exchange.price_tolerance if that is meant",
    )
