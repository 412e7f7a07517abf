"""Nothing is fitted uncounted: from compose, through train and retrain, to the ledger."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.config import read_yaml, to_yaml
from pipeline.configuration.plan import write_plan
from pipeline.fitting.trial import REGISTRY
from pipeline.operations.places import Places
from pipeline.operations.retraining import build_run
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.target import resolve
from pipeline.operations.workspace import Workspace
from pipeline.runner import FAILURE, STAGES, run_stage
from registry.errors import RegistryError
from registry.slots import Slot
from registry.trials import Trial, trials
from registry.versions import Registry
from tests.conftest import AS_OF, CHECKOUT
from tests.spine import files_below, one_paragraph, own_conf, planned, put

Patch, Capture = pytest.MonkeyPatch, pytest.CaptureFixture[str]
SLOT = Slot.parse("demo/SIM-BTC")


@pytest.fixture
def ready(home: Path, capsys: Capture) -> Path:
    """A home whose params.yaml was composed, and nothing more."""
    own_conf(home)
    put(home / "params.yaml", "model", "majority")
    assert main(["stage", "compose"]) == 0
    return home


def counted(home: Path) -> list[Trial]:
    return trials(home / REGISTRY, SLOT)


def test_train_counts_before_it_reads_anything(ready: Path, capsys: Capture) -> None:
    assert counted(ready) == []
    for _ in range(2):
        assert main(["stage", "train"]) != 0
        assert "parquet" in one_paragraph(capsys)
    plan = planned("model=majority", "market=SIM-BTC", "exchange=simulated")
    (trial,) = counted(ready)
    assert (trial.digest, trial.model, trial.source) == (plan.trial, "majority", "train")
    assert (trial.choices["recipe"], trial.choices["model"]) == ("demo", "majority")
    assert "as_of" not in trial.choices


def test_train_does_not_start_where_nothing_can_be_counted(ready: Path, capsys: Capture) -> None:
    (ready / REGISTRY).mkdir(parents=True)
    (ready / REGISTRY / "demo").write_text("a file in the way")
    assert main(["stage", "train"]) == 6
    paragraph = one_paragraph(capsys)
    assert str(ready / REGISTRY / "demo") in paragraph
    failure = json.loads((ready / FAILURE).read_text())
    assert failure == {"stage": "train", "message": paragraph, "exit_code": 6}
    assert not (ready / "models/candidate").exists()


@pytest.mark.parametrize("variable", ["VINTAGE_HOME", "DVC_ROOT"])
def test_an_experiment_in_a_folder_of_its_own_is_counted_at_home(
    ready: Path, tmp_path: Path, monkeypatch: Patch, variable: str
) -> None:
    elsewhere = tmp_path / "temporary"
    shutil.copytree(ready, elsewhere)
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("VINTAGE_HOME")
    monkeypatch.setenv(variable, str(ready))
    assert main(["stage", "train"]) != 0
    assert len(counted(ready)) == 1
    assert not (elsewhere / "models").exists()


@pytest.mark.parametrize("local", [{}, {"exchange": {}, "trial": {"slot": "demo/SIM-BTC"}}])
def test_a_run_that_names_no_trial_is_refused(
    ready: Path, capsys: Capture, local: dict[str, Any]
) -> None:
    (ready / "build/config/local.yaml").write_text(to_yaml(local))
    assert main(["stage", "train"]) == 2
    assert "'digest' is missing" in (paragraph := one_paragraph(capsys))
    assert "build/config/local.yaml: trial" in paragraph
    assert counted(ready) == []


def test_a_slot_names_a_foreign_exchange(ready: Path) -> None:
    words = ["exchange=replay", "market=KRW-SOL"]
    assert planned(*words).local["trial"]["slot"] == "demo@replay/KRW-SOL"
    assert read_yaml(ready / "build/config/local.yaml")["trial"]["slot"] == str(SLOT)


def test_a_recipe_that_can_name_no_slot_is_told(ready: Path, capsys: Capture) -> None:
    (ready / "conf/recipe/demo.yaml").rename(ready / "conf/recipe/de mo.yaml")
    put(ready / "params.yaml", "recipe", "de mo")
    assert main(["stage", "compose"]) == 2
    assert "not a slot" in one_paragraph(capsys)


def test_a_registry_error_of_a_stage_stays_one(tmp_path: Path, monkeypatch: Patch) -> None:
    def run(*_: object) -> tuple[int, list[str]]:
        path = tmp_path / FAILURE
        path.parent.mkdir()
        failure = {"stage": "train", "message": "cannot be counted.", "exit_code": 6}
        path.write_text(json.dumps(failure))
        return 1, []

    monkeypatch.setattr(build_run, "_run", run)
    with pytest.raises(RegistryError, match=r"^cannot be counted\.$"):
        build_run.reproduce(Workspace(tmp_path), tmp_path, print)


def test_retrain_makes_up_for_a_ledger_that_is_gone(home: Path, monkeypatch: Patch) -> None:
    words = ["recipe=demo", "model=majority", f"as_of={AS_OF}", "recipe.history_days=20"]
    target = resolve(words, CHECKOUT / "conf", home, pd.Timestamp(AS_OF))

    def build(workspace: Workspace, *_: object) -> BuildReport:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(workspace.folder)
            write_plan(target.plan)
            for stage in STAGES:
                run_stage(stage)
        return BuildReport(STAGES)

    def restore(*_: object) -> BuildReport:
        return BuildReport(())

    sources = []
    for reproduce in (build, restore, restore):
        monkeypatch.setattr(retrains, "reproduce", reproduce)
        retrain(target, Places(home, CHECKOUT), pd.Timestamp(AS_OF), lambda _: None)
        sources.append([trial.source for trial in counted(home)])
        if reproduce is build:
            assert [trial.digest for trial in counted(home)] == [target.plan.trial]
            (SLOT.folder(home / REGISTRY) / "trials.jsonl").unlink()
    assert sources == [["train"], ["retrain"], ["retrain"]]
    events = Registry(home / REGISTRY).events(SLOT, "v0001")
    assert {event["trials"] for event in events if event["event"] == "judged"} == {1}
    page = (SLOT.folder(home / REGISTRY) / "v0001/report.html").read_text()
    assert "the close 24 hours later is more than" in page
    assert set(files_below(home)) >= {f"{REGISTRY}/{SLOT}/v0001/card.json"}
