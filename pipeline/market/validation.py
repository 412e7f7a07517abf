"""Rules that candles must keep before anything is computed from them. Nothing is ever filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, field_validator

from pipeline.config import Record
from pipeline.errors import ConfigError, DataError, nearest
from pipeline.market.checks import rows, series, span
from pipeline.market.checks.breach import WIDE, breach, breach_of_times
from pipeline.market.checks.cut import Asked, Cut, Finding
from pipeline.market.checks.schema import FIX, check_schema
from pipeline.market.holes import Kind
from pipeline.market.quality import Check, Quality, Verdict, quality_of

__all__ = ["Asked", "Quality", "Validation", "check_times"]

Count = Annotated[int, Field(ge=0)]
Hours = Annotated[float, Field(ge=0, le=1e6)]
RowCheck = Callable[[Cut], Finding]
SeriesCheck = Callable[[Cut, "Validation"], Finding]
TIMES: tuple[RowCheck, ...] = (
    rows.off_grid,
    rows.future,
    rows.forming_last,
    rows.order,
    rows.duplicates,
)
CELLS: tuple[RowCheck, ...] = (
    rows.non_finite,
    rows.non_positive,
    rows.not_enclosed,
    rows.negative_volume,
    rows.value_outside,
    rows.taker_above_volume,
)
SERIES: tuple[SeriesCheck, ...] = (
    series.shifted_hours,
    series.disagrees,
    series.frozen,
    series.constant_price,
    series.zero_volume,
    series.unit_breaks,
    series.volume_breaks,
    series.revised,
    span.min_rows,
    span.short_history,
    span.stale_end,
    span.max_hole,
)
NAMES = tuple(check.__name__ for check in (*TIMES, *CELLS, *SERIES))
DEFAULTS: dict[str, Verdict] = {
    **dict.fromkeys(NAMES, "stop"),
    "volume_breaks": "count",
    "short_history": "count",
    "revised": "count",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of a cut, what was set aside, and what it is like."""

    candles: pd.DataFrame
    quarantined: pd.DataFrame
    quality: Quality


class Validation(Record):
    """Limits, and for every check what happens to rows that break it.

    ``stop`` ends the run; ``drop`` leaves the rows out; ``quarantine`` does too and keeps them to
    look at; ``count`` lets them through and tells how many there are. A check that looks at the
    whole cut can stop or count. A member of a pool that a check stops at ends the run too, unless
    `broken_member` says to leave it out.
    """

    min_rows: Annotated[int, Field(ge=1, description="candles")] = 300
    max_no_trade_hours: Hours = 24
    max_outage_hours: Hours = 24
    max_unknown_hours: Hours = 6
    max_stale_candles: Count = 0
    max_frozen_candles: Annotated[int, Field(ge=1, description="equal candles in a row")] = 3
    max_constant_hours: Hours = 48
    max_constant_candles: Annotated[int, Field(ge=1, description="if those last longer")] = 24
    median_window: Annotated[int, Field(ge=3, description="candles of a median")] = 24
    max_median_ratio: Annotated[float, Field(gt=1, description="of adjacent medians")] = 50.0
    max_price_difference: Annotated[
        float, Field(gt=0, description="share, from a second source")
    ] = 0.05
    least_common: Annotated[int, Field(ge=24, description="candles of both sources")] = 48
    verdicts: dict[str, Verdict] = Field(default_factory=lambda: dict(DEFAULTS))
    reference: str | None = None
    broken_member: Literal["stop", "leave_out"] = "stop"

    @field_validator("verdicts")
    @classmethod
    def _known(cls, verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
        for name, verdict in verdicts.items():
            if name not in NAMES:
                raise ConfigError(f"unknown check '{name}'", fix=nearest(name, NAMES))
            if name in WIDE and verdict not in {"stop", "count"}:
                raise ConfigError(
                    f"the check {name} looks at the whole cut",
                    found=verdict,
                    expected="stop or count",
                )
        return DEFAULTS | verdicts

    def longest_hole(self, kind: Kind, step: pd.Timedelta) -> int:
        """Candles of `step` that may be missing in a row, by the reason."""
        hours: float = getattr(self, f"max_{kind}_hours")
        return int(pd.Timedelta(hours=hours) // step)

    def longest_constant(self, step: pd.Timedelta) -> int:
        """Candles of `step` that may have one close, or no volume, in a row."""
        return max(
            int(pd.Timedelta(hours=self.max_constant_hours) // step), self.max_constant_candles
        )

    def check(
        self, candles: pd.DataFrame, timeframe: str, as_of: pd.Timestamp, asked: Asked | None = None
    ) -> Quality:
        """Check every rule and tell what the candles are like; see `sift`."""
        return self.sift(candles, timeframe, as_of, asked).quality

    def sift(
        self, candles: pd.DataFrame, timeframe: str, as_of: pd.Timestamp, asked: Asked | None = None
    ) -> Checked:
        """Check every rule on the candles known at `as_of`, in the order of `NAMES`.

        Parameters
        ----------
        asked
            What the cut was made for.

        Raises
        ------
        DataError
            At the first rule that is broken and stops, naming rule, market, row and what to do.
        """
        cut = Cut(candles, timeframe, as_of, asked)
        check_schema(candles, cut.where)
        broken: list[Check] = []
        set_aside: list[pd.DataFrame] = []
        for name, find in self._checks():
            finding = find(cut)
            if not finding.count:
                continue
            broken.append(self._judge(cut, name, finding))
            if broken[-1].verdict in {"drop", "quarantine"}:
                if broken[-1].verdict == "quarantine":
                    set_aside.append(cut.candles[finding.rows].assign(check=name))
                cut = replace(cut, candles=cut.candles[~finding.rows])
                _require_some(cut, name)
        quarantined = pd.concat(set_aside) if set_aside else candles.iloc[:0].assign(check="")
        return Checked(cut.candles, quarantined, quality_of(cut, tuple(broken)))

    def _checks(self) -> Iterator[tuple[str, RowCheck]]:
        for check in (*TIMES, *CELLS):
            yield check.__name__, check
        for wide in SERIES:
            yield wide.__name__, self._limited(wide)

    def _limited(self, wide: SeriesCheck) -> RowCheck:
        return lambda cut: wide(cut, self)

    def _judge(self, cut: Cut, name: str, finding: Finding) -> Check:
        verdict = self.verdicts[name]
        if verdict == "stop":
            raise breach(cut, name, finding)
        return Check(name, verdict, finding.count, cut.times[finding.first].isoformat())


def _require_some(cut: Cut, name: str) -> None:
    if cut.candles.empty:
        raise DataError(
            f"{name}: every candle breaks it, none is left",
            where=cut.where,
            fix=FIX,
        )


def check_times(times: pd.Index, timeframe: str, end: pd.Timestamp, where: str) -> None:
    """Check that moments are UTC, increasing, unique, on the grid and closed at `end`.

    Raises
    ------
    DataError
        At the first rule that is broken.
    """
    if not isinstance(times, pd.DatetimeIndex) or str(times.tz) != "UTC":
        raise DataError(
            "columns: the index is no UTC time", where=where, found=str(times.dtype), fix=FIX
        )
    cut = Cut(pd.DataFrame(index=times), timeframe, end)
    for check in TIMES:
        finding = check(cut)
        if finding.count:
            raise breach_of_times(cut, check.__name__, finding, where)
