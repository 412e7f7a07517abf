from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.market.store import CandleStore, Series
from pipeline.operations.retraining.revisions import Marked, mark_revised
from registry import pointers
from registry.slots import Slot
from registry.versions import Registry
from tests.stored import SERIES, candles

Capture = pytest.CaptureFixture[str]
NOW = pd.Timestamp("2025-06-01T00:00Z")
AT = "2025-05-01T00:00:00+00:00"
SERVED = candles("2025-01-01", 240)
CARD = {
    "feed": SERIES.feed,
    "market": SERIES.market,
    "timeframe": SERIES.timeframe,
    "data": {"first": "2025-01-02T00:00:00+00:00", "last": "2025-01-05T00:00:00+00:00"},
}


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    made = CandleStore(tmp_path / "store")
    made.append(SERIES, SERVED)
    return made


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def revise(store: CandleStore, *moments: str, at: pd.Timestamp = NOW) -> None:
    times = [pd.Timestamp(moment) for moment in moments]
    held = store.read(SERIES).loc[times]
    store.write(SERIES, held.assign(volume=held["volume"] + 1), at)


def champion(registry: Registry, slot: str, known: list[str] | None = None, **told: object) -> str:
    card = {**CARD, "slot": slot, "salt": str(told), **told}
    files = {"card.json": json.dumps(card).encode()}
    note = {} if known is None else {"revisions_known": known}
    place = Slot.parse(slot)
    version = registry.add(place, files, AT, note).version
    pointers.move(registry.root, place, version, "observe", reason="x", who="test", at=AT)
    return version


def marked(registry: Registry, store: CandleStore, series: Series = SERIES) -> list[Marked]:
    return mark_revised(registry, store, series, NOW)


def test_a_champion_is_marked_once(store: CandleStore, registry: Registry) -> None:
    champion(registry, "a/KRW-BTC")
    assert marked(registry, store) == []
    revise(store, "2025-01-02T00:00Z", "2025-01-05T00:00Z", "2025-01-05T01:00Z")
    assert marked(registry, store) == [Marked("a/KRW-BTC", "v0001", 2)]
    (event,) = registry.events(Slot.parse("a/KRW-BTC"), "v0001")[1:]
    assert event == {
        "event": "data_revised",
        "at": NOW.isoformat(),
        "candles": 2,
        "first": "2025-01-02T00:00:00+00:00",
        "last": "2025-01-05T00:00:00+00:00",
    }
    revise(store, "2025-01-03T00:00Z")
    assert marked(registry, store) == []
    assert len(registry.events(Slot.parse("a/KRW-BTC"), "v0001")) == 2


def test_marks_outlive_the_journal(store: CandleStore, registry: Registry) -> None:
    """A shorter journal, after a forget or a restore, still shows what a champion lacks."""
    revise(store, "2025-01-02T00:00Z", "2025-01-03T00:00Z")
    champion(registry, "a/KRW-BTC", known=[one.key for one in store.revisions(SERIES)])
    assert marked(registry, store) == []
    store.forget(SERIES)
    store.append(SERIES, SERVED)
    assert marked(registry, store) == []
    revise(store, "2025-01-03T00:00Z", at=NOW + pd.Timedelta(hours=1))
    assert marked(registry, store) == [Marked("a/KRW-BTC", "v0001", 1)]


def test_forgetting_and_restoring_mark_first(home: Path, capsys: Capture) -> None:
    store = CandleStore(home / "data/store")
    registry = Registry(home / "models/registry")
    store.append(SERIES, SERVED)
    assert main(["data", "backup", "kept.zip"]) == 0
    for name, words in (
        ("a/KRW-BTC", ["restore", "kept.zip", "--force"]),
        ("b/KRW-BTC", ["forget", str(SERIES)]),
    ):
        champion(registry, name)
        revise(store, "2025-01-02T12:00Z")
        assert main(["data", *words]) == 0
        assert store.revisions(SERIES) == []
        assert registry.events(Slot.parse(name), "v0001")[-1]["event"] == "data_revised"
    capsys.readouterr()


def test_a_damaged_journal_can_be_forgotten(home: Path, capsys: Capture) -> None:
    store = CandleStore(home / "data/store")
    store.append(SERIES, SERVED)
    (store.folder(SERIES) / "revisions.jsonl").write_bytes(b"x\n")
    assert main(["data", "forget", str(SERIES)]) == 0
    assert "forgotten" in capsys.readouterr().out


def test_only_those_that_learnt_from_it_are_marked(store: CandleStore, registry: Registry) -> None:
    early = {"first": "2025-01-01T00:00:00+00:00", "last": "2025-01-01T23:00:00+00:00"}
    champion(registry, "early/KRW-BTC", data=early)
    for name in ("feed", "market", "timeframe"):
        champion(registry, f"{name}/KRW-BTC", **{name: "other"})
    champion(registry, "old/KRW-BTC", known=None)
    revise(store, "2025-01-02T12:00Z")
    champion(registry, "new/KRW-BTC", known=[one.key for one in store.revisions(SERIES)])
    assert marked(registry, store) == [Marked("old/KRW-BTC", "v0001", 1)]
    assert marked(registry, store, Series("other", "KRW-BTC", "1h")) == []
    revise(store, "2025-01-02T12:00Z", at=NOW + pd.Timedelta(hours=1))
    assert marked(registry, store) == [Marked("new/KRW-BTC", "v0001", 1)]


def test_a_former_champion_is_left_alone(store: CandleStore, registry: Registry) -> None:
    champion(registry, "a/KRW-BTC")
    revise(store, "2025-01-02T12:00Z")
    known = [one.key for one in store.revisions(SERIES)]
    champion(registry, "a/KRW-BTC", known=known, more="x")
    assert marked(registry, store) == []


def test_a_damaged_champion_hides_nobody(
    store: CandleStore, registry: Registry, home: Path
) -> None:
    champion(registry, "a/KRW-BTC")
    champion(registry, "b/KRW-BTC")
    card = Slot.parse("a/KRW-BTC").folder(registry.root) / "v0001" / "card.json"
    card.chmod(0o644)
    card.write_bytes(b"{}")
    revise(store, "2025-01-02T12:00Z")
    assert [one.slot for one in marked(registry, store)] == ["b/KRW-BTC"]
    assert "champion_unreadable" in (home / "logs/vintage.jsonl").read_text()


def test_a_champion_of_several_markets_is_marked_for_each(
    store: CandleStore, registry: Registry
) -> None:
    own = {"first": "2025-01-03T00:00:00+00:00", "last": "2025-01-05T00:00:00+00:00"}
    pool: dict[str, Any] = {
        "market": "KRW-ALL",
        "quality": {"members": {SERIES.market: own, "KRW-ETH": CARD["data"]}},
    }
    revise(store, "2025-01-04T00:00Z")
    (known,) = (f"{SERIES.market} {one.key}" for one in store.revisions(SERIES))
    champion(registry, "knows/KRW-ALL", known=[known], **pool)
    assert marked(registry, store) == []
    champion(registry, "other/KRW-ALL", known=[known.replace(SERIES.market, "KRW-ETH")], **pool)
    assert marked(registry, store) == [Marked("other/KRW-ALL", "v0001", 1)]
    revise(store, "2025-01-02T12:00Z", at=NOW + pd.Timedelta(hours=1))
    assert marked(registry, store) == [], "before the member's first candle"


def test_a_market_that_was_left_out_marks_nobody(store: CandleStore, registry: Registry) -> None:
    members = {SERIES.market: {"left_out": "too few"}, "KRW-ETH": CARD["data"]}
    champion(registry, "a/KRW-ALL", market="KRW-ALL", quality={"members": members})
    revise(store, "2025-01-03T00:00Z")
    assert marked(registry, store) == []
