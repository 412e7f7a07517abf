"""What the audit of a digest does to a retrain's verdict, budget and champion."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.commands.retrain import _facts
from pipeline.commands.retrain_story import story
from pipeline.configuration.choices import choose
from pipeline.configuration.compose import read_root
from pipeline.configuration.conf_groups import parse_words
from pipeline.configuration.plan import write_plan
from pipeline.evaluation.evidence import judge_alone
from pipeline.experiments.audit.plans import digest_of, own_plan
from pipeline.experiments.audit.results import AUDITED, FOLDER
from pipeline.experiments.simulate.gate import Candidate as Turned
from pipeline.experiments.simulate.gate import judged as simulated
from pipeline.live import first_load
from pipeline.operations.places import Places
from pipeline.operations.retraining import judging
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.retraining.evidence import evidence_on
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.target import Target
from pipeline.operations.versions.audit_notes import audit_of
from pipeline.operations.walk import unchanged
from pipeline.operations.walk.dry_run import planned
from pipeline.operations.walk.slot_result import of_outcome
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, run_stage
from registry.budget import Budget
from registry.conditions import GateConfig
from registry.errors import RegistryError
from registry.evidence import Evidence
from registry.marks import marked
from registry.pointers import champion, history, move
from registry.versions import Registry
from tests.conftest import AS_OF, CHECKOUT
from tests.spine import CONF, keep_audit
from tests.unit.test_comparing import SLOT, target_of

NEXT = "2025-12-21T00:00Z"
SKILL: dict[str, Any] = {
    "certified": (),
    "brier_skill": 0.2,
    "brier_skill_p": 1e-6,
    "effective_rows": 90.0,
}
SKILL |= {"direction_skill": 0.2, "direction_skill_p": 1e-6, "direction_effective_rows": 60.0}
OUTPUTS = ("build", "data", "models", "reports")
COMMAND = "vintage audit recipe=demo market=SIM-BTC model=majority recipe.history_days=20"
Here = Callable[..., Outcome]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages wrote, by the words that they were told, beside the store they filled."""
    return tmp_path_factory.mktemp("built")


@pytest.fixture
def here(home: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Retrain in this process what is shown to have skill; nothing is audited."""

    def skilled(*args: Any) -> Any:
        evidence, asked = evidence_on(*args)
        return evidence.model_copy(update=SKILL), asked

    def make(as_of: str = AS_OF, *words: str) -> Outcome:
        target, now = target_of(home, as_of, *words), pd.Timestamp(as_of)
        monkeypatch.setattr(retrains, "reproduce", building(home, built, target))
        return retrains.retrain(target, Places(home, CHECKOUT), now, lambda _: None)

    monkeypatch.setattr(judging, "evidence_on", skilled)
    monkeypatch.setattr(first_load, "_load_in_child", lambda *_: None)
    return make


def building(home: Path, built: Path, target: Target) -> Callable[..., BuildReport]:
    """Run the stages where nobody did before; their outputs are copied else."""
    kept = built / hashlib.sha256(target.plan.model_dump_json().encode()).hexdigest()[:8]
    store = target.store.root

    def build(workspace: Workspace, *_: object) -> BuildReport:
        if not kept.exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(workspace.folder)
                write_plan(target.plan)
                for stage in STAGES:
                    run_stage(stage)
            for name in OUTPUTS:
                shutil.copytree(workspace.folder / name, kept / name)
            shutil.copytree(store, kept / "store")
        for name in OUTPUTS:
            shutil.copytree(kept / name, workspace.folder / name, dirs_exist_ok=True)
        shutil.copytree(kept / "store", store, dirs_exist_ok=True)
        return BuildReport(STAGES)

    return build


def root_of(home: Path) -> Path:
    return Places(home, CHECKOUT).registry.root


def stands(home: Path) -> tuple[str, str] | None:
    pointer = champion(root_of(home), SLOT)
    return (pointer.version, pointer.mode) if pointer else None


def events(home: Path, version: str, name: str) -> list[dict[str, Any]]:
    found = Registry(root_of(home)).events(SLOT, version)
    return [dict(each) for each in found if each["event"] == name]


def draws(home: Path) -> list[tuple[str, bool]]:
    return [(each.version, each.admitted) for each in Budget.read(root_of(home), SLOT).draws]


def test_a_version_is_observed_until_its_audit_comes_and_then_judged_anew(
    home: Path, here: Here
) -> None:
    first = here()
    assert (first.verdict.outcome, first.verdict.drawn) == ("observe", False)
    assert f"({COMMAND}), so no portion" in first.verdict.sentence
    assert f"\n  {COMMAND}   #" in story(first)
    assert _facts(first)["to_audit"] == COMMAND
    assert (stands(home), draws(home)) == (("v0001", "observe"), [])
    assert first.verdict.portions_left == 12
    same = here()
    assert not same.anew, "nothing new is known of it"
    assert "not_worse_than_champion" in [each.name for each in same.against_itself]
    assert "not_worse_than_champion" not in story(same), "it is not held against itself"

    keep_audit(home, first.target.plan)
    second = here()
    assert (second.anew, second.created, second.verdict.outcome) == (True, False, "promote")
    assert story(second).startswith("demo/SIM-BTC v0001: in service, judged anew with its audit\n")
    assert _facts(second)["to_audit"] is None
    assert of_outcome(second, "").state == "judged anew"
    assert (stands(home), draws(home)) == (("v0001", "trade"), [("v0001", True)])
    assert [each["outcome"] for each in events(home, "v0001", "judged")] == ["observe", "promote"]
    (noted,) = events(home, "v0001", AUDITED)
    assert (noted["outcome"], noted["volume"]) == ("passed", "short")

    third = here()
    assert (third.anew, len(draws(home)), len(events(home, "v0001", "judged"))) == (False, 1, 2)
    move(root_of(home), SLOT, "v0001", "observe", reason="by hand", who="test", at=AS_OF)
    assert not here().anew, "what a person did is not undone by a rerun"
    assert stands(home) == ("v0001", "observe")


def test_the_command_that_is_named_audits_what_was_made(home: Path, here: Here) -> None:
    words = ("label.horizon_hours=12", "gate.min_effective_rows=5")
    made = here(AS_OF, *words)
    told = shlex.split(_facts(made)["to_audit"])
    assert told[:2] == ["vintage", "audit"]
    plan = own_plan(choose(read_root(CONF).choices, parse_words(told[2:])), CONF)
    keep_audit(home, plan)
    assert audit_of(made.target.plan, home, CHECKOUT) is not None
    assert here(AS_OF, *words).verdict.outcome == "promote"


def test_an_audit_of_another_digest_does_not_count(home: Path, here: Here) -> None:
    other = target_of(home, AS_OF, "seed=8").plan
    keep_audit(home, other)
    made = here()
    assert digest_of(other) != digest_of(made.target.plan)
    assert (made.verdict.outcome, stands(home)) == ("observe", ("v0001", "observe"))


def test_a_failed_audit_refuses_and_nothing_is_spent(home: Path, here: Here) -> None:
    keep_audit(home, target_of(home, AS_OF).plan, passed=False)
    made = here()
    assert (made.verdict.outcome, stands(home), draws(home)) == ("refuse", None, [])
    assert made.verdict.sentence.startswith("Refuse: its recipe and code failed their audit")
    assert "noise: 0 of 4 promoted" in made.verdict.sentence
    assert [each["outcome"] for each in events(home, "v0001", AUDITED)] == ["failed"]
    keep_audit(home, made.target.plan)
    assert here().verdict.outcome == "promote"
    assert stands(home) == ("v0001", "trade")


def test_a_version_that_is_observed_stays_where_its_audit_fails(home: Path, here: Here) -> None:
    first = here()
    keep_audit(home, first.target.plan, passed=False)
    made = here()
    assert (made.anew, made.verdict.outcome) == (True, "refuse")
    assert (stands(home), draws(home)) == (("v0001", "observe"), [])
    assert not here().anew, "it is told once"


def test_a_champion_that_trades_stays_until_its_refresh_is_audited(home: Path, here: Here) -> None:
    here()
    move(root_of(home), SLOT, "v0001", "trade", reason="by hand", who="test", at=AS_OF)
    refresh = here(NEXT)
    assert refresh.verdict.outcome == "refuse"
    assert refresh.verdict.sentence.startswith("Refuse: v0001 trades and stays: its recipe and")
    assert COMMAND in refresh.verdict.sentence
    assert f"\n  {COMMAND}   #" in story(refresh)
    assert stands(home) == ("v0001", "trade")
    assert marked(root_of(home), SLOT, "challenger") is not None
    keep_audit(home, refresh.target.plan)
    assert here(NEXT).verdict.outcome == "promote"
    assert stands(home) == ("v0002", "trade")


def test_a_champion_without_skill_trades_no_longer_though_its_refresh_is_refused(
    home: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    move(root_of(home), SLOT, "v0001", "trade", reason="by hand", who="test", at=AS_OF)
    monkeypatch.setitem(SKILL, "brier_skill", -0.1)
    keep_audit(home, target_of(home, NEXT).plan, passed=False)
    refresh = here(NEXT)
    assert (refresh.verdict.outcome, refresh.verdict.demotes) == ("refuse", True)
    assert "; and v0001 trades no longer" in refresh.verdict.sentence
    assert stands(home) == ("v0001", "observe")
    assert marked(root_of(home), SLOT, "challenger") is None


def test_a_version_that_a_person_moved_is_left_where_it_is(home: Path, here: Here) -> None:
    first = here()
    for mode in ("trade", "observe"):
        move(root_of(home), SLOT, "v0001", mode, reason="by hand", who="test", at=AS_OF)
    keep_audit(home, first.target.plan)
    assert not here().anew
    assert stands(home) == ("v0001", "observe")


def test_a_promotion_that_was_broken_off_is_made_up_for(
    home: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = here()
    keep_audit(home, first.target.plan)

    def broken(*_: object) -> None:
        raise RegistryError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(retrains, "serve_when_flat", broken)
        with pytest.raises(RegistryError):
            here()
    assert (stands(home), draws(home)) == (("v0001", "observe"), [("v0001", True)])
    here()
    assert (stands(home), draws(home)) == (("v0001", "trade"), [("v0001", True)])
    assert [each.mode for each in history(root_of(home), SLOT)] == ["observe", "trade"]


def test_an_unchanged_slot_notices_its_audit(home: Path, here: Here) -> None:
    made, places = here(), Places(home, CHECKOUT)
    before = unchanged.inputs(made.target, places)
    unchanged.remember(made.target, places, before, of_outcome(made, ""))
    assert unchanged.still(made.target, places) is not None
    assert COMMAND in planned(made.target, places, "").sentence
    other = keep_audit(home, made.target.plan).model_copy(update={"recipe": "other"})
    assert unchanged.still(made.target, places) is None
    assert "nothing would run" not in planned(made.target, places, "").sentence
    assert "passed their audit" in planned(made.target, places, "").sentence
    for path in (home / FOLDER).iterdir():
        path.unlink()
    (home / FOLDER / f"{other.recipe}-d.json").write_text(other.model_dump_json())
    assert unchanged.still(made.target, places) is not None, "audits of other recipes are others'"


def test_the_conditions_are_listed(
    home: Path, here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    made = here()
    assert "\n  fails     audited\n" in story(made)
    assert [each["name"] for each in _facts(made)["conditions"]][-1] == AUDITED
    assert main(["registry", "show", str(SLOT), "v0001"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"\naudited +no +- +yes\n", shown)
    assert "were not audited" in " ".join(shown.split())
    keep_audit(home, made.target.plan)
    here()
    main(["registry", "show", str(SLOT), "v0001"])
    shown = capsys.readouterr().out
    assert re.search(r"\naudited +yes +yes +yes\n", shown)
    assert "audited     outcome passed" in shown


A_TURN = Turned("2025-01-01", "2025-01-01T00:00:00+00:00")


def test_gates_inside_an_audit_and_a_simulation_ask_for_no_audit() -> None:
    given = {"finite": True, "brier_skill_low": 0.1, "direction_skill_low": 0.1}
    evidence = Evidence.model_validate({**given, **SKILL, "balanced_accuracy": 0.5, "classes": 3})
    alone, turn = (
        judge_alone(evidence, GateConfig()),
        simulated(evidence, GateConfig(), A_TURN, [])[0],
    )
    assert (alone["verdict"], turn.outcome) == ("promote", "promote")
    names = {each["name"] for each in alone["conditions"]} | {each.name for each in turn.conditions}
    assert AUDITED not in names


def test_make_clean_keeps_audits(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    names = ("reports/audits/demo-d1.json", "reports/report.html", "reports/plots/a", "build/b")
    for _ in range(2):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("{}")
        subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
        left = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        assert left == [tmp_path / "Makefile", tmp_path / names[0]]
        shutil.rmtree(tmp_path / "reports")
        subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
