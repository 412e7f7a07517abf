"""``vintage retrain`` with a fleet or flags: words, what it writes, what it leaves to be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.config import read_yaml
from pipeline.configuration.plan import told_files
from pipeline.errors import StageError
from pipeline.operations.places import Places
from pipeline.operations.target import Target, resolve
from pipeline.operations.walk.dry_run import would_run
from pipeline.operations.walk.fetching import is_short, mark_short
from pipeline.operations.walk.run_report import RunFacts, RunReport, write_report
from pipeline.operations.walk.slot_result import SlotResult
from pipeline.operations.workspace import FOLDER, prepare
from registry.files import write_atomic
from tests.conftest import AS_OF, CHECKOUT
from tests.spine import files_below, one_paragraph

Capture = pytest.CaptureFixture[str]
ALL = ["compose", "download", "validate", "features", "labels", "train", "evaluate"]
BTC = ["recipe=demo", "market=SIM-BTC", f"as_of='{AS_OF}'"]


def target_of(home: Path, *words: str) -> Target:
    return resolve([*BTC, *words], CHECKOUT / "conf", home, pd.Timestamp(AS_OF))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["flet=demo"], "did you mean fleet?"),
        (["recipe=demo", "executr=local"], "did you mean executor?"),
        (["fleet=dmo"], "did you mean demo?"),
        (["fleet=demo", "market=SIM-BTC"], "a fleet lists its slots itself"),
        (["fleet=demo", "model=majorty"], "did you mean majority?"),
        (["fleet=demo", "executor=desk"], "did you mean dask?"),
        (["fleet=demo", "executor.proceses=2"], "did you mean processes?"),
        (["fleet=demo", "fleet.slots=2"], "unknown key 'fleet.slots'"),
        (["fleet=demo", "workers=0"], "workers is no number of processes"),
        (["fleet=demo", "as_of=yesterday"], "as_of is not a moment"),
        (["fleet=demo", "--experiment", "--download-only"], "are two things"),
        (["fleet=demo", "--no-download", "--download-only"], "leave nothing to do"),
        (["fleet=demo", "--dry-rum"], "did you mean --dry-run?"),
        (["recipe=demo", "model.x=1", "--dry-run"], "unknown key 'x'"),
    ],
)
def test_a_mistake_is_one_paragraph_and_nothing_is_written(
    home: Path, capsys: Capture, words: list[str], told: str
) -> None:
    before = files_below(home)
    assert main(["retrain", *words]) == 2
    assert told in one_paragraph(capsys)
    assert files_below(home) == before


def test_the_help_tells_every_exit_code(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["retrain", "--help"])
    told = capsys.readouterr().out
    for code in range(2, 9):
        assert f"  {code}  " in told
    page = (CHECKOUT / "docs/configuration.md").read_text()
    for code in (0, *range(2, 9), 70, 130):
        assert f"\n| {code} |" in page


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(home: Path, capsys: Capture) -> None:
    before = files_below(home)
    words = ["fleet=demo", f"as_of={AS_OF}", "--dry-run"]
    assert main(["retrain", *words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [slot["slot"] for slot in told["slots"]] == ["demo/SIM-BTC", "demo/SIM-ETH"]
    assert [slot["stages"] for slot in told["slots"]] == [ALL, ALL]
    assert {slot["champion"] for slot in told["slots"]} == {None}
    assert main(["retrain", *words]) == 0
    assert f"demo/SIM-ETH: would run {', '.join(ALL)}" in capsys.readouterr().out
    assert files_below(home) == before


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        ([], ["compose"]),
        (["label.horizon_hours=12"], ["compose", "labels", "train", "evaluate"]),
    ],
)
def test_a_dry_run_names_the_stages_behind_a_change(
    home: Path, words: list[str], stages: list[str]
) -> None:
    places, built = Places(home, CHECKOUT), target_of(home)
    workspace = prepare(home, CHECKOUT, built.slot, built.choices)
    for path, content in told_files(built.plan).items():
        write_atomic(workspace.path(path), content)
    (workspace.folder / "dvc.lock").touch()
    for node in read_yaml(CHECKOUT / "dvc.yaml")["stages"].values():
        for key in ("outs", "metrics", "plots"):
            for each in node.get(key, ()):
                name = workspace.folder / (next(iter(each)) if isinstance(each, dict) else each)
                name.parent.mkdir(parents=True, exist_ok=True)
                if not name.exists():
                    name.touch()
    assert would_run(target_of(home, *words), places) == stages
    (workspace.folder / "data/features").unlink()
    assert "features" in would_run(target_of(home, *words), places)


def test_a_run_leaves_what_it_printed(home: Path, capsys: Capture) -> None:
    words = ["retrain", "recipe=demo", f"as_of={AS_OF}", "--download-only"]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (file,) = (home / "reports").glob("training_report_*.json")
    assert json.loads(file.read_text()) == printed
    (slot,) = printed["slots"]
    assert (slot["state"], slot["slot"], slot["exit_code"]) == ("downloaded", "demo/SIM-BTC", 0)
    assert slot["seconds"] > 0
    assert main(words) == 8
    told = capsys.readouterr().out
    assert "1 unchanged; exit code 8" in told
    assert len(list((home / "reports").glob("training_report_*.txt"))) == 2
    assert main(["logs", printed["run"], "--json"]) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["walk_started", "slot_finished", "walk_finished"]


def test_one_slot_that_fails_leaves_a_report_too(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise StageError("train ended", where="train")

    monkeypatch.setattr("pipeline.operations.retraining.retrain.reproduce", broken)
    assert main(["retrain", "recipe=demo", f"as_of={AS_OF}"]) == 7
    assert one_paragraph(capsys) == "train ended (train)."
    (file,) = (home / "reports").glob("training_report_*.json")
    (slot,) = json.loads(file.read_text())["slots"]
    assert (slot["state"], slot["error"], slot["exit_code"]) == (
        "failed",
        "train ended (train).",
        7,
    )
    assert main(["logs", "demo/SIM-BTC", "--level", "error"]) == 0
    assert "retrain_failed" in capsys.readouterr().out


def test_reports_of_one_second_stand_beside_each_other_and_hold_no_control_character(
    home: Path,
) -> None:
    began = pd.Timestamp("2025-12-20T00:00Z")
    facts = RunFacts("r1", "vintage \x1b[2J", "local", began, began + pd.Timedelta("2s"))
    one = SlotResult("a\x07", "w", AS_OF, "failed", error="b\x1b[31m\nc", exit_code=4)
    first, second = (write_report(RunReport(facts, [one]), home) for _ in range(2))
    assert first.name == "training_report_20251220T000000Z.txt"
    assert second.name == "training_report_20251220T000000Z-2.txt"
    assert all(line.isprintable() for line in first.read_text().splitlines())
    assert json.loads(first.with_suffix(".json").read_text())["seconds"] == 2


def test_a_cut_without_download_is_made_anew_by_a_run_that_may_ask(home: Path) -> None:
    places, target = Places(home, CHECKOUT), target_of(home)
    (home / FOLDER / "demo").mkdir(parents=True)
    assert not is_short(target, places)
    mark_short(target, places, fetched=False)
    assert is_short(target, places), "the store is empty, and nobody was asked"
    mark_short(target, places, fetched=True)
    assert not is_short(target, places)
    assert main(["retrain", "recipe=demo", f"as_of={AS_OF}", "--download-only"]) == 0
    mark_short(target, places, fetched=False)
    assert not is_short(target, places), "all is stored: there was nothing to ask for"
