"""Versions held against each other: by retrain for the gate, by ``vintage registry compare``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.configuration.plan import write_plan
from pipeline.errors import ConfigError
from pipeline.evaluation.comparison import NO_ROWS
from pipeline.frames import read_frame
from pipeline.operations.places import Places
from pipeline.operations.retraining import evidence as known
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.retraining.slot_task import Switch
from pipeline.operations.target import Target, resolve
from pipeline.operations.versions.comparing import Side, _setup, difference
from pipeline.operations.versions.later_rows import later_side
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, run_stage
from registry.budget import Asked
from registry.evidence import Evidence, kept_evidence
from registry.gate import judge
from registry.slots import Slot
from registry.standing import standing
from registry.versions import Registry
from tests.conftest import AS_OF, CHECKOUT
from tests.spine import keep_audit
from tests.unit.test_comparison import head

Capture = pytest.CaptureFixture[str]
Retrain = Callable[..., Outcome]
SLOT = Slot.parse("demo/SIM-BTC")
WORDS = ("recipe=demo", "model=majority", "recipe.history_days=20")


@pytest.fixture
def retrained(home: Path, monkeypatch: pytest.MonkeyPatch) -> Retrain:
    """Retrain in this process, without DVC, what was audited."""

    def make(as_of: str = AS_OF, *words: str) -> Outcome:
        keep_audit(home, target_of(home, as_of, *words).plan)
        return retrained_here(home, monkeypatch, as_of, *words)

    return make


def retrained_here(home: Path, monkeypatch: pytest.MonkeyPatch, as_of: str, *words: str) -> Outcome:
    now, target = pd.Timestamp(as_of), target_of(home, as_of, *words)

    def build(workspace: Workspace, *_: object) -> BuildReport:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(workspace.folder)
            write_plan(target.plan)
            for stage in STAGES:
                run_stage(stage)
        return BuildReport(STAGES)

    monkeypatch.setattr(retrains, "reproduce", build)
    switch = Switch(task=True)
    return retrain(target, Places(home, CHECKOUT), now, lambda _: None, switch)


def target_of(home: Path, as_of: str, *words: str) -> Target:
    asked = [*WORDS, f"as_of={as_of}", *words]
    return resolve(asked, CHECKOUT / "conf", home, pd.Timestamp(as_of))


def evidence_of(registry: Registry, version: str) -> Evidence:
    found = kept_evidence(registry.root, SLOT, version)
    assert found is not None
    return found


def said(capsys: Capture, *words: str) -> str:
    assert main(["registry", "compare", str(SLOT), *words]) == 0
    return capsys.readouterr().out


def test_the_evidence_that_was_judged_stays_with_the_version(
    home: Path, retrained: Retrain, capsys: Capture
) -> None:
    registry = Places(home, CHECKOUT).registry
    first = retrained()
    assert evidence_of(registry, "v0001").champion is None
    second = retrained("2025-12-21T00:00Z")
    assert (second.version, second.before) == ("v0002", first.version)
    evidence = evidence_of(registry, "v0002")
    assert second.verdict.kind == "refresh"
    asked = Asked("v0002", "refresh", second.target.plan.run.as_of, "v0001")
    gate = second.target.plan.run.gate
    stood = standing(registry, SLOT, asked, gate)
    told = judge(evidence, gate, stood)
    assert (*told.conditions, second.verdict.conditions[-1]) == second.verdict.conditions
    assert told.sentence == second.verdict.sentence
    against = evidence.champion
    assert against is not None
    assert (against.version, against.comparable) == ("v0001", True)
    assert against.common_rows > 50
    low, high = against.low, against.high
    assert low is not None
    assert high is not None
    assert low <= (against.log_loss_difference or 0.0) <= high
    assert registry.verify(SLOT) == []
    assert (SLOT.folder(registry.root) / "v0002.evidence.json").is_file()

    told = json.loads(said(capsys, "v0002", "v0001", "--json"))
    found = against.model_dump(include=set(told["together"]))
    assert told["together"] == found
    assert list(told["heads"]) == ["direction"]
    shown = said(capsys, "v0002", "v0001")
    assert against.money is not None
    assert "same_loss" in shown
    assert "brier_skill" not in shown, "a column that is not shown is not explained"
    assert told["money"] == against.money.model_dump()
    assert against.money.days == 29
    assert " ".join(shown.split()).endswith(against.money.sentence("v0002", "v0001"))
    (row,) = [line for line in shown.splitlines() if line.startswith("direction ")]
    assert row.split()[1] == str(against.common_rows)
    assert row.split()[-1] == told["verdict"]
    turned = json.loads(said(capsys, "v0001", "v0002", "--json"))["together"]
    assert turned["log_loss_difference"] == pytest.approx(-told["together"]["log_loss_difference"])
    assert said(capsys, "v0001") == said(capsys, "v0001", "champion"), "the default is the champion"


def test_what_cannot_be_compared_is_told(home: Path, retrained: Retrain, capsys: Capture) -> None:
    retrained()
    other = retrained(AS_OF, "label.horizon_hours=12")
    why_not = "the label of head direction differs"
    assert evidence_of(Places(home, CHECKOUT).registry, other.version).champion is not None
    shown = said(capsys, "v0002", "v0001")
    assert shown.startswith(f"v0002 and v0001 cannot be compared by log loss: {why_not}.\n")
    assert "After costs" in shown, "money needs no common label"
    store = home / "data" / "store"
    store.rename(home / "elsewhere")
    assert said(capsys, "v0002", "v0001") == f"v0002 and v0001 cannot be compared: {why_not}.\n"
    told = json.loads(said(capsys, "v0002", "v0001", "--json"))["money"]
    assert "does not hold the candles" in told["why_not"]
    assert main(["registry", "compare", str(SLOT), "v0009"]) == 6
    assert "no such version" in capsys.readouterr().err
    assert main(["registry", "compare", str(SLOT)]) == 2
    assert "VERSION" in capsys.readouterr().err


def test_without_common_rows_the_champion_is_asked_about_later_ones(
    home: Path, retrained: Retrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Places(home, CHECKOUT).registry
    retrained("2025-11-01T00:00Z")
    made = retrained()
    against = evidence_of(registry, made.version).champion
    assert against is not None
    rows = made.candidate.out_of_fold["direction"].frame
    assert (against.comparable, against.common_rows) == (True, len(rows))
    champion = registry.open(SLOT, "v0001")
    candles = read_frame(made.candidate.candles)
    later = later_side(champion, made.candidate.out_of_fold, candles, ())
    shares = champion.card()["heads"]["direction"]["class_shares"]
    said = later.heads["direction"].frame[["p_sell", "p_hold", "p_buy"]]
    assert said.to_numpy() == pytest.approx(np.tile(list(shares.values()), (len(rows), 1)), abs=0.1)

    def broken(*_: object) -> Side:
        raise ConfigError("its features are gone")

    monkeypatch.setattr(known, "later_side", broken)
    other = retrained("2026-01-31T00:00Z")
    against = evidence_of(registry, other.version).champion
    assert against is not None
    assert (against.comparable, against.why_not) == (False, NO_ROWS)


@pytest.mark.parametrize(("change", "why_not"), [
    ({"feed": "bingx"}, "the champion saw another feed, upbit"),
    ({"timeframe": "4h"}, "the champion saw another timeframe, 1h"),
])  # fmt: skip
def test_other_candles_are_no_common_ground(change: dict[str, Any], why_not: str) -> None:
    facts: dict[str, Any] = {
        "feed": "upbit", "timeframe": "1h", "heads": {"d": head(range(9), 0.5)}
    }  # fmt: skip
    champion = Side(**facts)
    assert difference(champion, champion).comparable
    assert difference(Side(**{**facts, **change}), champion).why_not == why_not


def test_the_registry_still_answers_for_its_own_commands(home: Path, capsys: Capture) -> None:
    assert main(["registry", "list", "--root", str(home / "none")]) == 0
    assert "No slots yet" in capsys.readouterr().out
    assert main(["registry", "--help"]) == 0
    assert "compare SLOT VERSION" in capsys.readouterr().out


def test_a_profile_of_another_age_is_none() -> None:
    told = {"backtest": {"venue": "moon"}, "traded": {}}
    assert _setup({"config": {"evaluate": told}, "timeframe": "1h"}) is None
    assert _setup({"config": {"evaluate": {}}, "timeframe": "1h"}) is None
