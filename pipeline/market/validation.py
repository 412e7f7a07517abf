"""Rules that candles must keep before anything is computed from them. Nothing is ever filled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.config import Record
from pipeline.errors import DataError
from pipeline.market.candles import COLUMNS, PRICES, REQUIRED, duration, last_closed

Counts = np.ndarray[Any, np.dtype[np.int64]]

SOURCE_FIX = "correct the source, then sync again; the stage never repairs a candle"


@dataclass(frozen=True, slots=True)
class Quality:
    """What the candles of a cut are like; every rule was kept."""

    candles: int
    missing: int
    holes: int
    longest_hole: int
    first: pd.Timestamp
    last: pd.Timestamp
    history_short: bool

    def to_dict(self) -> dict[str, int | bool | str]:
        """Flat and ready for JSON; moments as ISO text."""
        return asdict(self) | {"first": self.first.isoformat(), "last": self.last.isoformat()}


class Validation(Record):
    """Limits of what is let through."""

    min_rows: Annotated[int, Field(ge=1)] = 300
    max_hole_candles: Annotated[int, Field(ge=0)] = 12
    max_stale_candles: Annotated[int, Field(ge=0)] = 0

    def check(
        self, candles: pd.DataFrame, timeframe: str, as_of: pd.Timestamp, asked: Asked | None = None
    ) -> Quality:
        """Check every rule on the candles known at `as_of`.

        Rules, in this order: columns, order, duplicates, off_grid, future, non_finite,
        non_positive, not_enclosed, negative_volume, min_rows, stale_end, max_hole.

        Parameters
        ----------
        asked
            Market and first moment that the cut was made for.

        Raises
        ------
        DataError
            At the first rule that is broken, naming rule, market, moment and what to do.
        """
        where = f"{asked.market} {timeframe}" if asked else timeframe
        check_candles(candles, timeframe, as_of, where)
        if len(candles) < self.min_rows:
            raise DataError(
                "min_rows: too few candles",
                where=f"{where}, as_of {as_of.isoformat()}",
                found=str(len(candles)),
                expected=f"at least {self.min_rows}",
                fix="ask for more history, sync, or lower validation.min_rows",
            )
        times = pd.DatetimeIndex(candles.index)
        self._check_end(times[-1], timeframe, as_of, where)
        step = duration(timeframe) // pd.Timedelta(milliseconds=1)
        skipped = np.diff(times.as_unit("ms").asi8) // step - 1
        self._check_holes(times, skipped, where)
        return Quality(
            candles=len(times),
            missing=int(skipped.sum()),
            holes=int((skipped > 0).sum()),
            longest_hole=int(skipped.max(initial=0)),
            first=times[0],
            last=times[-1],
            history_short=asked is not None
            and bool(times[0] > asked.start.ceil(duration(timeframe))),
        )

    def _check_end(
        self, last: pd.Timestamp, timeframe: str, as_of: pd.Timestamp, where: str
    ) -> None:
        expected = last_closed(as_of, timeframe) - self.max_stale_candles * duration(timeframe)
        if last < expected:
            raise DataError(
                f"stale_end: as_of {as_of.isoformat()} lies beyond the data",
                where=where,
                found=f"the last candle at {last.isoformat()}",
                expected=f"one at {expected.isoformat()} or later",
                fix="sync the market, choose an earlier as_of, or raise validation."
                "max_stale_candles where the venue writes no candle without a trade",
            )

    def _check_holes(self, times: pd.DatetimeIndex, skipped: Counts, where: str) -> None:
        broken = skipped > self.max_hole_candles
        if broken.any():
            at = int(np.argmax(broken))
            raise DataError(
                f"max_hole: candles are missing after {times[at].isoformat()}",
                where=where,
                found=f"{skipped[at]} in a row, until {times[at + 1].isoformat()}",
                expected=f"at most {self.max_hole_candles}",
                fix="backfill the store, let history start after the hole, or raise "
                "validation.max_hole_candles",
            )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a cut was made for: a market, from a first moment on."""

    market: str
    start: pd.Timestamp


def check_candles(candles: pd.DataFrame, timeframe: str, end: pd.Timestamp, where: str) -> None:
    """Check columns, moments and values; every candle closes at `end` or before.

    Raises
    ------
    DataError
        At the first rule that is broken.
    """
    check_times(candles.index, timeframe, end, where)
    _check_columns(candles, where)
    present = [name for name in COLUMNS if name in candles.columns]
    numbers = candles[present]
    prices = candles[list(PRICES)]
    traded = candles[[name for name in present if name not in PRICES]]
    top, bottom = prices.max(axis=1), prices.min(axis=1)
    rules: dict[str, tuple[pd.DataFrame, str]] = {
        "non_finite": (numbers.isna() | numbers.isin([np.inf, -np.inf]), "finite numbers"),
        "non_positive": (prices <= 0, "prices above 0"),
        "not_enclosed": (
            pd.DataFrame({"high": candles["high"] < top, "low": candles["low"] > bottom}),
            "high and low that enclose open and close",
        ),
        "negative_volume": (traded < 0, "volume and value of 0 or more"),
    }
    for rule, (broken, expected) in rules.items():
        _refuse_values(candles, broken, f"{rule}: expected {expected}", where)


def check_times(times: pd.Index, timeframe: str, end: pd.Timestamp, where: str) -> None:
    """Check that moments are UTC, increasing, unique, on the grid and closed at `end`.

    Raises
    ------
    DataError
        At the first rule that is broken.
    """
    if not isinstance(times, pd.DatetimeIndex) or str(times.tz) != "UTC":
        raise DataError(
            "columns: the index is no UTC time", where=where, found=str(times.dtype), fix=SOURCE_FIX
        )
    step = duration(timeframe)
    turn = np.diff(times.asi8, prepend=times.asi8[:1] - 1)
    rules = {
        "order": (turn < 0, "increasing moments"),
        "duplicates": (turn == 0, "every moment once"),
        "off_grid": (np.asarray(times != times.floor(step)), f"multiples of {timeframe}"),
        "future": (
            np.asarray(times + step > end),
            f"candles that are closed at {end.isoformat()}",
        ),
    }
    for rule, (broken, expected) in rules.items():
        if broken.any():
            at = int(np.argmax(broken))
            raise DataError(
                f"{rule}: a candle breaks it",
                where=f"{where}, row {at + 1}",
                found=times[at].isoformat(),
                expected=expected,
                fix=SOURCE_FIX,
            )


def _check_columns(candles: pd.DataFrame, where: str) -> None:
    found = list(candles.columns)
    if not set(REQUIRED) <= set(found) <= set(COLUMNS) or len(set(found)) < len(found):
        raise DataError(
            "columns: not those of candles",
            where=where,
            found=", ".join(str(name) for name in found),
            expected=f"{', '.join(REQUIRED)} and perhaps value",
            fix=SOURCE_FIX,
        )


def _refuse_values(candles: pd.DataFrame, broken: pd.DataFrame, told: str, where: str) -> None:
    rows = broken.any(axis=1).to_numpy()
    if rows.any():
        at = int(np.argmax(rows))
        column = str(broken.columns[int(np.argmax(broken.iloc[at].to_numpy()))])
        raise DataError(
            told,
            where=f"{where}, {candles.index[at].isoformat()}, column {column}",
            found=repr(float(candles[column].iloc[at])),
            fix=SOURCE_FIX,
        )
