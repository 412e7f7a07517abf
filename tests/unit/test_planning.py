from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import read_yaml
from pipeline.configuration.plan import Plan, write_plan
from pipeline.errors import ConfigError
from pipeline.labels.three_class import ThreeClass
from pipeline.runner import STAGES
from tests.conftest import CHECKOUT
from tests.spine import files_below, own_conf, planned, put

FILES = {f"{name}.yaml" for name in (*STAGES, "local", "run")}


@pytest.fixture
def conf(home: Path) -> Path:
    return own_conf(home)


def written(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    write_plan(plan)
    return files_below(folder / "build/config")


def told_differently(one: Plan, other: Plan) -> set[str]:
    return {stage for stage in STAGES if one.stages[stage] != other.stages[stage]}


unchanged = functools.cache(planned)


def test_a_plan_is_one_file_for_each_stage(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned()
    assert set(written(plan, tmp_path / "a", monkeypatch)) == FILES
    for stage in STAGES:
        told = read_yaml(Path(f"build/config/{stage}.yaml"))
        assert set(told) == {"code", "libraries", "plugins", "config"}
        assert told["config"] == plan.stages[stage]
        assert len(told["code"]) == 64
    local = read_yaml(Path("build/config/local.yaml"))
    assert (local["exchange"], local["trial"]["digest"]) == ({}, plan.trial)


CHANGES = {
    "as_of=2025-12-19T00:00Z": {"download", "validate", "evaluate"},
    "market=SIM-ETH": {"download", "validate", "evaluate"},
    "exchange.seed=8": {"download"},
    "recipe.history_days=30": {"download"},
    "validation.min_rows=7": {"validate"},
    "features.columns.rsi.window=15": {"features", "train"},
    "label.threshold=0.02": {"labels", "train", "evaluate"},  # the page says what a class means
    "model.max_depth=2": {"train"},
    "model=majority": {"train"},
    "split.test_share=0.3": {"train"},
    "calibration=sigmoid": {"train"},
    "seed=8": {"train"},
    "gate.min_common_rows=51": {"evaluate"},
    "backtest=bingx_futures": {"evaluate"},
    "market.fee_bps=6": {"evaluate"},
    "recipe.action_threshold=0.6": set(),
    "as_of=2025-12-20T09:00+09:00": set(),
    "recipe=demo": set(),
}


@pytest.mark.parametrize(("word", "stages"), CHANGES.items(), ids=CHANGES)
def test_a_stage_is_told_what_changes_it_and_nothing_else(
    home: Path, word: str, stages: set[str]
) -> None:
    assert told_differently(unchanged(), planned(word)) == stages


def test_where_things_are_changes_no_stage(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("exchange=replay", "market=KRW-SOL")
    without = written(planned(*words), tmp_path / "a", monkeypatch)
    files = written(planned(*words, f"exchange.root={tmp_path}"), tmp_path / "b", monkeypatch)
    differing = {name for name in FILES if files[name] != without[name]}
    assert differing == {"local.yaml"}
    assert read_yaml(Path("build/config/local.yaml"))["exchange"] == {"root": str(tmp_path)}
    assert str(tmp_path).encode() not in b"".join(files[f"{stage}.yaml"] for stage in STAGES)
    assert b"root" not in files["download.yaml"]


def test_the_same_choices_are_the_same_bytes_anywhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = written(planned(), tmp_path / "here", monkeypatch)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        moved = written(planned(), tmp_path / "there" / "deeper", monkeypatch)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert moved == here
    script = (
        "from tests.spine import planned\n"
        "from pipeline.configuration.plan import write_plan\n"
        "write_plan(planned())\n"
    )
    child = tmp_path / "child"
    child.mkdir()
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(CHECKOUT),
        "VINTAGE_HOME": str(home),
        "TZ": "America/St_Johns",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "12345",
    }
    subprocess.run([sys.executable, "-c", script], cwd=child, env=environment, check=True)
    assert files_below(child / "build/config") == here


def test_libraries_are_named_where_they_are_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def libraries(folder: str, *words: str) -> dict[str, set[str]]:
        written(planned(*words), tmp_path / folder, monkeypatch)
        told = {stage: read_yaml(Path(f"build/config/{stage}.yaml")) for stage in STAGES}
        return {stage: set(told[stage]["libraries"]) for stage in STAGES}

    trees, shares = libraries("a", "model=lightgbm"), libraries("b", "model=majority")
    assert {stage for stage in STAGES if "lightgbm" in trees[stage]} == {"train"}
    assert not any("lightgbm" in shares[stage] for stage in STAGES)
    for stage in STAGES:
        assert {"python", "numpy", "pandas", "pydantic"} <= trees[stage]
        assert not {"dvc", "hydra-core", "torch", "xgboost"} & trees[stage]
    assert "numba" in trees["features"]


def test_targets_are_what_a_stage_builds(home: Path) -> None:
    targets = planned().targets
    short = {stage: [name.split(".")[1] for name in targets[stage]] for stage in STAGES}
    assert short == {
        "download": ["market"],
        "validate": ["market"],
        "features": ["features"],
        "labels": ["labels"],
        "train": ["models", "models", "splits"],
        "evaluate": [],
    }


@pytest.mark.parametrize("name", ["features", "label", "model"])
def test_a_head_may_be_named_like_a_group(conf: Path, name: str) -> None:
    recipe = conf / "recipe/pair.yaml"
    recipe.write_text(recipe.read_text().replace("entry:", f"{name}:"))
    plan = planned("recipe=pair", conf=conf)
    assert set(plan.stages["train"]["heads"]) == {name, "leave"}
    assert len(plan.targets["labels"]) == 1
    assert len(plan.targets["train"]) == 3, "split, calibration and the one model"


def test_heads_share_a_feature_set_only_when_it_is_the_same(conf: Path) -> None:
    plan = planned("recipe=pair", conf=conf)
    assert list(plan.stages["features"]["sets"]) == ["hourly46"]
    both = planned("recipe=pair", "set.features.columns.rsi.window=7", conf=conf)
    assert list(both.stages["features"]["sets"]) == ["hourly46"]
    one = "set.heads.leave.features.columns.rsi.window=7"
    with pytest.raises(ConfigError, match=r"two heads mean different columns.*hourly46") as caught:
        planned("recipe=pair", one, conf=conf)
    assert "set.heads.leave.features.name=" in str(caught.value)
    fixed = planned("recipe=pair", one, "set.heads.leave.features.name=own", conf=conf)
    assert sorted(fixed.stages["features"]["sets"]) == ["hourly46", "own"]
    heads = fixed.stages["train"]["heads"]
    assert (heads["entry"]["feature_set"], heads["leave"]["feature_set"]) == ("hourly46", "own")


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "a b", "A" * 100, "x.parquet\\n"])
def test_a_feature_set_is_named_by_a_plain_word(home: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no plain word"):
        planned(f"features.name='{name}'")


WRONG_KINDS = [
    ("label", "pipeline.models.majority.Majority"),
    ("model", "pipeline.splits.holdout.Holdout"),
    ("exchange", "pipeline.models.majority.Majority"),
    ("split", "pipeline.models.majority.Majority"),
    ("features", "pipeline.models.majority.Majority"),
    ("model", "pipeline.config.Record"),
    ("validation", "pipeline.models.majority.Majority"),
]


@pytest.mark.parametrize(("group", "target"), WRONG_KINDS)
def test_a_target_of_another_kind_is_refused(conf: Path, group: str, target: str) -> None:
    text = f"_target_: {target}\n" + ("test_share: 0.2\n" if "Holdout" in target else "")
    (conf / group / "wrong.yaml").write_text(text)
    word = "recipe.validation=wrong" if group == "validation" else f"{group}=wrong"
    with pytest.raises(ConfigError, match=f"is no {group}: it lacks") as caught:
        planned(word, conf=conf)
    assert target in str(caught.value)


def test_the_page_is_told_what_classes_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned("label.threshold=0.02")
    said = plan.stages["evaluate"]["meanings"]["direction"]
    assert said[2] == "the close 24 hours later is more than 2 % higher"
    monkeypatch.setattr(ThreeClass, "meanings", lambda *_: ("down", "so so", "up"))
    reworded = planned("label.threshold=0.02")
    assert tuple(reworded.stages["evaluate"]["meanings"]["direction"]) == ("down", "so so", "up")
    assert reworded.trial == plan.trial, "other words are no other configuration"
    monkeypatch.setattr(ThreeClass, "meanings", lambda *_: ("down",))
    with pytest.raises(ConfigError, match="Found: 1 meanings; expected: one for each of sell,"):
        planned()


OUTSIDE = [
    "model._target_=os.system",
    "model._target_=pipeline.config.os.system",
    "model._target_=pipeline.frames.pq",
    "exchange._target_=subprocess.Popen",
    "split._target_=registry.gate.GateConfig",
    "label._target_=5",
    "gate._target_=pipeline.models.majority.Majority",
    "market._target_=pipeline.models.majority.Majority",
]


@pytest.mark.parametrize("word", OUTSIDE)
def test_no_other_target_is_built(home: Path, word: str) -> None:
    with pytest.raises(ConfigError, match="_target_"):
        planned(word)


def test_a_declared_plugin_is_built_and_digested(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin: str
) -> None:
    (conf / "model/own.yaml").write_text(f"_target_: {plugin}.model.Own\nshare: 0.3\n")
    with pytest.raises(ConfigError, match=f"{plugin}.model.Own' is refused"):
        planned("model=own", conf=conf)
    put(conf / "config.yaml", "plugins", f"[{plugin}]")
    files = written(planned("model=own", conf=conf), tmp_path / "a", monkeypatch)
    others = written(planned("model=majority", conf=conf), tmp_path / "b", monkeypatch)
    told = read_yaml(tmp_path / "a/build/config/train.yaml")
    assert told["plugins"] == [plugin]
    assert told["config"]["heads"]["direction"]["model"]["share"] == 0.3
    assert told["code"] != read_yaml(tmp_path / "b/build/config/train.yaml")["code"]
    differing = {name for name in FILES if files[name] != others[name]}
    assert differing == {"train.yaml", "local.yaml", "run.yaml"}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "path" / "own_plugin"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "model.py").write_text(
        "from pipeline.config import Record\n\n\n"
        "class Own(Record):\n"
        "    share: float\n"
        "    lookback: int = 1\n"
        "    def fit(self, samples, rng): ...\n"
        "    def load(self, files): ...\n"
    )
    monkeypatch.syspath_prepend(folder.parent)
    yield folder.name
    for name in [name for name in sys.modules if name.split(".")[0] == folder.name]:
        del sys.modules[name]


MISTAKES = [
    ("model.n_estimator=5", "unknown key 'n_estimator': did you mean n_estimators?"),
    ("model.n_estimators=0", "'n_estimators' is 0, expected at least 1 (boosting rounds)"),
    ("model.n_estimators=many", "'n_estimators' is 'many'"),
    ("model.n_estimators=true", "'n_estimators' is True, which is no number"),
    ("model.n_estimators=null", "'n_estimators' is None"),
    ("model.learning_rate=nan", "'learning_rate' is nan, expected a finite number"),
    ("model.learning_rate=inf", "'learning_rate' is inf"),
    ("features.columns.rsi.windw=7", "rsi has no argument 'windw': did you mean window?"),
    ("features.columns.rsi.indicator=rsj", "unknown indicator 'rsj': did you mean rsi?"),
    ("features.columns=5", "'columns' is 5"),
    ("label.horizon_hour=5", "did you mean horizon_hours?"),
    ("label.threshold=1", "'threshold' is 1, expected less than 1"),
    ("exchange.sed=5", "unknown key 'sed': did you mean seed?"),
    ("exchange.root=/x", "unknown key 'root'"),
    ("exchange.start=2023-01-02T00:00Z", "no start of a month"),
    ("market.fee_bp=5", "unknown key 'fee_bp': did you mean fee_bps?"),
    ("market.fee_bps=-1", "'fee_bps' is -1"),
    ("market.name=../x", "'name' is '../x'"),
    ("split.test_shar=0.2", "did you mean test_share?"),
    ("split.test_share=1", "'test_share' is 1"),
    ("gate.min_common_row=5", "did you mean min_common_rows?"),
    ("validation.min_row=5", "did you mean min_rows?"),
    ("recipe.timeframe=7m", "unknown timeframe. Found: '7m'; expected: 1m, 3m"),
    ("as_of=2025-12-20", "as_of names no time zone"),
    ("as_of=2025-13-20T00:00Z", "as_of is not a moment"),
    ("as_of=yesterday", "as_of is not a moment"),
    ("as_of=last", "as_of is not a moment"),
    ("device=cuda", "'device' is 'cuda'"),
]


@pytest.mark.parametrize(("word", "told"), MISTAKES, ids=[word for word, _ in MISTAKES])
def test_a_deep_mistake_names_the_nearest_word_and_its_place(
    home: Path, word: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(word)
    assert told in str(caught.value)
    group = re.split("[.=]", word)[0]
    place = "train" if group == "device" else group
    assert place in str(caught.value) or "timeframe" in word or "exchange.start" in word
