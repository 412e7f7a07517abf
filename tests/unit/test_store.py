from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from pipeline.errors import DataError
from pipeline.market import generations, writing
from pipeline.market import store as store_module
from pipeline.market.partitions import encode, load
from pipeline.market.store import CandleStore, Series, Span, Written
from registry.files import write_atomic
from tests.stored import SERIES, candles

T = pd.Timestamp


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
    assert "a candle that is stored comes with another value" in told
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
    with pytest.raises(DataError, match="another value"):
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
        with pytest.raises(
            DataError, match=r"2025-01\.parquet.*delete that file, and sync or import"
        ):
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

    monkeypatch.setattr(writing, "write_atomic", interrupted)
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


def test_a_reader_begins_again_when_a_month_goes_meanwhile(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = candles("2025-01-20", 24 * 30)
    store.append(SERIES, frame)

    def late(paths: list[Path]) -> pd.DataFrame:
        (folder(store) / "2025-02.parquet").unlink(missing_ok=True)
        return load(paths)

    monkeypatch.setattr(store_module, "load", late)
    pd.testing.assert_frame_equal(store.read(SERIES), frame.loc["2025-01"], check_freq=False)


def test_what_takers_bought_is_kept_where_the_venue_says_it(store: CandleStore) -> None:
    frame = candles("2025-01-30", 60).assign(taker_volume=0.25)
    store.append(SERIES, frame)
    pd.testing.assert_frame_equal(store.read(SERIES), frame, check_freq=False)
    with pytest.raises(DataError, match="columns differ"):
        store.append(SERIES, candles("2025-03-30", 5))


def later(frame: pd.DataFrame, *rows: int) -> pd.DataFrame:
    changed = frame.iloc[list(rows)].copy()
    return changed.assign(volume=changed["volume"] + 1)


def test_the_journal_is_written_before_the_month(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = candles("2025-01-10", 60)
    store.append(SERIES, frame)

    def full(path: Path, content: bytes) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_atomic", full)
        with pytest.raises(OSError, match="full"):
            store.write(SERIES, later(frame, 7), T("2025-02-01T00:00Z"))
    assert len(store.revisions(SERIES)) == 1
    pd.testing.assert_frame_equal(store.read(SERIES), frame, check_freq=False)
    written = store.write(SERIES, later(frame, 7), T("2025-02-01T01:00Z"))
    assert written == Written(0), "noted before: the journal has it once"
    assert len(store.revisions(SERIES)) == 1
    assert store.read(SERIES)["volume"].iloc[7] == frame["volume"].iloc[7] + 1


def test_a_last_line_that_was_cut_off_was_never_written(store: CandleStore) -> None:
    frame, seen = candles("2025-01-10", 60), T("2025-02-01T00:00Z")
    store.append(SERIES, frame)
    store.write(SERIES, later(frame, 7, 9), seen)
    path = folder(store) / "revisions.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert [revision.time for revision in store.revisions(SERIES)] == [frame.index[7]]
    written = store.write(SERIES, later(frame, 20), seen)
    assert [(each.number, each.time) for each in written.revised] == [(1, frame.index[20])]
    assert len(path.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("revisions.jsonl", lambda store: store.revisions(SERIES)),
        ("holes.json", lambda store: store.holes(SERIES)),
        ("sources.json", lambda store: store.sources(SERIES)),
    ],
)
@pytest.mark.parametrize("content", [b"", b"{}\n", b"[]\n", b'{"confirmed": [{}]}\n', b"x\n"])
def test_a_damaged_file_beside_the_months_is_named(
    store: CandleStore, name: str, ask: Callable[[CandleStore], object], content: bytes
) -> None:
    store.append(SERIES, candles("2025-01-10", 60))
    (folder(store) / name).write_bytes(content)
    if (name, content) == ("revisions.jsonl", b""):
        assert ask(store) == []
        return
    with pytest.raises(DataError, match=rf"{name}.*delete that (line|file)"):
        ask(store)


def test_the_next_writer_clears_away_what_a_killed_one_left(store: CandleStore) -> None:
    frame = candles("2025-01-20", 24 * 20)
    store.append(SERIES, frame.iloc[:300])
    place = folder(store)
    (place / ".2025-01.parquet.77.ab.tmp").write_bytes(b"half")
    generations.stage(place, {"2025-01.parquet": b"never decided"}, [], T("2025-03-01T00:00Z"))
    store.append(SERIES, frame)
    assert sorted(path.name for path in place.iterdir()) == [
        ".lock",
        "2025-01.parquet",
        "2025-02.parquet",
    ]
    pd.testing.assert_frame_equal(store.read(SERIES), frame, check_freq=False)


def test_what_was_decided_is_finished_by_the_next_writer(store: CandleStore) -> None:
    frame = candles("2025-01-20", 24 * 20)
    store.append(SERIES, frame)
    place = folder(store)
    old = (place / "2025-01.parquet").read_bytes()
    new = encode(frame.loc["2025-01"] + 1)
    put = {"2025-01.parquet": new}
    generations.stage(place, put, ["2025-02.parquet"], T("2025-03-01T00:00Z"))
    generations.commit(place)
    assert len(store.read(SERIES)) == len(frame), "a reader sees whole months, old or new"
    store.append(SERIES, frame.loc["2025-01"].iloc[:0])
    with writing.locked(place):
        pass
    pd.testing.assert_frame_equal(store.read(SERIES), frame.loc["2025-01"] + 1, check_freq=False)
    (kept,) = generations.generations(place)
    assert (kept / "2025-01.parquet").read_bytes() == old
    assert (kept / "2025-02.parquet").exists()


def test_forgetting_leaves_nothing(store: CandleStore) -> None:
    frame = candles("2025-01-20", 100)
    store.append(SERIES, frame.assign(source="other"))
    store.replace(SERIES, later(frame, 3), T("2025-03-01T00:00Z"))
    assert len(generations.generations(folder(store))) == 1
    store.forget(SERIES)
    assert [path.name for path in folder(store).iterdir()] == [".lock"]
    assert (store.series(), store.span(SERIES), store.holes(SERIES)) == ([], None, [])
