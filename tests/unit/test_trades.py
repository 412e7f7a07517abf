from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, DataError
from pipeline.frames import key_by_market
from pipeline.market.trades import TradeRows, TradeRule, trade_rows
from tests.oracles.trades import position8
from tests.oracles.walks import random_walk


def hourly(*close: float, start: str = "2025-01-01") -> pd.DataFrame:
    time = pd.date_range(start, periods=len(close), freq="1h", tz="UTC", name="time", unit="ms")
    return pd.DataFrame({"close": close}, time)


def rule(**given: Any) -> TradeRule:
    return TradeRule.parse({"side": "long", "every": 100, "from_candle": 1, **given}, "test")


def pairs(candles: pd.DataFrame, rows: TradeRows) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    index = rows.index(candles)
    return list(zip(index.get_level_values("trade"), index.get_level_values("time"), strict=True))


@pytest.mark.parametrize(
    ("close", "given", "last"),
    [
        ((100, 101, 99.5, 98.9, 100), {}, 3),  # 1.1 % lost
        ((100, 101, 99.1, 98.9, 100), {"stop": 0.05}, 4),
        ((100, 101, 103.1, 104, 100), {}, 2),  # 3.1 % gained
        ((100, 100, 100, 100, 100), {"hold": 3}, 3),
        ((100, 99.5, 96.9, 100, 100), {"side": "short"}, 2),
        ((100, 99.5, 101.1, 100, 100), {"side": "short"}, 2),
        ((100, 98, 98, 98, 98), {"side": "short"}, 4),
    ],
)
def test_the_candle_that_ends_a_trade_is_its_last_row(
    close: tuple[float, ...], given: dict[str, Any], last: int
) -> None:
    rows = trade_rows(hourly(*close), rule(every=12, **given), "1h")
    assert rows.row.tolist() == list(range(1, last + 1))
    assert set(rows.entry) == {0}
    assert set(rows.side) == {-1 if given.get("side") == "short" else 1}


def test_the_first_candles_of_a_trade_have_no_row() -> None:
    calm, stopped = hourly(*[100.0] * 9), hourly(100, 100, 100, 98, *[100.0] * 5)
    assert trade_rows(calm, rule(every=12, from_candle=4), "1h").row.tolist() == [4, 5, 6, 7, 8]
    assert trade_rows(stopped, rule(every=12, from_candle=3), "1h").row.tolist() == [3]
    assert len(trade_rows(stopped, rule(every=12, from_candle=4), "1h")) == 0


def test_trades_overlap_and_are_numbered_in_order() -> None:
    rows = trade_rows(hourly(*[100.0] * 7), rule(every=3, hold=4), "1h")
    assert rows.entry.tolist() == [0, 0, 0, 0, 3, 3, 3]
    assert rows.row.tolist() == [1, 2, 3, 4, 4, 5, 6]
    assert rows.trade.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert {array.dtype for array in (rows.row, rows.entry, rows.trade, rows.side)} == {
        np.dtype("int64")
    }


def test_a_trade_never_crosses_a_hole() -> None:
    candles = hourly(*[100.0] * 8).drop(index=pd.Timestamp("2025-01-01T03:00Z"))
    rows = trade_rows(candles, rule(every=12), "1h")
    assert rows.row.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("lookback", "of_one", "of_other"), [(1, [1, 2, 4, 5], [7, 8]), (3, [2, 5], [8]), (4, [], [])]
)
def test_a_row_ends_so_many_candles_without_a_hole(
    lookback: int, of_one: list[int], of_other: list[int]
) -> None:
    candles = hourly(*[100.0] * 7).drop(index=pd.Timestamp("2025-01-01T03:00Z"))
    other = hourly(*[100.0] * 3, start="2025-01-01T07:00Z")
    made = rule(every=1, hold=1)
    assert trade_rows(candles, made, "1h", lookback).row.tolist() == of_one
    keyed = pd.concat([key_by_market(candles, "A"), key_by_market(other, "B")])
    assert trade_rows(keyed, made, "1h", lookback).row.tolist() == of_one + of_other


def test_a_trade_never_crosses_into_another_market() -> None:
    one, other = hourly(*[100.0] * 3), hourly(*[50.0] * 3, start="2025-01-01T03:00Z")
    candles = pd.concat([key_by_market(one, "A"), key_by_market(other, "B")])
    rows = trade_rows(candles, rule(every=1, hold=48), "1h")
    assert rows.entry.tolist() == [0, 0, 1, 3, 3, 4]
    assert rows.row.tolist() == [1, 2, 2, 4, 5, 5]
    index = rows.index(candles)
    assert list(index.names) == ["market", "trade", "time"]
    assert index.get_level_values("market").tolist() == ["A"] * 3 + ["B"] * 3


def test_a_cut_that_starts_elsewhere_has_the_same_trades() -> None:
    candles = random_walk(np.random.default_rng(5), 300)
    made = rule(every=10, hold=20, from_candle=3)
    everything = pairs(candles, trade_rows(candles, made, "1h"))
    for first in (1, 7, 33):
        later = candles.iloc[first:]
        known = [pair for pair in everything if pair[0] >= later.index[0]]
        assert pairs(later, trade_rows(later, made, "1h")) == known


def test_no_row_depends_on_a_later_candle() -> None:
    candles = random_walk(np.random.default_rng(6), 200)
    made = rule(every=7, hold=20, stop=0.01, profit=0.01, from_candle=2)
    everything = pairs(candles, trade_rows(candles, made, "1h"))
    for cut in range(1, 200, 13):
        until = candles.iloc[:cut]
        spoiled = candles.copy()
        spoiled.iloc[cut:] *= 1.5
        known = [pair for pair in everything if pair[1] <= until.index[-1]]
        assert pairs(until, trade_rows(until, made, "1h")) == known
        found = pairs(spoiled, trade_rows(spoiled, made, "1h"))
        assert [pair for pair in found if pair[1] <= until.index[-1]] == known


@given(
    seed=st.integers(0, 10**6),
    side=st.sampled_from(["long", "short"]),
    every=st.integers(1, 15),
    hold=st.integers(1, 30),
    lost=st.integers(0, 3),
)
def test_rows_are_those_of_trades_walked_one_by_one(
    seed: int, side: str, every: int, hold: int, lost: int
) -> None:
    generator = np.random.default_rng(seed)
    candles = random_walk(generator, 80)
    candles = candles.drop(index=candles.index[generator.choice(80, lost, replace=False)])
    made = rule(
        side=side, every=every, hold=hold, from_candle=min(2, hold), stop=0.006, profit=0.01
    )
    rows = trade_rows(candles, made, "1h")
    assert pairs(candles, rows) == list(position8(candles, made, "1h").index)


def test_no_candle_has_no_trade() -> None:
    assert len(trade_rows(hourly(), rule(), "1h")) == 0
    assert len(trade_rows(hourly(100.0), rule(every=1), "1h")) == 0


def test_a_rule_without_rows_is_refused() -> None:
    with pytest.raises(ConfigError, match="no trade has a row: from_candle is 9, hold 8"):
        rule(from_candle=9, hold=8)


def test_a_candle_off_the_grid_is_named() -> None:
    candles = hourly(100.0, 100.0, start="2025-01-01T00:30Z")
    with pytest.raises(DataError, match=r"off the timeframe's grid \(2025-01-01 00:30"):
        trade_rows(candles, rule(), "1h")


@pytest.mark.parametrize("close", [np.nan, np.inf, 0.0, -1.0])
def test_a_close_that_is_no_price_is_named(close: float) -> None:
    with pytest.raises(DataError, match=r"no positive number \(2025-01-01 01:00"):
        trade_rows(hourly(100.0, close), rule(), "1h")
