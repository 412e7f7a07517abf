from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.frames import key_by_market
from pipeline.models.base import FeatureTable, Model, Rows, Samples
from pipeline.models.lightgbm import LightGBM
from pipeline.models.majority import Majority
from tests.conftest import CHECKOUT

CLASSES = ("sell", "hold", "buy")
TREES = LightGBM(
    n_estimators=8,
    learning_rate=0.2,
    num_leaves=7,
    max_depth=3,
    min_data_in_leaf=5,
    feature_fraction=0.8,
    bagging_fraction=0.8,
    bagging_freq=1,
    lambda_l2=1.0,
)
MODELS = [pytest.param(TREES, id="lightgbm"), pytest.param(Majority(), id="majority")]


def table(rows: int = 400) -> FeatureTable:
    index = pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC", name="time", unit="ms")
    values = np.random.default_rng(5).normal(size=(rows, 4))
    frame = pd.DataFrame(values, index=index, columns=["rsi", "macd", "atr", "close"])
    return FeatureTable.from_frame(key_by_market(frame, "KRW-SOL"))


def samples(classes: tuple[str, ...] = CLASSES, rows: int = 400) -> Samples:
    """Labels that the first column tells, now and then."""
    features = table(rows)
    generator = np.random.default_rng(6)
    score = features.values[:, 0] + 0.5 * generator.normal(size=rows)
    edges = np.quantile(score, np.linspace(0, 1, len(classes) + 1)[1:-1])
    return Samples(
        table=features,
        rows=np.arange(rows),
        label=np.searchsorted(edges, score).astype("int8"),
        weight=generator.uniform(0.1, 1, rows),
        ends_at=pd.DatetimeIndex(features.index.get_level_values("time")) + pd.Timedelta("3h"),
        classes=classes,
    )


def everything(features: FeatureTable) -> Rows:
    return np.arange(len(features.values))


def fit_and_ask(model: Model, given: Samples, seed: int = 1) -> np.ndarray:
    fitted = model.fit(given, np.random.default_rng(seed))
    return fitted.predict_proba(given.table, everything(given.table))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("classes", [CLASSES, ("calm", "wild")])
def test_probabilities_are_probabilities(model: Model, classes: tuple[str, ...]) -> None:
    probability = fit_and_ask(model, samples(classes))
    assert probability.shape == (400, len(classes))
    assert (probability >= 0).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("classes", [CLASSES, ("calm", "wild")])
def test_trees_learn_which_class_is_which(classes: tuple[str, ...]) -> None:
    given = samples(classes)
    found = fit_and_ask(TREES, given).argmax(axis=1)
    assert (found == given.label).mean() > 0.7


@pytest.mark.parametrize("model", MODELS)
def test_the_same_generator_gives_the_same_bytes(model: Model) -> None:
    given = samples()
    saved = [model.fit(given, np.random.default_rng(1)).save() for _ in range(2)]
    assert saved[0] == saved[1]


def test_a_fit_asks_for_one_thread() -> None:
    told = TREES.fit(samples(), np.random.default_rng(1)).save()["model.txt"]
    assert b"[num_threads: 1]" in told
    assert b"[deterministic: 1]" in told


def test_chance_comes_from_the_generator_alone() -> None:
    given = samples()
    first = TREES.fit(given, np.random.default_rng(1)).save()
    assert TREES.fit(given, np.random.default_rng(2)).save() != first
    np.random.seed(0)  # noqa: NPY002
    assert TREES.fit(given, np.random.default_rng(1)).save() == first


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("classes", [CLASSES, ("calm", "wild")])
def test_a_loaded_model_is_the_saved_one(model: Model, classes: tuple[str, ...]) -> None:
    given = samples(classes)
    fitted = model.fit(given, np.random.default_rng(1))
    loaded = model.load(fitted.save())
    rows = everything(given.table)
    np.testing.assert_array_equal(
        loaded.predict_proba(given.table, rows), fitted.predict_proba(given.table, rows)
    )
    assert loaded.columns == fitted.columns == given.table.columns
    assert loaded.save() == fitted.save()


@pytest.mark.parametrize("model", MODELS)
def test_no_saved_file_is_a_pickle(model: Model) -> None:
    for content in model.fit(samples(), np.random.default_rng(1)).save().values():
        assert content.decode("utf-8").isprintable() or b"\n" in content
        assert not content.startswith(b"\x80")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (("macd", "rsi", "atr", "close"), "macd at position 0; expected: rsi"),
        (("rsi", "macd", "atr", "closing"), "closing at position 3; expected: close"),
    ],
)
def test_other_columns_are_refused(model: Model, columns: tuple[str, ...], told: str) -> None:
    given = samples()
    fitted = model.fit(given, np.random.default_rng(1))
    order = [
        given.table.columns.index(name) if name in given.table.columns else 3 for name in columns
    ]
    other = dataclasses.replace(
        given.table, columns=columns, values=given.table.values[:, order].copy()
    )
    with pytest.raises(DataError, match=told):
        fitted.predict_proba(other, np.array([0]))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_columns_is_refused(model: Model, count: int) -> None:
    given = samples()
    fitted = model.fit(given, np.random.default_rng(1))
    wide = np.hstack([given.table.values, given.table.values])[:, :count]
    names = (*given.table.columns, "volume")[:count]
    other = FeatureTable(columns=names, values=wide, index=given.table.index)
    with pytest.raises(DataError, match=f"{count} columns; expected: 4 columns"):
        fitted.predict_proba(other, np.array([0]))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_no_number_is_refused(model: Model, bad: float) -> None:
    given = samples()
    fitted = model.fit(given, np.random.default_rng(1))
    values = given.table.values.copy()
    values[7, 2] = bad
    broken = dataclasses.replace(given.table, values=values)
    with pytest.raises(DataError, match=r"column atr, row .*2025-01-01 07:00"):
        fitted.predict_proba(broken, np.array([7]))


def test_trees_are_not_fitted_on_what_is_no_number() -> None:
    given = samples()
    values = given.table.values.copy()
    values[7, 2] = np.nan
    broken = dataclasses.replace(given, table=dataclasses.replace(given.table, values=values))
    with pytest.raises(DataError, match="a feature is not finite"):
        TREES.fit(broken, np.random.default_rng(1))


def test_majority_tells_the_shares_of_its_rows() -> None:
    given = samples().take(np.arange(50))
    shares = np.bincount(given.label, minlength=3) / 50
    fitted = Majority().fit(given, np.random.default_rng(1))
    found = fitted.predict_proba(given.table, np.array([3, 399]))
    np.testing.assert_array_equal(found, [shares, shares])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("only", [0, 2])
def test_classes_that_never_happened_are_still_told(model: Model, only: int) -> None:
    given = samples()
    given = dataclasses.replace(given, label=np.full(400, only, "int8"))
    probability = fit_and_ask(model, given)
    assert probability.shape == (400, 3)
    assert (probability.argmax(axis=1) == only).all()
    assert (probability[:, only] > 0.9).all()


def test_only_the_proportion_of_weights_matters() -> None:
    given = samples()
    doubled = dataclasses.replace(given, weight=given.weight * 2)
    np.testing.assert_array_equal(fit_and_ask(TREES, given), fit_and_ask(TREES, doubled))
    other = dataclasses.replace(given, weight=given.weight[::-1].copy())
    assert not np.array_equal(fit_and_ask(TREES, given), fit_and_ask(TREES, other))


def test_a_part_of_the_samples_keeps_the_rest_in_step() -> None:
    given = samples()
    positions = np.array([5, 3, 300])
    part = given.take(positions)
    np.testing.assert_array_equal(part.values, given.values[positions])
    np.testing.assert_array_equal(part.label, given.label[positions])
    np.testing.assert_array_equal(part.weight, given.weight[positions])


def test_a_wrong_key_is_refused_with_the_right_one() -> None:
    told = TREES.model_dump() | {"n_estimator": 5}
    with pytest.raises(ConfigError, match="n_estimators"):
        LightGBM.parse(told, "model=lightgbm")


ELSEWHERE = """
import hashlib, json, numpy
from tests.unit.test_models import TREES, samples
saved = TREES.fit(samples(), numpy.random.default_rng(1)).save()
print(json.dumps({name: hashlib.sha256(saved[name]).hexdigest() for name in saved}))
"""


def test_threads_and_places_change_nothing() -> None:
    told = []
    for threads in ("1", "4"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(json.loads(done.stdout))
    assert told[0] == told[1]
    assert set(told[0]) == {"model.txt", "columns.json"}
