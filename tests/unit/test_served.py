"""Who answers while the champion cannot: an earlier one of the same question, or nobody by name."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.live import first_load
from pipeline.live.first_load import require_loadable
from pipeline.live.loading import unpack
from pipeline.live.served import served
from pipeline.models.bundle import FILE
from registry import pointers
from registry.errors import RegistryError
from registry.history import Mode
from registry.slots import Slot
from registry.versions import Registry
from tests.faults import damaged
from tests.unit.test_predictor import CANDLES, bundle, fitted_on
from tests.volume import volume

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("demo/SIM-BTC")
MODEL = "heads/direction/model.txt"


def labels(horizon: int) -> dict[str, Any]:
    return {"timeframe": "1h", "heads": {"direction": {"horizon_hours": horizon}}}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(bundle(fitted_on(CANDLES)).contents)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("VINTAGE_HOME", str(tmp_path))
    return Registry(tmp_path / "models/registry")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Versions that a child loaded; none is started."""
    loaded: list[str] = []
    monkeypatch.setattr(
        first_load, "_load_in_child", lambda _root, _slot, version, _plugins: loaded.append(version)
    )
    return loaded


@pytest.fixture
def promoted(registry: Registry, files: dict[str, bytes]) -> Callable[..., str]:
    def promote(as_of: str, mode: Mode = "trade", horizon: int = 24) -> str:
        card = {"as_of": as_of, "config": {"labels": labels(horizon)}}
        told = {**files, "card.json": json.dumps(card).encode()}
        version = registry.add(SLOT, told, AT, note={"task": str(horizon)}).version
        pointers.move(registry.root, SLOT, version, mode, reason="x", who="test", at=AT)
        return version

    return promote


def damage(registry: Registry, version: str, name: str = MODEL) -> None:
    path = SLOT.folder(registry.root) / version / name
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + b"?")


def events(registry: Registry) -> list[dict[str, Any]]:
    path = registry.root.parent.parent / "logs/vintage.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.usefixtures("loads")
def test_the_champion_answers_while_it_is_intact(
    registry: Registry, promoted: Callable[..., str]
) -> None:
    assert served(registry, SLOT, ()) is None
    promoted("one")
    promoted("two")
    found = served(registry, SLOT, ())
    assert found is not None
    assert (found.verified.version, found.pointer.mode, found.stands_in_for) == (
        "v0002",
        "trade",
        "",
    )
    assert events(registry) == []


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize(
    ("before", "now", "served_in"),
    [("trade", "trade", "trade"), ("trade", "observe", "observe"), ("observe", "trade", "observe")],
)
def test_the_champion_before_stands_in_and_the_alarm_is_told(
    registry: Registry, promoted: Callable[..., str], before: Mode, now: Mode, served_in: Mode
) -> None:
    promoted("one", before)
    promoted("two", now)
    damage(registry, "v0002")
    found = served(registry, SLOT, ())
    assert found is not None
    assert (found.verified.version, found.stands_in_for) == ("v0001", "v0002")
    assert found.pointer.mode == served_in
    assert MODEL in found.why
    (event,) = events(registry)
    assert (event["event"], event["version"], event["served"]) == (
        "champion_damaged",
        "v0002",
        "v0001",
    )
    pointer = pointers.champion(registry.root, SLOT)
    assert pointer is not None
    assert pointer.version == "v0002"


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize("damaged", [MODEL, "card.json"])
def test_who_was_asked_something_else_does_not_stand_in(
    registry: Registry, promoted: Callable[..., str], damaged: str
) -> None:
    for horizon in (12, 24, 12):
        promoted(f"{horizon} {len(registry.versions(SLOT))}", horizon=horizon)
    damage(registry, "v0003", damaged)
    found = served(registry, SLOT, ())
    assert found is not None
    assert (found.verified.version, found.stands_in_for) == ("v0001", "v0003")
    damage(registry, "v0001")
    with pytest.raises(RegistryError, match=f"v0003/{damaged}"):
        served(registry, SLOT, ())
    assert events(registry)[-1]["served"] is None


def test_no_parser_sees_a_damaged_byte(
    registry: Registry, promoted: Callable[..., str], monkeypatch: pytest.MonkeyPatch,
    loads: list[str],
) -> None:  # fmt: skip
    promoted("one")
    damage(registry, "v0001")

    def parse(*_: object) -> Any:
        raise AssertionError("a parser saw bytes that were not verified")

    monkeypatch.setattr(first_load, "unpack", parse)
    with pytest.raises(RegistryError, match=MODEL):
        served(registry, SLOT, ())
    assert loads == []


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize("name", [MODEL, FILE, "card.json", "manifest.json", "../champion.json"])
def test_whatever_is_damaged_a_predictor_answers_or_refuses_by_name(
    registry: Registry, promoted: Callable[..., str], name: str
) -> None:
    chance = random.Random(name)
    for as_of in ("one", "two"):
        promoted(as_of)
    path = SLOT.folder(registry.root) / "v0002" / name
    intact, answers = path.read_bytes(), {"v0001": 0, "v0002": 0, "": 0}
    path.chmod(0o644)
    for _ in range(volume(10)):
        path.write_bytes(damaged(intact, chance))
        try:
            found = served(registry, SLOT, ())
        except RegistryError as error:
            answers["" if "champion.json" in str(error) else "no name"] += 1
            continue
        assert found is not None
        assert unpack(found.verified.contents).heads
        answers[found.verified.version] += 1
        assert found.stands_in_for == {"v0001": "v0002", "v0002": ""}[found.verified.version]
    refused = name == "../champion.json"
    assert answers == {"v0001": 0 if refused else volume(10), "v0002": 0, "": volume(10) * refused}


def test_the_first_load_happens_once_in_a_child(
    registry: Registry, files: dict[str, bytes]
) -> None:
    registry.add(SLOT, files, AT)
    verified = registry.open(SLOT, "v0001")
    assert require_loadable(registry, SLOT, verified, tuple)
    (event,) = (told for told in registry.events(SLOT, "v0001") if told["event"] == "loaded")
    assert event["digest"] == verified.digest
    assert not require_loadable(registry, SLOT, verified, tuple)


def test_a_file_that_kills_its_reader_ends_the_child_only(
    registry: Registry, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly.py").write_text(
        "import os, signal\nfrom pipeline.config import Record\n"
        "class Deadly(Record):\n    lookback: int = 1\n"
        "    def load(self, files): os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    told = json.loads(files[FILE])
    told["heads"]["direction"]["model"] = {"_target_": "deadly.Deadly"}
    registry.add(SLOT, {**files, FILE: json.dumps(told).encode()}, AT)
    verified = registry.open(SLOT, "v0001")
    with pytest.raises(RegistryError, match=r"cannot be loaded .*ended with signal 11"):
        require_loadable(registry, SLOT, verified, lambda: ("deadly",))
    assert all(event["event"] != "loaded" for event in registry.events(SLOT, "v0001"))


def test_a_registry_that_cannot_be_written_is_served_all_the_same(
    registry: Registry, promoted: Callable[..., str], loads: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    promoted("one")
    real, place = os.open, str(SLOT.folder(registry.root))

    def refuse(path: Any, flags: int, *more: Any) -> int:
        if str(path).startswith(place) and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(30, os.strerror(30), path)
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    for _ in range(2):
        found = served(registry, SLOT, ())
        assert found is not None
    assert loads == ["v0001", "v0001"]
    assert {event["event"] for event in events(registry)} == {"load_not_kept"}
