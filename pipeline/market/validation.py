"""Rules that candles must keep before anything is computed from them. Nothing is ever filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, field_validator

from pipeline.config import Record
from pipeline.errors import ConfigError, DataError, nearest
from pipeline.market.checks import rows, series
from pipeline.market.checks.cut import Asked, Cut, Finding
from pipeline.market.checks.schema import FIX, check_schema
from pipeline.market.holes import KINDS

__all__ = ["Asked", "Quality", "Validation", "check_times"]

Count = Annotated[int, Field(ge=0)]
Verdict = Literal["stop", "drop", "quarantine", "count"]
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
    series.revised,
    series.min_rows,
    series.short_history,
    series.stale_end,
    series.max_hole,
)
NAMES = tuple(check.__name__ for check in (*TIMES, *CELLS, *SERIES))
DEFAULTS: dict[str, Verdict] = {
    **dict.fromkeys(NAMES, "stop"),
    "short_history": "count",
    "revised": "count",
}
BREACHES = {
    "min_rows": "too few candles",
    "short_history": "the cut starts later than asked",
    "stale_end": "as_of lies beyond the data",
    "max_hole": "candles are missing",
    "shifted_hours": "the moments are not those of the second source",
    "unit_breaks": "a column changes its unit",
}
FIXES = {
    "min_rows": "ask for more history, sync, or lower validation.min_rows",
    "short_history": "ask for less history, or import older candles",
    "stale_end": "sync the market, choose an earlier as_of, or raise validation.max_stale_candles "
    "where the venue writes no candle without a trade",
    "max_hole": "vintage data sync --repair, let history start after the hole, or raise "
    "validation.max_hole_candles",
    "shifted_hours": "read the source in its own time zone (exchange.zone), then sync again",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One named check, its verdict, and how many rows broke it."""

    name: str
    verdict: Verdict
    rows: int
    first: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """What the candles of a cut are like, and what was taken out of them."""

    candles: int
    missing: int
    missing_by_kind: dict[str, int]
    holes: int
    longest_hole: int
    first: pd.Timestamp
    last: pd.Timestamp
    history_short: bool
    revised: int
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, int | bool | str]:
        """Flat and ready for JSON; moments as ISO text, broken checks in one line."""
        broken = [f"{check.name} {check.rows} {check.verdict}" for check in self.checks]
        return {
            "candles": self.candles,
            "missing": self.missing,
            **{f"missing_{kind}": count for kind, count in self.missing_by_kind.items()},
            "holes": self.holes,
            "longest_hole": self.longest_hole,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "history_short": self.history_short,
            "revised": self.revised,
            "dropped": sum(check.rows for check in self.checks if check.verdict == "drop"),
            "quarantined": sum(
                check.rows for check in self.checks if check.verdict == "quarantine"
            ),
            "broken": "; ".join(broken),
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
    whole cut can stop or count.
    """

    min_rows: Annotated[int, Field(ge=1, description="candles")] = 300
    max_hole_candles: Count = 12
    max_stale_candles: Count = 0
    max_frozen_candles: Annotated[int, Field(ge=1, description="equal candles in a row")] = 3
    max_constant_candles: Annotated[
        int, Field(ge=1, description="with one close, or no volume")
    ] = 48
    median_window: Annotated[int, Field(ge=3, description="candles of a median")] = 24
    max_median_ratio: Annotated[float, Field(gt=1, description="of adjacent medians")] = 100.0
    max_price_difference: Annotated[
        float, Field(gt=0, description="share, from a second source")
    ] = 0.05
    least_common: Annotated[int, Field(ge=24, description="candles of both sources")] = 48
    verdicts: dict[str, Verdict] = Field(default_factory=lambda: dict(DEFAULTS))
    reference: str | None = None

    @field_validator("verdicts")
    @classmethod
    def _known(cls, verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
        for name, verdict in verdicts.items():
            if name not in NAMES:
                raise ConfigError(f"unknown check '{name}'", fix=nearest(name, NAMES))
            if name in BREACHES and verdict not in {"stop", "count"}:
                raise ConfigError(
                    f"the check {name} looks at the whole cut",
                    found=verdict,
                    expected="stop or count",
                )
        return DEFAULTS | verdicts

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
        return Checked(cut.candles, quarantined, _quality(cut, self, tuple(broken)))

    def _checks(self) -> Iterator[tuple[str, RowCheck]]:
        for check in (*TIMES, *CELLS):
            yield check.__name__, check
        for wide in SERIES:
            yield wide.__name__, self._told(wide)

    def _told(self, wide: SeriesCheck) -> RowCheck:
        return lambda cut: wide(cut, self)

    def _judge(self, cut: Cut, name: str, finding: Finding) -> Check:
        verdict = self.verdicts[name]
        if verdict == "stop":
            raise _breach(cut, name, finding)
        return Check(name, verdict, finding.count, cut.times[finding.first].isoformat())


def _require_some(cut: Cut, name: str) -> None:
    if cut.candles.empty:
        raise DataError(
            f"{name}: every candle breaks it, none is left",
            where=cut.where,
            fix=FIXES.get(name, FIX),
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
            raise _breach(cut, check.__name__, finding, where)


def _breach(cut: Cut, name: str, finding: Finding, where: str = "") -> DataError:
    place, column = where or cut.where, finding.column()
    moment = cut.times[finding.first].isoformat() if len(cut.times) else "nothing"
    found = finding.found or moment
    if name in BREACHES and column is None:
        place = f"{place}, as_of {cut.as_of.isoformat()}"
    elif column is None:
        place = f"{place}, row {finding.first + 1}"
    else:
        place = f"{place}, {moment}, column {column}"
        found = repr(float(cut.candles[column].iloc[finding.first]))
    rows = "a candle breaks it" if finding.count == 1 else f"{finding.count} candles break it"
    return DataError(
        f"{name}: {BREACHES.get(name, rows)}",
        where=place,
        found=found,
        expected=finding.expected,
        fix=FIXES.get(name, FIX),
    )


def _quality(cut: Cut, rules: Validation, broken: tuple[Check, ...]) -> Quality:
    skipped = series.missing_before(cut)
    kinds = dict.fromkeys(KINDS, 0)
    for hole in cut.asked.holes if cut.asked else ():
        if cut.times[0] < hole.first < cut.times[-1]:
            kinds[hole.kind] += hole.candles
    known = sum(kinds.values()) - kinds["unknown"]
    kinds["unknown"] = max(int(skipped.sum()) - known, 0)
    start = cut.asked.start.ceil(cut.step) if cut.asked else None
    return Quality(
        candles=len(cut.times),
        missing=int(skipped.sum()),
        missing_by_kind=kinds,
        holes=int((skipped > 0).sum()),
        longest_hole=int(skipped.max(initial=0)),
        first=cut.times[0],
        last=cut.times[-1],
        history_short=start is not None and bool(cut.times[0] > start),
        revised=int(series.revised(cut, rules).rows.sum()),
        checks=broken,
    )
