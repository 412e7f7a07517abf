"""The `tune` choice: what a file of conf/tune/ lays under a run, and what it never can."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import read_yaml, to_yaml
from pipeline.configuration.choices import choose
from pipeline.configuration.compose import compose_run, read_root, tuned
from pipeline.configuration.plan import Plan, write_plan
from pipeline.configuration.planning import plan_run
from pipeline.configuration.settings import lay_settings, over_heads
from pipeline.errors import ConfigError
from tests.spine import chosen, composed, files_below, own_conf, planned, put

Patch = pytest.MonkeyPatch
TUNE: dict[str, Any] = {
    "recipe": "demo",
    "market": "SIM-BTC",
    "choices": {"model": "logistic", "split": "holdout"},
    "set": {
        "model": {"penalty": 3.0},
        "heads": {"direction": {"model": {"max_iter": 50}}},
        "label": {"threshold": 0.02},
        "split": {"test_share": 0.3},
    },
}
SAME = (
    "model=logistic",
    "split=holdout",
    "model.penalty=3.0",
    "heads.direction.model.max_iter=50",
    "label.threshold=0.02",
    "split.test_share=0.3",
)


@pytest.fixture
def conf(home: Path) -> Path:
    return own_conf(home)


def tune(conf: Path, **changed: Any) -> Path:
    path = conf / "tune/mine.yaml"
    path.write_text(to_yaml({**TUNE, **changed}))
    return path


def written(plan: Plan, folder: Path, monkeypatch: Patch) -> dict[str, bytes]:
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_plan(plan)
    return files_below(folder / "build/config")


def test_no_tune_costs_nothing(conf: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    told = written(planned("tune=none", conf=conf), tmp_path / "none", monkeypatch)
    shutil.rmtree(conf / "tune")
    root = conf / "config.yaml"
    kept = [line for line in root.read_text().splitlines() if not line.startswith("  tune:")]
    root.write_text("\n".join(kept))
    assert "tune" not in read_yaml(root)["choices"]
    assert written(planned(conf=conf), tmp_path / "without", monkeypatch) == told
    for name in set(told) - {"local.yaml"}:
        assert b"tune" not in told[name], "nothing that a stage depends on may know the word"


def test_a_tune_words_and_an_edited_yaml_are_one_configuration(
    conf: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    tune(conf)
    by_tune, by_words = planned("tune=mine", conf=conf), planned(*SAME, conf=conf)
    files = written(by_tune, tmp_path / "tune", monkeypatch)
    others = written(by_words, tmp_path / "words", monkeypatch)
    assert {name for name in files if files[name] != others[name]} == {"local.yaml"}
    put(conf / "recipe/upbit_hourly.yaml", "split", "holdout")
    put(conf / "model/logistic.yaml", "penalty", "3.0")
    put(conf / "model/logistic.yaml", "max_iter", "50")
    put(conf / "label/three_class.yaml", "threshold", "0.02")
    put(conf / "split/holdout.yaml", "test_share", "0.3")
    by_yaml = planned("model=logistic", conf=conf)
    assert by_yaml.stages == by_tune.stages == by_words.stages
    assert by_yaml.trial == by_tune.trial == by_words.trial != planned().trial


def test_the_users_own_words_lie_above(conf: Path) -> None:
    tune(conf)
    run = composed(
        "tune=mine", "model.penalty=9", "model.max_iter=70", "split.test_share=0.1", conf=conf
    )
    model = run.heads["direction"]["model"]
    assert (model["penalty"], model["max_iter"]) == (9, 70), "also over what names a head"
    assert run.groups["split"]["test_share"] == 0.1
    assert run.heads["direction"]["label"]["threshold"] == 0.02
    assert (run.choices.tune, run.choices.model, run.model) == ("mine", "logistic", "logistic")


def test_only_what_was_left_at_the_recipes_own_is_filled(conf: Path) -> None:
    tune(conf, set={}, market="KRW-SOL")
    run = composed("tune=mine", "split=walk_forward", conf=conf)
    assert (run.choices.split, run.choices.model) == ("walk_forward", "logistic")
    assert run.choices.market == "SIM-BTC", "the market is where it was found, and binds nobody"
    assert composed("tune=mine", "model=majority", conf=conf).model == "majority"


def test_what_was_chosen_may_be_chosen_again(conf: Path) -> None:
    tune(conf)
    same = ["model=logistic", "split=holdout"]
    assert planned("tune=mine", *same, conf=conf).trial == planned("tune=mine", conf=conf).trial


def test_composed_choices_tell_the_whole_without_the_file(conf: Path) -> None:
    file = tune(conf)
    whole = tuned(chosen("tune=mine", "model.penalty=9", conf=conf), conf)
    plan = plan_run(compose_run(whole, conf))
    file.unlink()
    alone = whole.model_copy(update={"tune": "none"})
    assert plan_run(compose_run(alone, conf)).trial == plan.trial
    assert plan.local["trial"]["choices"]["set"] == whole.set


BROKEN: list[tuple[dict[str, Any], str, str]] = [
    ({"modle": "x"}, "unknown key 'modle'", "conf/tune/mine.yaml"),
    ({"choices": {"exchange": "replay"}}, "'exchange' does not belong in a tune", "choices"),
    ({"choices": {"model": "logistc"}}, "there is no model 'logistc'", "did you mean logistic"),
    ({"choices": {"model": "recipe"}}, "there is no model 'recipe'", "conf/tune/mine.yaml"),
    ({"choices": {"model": 5}}, "'choices.model' is 5", "conf/tune/mine.yaml"),
    ({"choices": ["model"]}, "'choices' is ['model']", "conf/tune/mine.yaml"),
    ({"set": {"exchange": {"root": "/etc"}}}, "'exchange' does not belong", "mine.yaml: set"),
    ({"set": {"market": {"fee_bps": 0}}}, "'market' does not belong in a tune", "mine.yaml: set"),
    ({"set": {"seed": 8}}, "'seed' does not belong in a tune", "mine.yaml: set"),
    ({"set": {"device": "cpu"}}, "'device' does not belong in a tune", "mine.yaml: set"),
    ({"set": {"recipe": {"lookback": 1}}}, "'recipe' does not belong", "mine.yaml: set"),
    ({"set": {"gate": {}}}, "'gate' does not belong in a tune", "mine.yaml: set"),
    ({"set": {"modle": {}}}, "'modle' does not belong", "did you mean model"),
    ({"set": {"model": 5}}, "is not a mapping", "mine.yaml: set.model"),
    ({"set": 5}, "'set' is 5", "conf/tune/mine.yaml"),
    ({"set": {"heads": 5}}, "is not a mapping", "mine.yaml: set.heads"),
    ({"set": {"heads": {"direction": 5}}}, "is not a mapping", "set.heads.direction"),
    ({"set": {"heads": {"direction": {"model": 5}}}}, "is not a mapping", "direction.model"),
    ({"set": {"heads": {"direction": {"gate": {}}}}}, "unknown key 'gate'", "heads.direction"),
    ({"set": {"heads": {"dir": {"model": {}}}}}, "there is no head 'dir'", "did you mean dir"),
    ({"set": {"model": {"penalty": "${oc.env:HOME}"}}}, "references are not", "set.model.penalty"),
    ({"set": {"model": {"penalty": "${.x}"}}}, "references are not", "mine.yaml: set.model"),
    ({"set": {"model": {"penalt": 1}}}, "unknown key 'penalt'", "conf/tune/mine.yaml"),
    ({"set": {"model": {"penalty": -1}}}, "'penalty' is -1", "conf/tune/mine.yaml"),
    ({"set": {"model": {"_target_": "os.system"}}}, "'os.system' is refused", "_target_"),
    ({"set": {"split": {"nope": 1}}}, "unknown key 'nope'", "conf/tune/mine.yaml"),
    ({"recipe": "upbit_hourly"}, "made for another recipe", "tune=none"),
    ({"recipe": None}, "'recipe' is None", "conf/tune/mine.yaml"),
]


@pytest.mark.parametrize(
    ("changed", "what", "where"), BROKEN, ids=[f"{what} {where}" for _, what, where in BROKEN]
)
def test_a_broken_tune_is_told(conf: Path, changed: dict[str, Any], what: str, where: str) -> None:
    tune(conf, **changed)
    with pytest.raises(ConfigError) as caught:
        planned("tune=mine", conf=conf)
    told = str(caught.value)
    assert what in told
    assert where in told
    assert "To do: " in told
    assert told.isprintable()


@pytest.mark.parametrize("content", [b"", b"- a\n", b"a: " + b"[" * 5000, b"\xff", b"recipe: [\n"])
def test_a_file_that_is_no_tune_is_told(conf: Path, content: bytes) -> None:
    (conf / "tune/mine.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        planned("tune=mine", conf=conf)


@pytest.mark.parametrize("name", ["demo-SIM", "../model/logistic", "recipe", "A" * 1000, "a\x1b"])
def test_an_unknown_tune_is_told(conf: Path, name: str) -> None:
    shutil.copy(tune(conf), conf / "tune/demo-SIM-BTC.yaml")
    with pytest.raises(ConfigError, match=r"there is no tune.*\(conf/tune/\).*Valid: ") as caught:
        compose_run(chosen(conf=conf).model_copy(update={"tune": name}), conf)
    assert str(caught.value).isprintable()
    assert name != "demo-SIM" or "did you mean demo-SIM-BTC?" in str(caught.value)


def test_a_tune_that_only_home_has_needs_git_add(conf: Path) -> None:
    tune(conf)
    with pytest.raises(ConfigError, match=r"git does not track it.*git add conf/tune/mine\.yaml"):
        planned("tune=mine")


OTHERS = [
    ({}, ["model=lightgbm"], "one of model=logistic, and model=lightgbm was chosen"),
    ({}, ["split=walk_forward"], "one of split=holdout, and split=walk_forward was chosen"),
    ({}, ["recipe.heads.direction.model=majority"], "and model=majority was chosen"),
    ({}, ["recipe.split=walk_forward_2"], "and split=walk_forward_2 was chosen"),
    ({"choices": {}}, ["model=majority"], "one of model=lightgbm, and model=majority was"),
    ({"set": {}}, ["recipe.heads.direction.model=majority"], "and model=majority was chosen"),
    (
        {"choices": {}, "set": {"heads": {"direction": {"model": {"max_depth": 3}}}}},
        ["model=majority"],
        "one of model=lightgbm, and model=majority was",
    ),
]


@pytest.mark.parametrize(("changed", "words", "told"), OTHERS)
def test_settings_of_one_option_are_not_laid_under_another(
    conf: Path, changed: dict[str, Any], words: list[str], told: str
) -> None:
    tune(conf, **changed)
    with pytest.raises(ConfigError) as caught:
        planned("tune=mine", *words, conf=conf)
    group = told.partition("=")[0].split()[-1]
    assert told in str(caught.value)
    assert f"leave {group} out to take the tune's, or choose tune=none" in str(caught.value)


def test_another_heads_settings_are_no_reason_to_refuse(conf: Path) -> None:
    settings = {"heads": {"leave": {"label": {"threshold": 0.02}}}}
    tune(conf, recipe="pair", choices={"split": "holdout"}, set=settings)
    run = composed("recipe=pair", "tune=mine", "model=majority", conf=conf)
    thresholds = {name: head["label"]["threshold"] for name, head in run.heads.items()}
    assert (thresholds["leave"], run.model) == (0.02, "majority")
    assert thresholds["entry"] != 0.02


def test_choices_of_before_read_as_no_tune(conf: Path) -> None:
    told = read_yaml(conf / "config.yaml")["choices"]
    del told["tune"]
    start = read_root(conf).choices
    assert type(start).parse(told, "old") == start
    assert choose(start, {"tune": "mine"}).tune == "mine"


LEAVES = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2), max_size=3)
LAYERS = st.fixed_dictionaries(
    {},
    optional={
        "model": LEAVES,
        "label": LEAVES,
        "heads": st.dictionaries(
            st.sampled_from("ab"),
            st.dictionaries(st.sampled_from(["model", "label"]), LEAVES, max_size=2),
            max_size=2,
        ),
    },
)


@given(below=LAYERS, above=LAYERS)
def test_layers_give_what_one_after_the_other_gives(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    heads: dict[str, dict[str, Any]] = {name: {"model": {}, "label": {}} for name in "ab"}
    one_by_one = over_heads(over_heads(heads, below), above)
    assert over_heads(heads, lay_settings(below, above)) == one_by_one
    assert lay_settings({}, above) == above
    assert lay_settings(below, {}) == below


def test_the_digest_follows_the_configuration_and_nothing_else(conf: Path) -> None:
    base = planned("model=majority", conf=conf).trial
    words = ["as_of=2025-12-19T00:00Z", "gate.min_common_rows=51"]
    assert planned("model=majority", *words, conf=conf).trial == base
    words = ["seed=8", "model=logistic", "recipe.history_days=30", "split.test_share=0.3"]
    found = {planned("model=majority", word, conf=conf).trial for word in words}
    assert len(found | {base}) == len(words) + 1
    assert all(len(digest) == 64 for digest in found)
