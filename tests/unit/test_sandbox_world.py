"""The world behind the loopback exchange: files, their spelling, and where it ends."""

from __future__ import annotations

import itertools
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, DataError
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from pipeline.sandbox.exchange import Exchange
from pipeline.sandbox.numerals import numeral
from pipeline.sandbox.world import World
from tests.conftest import recorded

START = pd.Timestamp("2025-12-01T00:00Z")
HOUR = pd.Timedelta(hours=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    market = Instrument(name="A", symbol="A")
    frame = Simulated().fetch(market, "1h", START, START + 100 * HOUR)
    table = frame.reset_index(names="timestamp")
    table.to_parquet(tmp_path / "KRW-ADA-60m.parquet")
    table.drop(columns="value").to_csv(tmp_path / "ADAUSDT-1h.csv", index=False)
    (tmp_path / "notes.txt").write_text("no candles")
    (tmp_path / "BTCUSDT-funding-8h.parquet").write_text("no candles")
    return tmp_path


def test_files_are_listed_as_each_venue_spells_them(folder: Path) -> None:
    world = World(folder=folder)
    assert world.listed("upbit") == ("KRW-ADA",)
    assert world.listed("bingx") == ("ADA-USDT",)
    assert world.listed("binance") == ("ADAUSDT",)
    assert world.last() == START + 100 * HOUR
    assert World(folder=folder, until=START).last() == START
    assert World().last() is None


def test_files_are_served_as_they_are(folder: Path) -> None:
    world, end = World(folder=folder), START + 90 * HOUR
    got = world.candles("upbit", "KRW-ADA", "1h", START + 10 * HOUR, end)
    file = recorded(folder / "KRW-ADA-60m.parquet").iloc[10:90]
    pd.testing.assert_frame_equal(got[list(file)], file, check_exact=True, check_freq=False)
    derived = world.candles("binance", "ADAUSDT", "1h", START, end)
    mean = derived[["open", "high", "low", "close"]].mean(axis=1)
    assert (derived["value"] / derived["volume"] / mean).to_numpy() == pytest.approx(1)
    share = derived["taker_volume"] / derived["volume"]
    assert 0.3 <= share.min() < 0.4
    assert 0.6 < share.max() <= 0.7


def test_a_file_that_grows_is_seen(folder: Path) -> None:
    path, end = folder / "ADAUSDT-1h.csv", START + 200 * HOUR
    world = World(folder=folder)
    before = world.candles("bingx", "ADA-USDT", "1h", START, end)
    lines = path.read_text().splitlines()
    last = lines[-1].split(",", 1)[1]
    path.write_text("\n".join([*lines, f"{START + 100 * HOUR},{last}"]))
    assert len(world.candles("bingx", "ADA-USDT", "1h", START, end)) == len(before) + 1


def test_a_world_of_files_has_no_other_timeframe_and_ends(folder: Path) -> None:
    world = World(folder=folder)
    exchange = Exchange(world, lambda: START + 500 * HOUR)
    refused = exchange.answer("upbit", "v1/candles/minutes/5", {"market": "KRW-ADA"}, {})
    assert refused.status == 400
    page = exchange.answer(
        "upbit", "v1/candles/minutes/60", {"market": "KRW-ADA", "count": "200"}, {}
    ).rows
    assert len(page) == 100
    assert page[0]["candle_date_time_utc"] == "2025-12-05T03:00:00"


def test_until_is_the_close_of_the_last_candle() -> None:
    until = START + HOUR / 2
    exchange = Exchange(World(until=until), lambda: START + 5 * HOUR)
    page = exchange.answer("upbit", "v1/candles/minutes/15", {"market": "KRW-SOL"}, {}).rows
    assert page[0]["candle_date_time_utc"] == "2025-12-01T00:15:00"
    page = exchange.answer("upbit", "v1/candles/minutes/60", {"market": "KRW-SOL"}, {}).rows
    assert page[0]["candle_date_time_utc"] == "2025-11-30T23:00:00"


def test_symbols_may_be_others() -> None:
    world = World(symbols={"upbit": ("KRW-ADA",)})
    exchange = Exchange(world, lambda: START)
    page = exchange.answer("upbit", "v1/candles/minutes/60", {"market": "KRW-ADA"}, {}).rows
    market = Instrument(name="KRW-ADA", symbol="KRW-ADA")
    opened = Simulated().fetch(market, "1h", START, START + HOUR)["open"].iloc[0]
    assert page[0]["opening_price"] == opened
    assert exchange.answer("bingx", "openApi/swap/v2/quote/contracts", {}, {}).rows == []


def test_the_worlds_first_candle_ends_the_walk() -> None:
    exchange = Exchange(World(), lambda: START)
    query = {"market": "KRW-SOL", "count": "200", "to": "2023-01-01T03:00:00Z"}
    assert len(exchange.answer("upbit", "v1/candles/minutes/60", query, {}).rows) == 3
    query["to"] = "2023-01-01T00:00:00Z"
    assert exchange.answer("upbit", "v1/candles/minutes/60", query, {}).content == []


def test_a_folder_without_candles_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"KRW-SOL-60m\.parquet"):
        World(folder=tmp_path).listed("upbit")
    (tmp_path / "KRW-SOL-60m.csv").write_text("timestamp,open\n2025-12-01,x\n")
    with pytest.raises(DataError, match="column high is missing"):
        World(folder=tmp_path).last()


@pytest.mark.real
def test_recorded_candles_keep_their_maintenance_hole(real_data: Path) -> None:
    exchange = Exchange(World(folder=real_data / "upbit"), lambda: START)
    hole = "2025-10-26T00:00:00Z"
    query = {"market": "KRW-SOL", "count": "20", "to": hole}
    rows = exchange.answer("upbit", "v1/candles/minutes/60", query, {}).rows
    frame = recorded(real_data / "upbit" / "KRW-SOL-60m.parquet")
    wanted = frame[frame.index < hole].tail(20)
    times = [pd.Timestamp(row["candle_date_time_utc"], tz="UTC") for row in rows[::-1]]
    assert times == list(wanted.index)
    assert max(b - a for a, b in itertools.pairwise(times)) == 7 * HOUR
    assert [row["candle_acc_trade_price"] for row in rows[::-1]] == wanted["value"].tolist()


@given(st.floats(0, 1e12), st.integers(0, 8))
def test_a_numeral_reads_back_as_the_same_float(value: float, places: int) -> None:
    text = numeral(value, places)
    assert float(text) == value
    assert "e" not in text
    assert places == 0 or len(text.split(".")[1]) >= places
