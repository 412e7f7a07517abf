from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from pipeline.frames import (
    KEYS,
    TRADE_KEYS,
    encode_frame,
    key_by_market,
    of_market,
    read_frame,
    write_frame,
)
from pipeline.market.trades import TradeRule, trade_rows
from tests.oracles.walks import random_walk


def keyed(rows: int = 50) -> pd.DataFrame:
    candles = random_walk(np.random.default_rng(3), rows)
    return pd.concat([key_by_market(candles, "KRW-SOL"), key_by_market(candles * 2, "KRW-XRP")])


def test_keys_are_market_and_time() -> None:
    frame = key_by_market(random_walk(np.random.default_rng(3), 5), "KRW-SOL")
    assert list(frame.index.names) == KEYS == ["market", "time"]
    assert frame.index.get_level_values("market").unique().tolist() == ["KRW-SOL"]


def test_one_markets_rows_come_back_as_they_were() -> None:
    frame = keyed()
    one = of_market(frame, "KRW-XRP")
    pd.testing.assert_frame_equal(one, random_walk(np.random.default_rng(3), 50) * 2)


def test_a_written_frame_reads_back_exactly(tmp_path: Path) -> None:
    frame, path = keyed(), tmp_path / "deep" / "frame.parquet"
    write_frame(path, frame)
    pd.testing.assert_frame_equal(read_frame(path), frame)
    pd.testing.assert_frame_equal(read_frame(path.read_bytes()), frame)
    assert [file.name for file in path.parent.iterdir()] == ["frame.parquet"]


def test_rows_of_trades_are_keyed_by_their_trade_too(tmp_path: Path) -> None:
    candles = random_walk(np.random.default_rng(3), 40)
    rows = trade_rows(candles, TradeRule(side="long", every=4, hold=8), "1h")
    index = rows.index(candles)
    frame = pd.DataFrame({"held": (rows.row - rows.entry) / 1.0}, index=index)
    keyed_by_all = pd.concat([key_by_market(frame, "KRW-SOL"), key_by_market(frame * 2, "KRW-XRP")])
    assert list(keyed_by_all.index.names) == TRADE_KEYS == ["market", "trade", "time"]
    write_frame(tmp_path / "frame.parquet", keyed_by_all)
    read = read_frame(tmp_path / "frame.parquet")
    pd.testing.assert_frame_equal(read, keyed_by_all)
    pd.testing.assert_frame_equal(of_market(read, "KRW-XRP"), frame * 2)


def test_trades_that_are_no_moments_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    table = pq.read_table(pa.BufferReader(encode_frame(keyed())))
    pq.write_table(table.append_column("trade", pa.array(range(len(table)))), path)
    with pytest.raises(DataError, match="no market and trade and time"):
        read_frame(path)


def test_moments_come_back_in_utc_milliseconds() -> None:
    read = read_frame(encode_frame(keyed()))
    assert str(read.index.get_level_values("time").dtype) == "datetime64[ms, UTC]"


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_bytes_depend_on_values_alone(unit: str) -> None:
    frame = keyed()
    expected = encode_frame(frame)
    other = pd.concat(
        [
            key_by_market(one.set_axis(one.index.as_unit(unit)), market)
            for market in ("KRW-SOL", "KRW-XRP")
            for one in [of_market(frame, market)]
        ]
    )
    one_by_one = pd.DataFrame({name: other[name] for name in other}).copy()
    one_by_one.attrs["note"] = "not a value"
    assert encode_frame(one_by_one) == expected
    assert encode_frame(read_frame(expected)) == expected


def test_a_changed_value_changes_the_bytes() -> None:
    frame = keyed()
    changed = frame.copy()
    changed.iloc[7, 3] = np.nextafter(changed.iloc[7, 3], np.inf)
    assert encode_frame(changed) != encode_frame(frame)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.parquet.*dvc repro"):
        read_frame(tmp_path / "none.parquet")


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "folder"])
def test_a_damaged_file_is_refused(damage: str, tmp_path: Path) -> None:
    path, content = tmp_path / "frame.parquet", encode_frame(keyed())
    contents = {"empty": b"", "cut": content[: len(content) // 2], "text": b"time,open\n1,2\n"}
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(contents[damage])
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            read_frame(contents[damage])
    with pytest.raises(DataError, match=r"cannot be read as Parquet.*frame\.parquet"):
        read_frame(path)


def test_a_table_without_the_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    random_walk(np.random.default_rng(3), 5).to_parquet(path)
    with pytest.raises(DataError, match=r"no market and time \(.*frame\.parquet"):
        read_frame(path)


def test_a_flipped_bit_among_the_values_is_refused_or_changes_nothing() -> None:
    frame = keyed(20)
    content, generator = encode_frame(frame), np.random.default_rng(4)
    values = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    refused = 0
    for place in generator.integers(0, values, 150):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(generator.integers(8))
        try:
            read = read_frame(bytes(damaged))
        except DataError:
            refused += 1
            continue
        pd.testing.assert_frame_equal(read, frame)
    assert refused > 75
