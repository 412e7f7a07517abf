"""``vintage tune`` as a person meets it: words, tables, moments, adoption."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock

from pipeline.__main__ import main
from pipeline.commands import tune as command
from pipeline.config import to_yaml
from pipeline.configuration.compose import read_recipe
from pipeline.experiments import study as studies
from pipeline.experiments.scoring import Frames
from pipeline.experiments.study import ScoredOn
from pipeline.operations.places import Places
from pipeline.operations.retraining.build_run import BuildReport, How
from pipeline.operations.trials import tuning as operation
from pipeline.operations.trials.tuning import Asked, tune_slot
from pipeline.operations.workspace import Workspace, lock_path
from registry.slots import Slot
from tests.conftest import AS_OF
from tests.spine import one_paragraph, planned
from tests.tuning import PENALTY, conf, noise, search_file, shared_conf
from tests.unit.test_architecture import loaded_by

__all__ = ["conf", "shared_conf"]
Capture = pytest.CaptureFixture[str]
WORDS = ["recipe=demo", "recipe.lookback=1", "model=logistic"]
MOMENT = f"as_of={AS_OF}"


@pytest.fixture
def slot(home: Path, conf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose slot is built at once, from noise; `vintage tune` finds it."""
    search_file(conf, PENALTY, name="logistic")
    for path in (conf / "tune").glob("demo-*.yaml"):
        path.unlink()
    monkeypatch.setattr(operation, "_build", lambda *_: noise())
    monkeypatch.setattr(command, "checkout", lambda: conf.parent)
    return home


def tune(capsys: Capture, *words: str) -> str:
    assert main(["tune", *WORDS, *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return str(out)


def facts(capsys: Capture, *words: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(tune(capsys, *words, "--json"))
    return told


def test_the_best_stand_beside_the_configuration_as_it_is(slot: Path, capsys: Capture) -> None:
    shown = tune(capsys, MOMENT, "--trials", "6")
    told = facts(capsys, MOMENT, "--trials", "6")
    header, *rows = shown.split("\n\n")[1].splitlines()
    assert header.split() == ["rank", "trial", "log", "loss", "penalty"]
    ranked = sorted(
        (trial for trial in told["trials"] if trial["state"] == "complete"),
        key=lambda trial: trial["log_loss"],
    )
    assert [row.split()[1] for row in rows[:5]] == [str(t["number"]) for t in ranked[:5]]
    assert [row for row in rows if "0 (as it is)" in row]
    assert f"{told['base']['log_loss']:.5f} as it is" in shown
    assert told["best"] == ranked[0]
    assert "6 trials" in shown
    assert told["overfitting"]["probability"] is None, "of six, the middle says little"
    assert told["overfitting"]["sentence"] in " ".join(shown.split())
    text = " ".join(shown.split())
    assert "best of 6 tried" in text
    assert f"worth {told['independent_rows']['direction']:.4g} independent" in text
    assert f"{told['class_share_log_loss']:.5f} for always giving the class shares" in text
    assert told["beats_class_shares"]
    assert "learned anything" not in text
    assert "no evidence" in shown


def test_everything_is_told_to_programs_and_repeated_without_work(
    slot: Path, capsys: Capture
) -> None:
    told = facts(capsys, MOMENT, "--trials", "4")
    assert told["slot"] == "demo/SIM-BTC"
    assert told["as_of"] == "2025-12-20T00:00:00+00:00"
    assert Path(told["file"]).is_relative_to(slot / "models/tuning/demo/SIM-BTC")
    assert Path(told["file"]).stem == told["study"]
    assert told["tried"] == 4 == told["configurations"] == len(told["trials"])
    assert told["complete"] + told["pruned"] + told["failed"] == 4
    assert (told["rows"], told["folds"]) == ({"direction": told["rows"]["direction"]}, 3)
    assert (told["search"], told["adopted"]) == ("logistic", None)
    again = facts(capsys, MOMENT, "--trials", "4")
    assert again == told | {"tried_before": 4}
    assert (told["new_to_ledger"], told["ledger"]) == (4, 4)
    more = facts(capsys, MOMENT, "model.penalty=2.0", "--trials", "2")
    assert (more["new_to_ledger"], more["ledger"]) == (1, 5), "the same draw is no news"
    assert "1 configurations of this study were new" in more["caution"]
    assert "which holds 5 now" in more["caution"]


def test_configurations_of_before_are_not_told_as_new(slot: Path, capsys: Capture) -> None:
    first = facts(capsys, MOMENT, "--trials", "2")
    later = facts(capsys, "as_of=2025-12-19T00:00Z", "--trials", "2")
    assert later["configurations"] == first["ledger"] == later["ledger"] == 2
    assert later["new_to_ledger"] == 0
    assert "0 configurations of this study were new" in later["caution"]


def test_rows_are_told_of_the_head_that_the_gate_judges() -> None:
    scored = ScoredOn("d", {"entry": 900, "leave": 500}, {"entry": 80.0, "leave": 20.5}, 3, 1.0)
    tuned: Any = SimpleNamespace(scored=scored)
    told = command._rows(tuned)
    assert told.startswith(
        "500 out-of-fold rows of 3 folds, worth 20.5 independent ones of head le"
    )


def test_the_option_that_was_chosen_is_tuned(slot: Path, conf: Path, capsys: Capture) -> None:
    words = ["market=SIM-BTC", "market.name=SIM-ETH", "exchange=simulated", MOMENT]
    told = facts(capsys, *words, "--trials", "3", "--adopt")
    assert told["slot"] == "demo/SIM-ETH"
    file = Path(told["adopted"])
    assert file.name == "demo-SIM-ETH.yaml"
    assert "market: SIM-BTC\n" in file.read_text()


def test_whose_tune_gave_way_is_told(slot: Path, conf: Path, capsys: Capture) -> None:
    file = conf / "tune/demo-SIM-BTC.yaml"
    words = [MOMENT, "--trials", "4", "--adopt"]
    assert facts(capsys, *words)["replaced_slot"] is None
    assert "slot: demo/SIM-BTC\n" in file.read_text()
    assert "in place of an older one of demo/SIM-BTC" in " ".join(tune(capsys, *words).split())
    file.write_text(file.read_text().replace("slot: demo/", "slot: demo@replay/"))
    shown = " ".join(tune(capsys, *words).split())
    assert "in place of the tune of ANOTHER slot, demo@replay/SIM-" in shown
    file.write_text("recipe: demo\nmarket: SIM-BTC\n")
    assert facts(capsys, *words)["replaced_slot"] == ""


def test_what_to_type_next_adopts_and_retrains(slot: Path, conf: Path, capsys: Capture) -> None:
    told = facts(capsys, MOMENT, "--trials", "4", "exchange=simulated", "model.max_iter=90")
    adopt, retrain = told["next"]
    kept = f"{MOMENT} exchange=simulated tune=demo-SIM-BTC"
    assert retrain == f"vintage retrain recipe=demo recipe.lookback=1 {kept}"
    assert not list((conf / "tune").glob("demo-*"))
    assert main([*shlex.split(adopt)[1:], "--json"]) == 0
    adopted = json.loads(capsys.readouterr().out)
    assert adopted["best"] == told["best"]
    assert adopted["tried_before"] == 4
    assert adopted["next"] == [retrain]
    file = Path(adopted["adopted"])
    assert file == conf / "tune" / "demo-SIM-BTC.yaml"
    text = " ".join(line.removeprefix("# ") for line in file.read_text().splitlines())
    assert "best of 4 trials" in text
    assert f"{told['best']['log_loss']:.6g}" in text
    assert f"penalty: {told['best']['settings']['model.penalty']}" in text
    plan = planned(*shlex.split(retrain)[2:], conf=conf)
    assert plan.trial == told["best"]["digest"]


def test_adopting_what_was_not_beaten_writes_nothing(
    slot: Path, conf: Path, capsys: Capture
) -> None:
    search_file(conf, {"model.penalty": {"low": 0.001, "high": 0.002}}, name="worse")
    words = [MOMENT, "model.penalty=100000.0", "--search", "worse", "--trials", "3", "--adopt"]
    shown = tune(capsys, *words)
    assert "nothing tried beats the configuration as it is" in shown
    assert "nothing: no trial beats" in shown
    assert "Next:" not in shown
    assert not list((conf / "tune").glob("demo-*"))


@pytest.mark.parametrize("above", [0.0, 4e-6, -4e-6, 0.3])
def test_what_learned_nothing_is_not_recommended(
    slot: Path, conf: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, above: float
) -> None:
    """No better than the class shares, or no better than five decimals show."""
    words = [MOMENT, "--trials", "4"]
    best = facts(capsys, *words)["best"]["log_loss"]
    real = studies.scored_on

    def scored_on(study: Any) -> ScoredOn:
        return replace(real(study), class_shares=round(best, 5) - above)

    monkeypatch.setattr(studies, "scored_on", scored_on)
    shown = " ".join(tune(capsys, *words, "--adopt").split())
    nothing = "beats the baseline, which knows only the class shares"
    assert f"demo/SIM-BTC: nothing tried {nothing}" in shown
    assert f"nothing: no trial {nothing}" in shown
    assert f"the best trial has {best:.5f}. No settings learned anything" in shown
    assert "Next:" not in shown
    told = facts(capsys, *words)
    assert (told["next"], told["beats_class_shares"]) == ([], False)
    assert not list((conf / "tune").glob("demo-*"))


def test_an_interrupted_search_says_what_is_kept_and_how_to_go_on(
    slot: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminated(*_: Any) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(operation, "_build", terminated)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["tune", *WORDS, MOMENT, "--trials", "9"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    told = one_paragraph(capsys)
    assert "every trial that had ended is kept" in told
    assert f"vintage tune {' '.join(WORDS)} {MOMENT} --trials 9; only" in told


def test_last_goes_on_with_what_was_begun(slot: Path, conf: Path) -> None:
    first, later = pd.Timestamp("2025-12-20T00:30Z"), pd.Timestamp("2025-12-20T05:30Z")
    asked, places = Asked(tuple(WORDS), 4), Places(slot, conf.parent)

    def interrupt(step: str) -> None:
        if step.startswith("trial 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune_slot(asked, places, first, interrupt)
    shown: list[str] = []
    outcome = tune_slot(asked, places, later, shown.append)
    assert shown[0] == "goes on with the unfinished study of 2025-12-20T00:00:00+00:00"
    assert outcome.went_on
    assert outcome.target.plan.run.as_of == "2025-12-20T00:00:00+00:00"
    assert (outcome.tuned.known_before, len(outcome.tuned.trials)) == (2, 4)
    again = tune_slot(asked, places, later, lambda _: None)
    assert not again.went_on
    assert again.target.plan.run.as_of == "2025-12-20T05:00:00+00:00"
    assert again.tuned.known_before == 0


def test_last_says_which_moment_it_goes_on_at(slot: Path, conf: Path, capsys: Capture) -> None:
    begun = pd.Timestamp("2025-12-20T00:30Z")

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune_slot(Asked(tuple(WORDS), 3), Places(slot, conf.parent), begun, interrupt)
    shown = " ".join(tune(capsys, "--trials", "3").split())
    assert "Goes on with the unfinished study of 2025-12-20 00:00 UTC" in shown
    assert "as_of=2025-12-20T00:00:00Z --trials 3 --adopt" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trials", "0"], "--trials is out of range"),
        (["--trials", "x"], "invalid int value"),
        (["--trails", "3"], "did you mean --trials?"),
        (["--search", "logistik"], "did you mean logistic?"),
        (["model=majority"], "there is no search 'majority'"),
        (["model=logistik"], "did you mean logistic?"),
        (["--search", "lightgbm"], "unknown key 'model.n_estimators'"),
        (["as_of=2125-01-01T00:00Z"], "as_of lies in the future"),
    ],
)
def test_a_wrong_command_line_is_one_paragraph(
    slot: Path, capsys: Capture, words: list[str], told: str
) -> None:
    assert main(["tune", *WORDS, MOMENT, *words]) == 2
    assert told in one_paragraph(capsys)
    assert not (slot / "models").exists()


def test_heads_of_different_models_need_a_search_named(
    slot: Path, conf: Path, capsys: Capture
) -> None:
    pair = read_recipe("pair", conf).model_dump()
    pair["heads"]["leave"]["model"] = "logistic"
    (conf / "recipe" / "mixed.yaml").write_text(to_yaml(pair))
    assert main(["tune", "recipe=mixed", MOMENT]) == 2
    assert "lightgbm, logistic; " not in (text := one_paragraph(capsys))
    assert "the heads have different models" in text
    assert "--search NAME" in text


def test_a_slot_that_is_being_built_is_left_alone(
    home: Path, conf: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "checkout", lambda: conf.parent)
    path = lock_path(home, Slot("demo", "SIM-BTC"))
    path.parent.mkdir(parents=True)
    with FileLock(path):
        assert main(["tune", *WORDS, MOMENT]) == 5
    assert "being built by another process" in one_paragraph(capsys)


def test_only_features_and_labels_are_built(
    home: Path, conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    built: list[tuple[str, ...]] = []

    def reproduce(
        workspace: Workspace, home: Path, show: Callable[[str], None], how: How
    ) -> BuildReport:
        built.append(tuple(how.targets))
        data: Frames = noise()
        from pipeline.frames import write_frame

        write_frame(
            workspace.path(Path("data/features/hourly46.parquet")), data.features["hourly46"]
        )
        write_frame(workspace.path(Path("data/labels/direction.parquet")), data.labels["direction"])
        return BuildReport(tuple(how.targets))

    search_file(conf, PENALTY, name="logistic")
    monkeypatch.setattr(operation, "reproduce", reproduce)
    (conf.parent / ".dvcignore").write_text("")
    monkeypatch.setattr(command, "checkout", lambda: conf.parent)
    assert facts(capsys, MOMENT, "--trials", "1")["tried"] == 1
    assert facts(capsys, MOMENT, "--trials", "2")["tried_before"] == 1
    assert built == [("features", "labels")] * 2


def test_help_loads_no_search_library(home: Path) -> None:
    script = (
        "import contextlib\nfrom pipeline.__main__ import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['tune', '--help'])"
    )
    assert not loaded_by(script, home) & {"optuna", "sqlalchemy", "alembic", "torch", "lightgbm"}
