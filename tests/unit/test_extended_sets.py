from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.build import build
from pipeline.config import to_yaml
from pipeline.configuration.extended_sets import read_feature_set, with_parent
from pipeline.errors import ConfigError
from tests.spine import own_conf, planned

PARENT = {
    "_target_": "pipeline.features.feature_set.FeatureSet",
    "name": "parent",
    "columns": {
        "rsi": {"indicator": "rsi", "window": 3, "kind": "simple"},
        "close": {"indicator": "candle", "field": "close"},
        "average": {"indicator": "moving_average", "window": 5},
    },
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "features").mkdir()
    write(tmp_path, "parent", PARENT)
    return tmp_path


def write(conf: Path, name: str, node: dict[str, Any]) -> None:
    columns = node.get("columns")  # as a list, because to_yaml sorts the keys of a mapping
    if isinstance(columns, dict):
        node = {**node, "columns": [{"name": key, **each} for key, each in columns.items()]}
    (conf / "features" / f"{name}.yaml").write_text(to_yaml(node))


def child(**more: Any) -> dict[str, Any]:
    return {"_target_": PARENT["_target_"], "name": "child", "extends": "parent", **more}


EMA = {"indicator": "exponential_average", "span": 4}


def test_the_parents_columns_come_first_in_its_order(conf: Path) -> None:
    whole = with_parent(child(without=["close"], columns={"a_mean": EMA}), conf)
    assert list(whole) == ["_target_", "name", "columns"]
    assert list(whole["columns"]) == ["rsi", "average", "a_mean"]
    assert build(whole, "features=child").names == ("rsi", "average", "a_mean")


def test_a_set_may_only_leave_out_or_only_rename(conf: Path) -> None:
    assert list(with_parent(child(without=["rsi"]), conf)["columns"]) == ["close", "average"]
    assert with_parent(child(), conf)["columns"] == PARENT["columns"]
    assert with_parent(PARENT, conf) == PARENT


def test_sets_extend_over_two_steps_and_from_lists(conf: Path) -> None:
    listed = [{"name": "a_mean", **EMA}]
    write(conf, "child", child(without=["close"], columns=listed))
    grand = {"name": "grand", "extends": "child", "without": ["rsi"]}
    assert list(with_parent(grand, conf)["columns"]) == ["average", "a_mean"]
    assert read_feature_set(conf, "child")["columns"]["a_mean"] == EMA


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (child(extends="paren"), "there is no features 'paren'.*did you mean parent?"),
        (child(extends="child"), "extends itself.*child extends child"),
        (child(extends=5), "no name of a set"),
        (child(extends="loop"), "child extends loop extends child"),
        (child(without=["rsii"]), "no column 'rsii'.*did you mean rsi?"),
        (child(without="rsi"), "no list of columns"),
        (child(columns={"rsi": EMA}), r"rsi stands in both child and parent.*without: \[rsi\]"),
        (child(columns=[{"name": "a", **EMA}] * 2), "two columns are named 'a'"),
        (child(columns=[EMA]), "a 'name' each"),
        (child(columns=None), "a 'name' each"),
        ({"name": "child", "without": ["rsi"], "columns": {}}, "nothing without 'extends'"),
    ],
)
def test_mistakes_are_told(conf: Path, node: dict[str, Any], message: str) -> None:
    write(conf, "loop", {"name": "loop", "extends": "child"})
    write(conf, "child", node)
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        with_parent(node, conf)


def test_a_run_resolves_the_whole_table(home: Path) -> None:
    conf = own_conf(home)
    write(conf, "child", child(extends="hourly46", without=["open"], columns={"a_mean": EMA}))
    plan = planned("features=child", "++set.features.columns.rsi.window=7", conf=conf)
    columns = plan.stages["features"]["sets"]["child"]["columns"]
    assert [column["name"] for column in columns][:2] == ["high", "low"]
    assert columns[-1] == {"name": "a_mean", **EMA, "field": "close"}
    assert len(columns) == 46
    assert next(column for column in columns if column["name"] == "rsi")["window"] == 7
