from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import feather

from pipeline.errors import ConfigError, DataError
from pipeline.market.sources import COLUMN
from pipeline.market.store import CandleStore, Series
from pipeline.market.transfer.exporting import export
from pipeline.market.transfer.importing import Import, Said, bring, look
from pipeline.market.transfer.layouts import recognise
from tests.conftest import recorded
from tests.stored import SERIES, candles

T = pd.Timestamp
NOW = T("2025-06-01T00:00Z")
KST = "Asia/Seoul"
SERVED = candles("2025-01-10", 240)
UPBIT = Series("upbit", "KRW-BTC", "1h")


def walk(rows: int = 400, timeframe: str = "1h") -> pd.DataFrame:
    """Candles whose returns are unlike at other hours."""
    frame = candles("2025-01-10", rows, timeframe)
    steps = np.random.default_rng(3).standard_normal(rows)
    close = 1000 + steps.cumsum()
    return frame.assign(close=close, open=close, high=close + 1, low=close - 1)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "store")


def pyupbit(path: Path, frame: pd.DataFrame) -> Path:
    """As pyupbit and pandas write it: naive Korean time in an index without a name."""
    naive = frame.set_axis(frame.index.tz_convert(KST).tz_localize(None)).rename_axis(None)
    naive.to_csv(path) if path.suffix == ".csv" else naive.to_parquet(path)
    return path


def freqtrade(path: Path, frame: pd.DataFrame) -> Path:
    table = frame.drop(columns="value").rename_axis("date").reset_index()
    if path.suffix == ".feather":
        feather.write_feather(table, str(path))
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        epoch = table["date"].astype("datetime64[ms, UTC]").astype("int64")
        columns = [epoch.tolist(), *(table[name].tolist() for name in table.columns[1:])]
        path.write_text(json.dumps(list(zip(*columns, strict=True))))
    return path


def dump(path: Path, frame: pd.DataFrame, stamp: str = "%Y-%m-%dT%H:%M:%S") -> Path:
    """As the perpetual bot writes it: a naive ISO moment and five columns."""
    table = frame.drop(columns="value").rename_axis("timestamp").reset_index()
    table.assign(timestamp=table["timestamp"].dt.strftime(stamp)).to_csv(path, index=False)
    return path


def bring_in(path: Path, store: CandleStore, **said: Any) -> Import:
    found = look(path, Said(**said), store, NOW)
    bring(found, store)
    return found


@pytest.mark.parametrize("name", ["KRW_BTC_minute60.csv", "KRW-BTC_1h.parquet", "KRW_BTC_60m.csv"])
def test_pyupbit_in_korean_time(tmp_path: Path, store: CandleStore, name: str) -> None:
    found = bring_in(pyupbit(tmp_path / name, SERVED), store, zone=KST)
    assert (found.series, found.writer) == (UPBIT, "pyupbit")
    assert found.why == "zone=Asia/Seoul as said"
    pd.testing.assert_frame_equal(store.read(UPBIT), SERVED.iloc[:-1], check_freq=False)
    assert found.dropped == (
        "2025-01-19T23:00:00+00:00: nothing shows that it is final; the next sync fetches it",
    )
    assert store.sources(UPBIT) == {"upbit": 0, "import": 239}


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("BTC_USDT_USDT-5m-futures.feather", "binance/BTC-USDT/5m"),
        ("BTC_USDT-5m.json", "binance/BTC-USDT/5m"),
        ("BTC_KRW-5m.parquet", "binance/KRW-BTC/5m"),
    ],
)
def test_freqtrade(tmp_path: Path, store: CandleStore, name: str, series: str) -> None:
    frame = candles("2025-01-10", 300, "5m")
    found = bring_in(freqtrade(tmp_path / name, frame), store, feed="binance")
    assert (str(found.series), found.writer, found.why) == (
        series,
        "freqtrade",
        "the file names it",
    )
    expected = frame.drop(columns="value").iloc[:-1]
    pd.testing.assert_frame_equal(store.read(found.series), expected, check_freq=False)


def test_a_dump_of_the_perpetual_bot(tmp_path: Path, store: CandleStore) -> None:
    frame = candles("2025-01-10", 300, "5m")
    path = dump(tmp_path / "BTCUSDT_5m_max.csv", frame)
    with pytest.raises(ConfigError, match=r"of which feed .* add feed="):
        look(path, Said(zone="UTC"), store, NOW)
    found = bring_in(path, store, zone="UTC", feed="bingx")
    assert str(found.series) == "bingx/BTC-USDT/5m"
    assert store.times(found.series).equals(frame.index[:-1])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("named", [True, False])
def test_what_was_exported_comes_back_byte_for_byte(
    tmp_path: Path, store: CandleStore, suffix: str, named: bool
) -> None:
    frame = candles("2025-01-25", 400).assign(taker_volume=1 / 3)
    store.append(SERIES, frame)
    path = tmp_path / f"{'fake_KRW-BTC_1h' if named else 'mine'}{suffix}"
    assert export(store, SERIES, path) == 400
    with pytest.raises(ConfigError, match="there already"):
        export(store, SERIES, path)
    other = CandleStore(tmp_path / "other")
    if suffix == ".csv" and not named:
        with pytest.raises(ConfigError, match="of which feed"):
            look(path, Said(), other, NOW)
        return
    found = bring_in(path, other)
    assert (found.series, found.dropped, found.known) == (SERIES, (), 0)
    for month in store.folder(SERIES).glob("*.parquet"):
        assert (other.folder(SERIES) / month.name).read_bytes() == month.read_bytes()
    assert bring_in(path, other).known == 400


def test_looking_writes_nothing(tmp_path: Path, store: CandleStore) -> None:
    found = look(
        pyupbit(tmp_path / "KRW_BTC_day.csv", SERVED), Said(zone=KST, timeframe="1h"), store, NOW
    )
    assert (found.missing, len(found.candles), found.ignored) == (0, 239, ())
    assert not store.root.exists()


def test_without_a_zone_nothing_is_guessed(tmp_path: Path, store: CandleStore) -> None:
    frame = walk()
    path = pyupbit(tmp_path / "KRW_BTC_1h.csv", frame)
    fix = "zone=Asia/Seoul or zone=UTC"
    with pytest.raises(DataError, match=f"name no time zone.*{fix}"):
        look(path, Said(), store, NOW)
    store.append(Series("upbit", "KRW-ETH", "1h"), frame)
    store.append(UPBIT, frame.iloc[:40])
    with pytest.raises(DataError, match="name no time zone"):
        look(path, Said(), store, NOW)
    store.append(UPBIT, frame.iloc[40:60])
    found = look(path, Said(), store, NOW)
    assert found.why == "+9 h to UTC, as upbit/KRW-BTC/1h proves"
    assert found.candles.index.equals(frame.index[:-1])
    assert (found.known, len(found.candles)) == (60, 399)


@pytest.mark.parametrize(("timeframe", "rows"), [("5m", 3000), ("1d", 120)])
def test_another_feed_proves_the_zone_too(
    tmp_path: Path, store: CandleStore, timeframe: str, rows: int
) -> None:
    frame = walk(rows, timeframe)
    noise = np.random.default_rng(4).normal(1, 1e-5, rows)
    store.append(Series("other", "KRW-BTC", timeframe), frame.assign(close=frame["close"] * noise))
    path = pyupbit(tmp_path / "KRW_BTC.csv", frame)
    found = look(path, Said(timeframe=timeframe), store, NOW)
    assert found.why == f"+9 h to UTC, as other/KRW-BTC/{timeframe} proves"
    assert found.candles.index.equals(frame.index[:-1])


def test_two_series_that_prove_different_hours_prove_nothing(
    tmp_path: Path, store: CandleStore
) -> None:
    frame = walk()
    store.append(Series("one", "KRW-BTC", "1h"), frame)
    store.append(Series("other", "KRW-BTC", "1h"), frame.shift(freq="2h"))
    path = pyupbit(tmp_path / "KRW_BTC_1h.csv", frame)
    told = r"\+9 h beside one.*\+7 h beside other.*forget one/KRW-BTC/1h other/KRW-BTC/1h"
    with pytest.raises(DataError, match=told):
        look(path, Said(), store, NOW)
    with pytest.raises(
        ConfigError, match=r"\+0 h beside one.*vintage data forget other/KRW-BTC/1h"
    ):
        look(path, Said(zone=KST), store, NOW)


ODD = "; hours away from it is {} ({:+d} h): if what is stored is wrong, vintage data forget {}"


@pytest.mark.parametrize("feed", ["replay", "replay-1a2b3c4d", "other"])
def test_the_series_itself_decides_against_one_that_is_hours_away(
    tmp_path: Path, store: CandleStore, feed: str
) -> None:
    frame, odd = walk(), Series(feed, "KRW-BTC", "1h")
    store.append(odd, frame.shift(freq="9h"))
    store.append(UPBIT, frame.iloc[:100])
    path = pyupbit(tmp_path / "KRW_BTC_1h.csv", frame)
    found = look(path, Said(), store, NOW)
    said = look(path, Said(zone=KST), store, NOW)
    assert found.candles.index.equals(frame.index[:-1])
    assert found.why == "+9 h to UTC, as upbit/KRW-BTC/1h proves" + ODD.format(odd, -9, odd)
    assert said.why == "zone=Asia/Seoul as said" + ODD.format(odd, -9, odd)


def test_a_file_proves_no_zone_and_contradicts_no_venue(tmp_path: Path, store: CandleStore) -> None:
    frame, odd = walk(), Series("replay", "KRW-BTC", "1h")
    store.append(odd, frame.shift(freq="9h"))
    path = pyupbit(tmp_path / "KRW_BTC_1h.csv", frame)
    with pytest.raises(DataError, match=r"\+0 h beside replay.*candles of a venue"):
        look(path, Said(), store, NOW)
    with pytest.raises(ConfigError, match=r"-9 h beside replay.*forget replay/KRW-BTC/1h"):
        look(path, Said(zone=KST), store, NOW)
    imported = Series("mine", "KRW-BTC", "1h")
    store.append(imported, frame.assign(**{COLUMN: "import"}))
    with pytest.raises(DataError, match="candles of a venue"):
        look(path, Said(), store, NOW)
    assert "as mine/KRW-BTC/1h proves" in look(path, Said(feed="mine"), store, NOW).why
    store.append(Series("other", "KRW-BTC", "1h"), frame)
    why = look(path, Said(), store, NOW).why
    assert why == "+9 h to UTC, as other/KRW-BTC/1h proves" + ODD.format(odd, -9, odd)


@pytest.mark.parametrize("zone", [None, "UTC", KST])
def test_rows_that_repeat_are_told_before_the_zone_is_looked_at(
    tmp_path: Path, store: CandleStore, zone: str | None
) -> None:
    frame = walk()
    store.append(UPBIT, frame)
    path = pyupbit(tmp_path / "KRW_BTC_1h.csv", pd.concat([frame.iloc[:7], frame.iloc[5:]]))
    with pytest.raises(DataError, match=r"out of order.*row 8"):
        look(path, Said(zone=zone), store, NOW)


def test_a_zone_that_is_said_must_not_contradict_the_store(
    tmp_path: Path, store: CandleStore
) -> None:
    frame = walk()
    store.append(Series("other", "KRW-BTC", "1h"), frame)
    path = pyupbit(tmp_path / "KRW_BTC_1h.csv", frame)
    with pytest.raises(ConfigError, match=r"\+9 h beside other/KRW-BTC/1h"):
        look(path, Said(zone="UTC"), store, NOW)
    assert look(path, Said(zone=KST), store, NOW).why == "zone=Asia/Seoul as said"


def written_at(path: Path, moment: str) -> Path:
    seconds = T(moment).timestamp()
    os.utime(path, (seconds, seconds))
    return path


def test_the_last_candle_is_kept_only_when_it_is_final(tmp_path: Path, store: CandleStore) -> None:
    forming = SERVED.copy()
    forming.iloc[-1, 4] /= 100
    path = pyupbit(tmp_path / "KRW_BTC_1h.csv", forming)
    said, last = Said(zone=KST), "2025-01-19T23:00:00+00:00"

    def dropped(now: str = "2025-06-01") -> tuple[str, ...]:
        return look(path, said, store, T(now, tz="UTC")).dropped

    assert dropped("2025-01-19T23:59") == (f"{last}: it is not closed yet",)
    written_at(path, "2025-01-19T23:59Z")
    assert dropped() == (f"{last}: the file was written before it closed",)
    written_at(path, "2025-01-20T00:00Z")
    assert dropped()[0].endswith("nothing shows that it is final; the next sync fetches it")
    store.append(UPBIT, SERVED)
    assert dropped() == (f"{last}: the stored candle differs: it was still forming",)
    pyupbit(path, SERVED)
    assert dropped() == ()


def test_a_stored_candle_with_other_values_is_refused(tmp_path: Path, store: CandleStore) -> None:
    other = SERVED.copy()
    other.loc[T("2025-01-12T05:00Z"), "high"] += 1
    store.append(UPBIT, other)
    before = store.read(UPBIT)
    path = pyupbit(tmp_path / "KRW_BTC_1h.csv", SERVED)
    with pytest.raises(DataError, match=r"another value.*2025-01-12T05:00.*column high") as caught:
        look(path, Said(zone=KST), store, NOW)
    assert "vintage data forget upbit/KRW-BTC/1h and import the file again" in str(caught.value)
    pd.testing.assert_frame_equal(store.read(UPBIT), before)


def test_other_columns_than_those_stored_are_refused(tmp_path: Path, store: CandleStore) -> None:
    store.append(Series("bingx", "BTC-USDT", "1h"), SERVED)
    path = dump(tmp_path / "BTCUSDT_1h.csv", SERVED)
    with pytest.raises(DataError, match="columns differ from those stored"):
        look(path, Said(zone="UTC", feed="bingx"), store, NOW)


def test_columns_may_stand_anywhere_and_others_are_told(tmp_path: Path, store: CandleStore) -> None:
    path = tmp_path / "BTCUSDT_1h.csv"
    table = SERVED.rename_axis("timestamp").reset_index().assign(trades=1)
    table[[*reversed(table.columns)]].to_csv(path, index=False)
    found = look(path, Said(feed="bingx"), store, NOW)
    assert found.ignored == ("trades",)
    assert list(found.candles.columns) == list(SERVED.columns)


def spoil(table: pd.DataFrame, what: str) -> pd.DataFrame:  # noqa: PLR0911
    match what:
        case "twice":
            return pd.concat([table.iloc[:5], table.iloc[4:]])
        case "backwards":
            return table.iloc[::-1]
        case "off the grid":
            moved = table["timestamp"].astype(str).str.replace(":00:00", ":07:00")
            return table.assign(timestamp=moved)
        case "no number":
            return table.assign(close=table["close"].astype(object).where(table.index != 3, "much"))
        case "no moment":
            return table.assign(
                timestamp=table["timestamp"].astype(str).where(table.index != 3, "?")
            )
        case "no close":
            return table.drop(columns="close")
        case "no clock":
            return table.drop(columns="timestamp")
    return table.iloc[:0]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("twice", "the same moment twice.*row 6"),
        ("backwards", "a moment out of order"),
        ("off the grid", "off_grid"),
        ("no number", "no number.*row 4"),
        ("no moment", "moment.*row 4|zone"),
        ("no close", "column close is missing"),
        ("no clock", "column of moments is missing"),
        ("empty", "holds no candles"),
    ],
)
def test_what_is_no_sound_table_is_refused(
    tmp_path: Path, store: CandleStore, what: str, told: str
) -> None:
    path = tmp_path / "BTCUSDT_1h.csv"
    spoil(SERVED.rename_axis("timestamp").reset_index(), what).to_csv(path, index=False)
    with pytest.raises(DataError, match=told):
        look(path, Said(feed="bingx"), store, NOW)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("nothing.csv", None, "no such file"),
        ("BTC_USDT_USDT-8h-funding_rate.feather", b"", "no candles of trades but of funding_rate"),
        ("BTCUSDT_1h.pkl", b"", "is no file of candles"),
        ("BTCUSDT_1h.feather", b"x", "cannot be read"),
        ("BTCUSDT_1h.json", b'{"a": 1}', "cannot be read"),
        ("BTCUSDT_1h.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_what_is_no_file_of_candles_is_told(
    tmp_path: Path, store: CandleStore, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((ConfigError, DataError), match=told):
        look(tmp_path / name, Said(feed="bingx"), store, NOW)


@pytest.mark.parametrize(
    ("name", "feed", "market", "timeframe"),
    [
        ("KRW_SOL_day.csv", "upbit", "KRW-SOL", "1d"),
        ("KRW-SOL-60m_naive.parquet", "upbit", "KRW-SOL", "1h"),
        ("KRW_ETH_minute240.csv", "upbit", "KRW-ETH", "4h"),
        ("ETHUSDT-15m.parquet", None, "ETH-USDT", "15m"),
        ("BTC-USDT_5m.csv", None, "BTC-USDT", "5m"),
        ("SOL_USDT-1d.feather", None, "SOL-USDT", "1d"),
        ("upbit-1a2b3c4d_KRW-SOL_1h.csv", "upbit-1a2b3c4d", "KRW-SOL", "1h"),
        ("upbit_pyupbit_KRW-SOL_1h.csv", "upbit_pyupbit", "KRW-SOL", "1h"),
        ("candles.csv", None, None, None),
    ],
)
def test_names_of_files(
    name: str, feed: str | None, market: str | None, timeframe: str | None
) -> None:
    layout = recognise(Path(name))
    assert (layout.feed, layout.market, layout.timeframe) == (feed, market, timeframe)


def test_what_is_said_goes_before_what_the_name_says(tmp_path: Path, store: CandleStore) -> None:
    path = pyupbit(tmp_path / "KRW_BTC_minute60.csv", SERVED)
    found = look(path, Said(feed="mine", market="KRW-ETH", zone=KST), store, NOW)
    assert str(found.series) == "mine/KRW-ETH/1h"
    with pytest.raises(ConfigError, match="unknown timeframe"):
        look(path, Said(zone=KST, timeframe="60"), store, NOW)


def test_whole_numbers_are_seconds_or_milliseconds(tmp_path: Path, store: CandleStore) -> None:
    for unit, factor in (("s", 1000), ("ms", 1)):
        path = tmp_path / f"BTCUSDT_1h_{unit}.csv"
        epoch = SERVED.index.asi8 // factor
        SERVED.reset_index(drop=True).assign(timestamp=epoch).to_csv(path, index=False)
        found = look(path, Said(feed="bingx"), store, NOW)
        assert found.candles.index.equals(SERVED.index[:-1])


def test_a_source_column_of_a_file_is_not_believed(tmp_path: Path, store: CandleStore) -> None:
    path = tmp_path / "fake_KRW-BTC_1h.csv"
    SERVED.rename_axis("timestamp").assign(**{COLUMN: "fake"}).to_csv(path)
    assert bring_in(path, store).ignored == (COLUMN,)
    assert store.sources(SERIES) == {"fake": 0, "import": 240}


@pytest.mark.real
def test_recorded_hours_in_korean_time_are_proven(
    real_data: Path, tmp_path: Path, store: CandleStore
) -> None:
    frame = recorded(real_data / "upbit" / "KRW-BTC-60m.parquet")
    other = recorded(real_data / "upbit" / "KRW-ETH-60m.parquet")
    store.append(Series("other", "KRW-BTC", "1h"), frame.iloc[500:600])
    store.append(Series("other", "KRW-ETH", "1h"), other)
    path = pyupbit(tmp_path / "KRW_BTC_minute60.csv", frame)
    found = look(path, Said(), store, NOW + pd.Timedelta(days=400))
    bring(found, store)
    assert found.why == "+9 h to UTC, as other/KRW-BTC/1h proves"
    assert (found.missing, len(found.dropped)) == (5, 1)
    pd.testing.assert_frame_equal(store.read(UPBIT), frame.iloc[:-1], check_exact=True)


@pytest.mark.real
def test_recorded_candles_that_name_a_wrong_zone_are_refused(
    real_data: Path, store: CandleStore
) -> None:
    for market in ("KRW-BTC", "KRW-SOL"):
        right = recorded(real_data / "upbit" / f"{market}-60m.parquet")
        store.append(Series("replay", market, "1h"), right)
        path = real_data / "dirty" / f"{market}-60m_naiveKST_with_maintenance_gap.parquet"
        with pytest.raises(ConfigError, match=r"\+9 h beside replay"):
            look(path, Said(), store, NOW + pd.Timedelta(days=400))
