"""What a run writes about its training, and what becomes of it on the way to a version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dvc_render.vega import VegaRenderer
from sklearn.metrics import precision_recall_fscore_support

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.configuration.plan import write_plan
from pipeline.evaluation.evidence import evidence_of, judge_alone
from pipeline.evaluation.training_report import (
    IMPORTANCE_COLUMNS,
    LOSS_COLUMNS,
    importance_table,
    loss_table,
    per_class,
)
from pipeline.evaluation.training_table import FITS, fit_rows, training_markdown
from pipeline.fitting.importance import Importance
from pipeline.fitting.training import TrainedHead
from pipeline.fitting.training_facts import head_facts
from pipeline.labels.three_class import ThreeClass
from pipeline.models.base import Model, Report, Samples
from pipeline.models.nested_calibration import CalibrationFit
from pipeline.operations.places import Places
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport, How
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.target import resolve
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, run_stage
from pipeline.splits.fold import Fold, purge
from pipeline.stages import paths
from registry.conditions import GateConfig
from tests.conftest import AS_OF, CHECKOUT
from tests.contract.test_conf import samples, small
from tests.runs import made, run_stages
from tests.unit.test_training import joined_rows

CLASSES = ThreeClass.classes
SMALL = {"recipe": "demo", "as_of": AS_OF, "recipe.history_days": 20}
NETWORK = {"hidden": 4, "layers": 1, "dense": 4, "embedding": 3, "dropout": 0.0}
TINY = {
    "majority": {"model": "majority"},
    "lightgbm": {"model": "lightgbm", "model.n_estimators": 5},
    "lstm_lgbm": {
        "model": "lstm_lgbm",
        "model.trees.n_estimators": 3,
        "model.trees.min_data_in_leaf": 10,
        "model.training.max_epochs": 2,
        **{f"model.network.{key}": value for key, value in NETWORK.items()},
    },
}
SKILLED = {"brier_skill": 0.2, "brier_skill_low": 0.1, "effective_rows": 80.0, "log_loss": 1.0}
SKILLED |= {"direction_skill": 0.1, "direction_skill_low": 0.05}
SKILLED |= {"brier_skill_p": 0.001, "direction_skill_p": 0.002}
GATE = GateConfig(min_effective_rows=30)


def facts_of(rows: Samples, folds: list[Fold], reports: list[Report], lookback: int) -> Any:
    ranked = [Importance("n2", 0.5, 0.1), Importance("n0", 0.0, 0.1)]
    rules = [None] * len(reports)
    trained = TrainedHead(
        pd.DataFrame(),
        None,  # type: ignore[arg-type]
        folds,
        reports,
        ranked,
        rules,
        [CalibrationFit()] * len(reports),
    )
    return head_facts(rows, trained, "plugins.own.Own", lookback)


def test_facts_say_what_each_fit_was_given() -> None:
    rows = joined_rows()
    older, newer = np.arange(200), np.arange(300, 400)
    fold = Fold(older[rows.ends_at[older] <= rows.time[300]][50:], newer)
    facts = facts_of(rows, [fold], [{"one": {"rounds": 3}}, {}], 4)
    assert facts["rows"] == len(rows.rows) == 526
    assert facts["shape"] == [526, 4, 6]
    assert facts["bytes"] == 550 * 6 * 8
    assert facts["columns"] == [f"n{k}" for k in range(6)]
    assert facts["classes"] == list(CLASSES)
    counts = np.bincount(rows.label, minlength=3)
    assert list(facts["class_shares"].values()) == pytest.approx(list(counts / 526))
    assert facts["importance"][0] == {"column": "n2", "increase": 0.5, "error": 0.1}
    first, refit = facts["fits"]
    assert first["parts"] == {"one": {"rounds": 3}}
    spans = {
        name: rows.time[positions]
        for name, positions in {"train": fold.train, "test": newer}.items()
    }
    for name, time in spans.items():
        assert first[f"{name}_rows"] == len(time)
        assert first[f"{name}_from"] == time[0].isoformat()
        assert first[f"{name}_to"] == time[-1].isoformat()
    assert refit["fit"] == "refit"
    assert refit["train_rows"] == 526
    assert refit["train_to"] == rows.time[-1].isoformat()
    assert not {name for name in refit if name.startswith(("test", "purged"))}


def test_purged_rows_are_those_that_the_split_left_out() -> None:
    rows = joined_rows()
    fold = purge(np.arange(40, 300), np.arange(300, 400), rows.time, rows.ends_at)
    facts = facts_of(rows, [fold], [{}, {}], 1)
    (told, _) = facts["fits"]
    assert told["purged_rows"] == 300 - 40 - len(fold.train) == 24
    assert told["purged_from"] == rows.time[276].isoformat()
    assert told["purged_to"] == rows.time[299].isoformat()
    assert facts["shape"] == [526, 6]
    apart = facts_of(rows, [Fold(np.arange(200), np.arange(300, 400))], [{}, {}], 1)
    assert "purged_rows" not in apart["fits"][0], "rows that were never candidates are not purged"


def test_precision_and_recall_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    happened, predicted = rng.integers(0, 3, 200), rng.integers(0, 2, 200)
    counts = np.zeros((3, 3), np.int64)
    np.add.at(counts, (happened, predicted), 1)
    precision, recall, _, support = precision_recall_fscore_support(
        happened, predicted, labels=[0, 1, 2], zero_division=0.0
    )
    found = per_class(counts, CLASSES)
    assert [found[name]["recall"] for name in CLASSES] == pytest.approx(list(recall))
    assert [found[name]["rows"] for name in CLASSES] == list(support)
    assert [found[name]["precision"] for name in CLASSES[:2]] == pytest.approx(list(precision[:2]))
    assert found["buy"]["precision"] is None, "it was never predicted"
    assert per_class(np.array([[0, 0], [1, 2]]), ("a", "b"))["a"]["recall"] is None


def training(**parts: Report) -> Any:
    fits = [{"fit": name.replace("_", " "), "parts": report} for name, report in parts.items()]
    importance = [{"column": "rsi", "increase": 0.25, "error": 0.5}]
    return {"heads": {"direction": {"fits": fits, "importance": importance}}}


def test_curves_become_one_row_for_each_epoch() -> None:
    curves = {"epochs": 2, "training_losses": [1.5, 1.25], "validation_losses": [1.75, None]}
    table = loss_table(training(fold_0={"lstm": curves, "lightgbm": {"rounds": 3}}, refit={}))
    assert tuple(table.columns) == LOSS_COLUMNS
    assert table.to_numpy().tolist() == [
        ["direction", "fold 0", "lstm", 1, 1.75, "validation"],
        ["direction", "fold 0", "lstm", 1, 1.5, "training"],
        ["direction", "fold 0", "lstm", 2, 1.25, "training"],
    ]


def test_without_curves_there_is_a_header_only() -> None:
    assert loss_table(training(refit={})).to_csv(index=False) == ",".join(LOSS_COLUMNS) + "\n"
    assert importance_table(training()).to_numpy().tolist() == [["direction", "rsi", 0.25, 0.5]]


def plots() -> Iterator[tuple[Path, dict[str, Any]]]:
    for node in read_yaml(CHECKOUT / "dvc.yaml")["stages"]["evaluate"]["plots"]:
        for path, properties in node.items():
            yield Path(path), properties


@pytest.mark.parametrize(
    ("path", "columns"), [(paths.LOSS, LOSS_COLUMNS), (paths.IMPORTANCE, IMPORTANCE_COLUMNS)]
)
def test_dvc_draws_what_belongs_together(path: Path, columns: tuple[str, ...]) -> None:
    rows = [
        dict.fromkeys(columns, "1") | {"rev": rev} for rev in ("workspace", "main") for _ in "ab"
    ]
    where = CHECKOUT / ".dvc" / "plots"
    spec = VegaRenderer(rows, str(path), template_dir=where, **dict(plots())[path])
    filled = spec.get_filled_template()
    assert "<DVC_METRIC" not in json.dumps(filled)
    drawn = {name: told["field"] for name, told in filled["encoding"].items()}
    assert set(drawn.values()) <= {*columns, "rev"}
    apart = {name for channel, name in drawn.items() if channel not in "xy"}
    assert apart >= {"rev", "head"}
    if path == paths.LOSS:
        assert {"fit", "kind", "part"} <= apart, "or one line would join two curves"
    assert filled["data"]["values"] == rows
    assert (
        VegaRenderer([], "empty", template_dir=where, **dict(plots())[path]).get_filled_template()
        == {}
    )


def test_dvc_knows_every_file_of_the_stages() -> None:
    stages = read_yaml(CHECKOUT / "dvc.yaml")["stages"]
    written = {str(path) for path in vars(paths).values() if isinstance(path, Path)}
    written -= {str(paths.KEPT)}  # laid out by retrain; train.yaml names what is in it by digest
    known = {str(path) for path, _ in plots()}
    for stage in stages.values():
        known |= {*stage.get("outs", []), *stage.get("metrics", [])}
    assert {path for path in written if not {path, str(Path(path).parent)} & known} == set()
    read = set(stages["evaluate"]["deps"])
    assert {"data/training.json", "data/quality.json", "data/clean"} <= read


@pytest.mark.parametrize("name", ["lightgbm", "logistic", "lstm", "lstm_lgbm", "majority"])
def test_a_model_reports_its_parts(name: str) -> None:
    model: Model = build(small(read_yaml(CHECKOUT / f"conf/model/{name}.yaml")), name)
    given = samples(3)
    report = model.fit(given, np.random.default_rng(5)).report()
    assert set(report) == {
        "lightgbm": {"lightgbm"},
        "lstm": {"lstm"},
        "lstm_lgbm": {"lstm", "lightgbm"},
    }.get(name, set())
    for part in report.values():
        assert part.keys() & {"rounds", "epochs"}
        losses = part.get("validation_losses", [])
        assert len(losses) == part.get("epochs", 0) == len(part.get("training_losses", []))
        assert part.get("best_validation_loss") == min(losses, default=None)
        if losses:
            assert part["best_epoch"] == 1 + losses.index(min(losses))
    if name == "lstm_lgbm":
        shares = [part["rows"] / len(given.rows) for part in report.values()]
        assert min(shares) > 0.1
        assert sum(shares) < 1, "no row is both the network's and the trees'"


def judged(**figures: float) -> dict[str, Any]:
    head = SKILLED | figures
    return judge_alone(
        evidence_of({"direction": head}, {"balanced_accuracy": 0.4}, [3], chronological=True), GATE
    )


@pytest.mark.parametrize(
    ("figures", "verdict", "outcome"),
    [
        ({}, "promote", "promote"),
        ({"brier_skill_p": 0.0042}, "observe", "observe"),
        ({"direction_skill_p": 0.0042}, "observe", "observe"),
        ({"effective_rows": 12.0}, "undecidable", "observe"),
        ({"log_loss": float("nan")}, "refuse", "refuse"),
        ({"log_loss": float("inf"), "effective_rows": 12.0}, "refuse", "refuse"),
    ],
)
def test_a_verdict_without_a_champion(
    figures: dict[str, float], verdict: str, outcome: str
) -> None:
    alone = judged(**figures)
    assert (alone["verdict"], alone["outcome"]) == (verdict, outcome)
    assert alone["sentence"].lower().startswith(outcome)
    assert "no champion yet" not in alone["sentence"]
    assert {each["name"] for each in alone["conditions"]} == {
        "finite",
        "chronological",
        "effective_rows",
        "brier_skill",
        "direction_skill",
    }


def test_the_weakest_head_is_the_evidence() -> None:
    weak = SKILLED | {"brier_skill": 0.1, "brier_skill_low": -0.2, "brier_skill_p": 0.7}
    few = SKILLED | {"effective_rows": 40.0}
    found = evidence_of(
        {"a": SKILLED, "b": weak, "c": few},
        {"balanced_accuracy": 0.4},
        [2, 3, 2],
        chronological=True,
    )
    assert (found.brier_skill, found.brier_skill_low, found.brier_skill_p) == (0.1, -0.2, 0.7)
    assert (found.effective_rows, found.classes, found.champion) == (40.0, 3, None)


@pytest.mark.parametrize("model", sorted(TINY))
def test_running_twice_gives_the_same_bytes(home: Path, model: str) -> None:
    run_stages({**SMALL, **TINY[model]})
    first = made(home)
    for path in (paths.TRAINING, paths.REPORT):
        path.unlink()
    for stage in ("train", "evaluate"):
        run_stage(stage)
    assert made(home) == first
    assert {path.stem for path in Path("build/timing").iterdir()} == set(STAGES)
    check_facts(json.loads(first[str(paths.TRAINING_REPORT)]), model)
    check_texts(first, model)


def check_facts(training: Any, model: str) -> None:
    (head,) = training["heads"].values()
    assert head["model"].startswith(f"pipeline.models.{model}.")
    assert [fit["fit"] for fit in head["fits"]] == ["fold 0", "fold 1", "fold 2", "refit"]
    looks_back = model == "lstm_lgbm"
    assert head["lookback"] == (24 if looks_back else 1)
    assert len(head["shape"]) == (3 if looks_back else 2)
    tested = sum(fit.get("test_rows", 0) for fit in head["fits"])
    assert np.sum(head["confusion"]) == tested
    assert sum(each["rows"] for each in head["per_class"].values()) == tested
    assert {each["column"] for each in head["importance"]} == set(head["columns"])
    increases = [each["increase"] for each in head["importance"]]
    assert increases == sorted(increases, reverse=True)
    assert ("torch" in training["libraries"]) == looks_back
    text = json.dumps(training)
    assert not re.search(r"second|duration|elapsed|peak_mb|wall", text)


def check_texts(files: dict[str, bytes], model: str) -> None:
    curves = pd.read_csv(paths.LOSS)
    assert tuple(curves.columns) == LOSS_COLUMNS
    kinds = {"training", "validation"} if model == "lstm_lgbm" else set()
    assert set(curves["kind"]) == kinds
    verdict = json.loads(files[str(paths.VERDICT)])
    assert verdict["verdict"] == "undecidable", "20 days are too few to tell"
    markdown = files[str(paths.TRAINING_TABLE)].decode()
    assert markdown.startswith(
        "# Training of demo · simulated · SIM-BTC · 1h, as of 2025-12-20T00:00"
    )
    tables = re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE)
    assert len(tables) == (2 if model == "majority" else 3)
    assert ("No column changes" in markdown) == (model == "majority")
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_cell_cannot_break_the_table() -> None:
    fit = {"fit": "refit", "train_rows": 3, "train_from": AS_OF, "train_to": AS_OF}
    head = {
        "model": "plugins.own.Own",
        "rows": 3,
        "shape": [3, 2],
        "bytes": 48,
        "classes": ["up", "down"],
        "class_shares": {"up": 1.0, "down": 0.0},
        "fits": [{**fit, "parts": {"own": {"note": "a|b\nc", "rate": 0.25, "list": [1]}}}],
        "per_class": {
            name: {"precision": None, "recall": 0.5, "rows": 2} for name in ("up", "down")
        },
        "confusion": [[1, 0], [0, 2]],
        "importance": [],
    }
    markdown = training_markdown("own", {"heads": {"direction": head}, "libraries": {}})
    lines = [line for line in markdown.splitlines() if line.startswith("| refit")]
    assert len(lines) == 1
    assert len(re.findall(r"(?<!\\)\|", lines[0])) == len(FITS) + 1
    assert fit_rows(head)[0][-1].startswith("own: note a|b")


def test_a_version_carries_its_page_and_its_events_tell_the_cost(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrains, "reproduce", in_this_process)
    first = retrained("recipe=demo", home)
    assert first.report.read_bytes().startswith(b"<!")
    assert first.report.parent.name == first.version == "v0001"
    places = Places(home, CHECKOUT)
    bundle = places.registry.open(first.target.slot, "v0001")
    assert {"report.html", "training.json"} <= set(bundle.names)
    assert json.loads(bundle.read("training.json"))["heads"]["direction"]["per_class"]
    built = costs(places, first)
    assert len(built) == 1
    assert set(built[0]["seconds"]) == set(built[0]["cpu_seconds"]) == set(STAGES)
    assert min(built[0]["peak_mb"].values()) > 10
    again = retrained("recipe=demo", home)
    assert (again.version, again.created) == ("v0001", False), "a duration is no part of a version"
    assert len(costs(places, first)) == 2


def in_this_process(workspace: Workspace, home: Path, progress: Any, how: How) -> BuildReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace.folder)
        plan = resolve(["recipe=demo", *words()], CHECKOUT / "conf", home, pd.Timestamp(AS_OF)).plan
        write_plan(plan)
        for stage in STAGES:
            run_stage(stage)
    return BuildReport(("compose", *STAGES))


def words() -> list[str]:
    return ["model=majority", f"as_of={AS_OF}", "recipe.history_days=20"]


def retrained(recipe: str, home: Path) -> Outcome:
    now = pd.Timestamp(AS_OF)
    target = resolve([recipe, *words()], CHECKOUT / "conf", home, now)
    return retrain(target, Places(home, CHECKOUT), now, lambda _: None)


def costs(places: Places, outcome: Outcome) -> list[Any]:
    events = places.registry.events(outcome.target.slot, outcome.version)
    return [event for event in events if event["event"] == "built"]
