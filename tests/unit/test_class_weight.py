"""Rare classes that weigh as much as common ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.build import TARGET
from pipeline.frames import key_by_market
from pipeline.models.base import FeatureTable, Floats, Samples
from pipeline.models.class_weight import class_weighted
from pipeline.models.lightgbm import LightGBM
from pipeline.models.xgboost import XGBoost
from tests.spine import planned

TREES = LightGBM(
    n_estimators=20,
    learning_rate=0.1,
    num_leaves=4,
    max_depth=2,
    min_data_in_leaf=20,
    feature_fraction=1.0,
    bagging_fraction=1.0,
    bagging_freq=0,
    lambda_l2=1.0,
)


def rare() -> Samples:
    """1000 rows; one in twenty enters, told by nothing."""
    rng = np.random.default_rng(3)
    time = pd.date_range("2025-01-01", periods=1000, freq="5min", tz="UTC", unit="ms")
    frame = pd.DataFrame(rng.normal(size=(1000, 3)), time.rename("time"), list("abc"))
    return Samples(
        table=FeatureTable.from_frame(key_by_market(frame, "A-B")),
        rows=np.arange(1000),
        label=(np.arange(1000) % 20 == 0).astype("int8"),
        weight=rng.uniform(0.2, 1.0, 1000),
        ends_at=pd.DatetimeIndex(time) + pd.Timedelta("15min"),
        classes=("no", "enter"),
    )


def chance(model: LightGBM) -> Floats:
    given = rare()
    fitted = model.fit(given, np.random.default_rng(1))
    return fitted.predict_proba(given.table, given.rows)[:, 1]


def test_balanced_classes_say_enter_as_often_as_no() -> None:
    assert chance(TREES).mean() == pytest.approx(0.05, abs=0.02)
    weighted = TREES.model_copy(update={"class_weight": "balanced"})
    assert chance(weighted).mean() == pytest.approx(0.5, abs=0.1)


def test_balanced_classes_weigh_as_much_as_the_heaviest() -> None:
    given = rare()
    scaled = class_weighted(given.weight, given.label, "balanced")
    held = [scaled[given.label == k].sum() for k in (0, 1)]
    assert held == pytest.approx([given.weight[given.label == 0].sum()] * 2)
    assert np.unique((scaled / given.weight).round(9)).size == 2


def test_one_class_alone_keeps_its_weights() -> None:
    weight = np.array([1.0, 3.0])
    assert class_weighted(weight, np.zeros(2, "int8"), "balanced").tolist() == [1.0, 3.0]
    assert class_weighted(weight, np.array([0, 1], "int8"), "none").tolist() == [1.0, 3.0]


def test_the_four_heads_weigh_their_classes() -> None:
    heads = planned("recipe=bingx_dual", "exchange=simulated").stages["train"]["heads"]
    assert [*heads] == ["long_entry", "short_entry", "long_exit", "short_exit"]
    assert {head["model"]["class_weight"] for head in heads.values()} == {"balanced"}
    assert {head["model"][TARGET] for head in heads.values()} == {
        f"{XGBoost.__module__}.{XGBoost.__qualname__}"
    }
    assert [len(head["features"]["columns"]) for head in heads.values()] == [37, 37, 44, 44]


def test_a_head_may_take_its_sibling_of_the_other_library() -> None:
    words = ("recipe.heads.long_entry.model=lightgbm_long_entry",)
    heads = planned("recipe=bingx_dual", "exchange=simulated", *words).stages["train"]["heads"]
    models = {name: head["model"][TARGET].rpartition(".")[2] for name, head in heads.items()}
    assert models == dict.fromkeys(heads, "XGBoost") | {"long_entry": "LightGBM"}
