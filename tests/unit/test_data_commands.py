from __future__ import annotations

import contextlib
import json
import os
import pty
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.commands import candle_bar, data_sync
from pipeline.errors import DataError, RetryLater
from pipeline.market.exchanges.online import Online
from pipeline.market.exchanges.simulated import Simulated
from pipeline.market.feeds import address_of, remember
from pipeline.market.store import CandleStore, Series
from pipeline.market.sync import Progress
from tests.conftest import AS_OF
from tests.spine import one_paragraph

Capture = pytest.CaptureFixture[str]
SERIES = "simulated/SIM-BTC/1h"
WORDS = ["recipe=demo", f"as_of={AS_OF}"]
REPLAY = Series("replay", "KRW-BTC", "1h")


def told(capsys: Capture, *words: str, code: int = 0) -> str:
    assert main(["data", *words]) == code
    return capsys.readouterr().out


def facts(capsys: Capture, *words: str) -> Any:
    return json.loads(told(capsys, *words, "--json"))


def store_of(home: Path) -> CandleStore:
    return CandleStore(home / "data" / "store")


def recorded(home: Path, frame: pd.DataFrame) -> list[str]:
    """Words that replay a frame."""
    folder = home / "files"
    folder.mkdir(exist_ok=True)
    frame.rename_axis("timestamp").reset_index().to_parquet(folder / "KRW-BTC-60m.parquet")
    return ["market=KRW-BTC", "exchange=replay", f"exchange.root={folder}"]


def test_days_and_since_say_where_to_begin(home: Path, capsys: Capture) -> None:
    assert facts(capsys, "sync", *WORDS, "days=2")["appended"] == 48
    report = facts(capsys, "sync", *WORDS, "since=2025-12-15T03:30+09:00")
    assert report["first"] == "2025-12-14T18:00:00+00:00"
    assert report["last"] == "2025-12-19T23:00:00+00:00"
    assert report["missing"] == {"no_trade": 0, "outage": 0, "unknown": 0}
    assert facts(capsys, "sync", "days=0.5", *WORDS)["appended"] == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["days=2", "since=2025-01-01T00:00Z"], "days and since both"),
        (["days=many"], "days is no number of days"),
        (["days=0"], "no number of days"),
        (["days=-3"], "no number of days"),
        (["days=nan"], "no number of days"),
        (["since=yesterday"], "since is not a moment"),
        (["since=2025-12-01"], "names no time zone"),
        (["since=2026-01-01T00:00Z"], "the span is empty"),
        (["dayz=2"], "did you mean days? Valid: as_of, backtest, calibration, days,"),
        (["timeframe=5m"], "recipe.timeframe=5m"),
        (["market=KRW-DOGE"], "copy a file there to conf/market/KRW-DOGE.yaml"),
    ],
)
def test_a_span_that_cannot_be_meant_is_refused(
    home: Path, capsys: Capture, words: list[str], why: str
) -> None:
    assert main(["data", "sync", *WORDS, *words]) == 2
    assert why in one_paragraph(capsys)
    assert store_of(home).series() == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["status", "--force"], "--force means nothing to vintage data status"),
        (["import", "x.csv", "--repair"], "it belongs to sync"),
        (["sync", "--check"], "it belongs to import"),
        (["sync"], "market=MARKET or recipe=RECIPE"),
        (["sync", "--force"], "which candles?"),
        (["import"], "which file?"),
        (["import", "x.csv", "zon=UTC"], "did you mean zone"),
        (["import", "x.csv"], "no such file"),
        (["export", SERIES], "a series and a file"),
        (["export", "simulated/SIM-BTC/2h", "x.csv"], "the store has no series"),
        (["backup"], "takes one file"),
        (["restore", "nothing.zip"], "no sound backup"),
        (["forget"], "which series?"),
        (["status", "nothing"], "the store has no series 'nothing'"),
    ],
)
def test_what_makes_no_sense_is_told(
    home: Path, capsys: Capture, words: list[str], why: str
) -> None:
    assert main(["data", *words]) in {2, 4}
    assert why in one_paragraph(capsys)


def test_status_tells_holes_revisions_and_age(home: Path, capsys: Capture) -> None:
    frame = Simulated().fetch(
        *_instrument(), pd.Timestamp("2025-12-01T00:00Z"), pd.Timestamp("2025-12-05T00:00Z")
    )
    words = recorded(home, frame.drop(index=frame.index[[10, 20, 21]]))
    told(capsys, "sync", *words, "as_of=2025-12-04T00:00Z", "days=3")
    later = frame.drop(index=frame.index[[10, 20, 21]])
    later.loc[pd.Timestamp("2025-12-03T22:00Z"), "volume"] += 1
    report = told(capsys, "sync", *recorded(home, later), "as_of=2025-12-04T12:00Z", "days=4")
    assert ": 12 new candles; the store holds 2025-12-01 00:00 to 2025-12-04 11:00 UTC" in report
    assert "revised   1" in report
    assert "missing   3 outage" in report
    store_of(home).append(REPLAY, frame.iloc[-2:])
    (row,) = facts(capsys, "status")
    assert (row["series"], row["feed"], row["rows"]) == (str(REPLAY), "replay", 84 - 3 + 2)
    assert (row["no_trade"], row["outage"], row["unknown"], row["missing"]) == (0, 3, 10, 13)
    assert (row["revised"], row["sources"], row["generations"]) == (1, {"replay": 83}, [])
    assert row["age_seconds"] > 0
    line = told(capsys, "status", str(REPLAY)).splitlines()
    assert line[0].split() == [
        *("series", "rows", "first", "last", "age"),
        *("no_trade", "outage", "unknown", "revised"),
    ]
    assert re.search(r"2025-12-04 23:00 +\d+ d +0 +3 +10 +1$", line[-1])


def _instrument() -> tuple[Any, str]:
    from tests.stored import MARKET

    return MARKET, "1h"


def test_repair_tells_what_it_found(home: Path, capsys: Capture) -> None:
    frame = Simulated().fetch(
        *_instrument(), pd.Timestamp("2025-12-01T00:00Z"), pd.Timestamp("2025-12-05T00:00Z")
    )
    gone = frame.index[[10, 20, 21]]
    span = ["as_of=2025-12-04T00:00Z", "days=3"]
    told(capsys, "sync", *recorded(home, frame.drop(index=gone)), *span)
    words = recorded(home, frame.drop(index=gone[:1]))
    assert "missing   3 outage" in told(capsys, "sync", *words, *span)
    assert "repair    2 recovered, 1 missing for sure, 0 not answered for" in told(
        capsys, "sync", *words, *span, "--repair"
    )
    report = facts(capsys, "sync", *words, *span, "--repair")
    assert (report["recovered"], report["confirmed_empty"], report["still_missing"]) == (0, 1, 0)


def test_a_sync_without_candles_fails_and_names_the_span(home: Path, capsys: Capture) -> None:
    whole = pd.Timestamp("2025-12-01T00:00Z"), pd.Timestamp("2025-12-05T00:00Z")
    words = recorded(home, Simulated().fetch(*_instrument(), *whole))
    span = ["as_of=2025-11-20T00:00Z", "days=3"]
    assert main(["data", "sync", *words, *span]) == DataError.exit_code
    told = capsys.readouterr().err
    assert "missing: 2025-11-17T00:00:00+00:00 to 2025-11-20T00:00:00+00:00" in told


def test_a_repair_that_is_not_answered_for_everything_fails(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(capsys, "sync", *WORDS, "days=3")
    store, series = store_of(home), Series.parse(SERIES)
    candles, whole = store.read(series), Simulated.fetch
    store.forget(series)
    store.append(series, candles.drop(index=candles.index[[10, 11]]))

    def deaf(*given: Any) -> pd.DataFrame:
        came = whole(*given)
        return came.iloc[:0] if candles.index[10] in came.index else came

    monkeypatch.setattr(Simulated, "fetch", deaf)
    assert main(["data", "sync", *WORDS, "days=3", "--repair"]) == RetryLater.exit_code
    assert "2 not answered for" in capsys.readouterr().out


def test_force_takes_what_the_source_says_now(home: Path, capsys: Capture) -> None:
    told(capsys, "sync", *WORDS, "days=3")
    path = store_of(home).folder(Series.parse(SERIES)) / "2025-12.parquet"
    good = path.read_bytes()
    wrong = store_of(home).read(Series.parse(SERIES))
    store_of(home).forget(Series.parse(SERIES))
    wrong.iloc[5, 3] += 1
    store_of(home).append(Series.parse(SERIES), wrong)
    assert facts(capsys, "sync", *WORDS, "days=3")["revised"] == 0
    report = facts(capsys, "sync", *WORDS, "days=3", "--force")
    assert (report["revised"], report["appended"]) == (1, 0)
    assert "fetched   72 anew, all as stored" in told(capsys, "sync", *WORDS, "days=3", "--force")
    assert path.read_bytes() == good
    (row,) = facts(capsys, "status")
    assert len(row["generations"]) == 1


def test_a_series_goes_out_and_comes_back(home: Path, capsys: Capture) -> None:
    told(capsys, "sync", *WORDS, "days=3")
    before = store_of(home).read(Series.parse(SERIES))
    assert f"{SERIES}: 72 candles in out.parquet" in told(capsys, "export", SERIES, "out.parquet")
    assert main(["data", "export", SERIES, "out.parquet"]) == 2
    assert facts(capsys, "export", SERIES, "out.parquet", "--force")["rows"] == 72
    told(capsys, "backup", "kept.zip")
    assert "forgotten" in told(capsys, "forget", SERIES)
    assert "would add 72 candles, 0 were stored already" in told(
        capsys, "import", "out.parquet", "--check"
    )
    assert store_of(home).series() == []
    report = facts(capsys, "import", "out.parquet")
    assert (report["new"], report["known"], report["dropped"]) == (72, 0, [])
    pd.testing.assert_frame_equal(store_of(home).read(Series.parse(SERIES)), before)
    assert "added 0 candles, 72 were stored already" in told(capsys, "import", "out.parquet")
    assert f"{SERIES}: restored" in told(capsys, "restore", "kept.zip")
    assert facts(capsys, "restore", "kept.zip") == [{"series": SERIES, "changed": False}]
    assert facts(capsys, "backup", "kept.zip", "--force")["series"] == 1


def test_an_import_says_what_it_leaves_out(home: Path, capsys: Capture) -> None:
    frame = Simulated().fetch(
        *_instrument(), pd.Timestamp("2025-12-01T00:00Z"), pd.Timestamp("2025-12-05T00:00Z")
    )
    table = frame.rename_axis("timestamp").reset_index().assign(trades=np.arange(len(frame)))
    table.to_csv("KRW_BTC_minute60.csv", index=False)
    story = told(capsys, "import", "KRW_BTC_minute60.csv")
    assert "KRW_BTC_minute60.csv -> upbit/KRW-BTC/1h: added 95 candles" in story
    assert "dropped   2025-12-04T23:00:00+00:00: nothing shows that it is final" in story
    assert "not read  trades" in story
    assert facts(capsys, "status")[0]["sources"] == {"upbit": 0, "import": 95}


def test_the_bar_moves_on_a_terminal_and_writes_little_elsewhere(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with candle_bar.candle_bar("x") as bar:
        clock[0] = 1.0
        bar.note("page 1 of 2")
        clock[0] = 21.0
        bar.candles(Progress(1_000, 3_000))
        clock[0] = 27.0
        bar.candles(Progress(2_000, 3_000))
        clock[0] = 35.0
        bar.note("asking again 1 of 7 in 2 s after: the rate limit is exceeded, HTTP 429")
    monkeypatch.undo()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "x: 1,000 of 3,000 candles, about 40 s left (21 s)",
        "x: 2,000 of 3,000 candles, about 13 s left; asking again 1 of 7 in 2 s after: "
        "the rate limit is exceeded, HTTP 429 (35 s)",
    ]
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with candle_bar.candle_bar("sync") as bar:
            bar.candles(Progress(50, 200))
        os.set_blocking(ours, False)
        seen = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                seen += os.read(ours, 65536)
    os.close(ours)
    assert b"sync: 50 of 200 candles" in seen


def test_where_a_source_begins_and_ends_is_remarked(home: Path, capsys: Capture) -> None:
    whole = pd.Timestamp("2025-12-01T00:00Z"), pd.Timestamp("2025-12-05T00:00Z")
    words = recorded(home, Simulated().fetch(*_instrument(), *whole))
    story = told(capsys, "sync", *words, "days=60")
    days = (pd.Timestamp.now("UTC") - whole[1]).days
    assert f"old       the newest candle closed {days} days ago" in story
    start = f"{whole[1] - pd.Timedelta(days=60):%Y-%m-%d %H:%M} UTC"
    assert f"begins    later than asked for: nothing is there from {start}" in story
    assert "begins" not in told(capsys, "sync", *words, "days=3")


@pytest.mark.parametrize("plain", [True, False])
def test_a_sync_names_whoever_stood_in(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    whole = Simulated.fetch

    def other(*given: Any) -> pd.DataFrame:
        return whole(*given).assign(source="elsewhere")

    told(capsys, "sync", *WORDS, "days=2")
    monkeypatch.setattr(Simulated, "fetch", other)
    if plain:
        story = told(capsys, "sync", *WORDS, "days=3")
        assert "source    24 from elsewhere: simulated did not answer" in story
    else:
        report = facts(capsys, "sync", *WORDS, "days=3")
        assert report["from_other_sources"] == {"elsewhere": 24}


def test_what_a_hashed_feed_stands_for_is_kept(home: Path, tmp_path: Path) -> None:
    store, online = store_of(home), Online(venue="upbit", base_url="http://127.0.0.1:9/upbit")
    remember(store, Online(venue="upbit"))
    assert not store.root.exists()
    remember(store, online)
    assert address_of(store, online.feed) == "http://127.0.0.1:9/upbit"
    assert store.series() == []
    (store.root / online.feed / "feed.json").write_bytes(b"{")
    assert address_of(store, online.feed) is None


def test_help_names_every_action(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["data", "--help"])
    text = capsys.readouterr().out
    for word in ("sync", "status", "import", "export", "backup", "restore", "forget", "days=60"):
        assert word in text
    assert data_sync.LONGEST_DAYS >= 3650
