from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.models import windows
from pipeline.models.base import FeatureTable, Samples
from pipeline.models.scaler import FURTHEST, Scaler

START = pd.Timestamp("2025-01-01", tz="UTC")
MINUTE, HOUR = 60_000, 3_600_000


def table(markets: dict[str, list[int]], columns: int = 3) -> FeatureTable:
    """Candles that open so many hours after the start; every value is another one."""
    pairs = [(market, START + pd.Timedelta(hours=h)) for market in markets for h in markets[market]]
    index = pd.MultiIndex.from_tuples(pairs, names=["market", "time"])
    values = np.arange(len(pairs) * columns, dtype="float64").reshape(-1, columns)
    return FeatureTable(tuple("abcdef"[:columns]), values, index)


def test_a_view_shares_the_tables_memory() -> None:
    values = table({"A": list(range(1000))}).values
    found = windows.view(values, 24)
    assert found.shape == (977, 24, 3)
    assert np.shares_memory(found, values)
    assert not found.flags.writeable
    np.testing.assert_array_equal(found[5], values[5:29])


@given(rows=st.lists(st.integers(6, 39), min_size=1, max_size=20), lookback=st.integers(1, 7))
@settings(max_examples=20)
def test_a_gathered_window_ends_at_its_row(rows: list[int], lookback: int) -> None:
    values = table({"A": list(range(40))}).values
    found = windows.gather(values, np.array(rows), lookback)
    assert found.flags.c_contiguous
    assert found.shape == (len(rows), lookback, 3)
    for row, window in zip(rows, found, strict=True):
        np.testing.assert_array_equal(window, values[row - lookback + 1 : row + 1])


def test_the_step_is_the_smallest_one_forward() -> None:
    assert windows.step_of(table({"A": [0, 4, 8, 20]})) == 4 * HOUR
    assert windows.step_of(table({"A": [0, 4, 6], "B": [5, 6]})) == HOUR
    assert windows.step_of(table({"A": [0], "B": [1]})) == 0
    assert windows.step_of(table({"A": [10, 12], "B": [3, 5]})) == 2 * HOUR


@given(
    gaps=st.lists(st.sampled_from([1, 1, 1, 1, 2, 5]), min_size=12, max_size=40),
    cut=st.integers(1, 11),
    lookback=st.integers(1, 6),
)
@settings(max_examples=40)
def test_whole_is_what_counting_says(gaps: list[int], cut: int, lookback: int) -> None:
    hours = np.cumsum([*gaps, 1]).tolist()
    given_table = table({"A": hours[:cut], "B": hours[cut:]})
    told = list(given_table.index)
    rows = np.arange(len(told))
    expected = [
        row >= lookback - 1
        and all(
            told[row - back] == (told[row][0], told[row][1] - back * pd.Timedelta(hours=1))
            for back in range(lookback)
        )
        for row in rows
    ]
    found = windows.whole(given_table, rows, lookback, HOUR)
    assert found.tolist() == expected


def test_another_timeframe_has_no_whole_window() -> None:
    candles = table({"A": [0, 4, 8, 12, 16]})
    assert windows.whole(candles, np.array([3]), 3).all()
    assert not windows.whole(candles, np.array([3]), 3, HOUR).any()
    assert windows.whole(candles, np.arange(5), 1, HOUR).all()


def refusal(candles: FeatureTable, row: int, lookback: int) -> str:
    with pytest.raises(DataError) as told:
        windows.require_whole(candles, np.array([row]), lookback, HOUR)
    return str(told.value)


def test_a_refusal_names_the_row_and_what_is_missing() -> None:
    candles = table({"A": [0, 1, 2, 5, 6, 7], "B": [3, 4, 5]})
    told = refusal(candles, 4, 3)
    assert re.search(r"row \('A'.*06:00.*hole, candle 2025-01-01T04:00:00\+00:00 is missing", told)
    told = refusal(candles, 1, 4)
    assert "2 earlier, the table starts at 2025-01-01T00:00:00+00:00" in told
    assert "4 consecutive candles" in told
    told = refusal(candles, 7, 3)
    assert "1 earlier, the table starts at 2025-01-01T03:00:00+00:00" in told
    for row in (-1, 9):
        assert f"Found: {row}; expected: 0 to 8" in refusal(candles, row, 1)
    windows.require_whole(candles, np.array([2, 5, 8]), 3, HOUR)
    windows.require_whole(candles, np.array([], dtype=int), 3, HOUR)


def test_samples_without_a_whole_window_are_left_out() -> None:
    candles = table({"A": [0, 1, 2, 5, 6, 7, 8]})
    rows = np.arange(7)
    samples = Samples(
        table=candles,
        rows=rows,
        label=rows.astype("int8"),
        weight=rows + 1.0,
        ends_at=pd.DatetimeIndex(candles.index.get_level_values("time")),
        classes=("down", "up"),
    )
    found = windows.with_whole_windows(samples, 3)
    assert found.rows.tolist() == found.label.tolist() == [2, 5, 6]
    assert windows.with_whole_windows(samples, 1).rows.tolist() == rows.tolist()
    frame = pd.DataFrame(candles.values, candles.index, list(candles.columns))
    kept = windows.rows_of_whole_windows(frame, 3)
    assert kept.index.tolist() == candles.index[[2, 5, 6]].tolist()


def test_times_finer_than_a_millisecond_unit_are_read_alike() -> None:
    candles = table({"A": [0, 1, 2, 4]})
    for unit in ("s", "ms", "us", "ns"):
        time = pd.DatetimeIndex(candles.index.get_level_values("time")).as_unit(unit)
        index = pd.MultiIndex.from_arrays([["A"] * 4, time], names=["market", "time"])
        other = FeatureTable(candles.columns, candles.values, index)
        assert windows.step_of(other) == HOUR
        assert windows.whole(other, np.arange(4), 2).tolist() == [False, True, True, False]


# scaler


def test_scaling_gives_mean_zero_and_deviation_one() -> None:
    values = np.random.default_rng(1).normal(50, [1, 1e-6, 1e6], (500, 3))
    scaled = Scaler.fit(("a", "b", "c"), values).apply(values)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9 / 3, 1e-300])
def test_a_column_that_never_varies_is_only_moved(constant: float) -> None:
    found = Scaler.fit(("a",), np.full((777, 1), constant))
    assert found.scale.tolist() == [1.0]
    assert found.apply(np.array([[constant], [constant + 2]]))[0, 0] == 0


def test_far_values_stay_within_single_precision() -> None:
    found = Scaler.fit(("a",), np.array([[0.0], [1e-9]]))
    scaled = found.apply(np.array([[1e300], [-1e300]])).astype("float32")
    assert scaled[:, 0].tolist() == [FURTHEST, -FURTHEST]


def test_a_scaler_is_the_same_after_saving() -> None:
    values = np.random.default_rng(2).normal(size=(50, 2)) / 3
    found = Scaler.fit(("a", "b"), values)
    again = Scaler.read(found.save())
    assert again.columns == found.columns
    assert again.apply(values).tobytes() == found.apply(values).tobytes()
    assert again.save() == found.save()


def test_a_scaler_needs_a_row() -> None:
    with pytest.raises(DataError, match="no row to measure"):
        Scaler.fit(("a",), np.empty((0, 1)))
