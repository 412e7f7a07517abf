"""``vintage reproduce`` and waiting retrains, with the stages run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.commands import reproduce as command
from pipeline.commands.retrain import _facts
from pipeline.commands.retrain_story import story
from pipeline.errors import ConfigError
from pipeline.market.exchanges.machine import Machine
from pipeline.operations.places import Places
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.retraining.waiting import waiting_for
from pipeline.operations.target import resolve
from pipeline.operations.versions import reproducing
from pipeline.operations.versions.processor import cpu_family
from pipeline.operations.versions.reproducing import Asked, compared, reproduce_version
from registry.against import NOT_WORSE
from registry.manifest import VerifiedBundle
from registry.pending import pending
from registry.pointers import champion
from registry.slots import Slot
from registry.trials import count_trials
from tests.conftest import AS_OF, CHECKOUT
from tests.spine import files_below
from tests.unit.test_skip import build

LATER = "2025-12-20T06:00Z"
WORDS = (
    *("recipe=demo", "exchange=simulated", "recipe.history_days=20"),
    *("model.n_estimators=5", "model.min_data_in_leaf=20"),
)
SLOT = Slot.parse("demo/SIM-BTC")
Retrain = Callable[..., Outcome]


@pytest.fixture
def retrained(home: Path, monkeypatch: pytest.MonkeyPatch) -> Retrain:
    """Retrain the demo, asking `state.json` of the home for positions where there is one."""
    for module in (retrains, reproducing):
        monkeypatch.setattr(module, "reproduce", build)

    def make(*own: str, as_of: str = AS_OF) -> Outcome:
        conf, now = CHECKOUT / "conf", pd.Timestamp(as_of)
        target = resolve([*WORDS, f"as_of={as_of}"], conf, home, now)
        waiting = waiting_for(own, conf, "0s" if own else None, Machine(now=lambda: now))
        target = replace(target, waiting=waiting)
        return retrain(target, Places(home, CHECKOUT), now, lambda _: None)

    return make


def write(home: Path, as_of: str, *statuses: str) -> None:
    trades = [{"status": status} for status in statuses]
    (home / "state.json").write_text(json.dumps({"timestamp": as_of, "trades": trades}))


class _Building(Exception):
    """The build has begun."""


def stop(*_: object) -> None:
    raise _Building


ASKED = ("positions=file", "positions.path=state.json")


def test_a_retrain_waits_for_flat_and_the_next_one_promotes(home: Path, retrained: Retrain) -> None:
    write(home, AS_OF, "OPEN")
    first = retrained(*ASKED)
    registry = Places(home, CHECKOUT).registry
    assert champion(registry.root, SLOT) is None
    assert first.served.pending == "1 position is open (state.json)"
    told = story(first)
    assert "pending: the market is not flat, there is no champion yet" in told
    assert "until 2025-12-21 00:00 UTC" in " ".join(told.split())
    assert _facts(first)["pending"] == first.served.pending
    assert f"registry promote {SLOT} v0001 --when-flat {' '.join(ASKED)}" in told
    write(home, LATER, "CLOSED")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrains, "prepare", stop)
        with pytest.raises(_Building):
            retrained(*ASKED, as_of=LATER)
    pointer = champion(registry.root, SLOT)
    assert pointer is not None
    assert pointer.version == "v0001", "what waited comes into service before anything is built"
    assert pending(registry, SLOT) is None
    waited = replace(first, waited="v0001, which waited, came into service first: flat.")
    assert "waited    v0001, which waited, came into service first: flat.\n" in story(waited)


def test_a_version_that_waited_is_told_as_the_champion(home: Path, retrained: Retrain) -> None:
    write(home, AS_OF, "OPEN")
    first = retrained(*ASKED)
    write(home, AS_OF, "CLOSED")
    came = retrained(*ASKED)
    assert came.came
    assert story(came).startswith(f"{SLOT} v0001: v0001 waited, and is the champion now\n")
    again = retrained(*ASKED)
    assert story(again).startswith(f"{SLOT} v0001: nothing changed; it is the champion already\n")
    assert not first.against_itself
    beside = next(each.reason for each in again.against_itself if each.name == NOT_WORSE)
    assert "than v0001" in beside
    compared = again.verdict.model_copy(update={"sentence": f"Observe: few rows; {beside}."})
    assert replace(again, verdict=compared).sentence == "Observe: few rows."


def test_a_version_is_made_again_byte_for_byte(
    home: Path,
    retrained: Retrain,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome = retrained()
    places = Places(home, CHECKOUT)
    before = files_below(home / "models"), count_trials(places.registry.root, SLOT)
    asked = Asked(SLOT, outcome.version)
    done = reproduce_version(asked, places, pd.Timestamp(LATER), lambda _: None)
    assert done.identical
    assert done.causes == {}
    assert (files_below(home / "models"), count_trials(places.registry.root, SLOT)) == before
    assert list((home / "build/reproduce").iterdir()) == []
    monkeypatch.setattr(command, "reproduce_version", lambda *_: done)
    assert command.main([str(SLOT), outcome.version]) == 0
    assert "demo/SIM-BTC v0001: identical" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="made again as it was"):
        reproduce_version(replace(asked, words=("model=xgboost",)), places, NOW, print)
    what_differs_is_named(places.registry.open(SLOT, outcome.version))


NOW = pd.Timestamp(LATER)


def what_differs_is_named(verified: VerifiedBundle) -> None:
    files = dict(verified.contents)
    card = json.loads(files["card.json"])
    card["libraries"]["numpy"] = "1.0"
    card["code"]["train"] = "0" * 64
    card["data"]["rows"] += 1
    card["config"]["train"]["seed"] = 8
    name = next(name for name in files if name.startswith("predictions/"))
    files |= {"card.json": json.dumps(card).encode(), name: b"other", "more.txt": b""}
    del files["report.html"]
    done = compared(SLOT, verified, files, "pdp11, family 1")
    assert not done.identical
    assert (done.changed, done.missing, done.extra) == (
        ("card.json", name),
        ("report.html",),
        ("more.txt",),
    )
    assert set(done.causes) == {"lock", "code", "data", "config", "cpu"}
    assert "numpy" in done.causes["lock"]
    assert done.causes["code"] == "of train"
    assert "seed 7 → 8" in done.causes["config"]
    assert done.causes["cpu"] == f"pdp11, family 1 → {cpu_family()}"
    assert "NOT identical" in "\n".join(command._story(done))


def test_a_version_without_words_is_refused(home: Path) -> None:
    places = Places(home, CHECKOUT)
    places.registry.add(SLOT, {"model": b"1"}, AS_OF)
    with pytest.raises(ConfigError, match="does not tell what it was made from"):
        reproduce_version(Asked(SLOT, "v0001"), places, NOW, print)


def test_the_family_of_a_cpu(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(
        "processor : 0\nvendor_id\t: A\ncpu family\t: 6\nmodel\t\t: 85\n\nprocessor : 1"
    )
    assert cpu_family(info).endswith(", vendor A, family 6, model 85")
    assert cpu_family(tmp_path / "none") == cpu_family(info).split(",")[0]
