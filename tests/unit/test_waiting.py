"""A champion is swapped while its market is flat: waiting, pending, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.commands import registry as command
from pipeline.errors import ConfigError, RetryLater
from pipeline.operations.retraining.positions.base import Patience, Standing
from pipeline.operations.retraining.waiting import (
    Waiting,
    Wanted,
    serve_pending,
    serve_when_flat,
    waiting_for,
)
from pipeline.operations.versions.promoting import Terms, promote_when_flat
from registry.errors import RegistryError
from registry.marks import MARKS, mark, marks
from registry.pending import Pending, leave_pending, pending
from registry.pointers import champion, move
from registry.retention import kept
from registry.slots import Slot
from registry.versions import Registry
from tests.conftest import CHECKOUT
from tests.machine import Hands
from tests.spine import one_paragraph

AT = "2025-12-20T03:00:00+00:00"
LATER = "2025-12-20T09:00:00+00:00"
SLOT = Slot.parse("demo/SIM-BTC")
CONF = CHECKOUT / "conf"


class Script:
    """Answers one after the other; the last one again and again."""

    def __init__(self, *flat: bool) -> None:
        self.flat = list(flat)
        self.patience = Patience(wait="10m", poll_seconds=60, fresh_for="1d")
        self.asked: list[tuple[str, ...]] = []

    def standing(self, markets: Sequence[str], _now: pd.Timestamp, /) -> Standing:
        self.asked.append(tuple(markets))
        flat = self.flat.pop(0) if len(self.flat) > 1 else self.flat[0]
        return Standing(flat, "all is sold" if flat else "a long is open")


def waiting(*flat: bool, hands: Hands | None = None) -> Waiting:
    script = Script(*flat)
    hands = hands or Hands(pd.Timestamp(AT))
    return Waiting(script, ("SIM-BTC",), script.patience, hands.machine)


def wanted(version: str = "v0002", generation: int = 1) -> Wanted:
    return Wanted(SLOT, version, "trade", "Promote: better.", "test", generation)


@pytest.fixture
def registry(home: Path) -> Registry:
    """Three versions of the demo's slot, the first of them champion."""
    made = Registry(home / "models" / "registry")
    for number in range(3):
        made.add(SLOT, {"model": f"{number}".encode()}, AT)
    move(made.root, SLOT, "v0001", "observe", reason="first", who="test", at=AT)
    return made


def serving(registry: Registry) -> tuple[str, str]:
    pointer = champion(registry.root, SLOT)
    assert pointer is not None
    return pointer.version, pointer.mode


def test_a_flat_market_is_not_waited_for(registry: Registry) -> None:
    hands = Hands(pd.Timestamp(AT))
    served = serve_when_flat(registry, wanted(), waiting(True, hands=hands), AT)
    assert served.pointer == champion(registry.root, SLOT)
    assert (serving(registry), served.pending, hands.passed) == (("v0002", "trade"), "", 0)
    assert marks(registry.root, SLOT) == []


def test_the_pointer_moves_as_soon_as_it_is_flat(registry: Registry) -> None:
    hands = Hands(pd.Timestamp(AT))
    script = waiting(False, False, False, True, hands=hands)
    served = serve_when_flat(registry, wanted(), script, AT)
    assert (serving(registry), served.pending, hands.passed) == (("v0002", "trade"), "", 120)
    moves = [(made.version, made.why) for made in marks(registry.root, SLOT)]
    assert moves == [("v0002", "Promote: better."), (None, "it is champion now")]
    assert script.positions.asked == [("SIM-BTC",)] * 4  # type: ignore[attr-defined]


def test_a_broken_off_wait_leaves_it_pending(registry: Registry) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    broken = waiting(False)
    machine = Hands(pd.Timestamp(AT)).machine
    broken = Waiting(
        broken.positions, (), broken.patience, type(machine)(machine.now, sleep=interrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        serve_when_flat(registry, wanted(), broken, AT)
    found = pending(registry, SLOT)
    assert found is not None
    assert (found.version, found.mode, found.generation) == ("v0002", "trade", 1)
    assert serving(registry) == ("v0001", "observe")


def test_an_expired_wait_leaves_it_pending_for_the_next_flat_moment(registry: Registry) -> None:
    hands = Hands(pd.Timestamp(AT))
    served = serve_when_flat(registry, wanted(), waiting(False, hands=hands), AT)
    assert (served.pending, hands.passed) == ("a long is open", 600)
    assert served.until == "2025-12-21T03:00:00+00:00"
    assert "v0002" in {each.version for each in kept(registry.root, SLOT, LATER, keep=1)}
    assert serve_pending(registry, SLOT, waiting(False), "test", LATER) == (
        "v0002 waits until 2025-12-21 03:00 still: a long is open"
    )
    told = serve_pending(registry, SLOT, waiting(True), "test", LATER)
    assert told == "v0002, which waited, came into service first: all is sold"
    assert serving(registry) == ("v0002", "trade")
    assert pending(registry, SLOT) is None
    assert serve_pending(registry, SLOT, waiting(True), "test", LATER) == ""


def test_asking_again_makes_it_no_fresher(registry: Registry) -> None:
    first = serve_when_flat(registry, wanted(), waiting(False), AT)
    later = waiting(False, hands=Hands(pd.Timestamp(LATER)))
    assert serve_when_flat(registry, wanted(), later, LATER).until == first.until
    newer = serve_when_flat(registry, wanted("v0003"), later, LATER)
    assert newer.until > first.until
    found = pending(registry, SLOT)
    assert found is not None
    assert (found.version, found.until) == ("v0003", newer.until)


@pytest.mark.parametrize(
    ("at", "newer", "said"),
    [
        ("2025-12-21T03:00:01+00:00", False, "fresh until 2025-12-21 03:00"),
        (LATER, True, "moved to v0003"),
    ],
)
def test_what_is_outdated_is_forgotten(registry: Registry, at: str, newer: bool, said: str) -> None:
    serve_when_flat(registry, wanted(), waiting(False), AT)
    if newer:
        move(registry.root, SLOT, "v0003", "observe", reason="by hand", who="test", at=LATER)
    before = serving(registry)
    told = serve_pending(registry, SLOT, waiting(True), "test", at)
    assert told.startswith("v0002 waits no longer: ")
    assert said in told
    assert serving(registry) == before
    assert pending(registry, SLOT) is None


def test_a_champion_that_moved_meanwhile_is_not_overwritten(registry: Registry) -> None:
    class Moving(Script):
        def standing(self, markets: Sequence[str], now: pd.Timestamp, /) -> Standing:
            if len(self.asked) == 1:
                move(registry.root, SLOT, "v0003", "observe", reason="hand", who="test", at=AT)
            return super().standing(markets, now)

    script = Moving(False, True)
    patient = Waiting(script, (), script.patience, Hands(pd.Timestamp(AT)).machine)
    with pytest.raises(RegistryError, match="the pointer changed in the meantime"):
        serve_when_flat(registry, wanted(), patient, AT)
    assert serving(registry) == ("v0003", "observe")


def test_damage_does_not_stop_a_retrain_and_is_told(registry: Registry) -> None:
    mark(registry.root, SLOT, "pending", "v0002", reason="lost", who="test", at=AT)
    told = serve_pending(registry, SLOT, waiting(True), "test", LATER)
    assert "none --as pending" in told
    assert serving(registry) == ("v0001", "observe")
    path = SLOT.folder(registry.root) / MARKS
    path.write_bytes(b"{\n")
    assert "none --as pending" in serve_pending(registry, SLOT, waiting(True), "test", LATER)
    assert main(["registry", "pin", str(SLOT), "none", "--as", "pending"]) == 0
    assert pending(registry, SLOT) is None
    assert serve_when_flat(registry, wanted(), waiting(True), LATER).pending == ""
    assert serving(registry) == ("v0002", "trade")


def test_words_choose_who_is_asked(home: Path) -> None:
    (home / "state.json").write_text(json.dumps({"timestamp": AT, "trades": []}))
    words = ["positions=file", "positions.path=state.json", "positions.patience.poll_seconds=5"]
    hands = Hands(pd.Timestamp(AT))
    made = waiting_for(words, CONF, "0m", hands.machine).of(["SIM-BTC"])
    assert made.markets == ("SIM-BTC",)
    assert (made.patience.poll_seconds, made.patience.wait) == (5, "0m")
    assert made.standing().flat
    assert made.words == tuple(words)
    assert waiting_for([], CONF, None, hands.machine).standing().flat
    with pytest.raises(ConfigError, match="nobody is named who knows the positions"):
        waiting_for([], CONF, "10s", hands.machine)
    for wrong, said in {
        "positions=fil": "did you mean file",
        "positions.pat=x": "pat",
        "positions.patience.wait=4x": "wait",
    }.items():
        with pytest.raises(ConfigError, match=said):
            waiting_for([*words[:2], wrong], CONF, None, hands.machine)


# by hand


@pytest.fixture
def asked(home: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State file of a bot with an open trade; `registry promote` asks it."""
    monkeypatch.setattr(command, "_require_loadable", lambda *_: None)
    path = home / "state.json"
    write(path, "OPEN")
    return path


def write(path: Path, *statuses: str) -> None:
    now = pd.Timestamp.now(tz="UTC").isoformat()
    trades = [{"status": status} for status in statuses]
    path.write_text(json.dumps({"timestamp": now, "trades": trades}))


WORDS = ("--when-flat", "--wait", "0s", "positions=file", "positions.path=state.json")


def test_promoting_by_hand_waits_and_is_repeated(
    asked: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["registry", "promote", str(SLOT), "v0002", "--mode", "observe", *WORDS]
    assert main(words) == RetryLater.exit_code
    told = one_paragraph(capsys)
    assert "v0002 stays pending: 1 position is open" in told
    assert main(["registry", "list"]) == 0
    header, row, *_ = capsys.readouterr().out.splitlines()
    assert row.split()[header.split().index("pending")] == "v0002"
    assert main(["registry", "show", str(SLOT), "v0002"]) == 0
    assert "points_here" in (out := capsys.readouterr().out)
    assert "pending" in out
    assert main(["registry", "history", str(SLOT), "--as", "pending", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["to"] == "v0002"
    write(asked, "CLOSED")
    again = ["registry", "promote", str(SLOT), "v0002", *WORDS]
    assert main(again) == 0
    assert "v0002 is champion of demo/SIM-BTC now, mode observe" in capsys.readouterr().out
    assert main(["registry", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["pending"] is None


def test_a_pending_version_may_be_forgotten(
    asked: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["registry", "promote", str(SLOT), "v0002", *WORDS])
    capsys.readouterr()
    assert main(["registry", "pin", str(SLOT), "none", "--as", "pending"]) == 0
    assert "nothing is pending of demo/SIM-BTC now" in capsys.readouterr().out
    assert pending(registry, SLOT) is None
    assert main(["registry", "pin", str(SLOT), "v0002", "--as", "pending"]) == 6
    assert "--when-flat" in one_paragraph(capsys)


MISSING = {
    "--when-flat": (2, "nobody is named who knows the positions"),
    "--wait 4h": (6, "give both"),
    "positions=file": (6, "--when-flat alone"),
    "--when-flat positions=file": (2, "positions.path=FILE"),
}


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("words", MISSING)
def test_what_is_missing_is_told(
    registry: Registry, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    code, said = MISSING[words]
    assert main(["registry", "promote", str(SLOT), "v0002", *words.split()]) == code
    assert said in one_paragraph(capsys)
    assert serving(registry) == ("v0001", "observe")


def test_an_outdated_version_is_not_promoted_by_its_old_terms(registry: Registry) -> None:
    waits = Pending("v0002", "trade", "Promote.", 1, AT)
    leave_pending(registry, SLOT, waits, "test", AT)
    terms = Terms(("positions=none",), None, CONF, Hands(pd.Timestamp(LATER)).machine)
    with pytest.raises(RetryLater, match="may wait no longer: it was fresh until"):
        promote_when_flat(registry, wanted(), terms, LATER)
    assert promote_when_flat(registry, wanted("v0003"), terms, LATER).version == "v0003"
