from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.errors import ConfigError, DataError, RetryLater
from pipeline.frames import of_market, read_frame
from pipeline.market import writing
from pipeline.market.store import CandleStore, Series
from pipeline.runner import Context
from pipeline.stages import download, paths
from tests.stored import MARKET, SERIES, Venue, candles

NOW = pd.Timestamp("2025-06-01T00:00Z")
SERVED = candles("2025-01-01", 240)
AS_OF = "2025-01-09T12:00Z"


class Told(Context):
    """A context that builds one exchange, whatever it is told."""

    __slots__ = ("exchange",)

    def __init__(self, exchange: Any) -> None:
        super().__init__(now=NOW)
        object.__setattr__(self, "exchange", exchange)

    def build(self, node: Any, where: str) -> Any:
        return self.exchange


def run(exchange: Any, **more: Any) -> dict[str, Any]:
    config = {
        "as_of": AS_OF,
        "exchange": {},
        "market": MARKET.instrument.model_dump(),
        "timeframe": "1h",
        "history_days": 5,
        "memory": 12,
    }
    download.run(download.Config.parse({**config, **more}, "download"), Told(exchange))
    manifest: dict[str, Any] = json.loads(paths.RAW_MANIFEST.read_text())
    return manifest


def store_of(home: Path) -> CandleStore:
    return CandleStore(home / "data" / "store")


def test_the_manifest_tells_what_the_cut_is_made_of(home: Path) -> None:
    sources = ["other" if 130 <= row < 140 else "fake" for row in range(240)]
    served = SERVED.assign(source=sources).drop(index=SERVED.index[[100, 150, 151, 152, 153]])
    manifest = run(Venue(served))
    assert manifest["rows"] == 24 * 5 + 12 - 5
    assert manifest["sources"] == {"fake": 117, "other": 10}
    first = "2025-01-05T04:00:00+00:00"
    assert manifest["holes"][0] == {"first": first, "last": first, "candles": 1, "kind": "no_trade"}
    assert [(hole["candles"], hole["kind"]) for hole in manifest["holes"]] == [
        (1, "no_trade"),
        (4, "outage"),
    ]
    assert (manifest["revised"], manifest["revisions_known"]) == ([], [])
    assert store_of(home).confirmed(SERIES)[0].confirmed_at == NOW


def test_revisions_inside_the_cut_are_told(home: Path) -> None:
    run(Venue(SERVED))
    store = store_of(home)
    for hour, moment in enumerate(("2025-01-08T05:00Z", "2025-01-08T05:00Z", "2025-01-07T01:00Z")):
        revise(store, moment, NOW + pd.Timedelta(hours=hour))
    manifest = run(Venue(SERVED), history_days=1)
    assert manifest["revised"] == ["2025-01-08T05:00:00+00:00"]
    assert manifest["revisions_known"] == [
        "2025-01-08T05:00:00+00:00 seen 2025-06-01T00:00:00+00:00",
        "2025-01-08T05:00:00+00:00 seen 2025-06-01T01:00:00+00:00",
    ]


def test_a_revision_after_the_candles_were_read_is_not_known(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(Venue(SERVED))
    store, times = store_of(home), ["2025-01-08T05:00Z", "2025-01-08T06:00Z"]
    revise(store, times[0], NOW)
    read = CandleStore.read

    def slow(self: CandleStore, series: Series, *ends: pd.Timestamp) -> pd.DataFrame:
        found = read(self, series, *ends)
        if ends:
            for time in times:
                revise(self, time, NOW + pd.Timedelta(hours=1))
        return found

    monkeypatch.setattr(CandleStore, "read", slow)
    manifest = run(Venue(SERVED))
    first = "2025-01-08T05:00:00+00:00"
    assert manifest["revisions_known"] == [f"{first} seen 2025-06-01T00:00:00+00:00"]
    assert manifest["revised"] == [first, "2025-01-08T06:00:00+00:00"]


def test_a_line_of_the_journal_whose_candle_was_not_written_is_not_known(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(Venue(SERVED))
    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_atomic", _full)
        with pytest.raises(OSError, match="full"):
            revise(store_of(home), "2025-01-08T05:00Z", NOW)
    assert len(store_of(home).revisions(SERIES)) == 1
    assert run(Venue(SERVED))["revisions_known"] == []


def _full(path: Path, content: bytes) -> None:
    raise OSError("the disk is full")


def revise(store: CandleStore, moment: str, at: pd.Timestamp) -> None:
    held = store.read(SERIES).loc[[pd.Timestamp(moment)]]
    store.write(SERIES, held.assign(volume=held["volume"] + 1), at)


def test_what_is_stored_is_not_asked_for(home: Path) -> None:
    run(Venue(SERVED.drop(index=SERVED.index[100])))
    exchange = Venue(SERVED)
    assert run(exchange)["rows"] == 24 * 5 + 12 - 1
    assert exchange.asked == []
    store_of(home).forget(SERIES)
    store_of(home).append(SERIES, SERVED.drop(index=SERVED.index[100]))
    assert run(exchange)["rows"] == 24 * 5 + 12, "a hole that nobody answered for is asked for"


def test_a_failed_download_names_what_is_missing(home: Path) -> None:
    class Down(Venue):
        def fetch(self, *given: Any) -> pd.DataFrame:
            raise RetryLater("the venue is down")

    store_of(home).append(SERIES, SERVED.iloc[:180])
    with pytest.raises(RetryLater, match=r"2025-01-08T12:00:00.* to 2025-01-09T12:00:00"):
        run(Down(SERVED))
    assert not paths.RAW_MANIFEST.exists()


def test_a_second_source_is_cut_beside_the_first(home: Path) -> None:
    second = Series("second", "KRW-BTC", "1h")
    store_of(home).append(second, SERVED * 2)
    run(Venue(SERVED), reference=str(second))
    found = of_market(read_frame(paths.REFERENCE), MARKET.name)
    ours = of_market(read_frame(paths.RAW), MARKET.name)
    pd.testing.assert_frame_equal(found, ours * 2)
    run(Venue(SERVED))
    assert not paths.REFERENCE.exists()
    with pytest.raises(DataError, match="no candles of this span"):
        run(Venue(SERVED), reference="third/KRW-BTC/1h")
    with pytest.raises(ConfigError, match="is no series"):
        run(Venue(SERVED), reference="third")
