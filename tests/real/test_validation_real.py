"""Recorded candles, broken once for every named check, are told by exactly that check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.market.candles import COLUMNS, PRICES
from pipeline.market.checks.breach import WIDE
from pipeline.market.checks.cut import Asked
from pipeline.market.holes import Hole, Kind
from pipeline.market.validation import DEFAULTS, NAMES, Validation

pytestmark = pytest.mark.real
HOUR = pd.Timedelta(hours=1)
ROWS = 900
EVERY = range(ROWS)


@dataclass(frozen=True)
class Case:
    candles: pd.DataFrame
    as_of: pd.Timestamp
    asked: Asked
    rows: Sequence[int] = ()
    limits: dict[str, float] = field(default_factory=dict)

    def rules(self, **verdicts: Any) -> Validation:
        return Validation(verdicts=verdicts, **self.limits)


@pytest.fixture
def sound(real_data: Path) -> Case:
    frame = pd.read_parquet(real_data / "upbit" / "KRW-SOL-60m.parquet")
    frame = frame.set_index("timestamp").rename_axis("time").iloc[-ROWS:]
    frame = frame.assign(taker_volume=frame["volume"] / 2)
    frame = frame[[name for name in COLUMNS if name in frame]]
    asked = Asked("KRW-SOL", frame.index[0], reference=frame.copy())
    return Case(frame, frame.index[-1] + HOUR, asked)


def cells(rows: Sequence[int], **values: float) -> Callable[[Case], Case]:
    def broken(case: Case) -> Case:
        frame = case.candles.copy()
        for name, value in values.items():
            frame.iloc[list(rows), list(frame.columns).index(name)] = value
        return replace(case, candles=frame, rows=rows)

    return broken


def scaled(rows: slice | list[int], factor: float, *names: str) -> Callable[[Case], Case]:
    def broken(case: Case) -> Case:
        frame = case.candles.copy()
        frame.iloc[rows, [list(frame.columns).index(name) for name in names]] *= factor
        return replace(
            case, candles=frame, rows=list(EVERY[rows][:1]) if isinstance(rows, slice) else rows
        )

    return broken


def stamped(row: int, late: str) -> Callable[[Case], Case]:
    def broken(case: Case) -> Case:
        times = case.candles.index.to_list()
        times[row] += pd.Timedelta(late)
        index = pd.DatetimeIndex(times, name="time")
        return replace(case, candles=case.candles.set_axis(index), rows=[row])

    return broken


def picked(order: Sequence[int], rows: Sequence[int]) -> Callable[[Case], Case]:
    return lambda case: replace(case, candles=case.candles.iloc[list(order)], rows=rows)


def without(first: int, count: int, kind: Kind = "unknown") -> Callable[[Case], Case]:
    def broken(case: Case) -> Case:
        gone = case.candles.index[first : first + count]
        asked = replace(case.asked, holes=(Hole(gone[0], gone[-1], count, kind),))
        return replace(case, candles=case.candles.drop(gone), rows=[first], asked=asked)

    return broken


def hung(case: Case) -> Case:
    frame = case.candles.copy()
    frame.iloc[100:105] = frame.iloc[100].to_numpy()
    return replace(case, candles=frame, rows=range(100, 105))


def one_price(case: Case) -> Case:
    frame = case.candles.copy()
    frame.loc[frame.index[100:149], list(PRICES)] = 200_000.0
    frame["value"] = frame["value"].where(frame["close"] != 200_000, frame["volume"] * 200_000)
    near = replace(case.asked, reference=None)
    return replace(
        case, candles=frame, rows=range(100, 149), asked=near, limits={"max_unknown_hours": 49}
    )


def untraded(case: Case) -> Case:
    case = cells(range(100, 149), volume=0.0, value=0.0, taker_volume=0.0)(case)
    return replace(case, limits={"max_unknown_hours": 49})


def forming(case: Case) -> Case:
    return replace(case, as_of=case.as_of - HOUR / 2, rows=[ROWS - 1])


def told_twice(case: Case) -> Case:
    asked = replace(case.asked, revised=(case.candles.index[100],))
    return replace(case, asked=asked, rows=[100])


def in_korean_time(case: Case) -> Case:
    late = case.candles.shift(9, freq="h")
    asked = replace(case.asked, start=late.index[0])
    return replace(case, candles=late, as_of=case.as_of + 9 * HOUR, asked=asked, rows=[0])


def asked_earlier(case: Case) -> Case:
    return replace(case, asked=replace(case.asked, start=case.asked.start - HOUR), rows=[0])


def stale(case: Case) -> Case:
    return replace(case, as_of=case.as_of + HOUR, rows=[ROWS - 1])


BROKEN: list[tuple[str, Callable[[Case], Case]]] = [
    ("off_grid", stamped(100, "7min")),
    ("future", stamped(100, "900D")),
    ("forming_last", forming),
    ("order", picked([*EVERY[:100], 101, 100, *EVERY[102:]], [101])),
    ("duplicates", picked([*EVERY[:101], 100, *EVERY[101:]], [101])),
    ("non_finite", cells([100, 200], close=np.nan)),
    ("non_finite", cells([100], volume=np.inf)),
    ("non_positive", cells([100], low=0.0)),
    ("not_enclosed", cells([100, 101, 102, 103], high=100.0)),
    ("not_enclosed", cells([100], low=1e6)),
    ("negative_volume", cells([100], volume=-1.0)),
    ("value_outside", scaled([100], 1.1, "value")),
    ("value_outside", scaled([100], 0.9, "value")),
    ("taker_above_volume", scaled([100], 2.1, "taker_volume")),
    ("disagrees", scaled([100], 1.1, *PRICES, "value")),
    ("frozen", hung),
    ("constant_price", one_price),
    ("zero_volume", untraded),
    ("revised", told_twice),
    ("shifted_hours", in_korean_time),
    ("unit_breaks", scaled(slice(400, None), 1000.0, *PRICES, "value")),
    ("unit_breaks", scaled(slice(400, None), 0.001, *PRICES, "value")),
    ("volume_breaks", scaled(slice(400, None), 1000.0, "volume", "value", "taker_volume")),
    ("min_rows", picked(EVERY[-299:], [0])),
    ("short_history", asked_earlier),
    ("stale_end", stale),
    ("max_hole", without(400, 7)),
    ("max_hole", without(400, 25, "outage")),
    ("max_hole", without(400, 25, "no_trade")),
]
NARROW = [(name, broken) for name, broken in BROKEN if name not in WIDE]


def broken_once(sound: Case, name: str, broken: Callable[[Case], Case]) -> Case:
    case = broken(sound)
    if name in {"unit_breaks", "min_rows"}:  # a second source would tell the first, and start late
        case = replace(case, asked=Asked("KRW-SOL", case.candles.index[0]))
    return case


def test_every_check_is_broken_once() -> None:
    assert {name for name, _ in BROKEN} == set(NAMES)


def test_untouched_candles_pass_every_check(sound: Case) -> None:
    quality = sound.rules(**dict.fromkeys(NAMES, "stop")).check(
        sound.candles, "1h", sound.as_of, sound.asked
    )
    assert (quality.candles, quality.checks) == (ROWS, ())


@pytest.mark.parametrize(("name", "broken"), BROKEN)
def test_stop_names_the_rule_the_rows_and_what_to_do(
    sound: Case, name: str, broken: Callable[[Case], Case]
) -> None:
    case = broken_once(sound, name, broken)
    with pytest.raises(DataError) as caught:
        case.rules(**{name: "stop"}).check(case.candles, "1h", case.as_of, case.asked)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "KRW-SOL 1h" in message
    assert caught.value.expected
    assert "validation." in message or "sync" in message or "history" in message
    if name not in WIDE:
        rows = ", ".join(str(row + 1) for row in case.rows[:3])
        assert f"row{'s' * (len(case.rows) > 1)} {rows}" in message
        assert case.candles.index[case.rows[0]].isoformat() in message


@pytest.mark.parametrize("verdict", ["drop", "quarantine"])
@pytest.mark.parametrize(("name", "broken"), NARROW)
def test_drop_and_quarantine_take_those_rows_and_no_other(
    sound: Case, name: str, broken: Callable[[Case], Case], verdict: str
) -> None:
    case = broken_once(sound, name, broken)
    found = case.rules(**{name: verdict}).sift(case.candles, "1h", case.as_of, case.asked)
    told = [(check.name, check.verdict, check.rows) for check in found.quality.checks]
    assert told == [(name, verdict, len(case.rows))]
    broke = np.isin(np.arange(len(case.candles)), list(case.rows))
    pd.testing.assert_frame_equal(found.candles, case.candles[~broke])
    aside = found.quarantined
    assert len(aside) == (len(case.rows) if verdict == "quarantine" else 0)
    if verdict == "quarantine":
        pd.testing.assert_frame_equal(aside.drop(columns="check"), case.candles[broke])
        assert set(aside["check"]) == {name}


@pytest.mark.parametrize(("name", "broken"), [each for each in BROKEN if each[0] in WIDE])
def test_what_concerns_the_whole_cut_is_counted_and_never_dropped(
    sound: Case, name: str, broken: Callable[[Case], Case]
) -> None:
    case = broken_once(sound, name, broken)
    beside = {"shifted_hours": "disagrees", "unit_breaks": "volume_breaks"}.get(name, name)
    rules = case.rules(**{name: "count", beside: "count"})
    found = rules.sift(case.candles, "1h", case.as_of, case.asked)
    told = {check.name: check for check in found.quality.checks}
    assert set(told) == {name, beside}
    assert told[name].verdict == "count"
    assert told[name].first == case.candles.index[case.rows[0]].isoformat()
    assert len(found.candles) == len(case.candles)
    for verdict in ("drop", "quarantine"):
        with pytest.raises(ConfigError, match=f"{name} looks at the whole cut"):
            case.rules(**{name: verdict})


def test_what_only_counts_by_itself_does_not_stop(sound: Case) -> None:
    assert {name for name in NAMES if DEFAULTS[name] == "count"} == {
        "volume_breaks",
        "short_history",
        "revised",
    }
    for name, broken in BROKEN:
        if DEFAULTS[name] == "count":
            case = broken_once(sound, name, broken)
            quality = Validation().check(case.candles, "1h", case.as_of, case.asked)
            assert [check.name for check in quality.checks] == [name]
