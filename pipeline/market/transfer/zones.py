"""Which time zone moments are in that name none: as is said or as is proven, never a guess."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline.errors import ConfigError, DataError
from pipeline.market.checks.shift import hours_late
from pipeline.market.store import CandleStore, Series

LEAST_COMMON = 48
HOUR = pd.Timedelta(hours=1)


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
        When nothing stored proves it, or two stored series prove different things.
    """
    found = {
        str(witness): late
        for witness, close in _witnesses(store, series, naive)
        if (late := hours_late(naive["close"], close, LEAST_COMMON)) is not None
    }
    if len(set(found.values())) != 1:
        raise DataError(
            "the moments name no time zone",
            where=where,
            found=", ".join(f"{late:+d} h beside {name}" for name, late in found.items())
            or f"no stored series of {series.market} {series.timeframe} that proves one",
            fix="say it: zone=Asia/Seoul or zone=UTC; or sync some of the span first, "
            f"{LEAST_COMMON} candles in common prove it",
        )
    name, late = next(iter(found.items()))
    moved = naive.set_axis(pd.DatetimeIndex(naive.index) - late * HOUR)
    return Placed(moved, f"{late:+d} h to UTC, as {name} proves")


def check_zone(candles: pd.DataFrame, store: CandleStore, series: Series, where: str) -> None:
    """Refuse moments that stored candles of the market show to be whole hours away.

    Raises
    ------
    ConfigError
        Naming the stored series and the hours.
    """
    for witness, close in _witnesses(store, series, candles):
        late = hours_late(candles["close"], close, LEAST_COMMON)
        if late:
            raise ConfigError(
                "the moments are in another time zone than is said",
                where=where,
                found=f"{late:+d} h beside {witness}",
                expected="the same candles at the same moments",
                fix="correct zone=, or leave it out: the stored candles prove it. A file that "
                "names a wrong zone itself must be exported again",
            )


def _witnesses(
    store: CandleStore, series: Series, near: pd.DataFrame
) -> list[tuple[Series, pd.Series]]:
    day = pd.Timedelta(days=1)
    start, end = near.index[0] - day, near.index[-1] + 2 * day
    alike = [
        other
        for other in store.series()
        if (other.market, other.timeframe) == (series.market, series.timeframe)
    ]
    return [(other, store.read(other, start, end)["close"]) for other in alike]
