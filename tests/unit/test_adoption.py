"""From an experiment to a file of conf/tune/ that says the same, and the way there told."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.config import read_yaml, to_yaml
from pipeline.configuration.choices import write_choices
from pipeline.configuration.compose import compose_run
from pipeline.configuration.planning import plan_run
from pipeline.configuration.tune_choice import Tune
from pipeline.errors import ConfigError
from pipeline.fitting.trial import TrialFacts
from pipeline.operations.trials import adoption, experiment_list
from pipeline.operations.trials.adoption import Adopted, adopted, write_adopted, write_tune
from pipeline.operations.trials.experiment_list import Experiment, experiments, measured
from registry.slots import Slot
from registry.trials import count_trials
from tests.spine import chosen, files_below, one_paragraph, own_conf, planned, put

Patch, Capture = pytest.MonkeyPatch, pytest.CaptureFixture[str]
NAME = "demo-SIM-BTC"
WORDS = (
    "model=logistic",
    "split=holdout",
    "model.penalty=3.5",
    "model.max_iter=60",
    "heads.direction.model.max_iter=50",
    "label.threshold=0.02",
    "split.test_share=0.3",
)


@pytest.fixture
def conf(home: Path) -> Path:
    return own_conf(home)


def test_what_is_adopted_is_the_same_configuration(conf: Path) -> None:
    path = write_tune(conf, chosen(*WORDS, conf=conf), "From a search.")
    assert path == conf / f"tune/{NAME}.yaml"
    assert path.read_text().startswith("# From a search.\n")
    assert read_yaml(path) == {
        "recipe": "demo",
        "market": "SIM-BTC",
        "slot": "demo/SIM-BTC",
        "choices": {"model": "logistic", "split": "holdout"},
        "set": {
            "model": {"penalty": 3.5, "max_iter": 60},
            "heads": {"direction": {"model": {"max_iter": 50}}},
            "label": {"threshold": 0.02},
            "split": {"test_share": 0.3},
        },
    }
    again = planned(f"tune={NAME}", conf=conf)
    assert again.trial == planned(*WORDS, conf=conf).trial
    assert again.stages == planned(*WORDS, conf=conf).stages


def test_the_tune_that_was_chosen_is_merged_in(conf: Path) -> None:
    write_tune(conf, chosen(*WORDS, conf=conf), "first")
    refined = chosen(f"tune={NAME}", "model.max_iter=99", "label.threshold=0.03", conf=conf)
    wanted = plan_run(compose_run(refined, conf))
    path = write_tune(conf, refined, "second")
    told = read_yaml(path)
    assert path.name == f"{NAME}.yaml"
    assert told["choices"] == {"model": "logistic", "split": "holdout"}
    assert told["set"]["heads"] == {"direction": {"model": {"max_iter": 99}}}
    assert told["set"]["model"] == {"penalty": 3.5, "max_iter": 99}
    assert planned(f"tune={NAME}", conf=conf).trial == wanted.trial


def test_a_value_is_read_back_as_it_was(conf: Path) -> None:
    words = ["model.max_depth=7", "model.learning_rate=1e-05"]
    path = write_tune(conf, chosen(*words, conf=conf), "numbers")
    assert read_yaml(path)["set"]["model"] == {"max_depth": 7, "learning_rate": 1e-05}
    assert planned(f"tune={NAME}", conf=conf).trial == planned(*words, conf=conf).trial


def test_what_no_tune_holds_is_named(conf: Path) -> None:
    words = ("seed=8", "recipe.history_days=30", "exchange.seed=4", "gate.min_common_rows=51")
    made = adopted(chosen(*WORDS, *words, conf=conf), conf)
    assert sorted(made.left_out) == sorted(words)
    path = write_tune(conf, chosen(*WORDS, *words, conf=conf), "From a search.")
    assert "recipe.history_days=30" in path.read_text()
    assert "exchange." not in path.read_text()
    assert set(read_yaml(path)["set"]) == {"model", "heads", "label", "split"}
    both = planned(f"tune={NAME}", *words, conf=conf)
    assert both.trial == planned(*WORDS, *words, conf=conf).trial


def test_a_split_of_the_recipe_is_one_of_the_tune(conf: Path) -> None:
    words = ("recipe.split=holdout", "split.test_share=0.3", "recipe.history_days=30")
    made = adopted(chosen(*words, conf=conf), conf)
    assert made.tune.choices == {"split": "holdout"}
    assert made.left_out == ("recipe.history_days=30",)
    write_adopted(made, conf, "x")
    both = planned(f"tune={NAME}", "recipe.history_days=30", conf=conf)
    assert both.trial == planned(*words, conf=conf).trial
    words = ("recipe.split=walk_forward_2", "split=holdout")
    assert adopted(chosen(*words, conf=conf), conf).tune.choices == {"split": "holdout"}


@pytest.mark.parametrize("word", ["calibration=isotonic", "recipe.calibration=isotonic"])
def test_a_tune_holds_how_probabilities_are_calibrated(conf: Path, word: str) -> None:
    words = (word, "calibration.least_effective_rows=90")
    made = adopted(chosen(*words, conf=conf), conf)
    assert made.tune.choices == {"calibration": "isotonic"}
    assert made.tune.set == {"calibration": {"least_effective_rows": 90}}
    write_adopted(made, conf, "x")
    assert planned(f"tune={NAME}", conf=conf).trial == planned(*words, conf=conf).trial


def test_what_would_be_another_configuration_is_refused(conf: Path, monkeypatch: Patch) -> None:
    def rounded(node: dict[str, Any]) -> str:
        return to_yaml(node).replace("3.5", "4.0")

    monkeypatch.setattr(adoption, "to_yaml", rounded)
    with pytest.raises(ConfigError, match=r"is another configuration.*To do: write these settings"):
        adopted(chosen(*WORDS, conf=conf), conf)


def test_another_slots_tune_brings_that_slots_ledger(conf: Path, tmp_path: Path) -> None:
    write_tune(conf, chosen(*WORDS, conf=conf), "x")
    own = planned(f"tune={NAME}", conf=conf)
    foreign = planned(f"tune={NAME}", "exchange=replay", f"exchange.root={tmp_path}", conf=conf)
    slot, other = Slot.parse("demo/SIM-BTC"), Slot.parse("demo@replay/SIM-BTC")
    assert [plan.local["trial"]["origin"] for plan in (own, foreign, planned(conf=conf))] == [
        "",
        str(slot),
        "",
    ]
    for plan in (own, planned("seed=8", conf=conf), foreign):
        assert TrialFacts.of_local(plan.local, "plan").count(tmp_path, "train")
    assert (count_trials(tmp_path, slot), count_trials(tmp_path, other)) == (2, 3)


def test_a_tune_of_no_slot_is_told(conf: Path) -> None:
    path = write_tune(conf, chosen(*WORDS, conf=conf), "x")
    put(path, "slot", "de mo")
    with pytest.raises(ConfigError, match=r"not a slot.*demo-SIM-BTC\.yaml: slot"):
        planned(f"tune={NAME}", conf=conf)


REFUSED = [
    ([], "there is nothing to adopt: this is the recipe's own configuration"),
    (["seed=8"], "there is nothing to adopt"),
    (["recipe.heads.direction.model=majority"], "a tune chooses for all heads"),
    (
        ["recipe.lookback=40", "model=lstm", "model.lookback=40"],
        "does not compose: the model of head direction looks further back",
    ),
    (["model.n_estimatrs=5"], "unknown key 'n_estimatrs'"),
    (["model=lightgb"], "there is no model 'lightgb'"),
    (["label.threshold='${oc.env:HOME}'"], "references are not followed"),
    (["tune=nope"], "there is no tune 'nope'"),
]


@pytest.mark.parametrize(("words", "told"), REFUSED)
def test_what_cannot_be_adopted_is_told_and_not_written(
    conf: Path, words: list[str], told: str
) -> None:
    before = files_below(conf)
    with pytest.raises(ConfigError) as caught:
        write_tune(conf, chosen(*words, conf=conf), "x")
    assert told in str(caught.value)
    assert "To do: " in str(caught.value)
    assert files_below(conf) == before


def test_what_cannot_name_a_file_is_refused(conf: Path) -> None:
    (conf / "recipe/demo.yaml").rename(conf / "recipe/de mo.yaml")
    with pytest.raises(ConfigError, match=r"not a slot.*de mo/SIM-BTC.*rename the option"):
        write_tune(conf, chosen(*WORDS, conf=conf).model_copy(update={"recipe": "de mo"}), "x")


@pytest.mark.parametrize("comment", ["a\nset: {seed: 8}\n", "a\x1b[2J\r\nb", "x " * 400, "\u2028a"])
def test_a_comment_stays_a_comment(tmp_path: Path, comment: str) -> None:
    tune = Tune(recipe="demo", market="SIM-BTC", choices={"model": "logistic"})
    path = write_adopted(
        Adopted(Slot.parse("demo/SIM-BTC"), tune, ("seed=8\n",)), tmp_path, comment
    )
    assert set(read_yaml(path)) == {"recipe", "market", "choices"}
    text = path.read_text()
    assert text.replace("\n", "").isprintable()
    assert max(map(len, text.splitlines())) < 100


def test_the_file_is_named_by_recipe_and_market_whatever_the_exchange(
    conf: Path, tmp_path: Path
) -> None:
    root = f"exchange.root={tmp_path}"
    words = ("exchange=replay", "market=KRW-SOL", root, "model=majority")
    made = adopted(chosen(*words, conf=conf), conf)
    assert (made.name, made.tune.market) == ("demo-KRW-SOL", "KRW-SOL")
    assert (made.slot.exchange, made.left_out) == ("replay", (root,))


# experiments

FULL = "0123456789abcdef0123456789abcdef01234567"


@functools.cache
def params_of(*words: str) -> str:
    return chosen(*words).model_dump_json()


def revision(name: str | None, *words: str, rev: str = FULL, **more: Any) -> Any:
    params = json.loads(params_of(*words))
    metrics = {"log_loss": 1.25, "rows": 700}
    return {
        "rev": rev,
        "name": name,
        "data": {
            "params": {"params.yaml": {"data": params}},
            "metrics": {"reports/metrics.json": {"data": metrics}},
        },
        **more,
    }


def shown() -> list[Any]:
    def run(name: str, rev: str, state: str | None = None, **more: Any) -> Any:
        executor = {"state": state} if state else None
        return {"revs": [revision(name, *WORDS, rev=rev, **more)], "executor": executor}

    nothing = run("no-score", "d" * 40)
    nothing["revs"][0]["data"]["metrics"] = {}
    runs = [
        run("slow-fox", "a" * 40),
        run("done-elk", "b" * 40, "Success"),
        run("late-owl", "c" * 40, "Queued"),
        run("busy-bee", "e" * 40, "Running"),
        run("dead-ant", "f" * 40, "Failed"),
        run("bad-rat", "9" * 40, error={"msg": "failed"}),
        run("twin", "1" * 40),
        run("twin", "2" * 40),
        nothing,
    ]
    own = revision("main", rev=FULL)
    return [{**own, "rev": "workspace", "name": None}, {**own, "experiments": runs}]


@pytest.fixture
def listed(home: Path, conf: Path, monkeypatch: Patch) -> list[Experiment]:
    monkeypatch.setattr(experiment_list, "_show", lambda _: shown())
    return experiments(home)


def test_an_experiment_is_found_by_name_or_revision(listed: list[Experiment]) -> None:
    assert measured("slow-fox", listed).revision == "a" * 40
    assert measured("aaaa", listed).name == "slow-fox"
    assert measured("done-elk", listed).state == "done"
    assert measured("2" * 40, listed).name == "twin"
    assert measured("main", listed).choices.model == "recipe"


UNUSABLE = {
    "slow-fix": ["there is no experiment 'slow-fix'", "did you mean slow-fox?"],
    "aaa": ["there is no experiment 'aaa'", "Valid: "],
    "": ["there is no experiment ''", "Valid: "],
    "twin": ["'twin' names more than one experiment", "1" * 40],
    "late-owl": ["was not measured", "Found: queued"],
    "busy-bee": ["was not measured", "wait for it to end"],
    "dead-ant": ["was not measured", "dvc queue logs dead-ant"],
    "bad-rat": ["was not measured", "Found: failed"],
    "no-score": ["was not measured", "no reports/metrics.json"],
    "workspace": ["was not measured", "Found: changed. To do: bring the workspace up to date"],
    "main": ["there is nothing to adopt", "tune=none"],
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_measured_experiment_is_told(
    listed: list[Experiment], conf: Path, capsys: Capture, name: str
) -> None:
    before = files_below(conf)
    assert main(["adopt", name]) == 2
    paragraph = one_paragraph(capsys)
    assert [part for part in UNUSABLE[name] if part not in paragraph] == []
    assert files_below(conf) == before


def test_adopt_writes_says_what_to_type_and_changes_nothing_else(
    listed: list[Experiment], home: Path, conf: Path, capsys: Capture
) -> None:
    before = files_below(home)
    assert main(["adopt", "slow-fox"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"conf/tune/{NAME}.yaml written.\n")
    assert f"\n  git add conf/tune/{NAME}.yaml\n" in out
    assert f"\n  vintage retrain recipe=demo market=SIM-BTC tune={NAME}\n" in out
    path = f"conf/tune/{NAME}.yaml"
    after = files_below(home)
    assert set(after) - set(before) == {path}
    assert {name: after[name] for name in before} == before
    assert after[path].startswith(b"# From experiment slow-fox (aaaaaaa) at 2025-12-20T00:00Z: log")
    assert planned(f"tune={NAME}", conf=conf).trial == planned(*WORDS, conf=conf).trial
    assert main(["adopt", "done-elk", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["replaced"], told["tune"], told["left_out"]) == (True, NAME, [])
    assert told["slot"] == told["replaced_slot"] == "demo/SIM-BTC"
    put(conf / f"tune/{NAME}.yaml", "slot", "demo@replay/SIM-BTC")
    assert main(["adopt", "done-elk"]) == 0
    shown = capsys.readouterr().out
    assert "in place of the tune of ANOTHER slot, demo@replay/SIM-BTC." in shown
    assert told["choices"] == {"model": "logistic", "split": "holdout"}
    assert b"done-elk" in files_below(home)[path]
    assert (conf / "tune/none.yaml").read_bytes() == before["conf/tune/none.yaml"]


def test_broken_parameters_of_an_experiment_are_told(
    listed: list[Experiment], conf: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    broken = shown()
    params = broken[1]["experiments"][0]["revs"][0]["data"]["params"]["params.yaml"]["data"]
    del params["recipe"], params["tune"]
    monkeypatch.setattr(experiment_list, "_show", lambda _: broken)
    assert main(["adopt", "slow-fox"]) == 2
    assert "'recipe' is missing (params.yaml of slow-fox)" in one_paragraph(capsys)


def test_the_workspace_counts_once_dvc_knows_it(
    listed: list[Experiment], home: Path, conf: Path, capsys: Capture
) -> None:
    (home / "reports").mkdir()
    (home / "reports/metrics.json").write_text("{}")
    write_choices(home / "params.yaml", chosen(*WORDS, conf=conf))
    sums = [experiment_list._md5(home / name) for name in ("params.yaml", "reports/metrics.json")]
    (home / "dvc.lock").write_text(to_yaml({"sums": sums}))
    with pytest.raises(ConfigError, match="changed"):
        measured("workspace", experiments(home))
    local = home / "build/config/local.yaml"
    local.parent.mkdir(parents=True)
    local.write_text(to_yaml(planned(*WORDS, conf=conf).local))
    assert measured("workspace", experiments(home)).name == "workspace"
    put(conf / "recipe/demo.yaml", "history_days", "31")
    assert main(["adopt", "workspace"]) == 2
    assert "was not measured" in one_paragraph(capsys)
    put(conf / "recipe/demo.yaml", "history_days", "120")
    assert measured("workspace", experiments(home)).name == "workspace"
    (home / "reports/metrics.json").write_text("{ }")
    with pytest.raises(ConfigError, match="changed"):
        measured("workspace", experiments(home))
