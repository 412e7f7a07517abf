from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.errors import ConfigError, DataError
from pipeline.market.checks.cut import Cut
from pipeline.market.checks.rows import value_outside
from pipeline.market.holes import Hole, Kind
from pipeline.market.quality import Quality, summary
from pipeline.market.validation import Asked, Validation

CONF = Path(__file__).parents[2] / "conf"
T = pd.Timestamp
AS_OF = T("2025-01-21T00:00Z")


def candles(rows: int = 480) -> pd.DataFrame:
    times = pd.date_range(end=AS_OF, periods=rows + 1, freq="h", unit="ms", name="time")[:-1]
    close = 100 + np.sin(np.arange(rows))
    table = {"open": close, "high": close + 2, "low": close - 2, "close": close + 1}
    return pd.DataFrame(table | {"volume": close, "value": close * close}, index=times)


def set_cell(row: int, **cells: float) -> pd.DataFrame:
    frame = candles()
    for column, value in cells.items():
        frame.iloc[row, list(frame.columns).index(column)] = value
    return frame


def stamped(row: int, moment: str) -> pd.DataFrame:
    frame = candles()
    times = frame.index.to_list()
    times[row] = T(moment)
    return frame.set_axis(pd.DatetimeIndex(times))


def repeated(row: int, times: int) -> pd.DataFrame:
    frame = candles()
    frame.iloc[row : row + times] = frame.iloc[row].to_numpy()
    return frame


def one_price(rows: int) -> pd.DataFrame:
    frame = candles()
    frame.loc[frame.index[10 : 10 + rows], ["open", "high", "low", "close"]] = 100.5
    frame["value"] = frame["close"] * frame["volume"]
    return frame


def untraded(rows: int) -> pd.DataFrame:
    frame = candles()
    frame.loc[frame.index[10 : 10 + rows], ["volume", "value"]] = 0.0
    return frame


def in_another_unit(row: int, factor: float) -> pd.DataFrame:
    frame = candles()
    frame.iloc[row:, :4] *= factor
    frame["value"] = frame["volume"] * frame["close"]
    return frame


def test_the_yaml_holds_the_defaults() -> None:
    assert build(read_yaml(CONF / "validation" / "default.yaml"), "default") == Validation()


def test_sound_candles_pass() -> None:
    quality = Validation().check(candles(), "1h", AS_OF)
    assert quality.to_dict() == {
        "candles": 480,
        "missing": 0,
        "missing_no_trade": 0,
        "missing_outage": 0,
        "missing_unknown": 0,
        "holes": 0,
        "longest_hole": 0,
        "longest_no_trade": 0,
        "longest_outage": 0,
        "longest_unknown": 0,
        "first": "2025-01-01T00:00:00+00:00",
        "last": "2025-01-20T23:00:00+00:00",
        "history_short": False,
        "revised": 0,
        "dropped": 0,
        "quarantined": 0,
        "broken": "",
    }
    assert json.loads(json.dumps(quality.to_dict())) == quality.to_dict()
    without = Validation().check(candles().drop(columns="value"), "1h", AS_OF)
    assert without == quality


def test_an_empty_slot_without_trades_passes() -> None:
    Validation().check(set_cell(7, volume=0.0, value=0.0), "1h", AS_OF)
    flat = set_cell(7, open=100.0, high=100.0, low=100.0, close=100.0, volume=2.0, value=200.0)
    Validation().check(flat, "1h", AS_OF)


@pytest.mark.parametrize(
    ("frame", "rule", "place"),
    [
        (candles().drop(columns="low"), "columns", "low"),
        (candles().assign(trades=1.0), "columns", "trades"),
        (candles().tz_localize(None), "columns", "datetime64"),
        (candles().tz_convert("Asia/Seoul"), "columns", "Asia/Seoul"),
        (candles().reset_index(drop=True), "columns", "int64"),
        (stamped(5, "2025-01-01T02:00Z"), "order", "row 6"),
        (stamped(5, "2025-01-01T04:00Z"), "duplicates", "2025-01-01T04:00:00"),
        (stamped(5, "2025-01-01T05:05Z"), "off_grid", "2025-01-01T05:05:00"),
        (stamped(479, "2025-01-21T00:00Z"), "forming_last", "2025-01-21T00:00:00"),
        (set_cell(9, value=9e9), "value_outside", "2025-01-01T09:00:00.*column value"),
        (candles().assign(taker_volume=1e3), "taker_above_volume", "column taker_volume"),
        (repeated(9, 4), "frozen", "rows 10, 11, 12, …"),
        (one_price(49), "constant_price", "rows 11, 12, 13, …"),
        (untraded(49), "zero_volume", "rows 11, 12, 13, …"),
        (in_another_unit(200, 1000), "unit_breaks", "row 201, 2025-01-09T08.*column open"),
        (in_another_unit(200, 1e-3), "unit_breaks", "row 201, 2025-01-09T08.*column open"),
        (in_another_unit(200, 100), "unit_breaks", "row 201, 2025-01-09T08.*column open"),
        (in_another_unit(479, 1000), "unit_breaks", "row 480, 2025-01-20T23.*column open"),
        (set_cell(9, close=np.nan), "non_finite", "2025-01-01T09:00:00.*column close"),
        (set_cell(9, value=-np.inf), "non_finite", "column value.*-inf"),
        (set_cell(9, low=0.0), "non_positive", "column low.*0.0"),
        (set_cell(9, open=-1.0, low=-2.0), "non_positive", "column open"),
        (set_cell(9, high=50.0), "not_enclosed", "column high.*50.0"),
        (set_cell(9, low=101.9, open=102.0, high=103.0), "not_enclosed", "column low"),
        (set_cell(9, volume=-0.1), "negative_volume", "column volume"),
        (set_cell(9, value=-0.1), "negative_volume", "column value"),
    ],
)
def test_each_rule_names_its_breach(frame: pd.DataFrame, rule: str, place: str) -> None:
    with pytest.raises(DataError, match=f"^{rule}: .*SIM-BTC 1h.*{place}"):
        Validation().check(frame, "1h", AS_OF, Asked("SIM-BTC", AS_OF))


def test_the_first_breach_is_told() -> None:
    frame = set_cell(30, volume=-1.0)
    frame.iloc[20, 4] = -1.0
    with pytest.raises(DataError, match="2025-01-01T20:00:00"):
        Validation().check(frame, "1h", AS_OF)


def test_too_few_rows() -> None:
    with pytest.raises(DataError, match=r"min_rows.*299.*at least 300"):
        Validation().check(candles(299), "1h", AS_OF)
    assert Validation().check(candles(300), "1h", AS_OF).candles == 300
    with pytest.raises(DataError, match="min_rows"):
        Validation(min_rows=1).check(candles(0), "1h", AS_OF)


def test_an_end_that_is_stale() -> None:
    Validation().check(candles(), "1h", AS_OF + pd.Timedelta(minutes=59))
    later = AS_OF + pd.Timedelta(hours=1)
    with pytest.raises(DataError) as caught:
        Validation().check(candles(), "1h", later, Asked("SIM-BTC", AS_OF))
    told = str(caught.value)
    assert told.startswith("stale_end: as_of lies beyond the data (SIM-BTC 1h, as_of 2025-01-21T01")
    assert "the last candle at 2025-01-20T23:00:00+00:00" in told
    assert "SIM-BTC 1h" in told
    Validation(max_stale_candles=1).check(candles(), "1h", later)
    with pytest.raises(DataError, match="stale_end"):
        Validation(max_stale_candles=1).check(candles(), "1h", later + pd.Timedelta(hours=1))


def test_holes_are_counted_and_never_filled() -> None:
    frame = candles()
    holed = frame.drop(frame.index[[10, 11, 12, 40, 41]])
    quality = Validation().check(holed, "1h", AS_OF)
    assert (quality.candles, quality.missing, quality.holes, quality.longest_hole) == (475, 5, 2, 3)
    assert len(holed) == 475


@pytest.mark.parametrize(
    ("kind", "hours", "fix"),
    [
        ("no_trade", 24, "max_no_trade_hours"),
        ("outage", 24, "--repair"),
        ("unknown", 6, "--repair"),
    ],
)
def test_each_kind_of_hole_has_its_limit(kind: Kind, hours: int, fix: str) -> None:
    frame = candles()

    def check(rows: int, **limits: float) -> Quality:
        gone = frame.index[100 : 100 + rows]
        hole = Hole(gone[0], gone[-1], rows, kind)
        asked = Asked("SIM-BTC", frame.index[0], (hole,))
        return Validation(**limits).check(frame.drop(gone), "1h", AS_OF, asked)

    assert check(hours).longest_by_kind[kind] == hours
    with pytest.raises(DataError) as caught:
        check(hours + 1)
    told = caught.value
    assert str(told).startswith("max_hole: candles are missing (SIM-BTC 1h")
    first, last = frame.index[100].isoformat(), frame.index[100 + hours].isoformat()
    assert told.found is not None
    assert told.found.startswith(f"{hours + 1} in a row, {first} to {last} ({kind}: ")
    assert fix in str(told.fix)
    assert f"validation.max_{kind}_hours" in str(told.fix)
    limits = {f"max_{kind}_hours": hours + 1.5}
    assert check(hours + 1, **limits).missing_by_kind[kind] == hours + 1


def test_the_limits_of_holes_are_time_and_not_candles() -> None:
    minutes = candles(2000).set_axis(
        pd.date_range(end=AS_OF, periods=2001, freq="min", unit="ms", name="time")[:-1]
    )
    for rows, breaks in ((360, False), (361, True)):
        holed = minutes.drop(minutes.index[100 : 100 + rows])
        if breaks:
            with pytest.raises(DataError, match=r"max_hole.*361 in a row.*at most 360"):
                Validation().check(holed, "1m", AS_OF)
        else:
            assert Validation().check(holed, "1m", AS_OF).longest_hole == rows


def test_a_hole_of_two_kinds_is_measured_by_each() -> None:
    frame = candles()
    gone = frame.index[100:130]
    kinds = (Hole(gone[0], gone[23], 24, "outage"), Hole(gone[24], gone[29], 6, "no_trade"))
    quality = Validation().check(frame.drop(gone), "1h", AS_OF, Asked("A-B", frame.index[0], kinds))
    assert (quality.longest_hole, quality.holes) == (30, 1)
    assert quality.longest_by_kind == {"no_trade": 6, "outage": 24, "unknown": 0}


def test_a_quiet_market_may_be_as_quiet_at_its_end() -> None:
    frame = candles()
    gone = frame.index[100:103]
    hole = Hole(gone[0], gone[-1], 3, "no_trade")
    cases: list[tuple[Kind, int, bool]] = [
        ("no_trade", 477, False),
        ("no_trade", 476, True),
        ("outage", 477, True),
    ]
    for kind, last, stale in cases:
        asked = Asked("A-B", frame.index[0], (replace(hole, kind=kind),))
        cut = frame.drop(gone).loc[: frame.index[last - 1]]
        if stale:
            with pytest.raises(DataError, match="stale_end"):
                Validation().check(cut, "1h", AS_OF, asked)
        else:
            Validation().check(cut, "1h", AS_OF, asked)


@pytest.mark.parametrize(
    ("price", "volume", "value", "inside"),
    [
        (1.23e-6, 0.1, 1.2e-7, True),  # value / volume is 1.2e-6: eight digits of value say no more
        (1.23e-6, 0.1, 1.4e-7, False),
        (2e-8, 3.0, 7e-8, True),  # a price of two last digits may be 2.5e-8
        (2e-8, 3.0, 9e-8, False),
        (150_000_000.0, 1e-8, 2.2, True),  # a volume of one last digit
        (150_000_000.0, 1e-8, 2.4, False),
        (150_000_000.0, 0.5, 75_100_000.0, False),
        (100.0, 0.0, 5.0, False),  # paid, and nothing traded
    ],
)
def test_value_has_the_room_of_its_last_digits(
    price: float, volume: float, value: float, inside: bool
) -> None:
    rows = dict.fromkeys(("open", "high", "low", "close"), price)
    cut = candles(3).assign(**rows, volume=volume, value=value)
    cut.loc[cut.index[0], ["volume", "value"]] = 0.12345678, 0.12345678 * price
    found = value_outside(Cut(cut, "1h", AS_OF)).rows.tolist()
    assert found == [False, not inside, not inside]


def test_history_that_starts_later_than_asked() -> None:
    first = T("2025-01-01T00:00Z")
    for asked, short in ((first, False), (first - pd.Timedelta(hours=1), True)):
        quality = Validation().check(candles(), "1h", AS_OF, Asked("SIM-BTC", asked))
        assert quality.history_short is short
    inside = Asked("SIM-BTC", first - pd.Timedelta(minutes=30))
    assert not Validation().check(candles(), "1h", AS_OF, inside).history_short


def test_verdicts_decide_what_happens_to_rows() -> None:
    frame = set_cell(9, close=np.nan)
    for verdict, done, aside in (("drop", "dropped", 0), ("quarantine", "set aside", 1)):
        found = Validation(verdicts={"non_finite": verdict}).sift(frame, "1h", AS_OF)
        assert (len(found.candles), len(found.quarantined)) == (479, aside)
        assert found.quality.missing == 1
        assert found.quality.to_dict()["broken"] == (
            f"non_finite: 1 row {done}, first 2025-01-01T09:00:00+00:00"
        )
    assert found.quarantined["check"].tolist() == ["non_finite"]
    assert found.quality.to_dict()["quarantined"] == 1
    counted = Validation(verdicts={"value_outside": "count"}).sift(
        set_cell(9, value=9e9), "1h", AS_OF
    )
    assert len(counted.candles) == 480
    assert counted.quality.to_dict()["broken"] == (
        "value_outside: 1 row counted, first 2025-01-01T09:00:00+00:00"
    )


def test_what_is_dropped_can_still_break_a_later_check() -> None:
    frame = candles()
    frame.iloc[100:113, 3] = np.nan
    with pytest.raises(DataError, match="max_hole"):
        Validation(verdicts={"non_finite": "drop"}).check(frame, "1h", AS_OF)


def test_verdicts_name_checks_and_what_they_can_do() -> None:
    with pytest.raises(ConfigError, match=r"unknown check 'non_finit'.*non_finite"):
        Validation(verdicts={"non_finit": "stop"})
    with pytest.raises(ConfigError, match=r"max_hole looks at the whole cut.*stop or count"):
        Validation(verdicts={"max_hole": "drop"})


def test_moments_of_another_zone_are_told_by_a_second_source() -> None:
    steps = np.random.default_rng(3).standard_normal(480)
    close = 100 * np.exp((steps / 100).cumsum())
    table = dict.fromkeys(("open", "high", "low", "close"), close)
    frame = pd.DataFrame(table | {"volume": 0.0}, index=candles().index)
    frame["volume"] = 1.0
    reference = frame.shift(-9, freq="h")
    with pytest.raises(DataError, match=r"shifted_hours.*moments \+9 hours late"):
        Validation().check(frame, "1h", AS_OF, Asked("A-B", AS_OF, reference=reference))
    Validation().check(frame, "1h", AS_OF, Asked("A-B", AS_OF, reference=frame))
    unlike = frame * 2
    unlike["volume"] = 1.0
    with pytest.raises(DataError, match=r"disagrees.*column open"):
        Validation().check(frame, "1h", AS_OF, Asked("A-B", AS_OF, reference=unlike))


def test_missing_candles_are_counted_by_kind() -> None:
    frame = candles()
    holed = frame.drop(frame.index[[10, 11, 12, 40, 41, 60]])
    holes = (
        Hole(frame.index[10], frame.index[12], 3, "outage"),
        Hole(frame.index[40], frame.index[41], 2, "no_trade"),
    )
    revised = (frame.index[5], frame.index[10])
    asked = Asked("A-B", AS_OF, holes, revised)
    found = Validation().check(holed, "1h", AS_OF, asked).to_dict()
    kinds = ("no_trade", "outage", "unknown")
    assert [found[f"missing_{kind}"] for kind in kinds] == [2, 3, 1]
    assert (found["missing"], found["revised"], found["broken"]) == (
        6,
        1,
        "revised: 1 row counted, first 2025-01-01T05:00:00+00:00",
    )


def test_a_stamp_of_the_future_takes_no_other_candle_with_it() -> None:
    with pytest.raises(DataError, match=r"^future: .*2026-01-01"):
        Validation(verdicts={"order": "drop"}).check(stamped(11, "2026-01-01T00:00Z"), "1h", AS_OF)
    left = Validation(verdicts={"order": "drop", "future": "drop"}).check(
        stamped(11, "2026-01-01T00:00Z"), "1h", AS_OF
    )
    assert (left.candles, left.missing) == (479, 1)


@pytest.mark.parametrize(("row", "rule"), [(100, "max_hole"), (430, "stale_end")])
def test_what_the_frozen_rows_leave_is_checked(row: int, rule: str) -> None:
    with pytest.raises(DataError, match=f"^{rule}: "):
        Validation(verdicts={"frozen": "drop"}).check(repeated(row, 50), "1h", AS_OF)


def test_a_cut_of_which_nothing_is_left() -> None:
    nothing = candles().assign(close=np.nan)
    with pytest.raises(DataError, match="non_finite: every candle breaks it"):
        Validation(
            verdicts={"non_finite": "drop", "min_rows": "count", "stale_end": "count"}
        ).check(nothing, "1h", AS_OF)


def test_a_second_source_must_have_the_moments() -> None:
    elsewhere = candles().shift(-1000, freq="h")
    with pytest.raises(DataError, match=r"shifted_hours.*0 common candles.*at least 48"):
        Validation().check(candles(), "1h", AS_OF, Asked("A-B", AS_OF, reference=elsewhere))


def test_another_unit_cannot_be_dropped_row_by_row() -> None:
    with pytest.raises(ConfigError, match="unit_breaks looks at the whole cut"):
        Validation(verdicts={"unit_breaks": "quarantine"})


def test_the_summary_is_for_reading() -> None:
    frame = candles()
    frame.iloc[9, 3] = np.nan
    holed = frame.drop(frame.index[40:42])
    hole = Hole(frame.index[40], frame.index[41], 2, "no_trade")
    asked = Asked("SIM-BTC", frame.index[0] - pd.Timedelta(hours=1), (hole,))
    rules = Validation(verdicts={"non_finite": "drop"})
    facts = rules.check(holed, "1h", AS_OF, asked).to_dict()
    mixed = {"feed": "upbit", "rows_from_upbit": 400, "rows_from_upbit_pyupbit": 77}
    assert summary(facts | mixed).splitlines() == [
        "477 candles of upbit, 2025-01-01 00:00 to 2025-01-20 23:00 UTC",
        "400 from upbit, 77 from upbit_pyupbit",
        "",
        "3 missing in 2 holes",
        "why                              candles  longest in a row",
        "no_trade: nothing was traded           2                 2",
        "outage: the venue stood still          0                 0",
        "unknown: no source confirmed it        1                 1",
        "",
        "found, and no reason to stop",
        "  non_finite: 1 row dropped, first 2025-01-01T09:00:00+00:00",
        "  short_history: the cut starts later than asked, from 2025-01-01T00:00:00+00:00",
    ]
    sound = Validation().check(candles(), "1h", AS_OF).to_dict()
    assert summary(sound).splitlines() == [
        "480 candles, 2025-01-01 00:00 to 2025-01-20 23:00 UTC",
        "no candle is missing",
        "no check found anything",
    ]
