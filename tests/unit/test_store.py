from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from pipeline.errors import DataError
from pipeline.market import store as store_module
from pipeline.market.candles import COLUMNS, duration, last_closed
from pipeline.market.exchanges.base import Market
from pipeline.market.store import CandleStore, Series, Span
from pipeline.market.sync import sync
from registry.files import write_atomic

SERIES = Series("fake", "KRW-BTC", "1h")
MARKET = Market(
    name="KRW-BTC",
    exchange="fake",
    symbol="KRW-BTC",
    base="BTC",
    quote="KRW",
    fee_bps=5,
    slippage_bps=2,
    source="test",
)
T = pd.Timestamp


def candles(first: str, rows: int, timeframe: str = "1h") -> pd.DataFrame:
    times = pd.date_range(first, periods=rows, freq=duration(timeframe), tz="UTC", unit="ms")
    close = 100 + times.asi8 // 3_600_000 % 997 / 7
    table = {"open": close, "high": close + 2, "low": close - 2, "close": close + 1}
    return pd.DataFrame(table | {"volume": close / 3, "value": close * close / 3}, index=times)[
        list(COLUMNS)
    ].rename_axis("time")


class Fake:
    """An exchange that serves a frame and remembers what it was asked."""

    feed = "fake"
    reachable = True

    def __init__(self, served: pd.DataFrame) -> None:
        self.served = served
        self.asked: list[tuple[str, str]] = []

    def fetch(
        self, market: Market, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        self.asked.append((f"{start:%d %H:%M}", f"{end:%d %H:%M}"))
        return self.served.loc[start : last_closed(end, timeframe)]

    def newest(self, market: Market, timeframe: str, now: pd.Timestamp) -> pd.Timestamp | None:
        return last_closed(now, timeframe)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "store")


def folder(store: CandleStore) -> Path:
    return store.root / "fake" / "KRW-BTC" / "1h"


def test_what_is_appended_is_read(store: CandleStore) -> None:
    frame = candles("2025-01-30", 100)
    assert store.span(SERIES) is None
    assert store.read(SERIES).empty
    assert store.append(SERIES, frame) == 100
    pd.testing.assert_frame_equal(store.read(SERIES), frame, check_freq=False)
    assert store.span(SERIES) == Span(frame.index[0], frame.index[-1], 100)
    assert sorted(path.name for path in folder(store).glob("*.parquet")) == [
        "2025-01.parquet",
        "2025-02.parquet",
    ]


def test_value_is_left_out_where_the_source_has_none(store: CandleStore) -> None:
    frame = candles("2025-01-30", 5).drop(columns="value")
    store.append(SERIES, frame)
    pd.testing.assert_frame_equal(store.read(SERIES), frame, check_freq=False)
    with pytest.raises(DataError, match="columns differ from those stored"):
        store.append(SERIES, candles("2025-02-02", 5))


def test_a_cut_inside_a_candle_leaves_it_out(store: CandleStore) -> None:
    store.append(SERIES, candles("2025-01-31", 72))
    read = store.read(SERIES, T("2025-01-31T05:30Z"), T("2025-02-01T02:59Z"))
    assert read.index[0] == T("2025-01-31T06:00Z")
    assert read.index[-1] == T("2025-02-01T01:00Z")
    assert store.read(SERIES, None, T("2025-02-01T03:00Z")).index[-1] == T("2025-02-01T02:00Z")
    assert store.read(SERIES, T("2025-02-02T23:00Z")).index.tolist() == [T("2025-02-02T23:00Z")]
    assert store.read(SERIES, T("2026-01-01T00:00Z")).empty


def test_series_are_listed(store: CandleStore) -> None:
    assert store.series() == []
    names = [("other", "KRW-ETH", "1h"), ("fake", "KRW-BTC", "4h"), ("fake", "KRW-BTC", "1h")]
    for name in names:
        store.append(Series(*name), candles("2025-01-31", 30, name[2]))
    (store.root / "fake" / "KRW-XRP" / "1h").mkdir(parents=True)
    assert store.series() == [Series(*name) for name in reversed(names)]


def test_series_do_not_mix(store: CandleStore) -> None:
    store.append(SERIES, candles("2025-01-31", 3))
    for other in (
        Series("other", "KRW-BTC", "1h"),
        Series("fake", "KRW-ETH", "1h"),
        Series("fake", "KRW-BTC", "4h"),
    ):
        assert store.span(other) is None


def test_appending_again_is_nothing(store: CandleStore) -> None:
    frame = candles("2025-01-30", 60)
    store.append(SERIES, frame.iloc[:40])
    before = {path: path.stat().st_ino for path in folder(store).glob("2025-01*")}
    assert store.append(SERIES, frame.iloc[:40]) == 0
    assert store.append(SERIES, frame.iloc[:0]) == 0
    assert store.append(SERIES, frame.iloc[30:]) == 20
    assert {path: path.stat().st_ino for path in before} != before
    assert store.append(SERIES, frame) == 0
    assert len(store.read(SERIES)) == 60


def test_a_revised_candle_is_an_error_and_changes_nothing(store: CandleStore) -> None:
    frame = candles("2025-01-30", 60)
    store.append(SERIES, frame.iloc[:55])
    before = {path: path.read_bytes() for path in folder(store).glob("*.parquet")}
    revised = frame.copy()
    revised.loc[T("2025-01-31T10:00Z"), "volume"] += 1
    revised.loc[T("2025-02-01T01:00Z"), "close"] += 1
    with pytest.raises(DataError) as caught:
        store.append(SERIES, revised)
    told = str(caught.value)
    assert "the source revised a candle" in told
    assert "fake/KRW-BTC/1h, 2025-01-31T10:00:00+00:00, column volume" in told
    at = T("2025-01-31T10:00Z")
    assert repr(float(revised["volume"][at])) in caught.value.found
    assert repr(float(frame["volume"][at])) in caught.value.expected
    assert {path: path.read_bytes() for path in folder(store).glob("*.parquet")} == before


def test_all_is_compared_before_anything_is_written(store: CandleStore) -> None:
    frame = candles("2025-01-01", 24 * 40)
    store.append(SERIES, frame.loc["2025-02":])
    revised = frame.copy()
    revised.loc[T("2025-02-03T00:00Z"), "open"] += 1
    with pytest.raises(DataError, match="revised"):
        store.append(SERIES, revised)
    assert len(list(folder(store).glob("*.parquet"))) == 1


def test_bytes_do_not_depend_on_the_way_there(tmp_path: Path) -> None:
    frame = candles("2025-01-20", 24 * 30)
    one, two = CandleStore(tmp_path / "one"), CandleStore(tmp_path / "two")
    one.append(SERIES, frame)
    for part in (frame.iloc[300:310], frame.iloc[200:305], frame.iloc[305:], frame.iloc[:200]):
        two.append(SERIES, part)
    names = ("2025-01.parquet", "2025-02.parquet")
    for name in names:
        assert (folder(one) / name).read_bytes() == (folder(two) / name).read_bytes()


@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_a_truncated_file_is_named(store: CandleStore, cut: int) -> None:
    store.append(SERIES, candles("2025-01-01", 48))
    path = folder(store) / "2025-01.parquet"
    path.write_bytes(path.read_bytes()[:cut])
    for ask in (
        lambda: store.read(SERIES),
        lambda: store.span(SERIES),
        lambda: store.append(SERIES, candles("2025-01-03", 4)),
    ):
        with pytest.raises(DataError, match=r"2025-01\.parquet.*delete that file and sync again"):
            ask()
    path.unlink()
    assert store.append(SERIES, candles("2025-01-01", 48)) == 48


def test_a_flipped_bit_is_noticed(store: CandleStore) -> None:
    store.append(SERIES, candles("2025-01-01", 48))
    path = folder(store) / "2025-01.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"2025-01\.parquet"):
        store.read(SERIES)


def test_another_table_in_the_store_is_named(store: CandleStore) -> None:
    folder(store).mkdir(parents=True)
    pd.DataFrame({"a": [1.0]}).to_parquet(folder(store) / "2025-01.parquet")
    with pytest.raises(DataError, match="damaged"):
        store.read(SERIES)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.tz_localize(None), "no UTC time"),
        (lambda f: f.tz_convert("Asia/Seoul"), "no UTC time"),
        (lambda f: f.iloc[::-1], "do not increase"),
        (lambda f: f.iloc[[0, 1, 1]], "do not increase"),
        (lambda f: f.drop(columns="low"), "columns"),
        (lambda f: f.assign(trades=1.0), "columns"),
        (lambda f: f.assign(close=np.nan), "no number"),
        (lambda f: f.assign(value=np.inf), "no number"),
    ],
)
def test_what_is_no_candle_frame_is_refused(store: CandleStore, change, told: str) -> None:
    with pytest.raises(DataError, match=told):
        store.append(SERIES, change(candles("2025-01-01", 3)))
    assert store.span(SERIES) is None


def test_an_interrupted_backfill_leaves_no_hole(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = candles("2025-01-01", 24 * 150)
    store.append(SERIES, frame.loc["2025-03"])
    written: list[str] = []

    def interrupted(path: Path, content: bytes) -> None:
        if written:
            raise OSError("the disk is full")
        written.append(path.stem)
        write_atomic(path, content)

    monkeypatch.setattr(store_module, "write_atomic", interrupted)
    for part, expected in ((frame.loc[:"2025-03"], "2025-02"), (frame, "2025-04")):
        with pytest.raises(OSError, match="full"):
            store.append(SERIES, part)
        assert written == [expected]
        written.clear()
    times = store.read(SERIES).index
    assert times.equals(
        pd.date_range("2025-02-01", "2025-05-01", freq="h", inclusive="left", tz="UTC")
    )


def append_part(root: Path, part: int) -> None:
    CandleStore(root).append(SERIES, candles("2025-01-01", 24 * 40).iloc[part::4])


def test_writers_in_several_processes_lose_nothing(store: CandleStore) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append_part, args=(store.root, part)) for part in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    expected = candles("2025-01-01", 24 * 40)
    pd.testing.assert_frame_equal(store.read(SERIES), expected, check_freq=False)


def test_a_writer_waits_and_a_reader_does_not(store: CandleStore) -> None:
    store.append(SERIES, candles("2025-01-01", 10))
    writer = threading.Thread(
        target=store.append, args=(SERIES, candles("2025-01-01", 20)), daemon=True
    )
    with FileLock(folder(store) / ".lock"):
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        assert len(store.read(SERIES)) == 10
    writer.join(20)
    assert len(store.read(SERIES)) == 20


def test_leftovers_of_a_crash_are_not_read(store: CandleStore) -> None:
    store.append(SERIES, candles("2025-01-01", 10))
    (folder(store) / ".2025-01.parquet.77.ab.tmp").write_bytes(b"half")
    (folder(store) / ".2025-02.parquet").write_bytes(b"half")
    assert len(store.read(SERIES)) == 10


def run(store: CandleStore, exchange: Fake, first: str, stop: str):
    return sync(store, exchange, MARKET, "1h", T(first), T(stop))


def test_sync_asks_for_what_is_missing(store: CandleStore) -> None:
    exchange = Fake(candles("2025-01-01", 240))
    report = run(store, exchange, "2025-01-03T00:30Z", "2025-01-04T12:30Z")
    assert exchange.asked == [("03 01:00", "04 12:00")]
    assert (report.asked, report.appended) == (35, 35)
    assert (report.first, report.last) == (T("2025-01-03T01:00Z"), T("2025-01-04T11:00Z"))

    exchange.asked.clear()
    report = run(store, exchange, "2025-01-03T01:00Z", "2025-01-04T12:59Z")
    assert exchange.asked == []
    assert (report.asked, report.appended) == (0, 0)

    run(store, exchange, "2025-01-04T00:00Z", "2025-01-05T00:00Z")
    assert exchange.asked == [("04 09:00", "05 00:00")]

    exchange.asked.clear()
    report = run(store, exchange, "2025-01-02T00:00Z", "2025-01-06T00:00Z")
    assert exchange.asked == [("02 00:00", "03 04:00"), ("04 21:00", "06 00:00")]
    assert report.appended == 25 + 24
    assert (report.first, report.last) == (T("2025-01-02T00:00Z"), T("2025-01-05T23:00Z"))


def test_sync_bridges_to_what_is_stored(store: CandleStore) -> None:
    exchange = Fake(candles("2025-01-01", 240))
    run(store, exchange, "2025-01-04T00:00Z", "2025-01-04T02:00Z")
    run(store, exchange, "2025-01-08T00:00Z", "2025-01-09T00:00Z")
    run(store, exchange, "2025-01-01T00:00Z", "2025-01-02T00:00Z")
    times = store.read(SERIES).index
    assert times.equals(
        pd.date_range("2025-01-01", "2025-01-09", freq="h", tz="UTC", inclusive="left")
    )


def test_sync_notices_a_source_that_changed_its_mind(store: CandleStore) -> None:
    served = candles("2025-01-01", 240)
    run(store, Fake(served), "2025-01-02T00:00Z", "2025-01-03T00:00Z")
    for at in ("2025-01-02T21:00Z", "2025-01-02T00:00Z"):
        revised = served.copy()
        revised.loc[T(at), "close"] += 1
        with pytest.raises(DataError, match="revised"):
            run(store, Fake(revised), "2025-01-01T00:00Z", "2025-01-04T00:00Z")
        assert store.span(SERIES).rows == 24
    revised = served.copy()
    revised.loc[T("2025-01-02T20:00Z"), "close"] += 1
    assert run(store, Fake(revised), "2025-01-02T00:00Z", "2025-01-04T00:00Z").appended == 24


def test_sync_refuses_an_answer_that_stops_short(store: CandleStore) -> None:
    served = candles("2025-01-01", 240)
    run(store, Fake(served), "2025-01-05T00:00Z", "2025-01-06T00:00Z")
    for short in (served.loc[:"2025-01-02"], served.loc["2025-01-08":]):
        with pytest.raises(DataError, match="no longer has a candle"):
            run(store, Fake(short), "2025-01-01T00:00Z", "2025-01-10T00:00Z")
    assert store.span(SERIES).rows == 24


def test_sync_lives_with_a_source_that_has_nothing_more(store: CandleStore) -> None:
    served = candles("2025-01-01", 240)
    run(store, Fake(served), "2025-01-05T00:00Z", "2025-01-06T00:00Z")
    report = run(store, Fake(served.iloc[:0]), "2025-01-01T00:00Z", "2025-01-10T00:00Z")
    assert (report.appended, report.last) == (0, T("2025-01-05T23:00Z"))
    empty = sync(CandleStore(store.root / "none"), Fake(served.iloc[:0]), MARKET, "1h", *T2)
    assert (empty.appended, empty.first, empty.last) == (0, None, None)


T2 = (T("2025-01-01T00:00Z"), T("2025-01-10T00:00Z"))


class Careless(Fake):
    """An exchange that answers with more than it was asked for."""

    def fetch(
        self, market: Market, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        return self.served


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.loc[:"2025-01-03T00:00Z"], "future"),
        (lambda f: f.loc["2025-01-01T23:00Z":"2025-01-02T20:00Z"], "not asked for"),
        (lambda f: f.loc["2025-01-02"].iloc[::-1], "order"),
        (lambda f: f.loc["2025-01-02"].iloc[[3, 3, 4]], "duplicates"),
        (lambda f: f.loc["2025-01-02"].shift(freq="5min"), "off_grid"),
    ],
)
def test_sync_refuses_what_was_not_asked(store: CandleStore, change, told: str) -> None:
    exchange = Careless(change(candles("2025-01-01", 240)))
    with pytest.raises(DataError, match=told):
        run(store, exchange, "2025-01-02T00:00Z", "2025-01-03T00:00Z")
    assert store.span(SERIES) is None
