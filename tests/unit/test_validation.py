from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.errors import DataError
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


def test_the_yaml_holds_the_defaults() -> None:
    assert build(read_yaml(CONF / "validation" / "default.yaml"), "default") == Validation()


def test_sound_candles_pass() -> None:
    quality = Validation().check(candles(), "1h", AS_OF)
    assert quality.to_dict() == {
        "candles": 480,
        "missing": 0,
        "holes": 0,
        "longest_hole": 0,
        "first": "2025-01-01T00:00:00+00:00",
        "last": "2025-01-20T23:00:00+00:00",
        "history_short": False,
    }
    assert json.loads(json.dumps(quality.to_dict())) == quality.to_dict()
    without = Validation().check(candles().drop(columns="value"), "1h", AS_OF)
    assert without == quality


def test_an_empty_slot_without_trades_passes() -> None:
    Validation().check(set_cell(7, volume=0.0, value=0.0), "1h", AS_OF)
    flat = set_cell(7, open=100.0, high=100.0, low=100.0, close=100.0)
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
        (stamped(479, "2025-01-21T00:00Z"), "future", "2025-01-21T00:00:00"),
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
    assert told.startswith("stale_end: as_of 2025-01-21T01:00:00+00:00 lies beyond the data")
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


def test_a_hole_that_is_too_long() -> None:
    frame = candles()
    Validation().check(frame.drop(frame.index[100:112]), "1h", AS_OF)
    holed = frame.drop(frame.index[100:113])
    with pytest.raises(DataError) as caught:
        Validation().check(holed, "1h", AS_OF, Asked("SIM-BTC", AS_OF))
    assert str(caught.value).startswith(
        f"max_hole: candles are missing after {frame.index[99].isoformat()} (SIM-BTC 1h)."
    )
    assert caught.value.found == f"13 in a row, until {frame.index[113].isoformat()}"


def test_history_that_starts_later_than_asked() -> None:
    first = T("2025-01-01T00:00Z")
    for asked, short in ((first, False), (first - pd.Timedelta(hours=1), True)):
        quality = Validation().check(candles(), "1h", AS_OF, Asked("SIM-BTC", asked))
        assert quality.history_short is short
    inside = Asked("SIM-BTC", first - pd.Timedelta(minutes=30))
    assert not Validation().check(candles(), "1h", AS_OF, inside).history_short
