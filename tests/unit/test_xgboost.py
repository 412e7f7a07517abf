from __future__ import annotations

import dataclasses
import json
import zlib

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError
from pipeline.models.base import FeatureTable, Samples
from pipeline.models.xgboost import DECLARATION, MODEL, XGBoost
from tests.simulated import declared

TREES = XGBoost(n_estimators=10, learning_rate=0.3, max_depth=3)
HEADS = ["xgboost_long_entry", "xgboost_short_entry", "xgboost_exit"]


def samples(rows: int = 600, classes: int = 2, rare: float = 0.5, columns: int = 4) -> Samples:
    """The first column tells the class, more or less; the last class has the share `rare`."""
    chance = np.random.default_rng(3)
    values = chance.normal(size=(rows, columns))
    score = values[:, 0] + chance.normal(size=rows)
    edges = np.quantile(score, np.linspace(0, 1 - rare, classes)[1:])
    time = pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC", unit="ms")
    index = pd.MultiIndex.from_product([["SIM"], time], names=["market", "time"])
    names = tuple(f"column_{k}" for k in range(columns))
    return Samples(
        table=FeatureTable(names, values, index),
        rows=np.arange(rows),
        label=np.searchsorted(edges, score).astype("int8"),
        weight=np.ones(rows),
        ends_at=time + pd.Timedelta(hours=1),
        classes=("down", "up", "still")[:classes],
    )


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_library_says_the_same(classes: int) -> None:
    import xgboost

    given = samples(classes=classes, rare=1 / classes)
    fitted = TREES.fit(given, rng())
    bare = xgboost.train(
        {
            "objective": "binary:logistic" if classes == 2 else "multi:softprob",
            **({} if classes == 2 else {"num_class": classes}),
            "eta": 0.3,
            "max_depth": 3,
            "nthread": 1,
            "seed": int(rng().integers(2**31 - 1)),
        },
        xgboost.QuantileDMatrix(given.values, label=given.label, nthread=1),
        num_boost_round=10,
    )
    told = bare.predict(xgboost.DMatrix(given.values))
    found = fitted.predict_proba(given.table, given.rows)
    np.testing.assert_allclose(found[:, 1] if classes == 2 else found, told, rtol=0, atol=1e-6)


def test_balanced_weights_are_the_librarys_scale_pos_weight() -> None:
    import xgboost

    given = samples(rare=0.1)
    given.table.values[:] = given.table.values.round()  # few steps, so that both cut them alike
    balanced = TREES.model_copy(update={"class_weight": "balanced"}).fit(given, rng())
    data = xgboost.QuantileDMatrix(given.values, label=given.label, nthread=1)
    zeros, ones = np.bincount(given.label)
    parameters = {"objective": "binary:logistic", "eta": 0.3, "max_depth": 3, "nthread": 1}
    bare = xgboost.train(
        {**parameters, "scale_pos_weight": zeros / ones, "base_score": 0.5}, data, 10
    )
    found = balanced.predict_proba(given.table, given.rows)[:, 1]
    np.testing.assert_allclose(found, bare.predict(xgboost.DMatrix(given.values)), atol=1e-4)
    plain = TREES.fit(given, rng()).predict_proba(given.table, given.rows)[:, 1]
    assert plain.mean() == pytest.approx(0.1, abs=0.02)
    assert found.mean() > 0.25


def test_balanced_weights_make_three_classes_equal() -> None:
    given = samples(3_000, classes=3, rare=0.05)
    balanced = TREES.model_copy(update={"class_weight": "balanced", "n_estimators": 1})
    shares = balanced.fit(given, rng()).predict_proba(given.table, given.rows)
    weight = 1 / np.bincount(given.label)[given.label]
    assert np.average(shares, axis=0, weights=weight) == pytest.approx([1 / 3] * 3, abs=0.03)


def test_the_file_is_the_librarys_own() -> None:
    import xgboost

    given = samples()
    files = TREES.fit(given, rng()).save()
    assert set(files) == {MODEL, DECLARATION}
    booster = xgboost.Booster()
    booster.load_model(bytearray(zlib.decompress(files[MODEL])))
    assert booster.num_boosted_rounds() == 10
    assert json.loads(files[DECLARATION]) == {"classes": 2, "columns": list(given.table.columns)}


def test_values_beyond_single_precision_are_predicted_from() -> None:
    given = samples()
    values = given.table.values.copy()
    values[5, 1], values[6, 1] = 1e300, -1e300
    spoiled = dataclasses.replace(given, table=dataclasses.replace(given.table, values=values))
    found = TREES.fit(spoiled, rng()).predict_proba(spoiled.table, spoiled.rows)
    assert np.isfinite(found).all()


def test_a_single_row_is_told_as_among_others() -> None:
    given = samples()
    fitted = TREES.fit(given, rng())
    whole = fitted.predict_proba(given.table, given.rows)
    for row in (0, 17, 599):
        assert fitted.predict_proba(given.table, np.array([row])).tobytes() == whole[row].tobytes()


@pytest.mark.parametrize(("classes", "rounds"), [(2, 300), (3, 50)])
def test_a_head_of_full_size_is_small(classes: int, rounds: int) -> None:
    given = samples(4_000, classes, 1 / classes, columns=37)
    model = declared("model", "xgboost_long_entry", {"n_estimators": rounds})
    assert sum(map(len, model.fit(given, rng()).save().values())) < 500_000


def test_a_wrong_key_is_told() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'eta'"):
        XGBoost.parse({**TREES.model_dump(), "eta": 0.1}, "model=xgboost")
    with pytest.raises(ConfigError, match=r"class_weight.*smote"):
        XGBoost.parse({**TREES.model_dump(), "class_weight": "smote"}, "model=xgboost")


@pytest.mark.parametrize("name", HEADS)
def test_rare_classes_weigh_more_in_the_named_heads(name: str) -> None:
    model: XGBoost = declared("model", name)
    assert model.class_weight == "balanced"
    assert {100: (5, 0.1), 300: (6, 0.05)}[model.n_estimators] == (
        model.max_depth,
        model.learning_rate,
    )
