"""Which time zone moments are in that name none: as is said or as is proven, never a guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import pandas as pd

from pipeline.errors import ConfigError, DataError
from pipeline.market.checks.shift import hours_late
from pipeline.market.store import CandleStore, Series

LEAST_COMMON = 48
HOUR = pd.Timedelta(hours=1)
FILES = "replay"  # a feed, or the first part of its name, whose candles are those of files
SAY = "say it: zone=Asia/Seoul or zone=UTC; or sync some of the span first, "
SAY += f"{LEAST_COMMON} candles in common prove it"


class Weight(IntEnum):
    """What stored candles prove; the first kind that tells anything decides."""

    TARGET = 0  # the venue sent them for the series itself
    VENUE = 1  # the venue sent them for another series of the market
    BEGUN = 2  # imported into the series itself
    FILE = 3  # of another file, which can be as wrong


@dataclass(frozen=True, slots=True)
class Witness:
    """A stored series of the market, and how many hours after it the moments lie."""

    weight: Weight
    series: Series
    late: int

    def __str__(self) -> str:
        """As it is told to a person."""
        return f"{self.late:+d} h beside {self.series}"


@dataclass(frozen=True, slots=True)
class Placed:
    """Candles with their moments in UTC, and why one may believe it."""

    candles: pd.DataFrame
    why: str


def place(naive: pd.DataFrame, store: CandleStore, series: Series, where: str) -> Placed:
    """Find the hours between naive moments, read as UTC, and those of a stored second source.

    Raises
    ------
    DataError
        When nothing stored proves it, or series of the same weight prove different things.
    """
    heard = _heard(naive, store, series)
    deciding = _deciding(heard)
    hours = {witness.late for witness in deciding}
    if len(hours) != 1 or deciding[0].weight is Weight.FILE:
        raise DataError(
            "the moments name no time zone",
            where=where,
            found=", ".join(map(str, deciding))
            or f"no stored series of {series.market} {series.timeframe} that proves one",
            expected="candles of a venue that prove one" if deciding else "",
            fix=f"{SAY}; {_forget(deciding)}" if deciding else SAY,
        )
    first = deciding[0]
    moved = naive.set_axis(pd.DatetimeIndex(naive.index) - first.late * HOUR)
    why = f"{first.late:+d} h to UTC, as {first.series} proves"
    return Placed(moved, why + _beside(heard, first.late))


def check_zone(candles: pd.DataFrame, store: CandleStore, series: Series, where: str) -> str:
    """Refuse moments that stored candles of the market show to be whole hours away.

    Returns
    -------
    What there is to say of stored series that are hours away themselves.

    Raises
    ------
    ConfigError
        Naming the stored series and the hours.
    """
    heard = _heard(candles, store, series)
    deciding = _deciding(heard)
    apart = [witness for witness in deciding if witness.late]
    if not apart:
        return _beside(heard, 0)
    raise ConfigError(
        "the moments are in another time zone than is said",
        where=where,
        found=", ".join(map(str, deciding)),
        expected="the same candles at the same moments",
        fix="correct zone=, or leave it out: the stored candles prove it. A file that "
        f"names a wrong zone itself must be exported again; and {_forget(apart)}",
    )


def _deciding(heard: Sequence[Witness]) -> list[Witness]:
    return [witness for witness in heard if witness.weight is heard[0].weight]


def _beside(heard: Sequence[Witness], late: int) -> str:
    odd = [witness for witness in heard if witness.late != late]
    if not odd:
        return ""
    told = ", ".join(f"{witness.series} ({witness.late - late:+d} h)" for witness in odd)
    return f"; hours away from it is {told}: {_forget(odd)}"


def _forget(odd: Sequence[Witness]) -> str:
    names = " ".join(str(witness.series) for witness in odd)
    return f"if what is stored is wrong, vintage data forget {names}"


def _heard(candles: pd.DataFrame, store: CandleStore, series: Series) -> list[Witness]:
    """What each stored series of the market tells, the weightiest first."""
    found: list[Witness] = []
    for other in store.series():
        if (other.market, other.timeframe) == (series.market, series.timeframe):
            found += _told(candles, store, other, target=other == series)
    return sorted(found, key=lambda witness: witness.weight)


def _told(
    candles: pd.DataFrame, store: CandleStore, other: Series, *, target: bool
) -> Iterator[Witness]:
    day = pd.Timedelta(days=1)
    ends = candles.index[0] - day, candles.index[-1] + 2 * day
    kinds = [(Weight.BEGUN if target else Weight.FILE, store.read(other, *ends))]
    if not other.feed.startswith(FILES):
        kinds.insert(0, (Weight.TARGET if target else Weight.VENUE, store.own(other, *ends)))
    for weight, known in kinds:
        late = hours_late(candles["close"], known["close"], LEAST_COMMON)
        if late is not None:
            yield Witness(weight, other, late)
            return
