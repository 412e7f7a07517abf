"""Class weights of a fit, taken back before anything is learnt of its probabilities."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.evaluation.metrics import score_head
from pipeline.evaluation.perfect_forecast import perfect_range
from pipeline.fitting.training import TrainedHead, train_head
from pipeline.frames import key_by_market
from pipeline.models.base import FeatureTable, Files, Fitted, Floats, Samples
from pipeline.models.calibration import Calibration, NoCalibration, Sigmoid, calibrator_node
from pipeline.models.class_weight import class_weighted, class_weights, unweighed
from pipeline.models.logistic import Logistic
from pipeline.models.majority import Majority
from pipeline.models.recent_calibration import RecentScaling, Scaling, UnweighedScaling
from pipeline.splits.walk_forward import WalkForward
from tests.unit.test_class_weight import TREES

BALANCED = TREES.model_copy(update={"class_weight": "balanced"})
RECENT = RecentScaling(half_life_days=30, every_days=2, prior_rows=5)
FORWARD = WalkForward(fold_count=3, test_share=0.15)


@dataclass(frozen=True)
class Weighed:
    """Logistic regression, hardly penalised, of rows by class."""

    class_weight: Literal["none", "balanced"] = "balanced"
    lookback: int = 1

    def fit(self, samples: Samples, rng: np.random.Generator) -> Fitted:
        weight = class_weighted(samples.weight, samples.label, self.class_weight)
        return Logistic(penalty=1e-9, max_iter=1000).fit(replace(samples, weight=weight), rng)

    def load(self, files: Files) -> Fitted:
        return Logistic(penalty=1e-9, max_iter=1000).load(files)


def samples_of(values: Floats, label: np.ndarray, weight: Floats) -> Samples:
    time = pd.date_range("2025-01-01", periods=len(label), freq="h", tz="UTC", unit="ms")
    frame = pd.DataFrame(values, time.rename("time"), ["a"])
    return Samples(
        table=FeatureTable.from_frame(key_by_market(frame, "A-B")),
        rows=np.arange(len(label)),
        label=label.astype("int8"),
        weight=weight,
        ends_at=pd.DatetimeIndex(time) + pd.Timedelta("2h"),
        classes=("no", "enter"),
    )


@pytest.fixture(scope="module")
def rare() -> Samples:
    """4000 hours; log odds of entering ``x - 4``, about one in thirty."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(4000, 1))
    chance = 1 / (1 + np.exp(4 - values[:, 0]))
    return samples_of(values, rng.random(4000) < chance, np.ones(4000))


def said(fitted: Fitted, given: Samples) -> Floats:
    return fitted.predict_proba(given.table, given.rows)


def test_what_is_left_is_the_share_of_each_cell() -> None:
    """Weights move the odds of a model that has a figure for every cell by their ratio, exactly."""
    rng = np.random.default_rng(2)
    values = np.repeat([0.0, 1.0], 300)[:, None]
    label = np.tile([0, 0, 0, 0, 0, 1], 100)
    label[300:330] = 1
    given = samples_of(values, label, rng.uniform(0.2, 1.0, 600))
    weights = class_weights(Weighed(), given)
    assert weights is not None
    held = np.bincount(given.label, given.weight)
    assert weights == pytest.approx((1.0, held[0] / held[1]))
    weighted = said(Weighed().fit(given, rng), given)
    shares = [
        np.average(label[cell], weights=given.weight[cell])
        for cell in (slice(0, 300), slice(300, 600))
    ]
    assert weighted[0, 1] > shares[0] + 0.2
    np.testing.assert_allclose(
        unweighed(weighted, weights)[[0, -1], 1], shares, atol=1e-5, err_msg="closed form"
    )


def test_weights_are_those_of_the_fit_or_none_at_all(rare: Samples) -> None:
    assert class_weights(TREES, rare) is None
    assert class_weights(Majority(), rare) is None
    never = replace(rare, label=np.zeros_like(rare.label))
    assert class_weights(BALANCED, never) == (1.0, 1.0)
    weights = class_weights(BALANCED, rare)
    assert weights is not None
    scaled = class_weighted(rare.weight, rare.label, "balanced")
    np.testing.assert_allclose(np.array(weights)[rare.label] * rare.weight, scaled)


@pytest.fixture(scope="module")
def trained(rare: Samples) -> TrainedHead:
    return train_head(rare, Weighed(), FORWARD, 7, RECENT)


def test_before_any_outcome_is_known_weights_alone_are_taken_back(
    rare: Samples, trained: TrainedHead
) -> None:
    raw = train_head(rare, Weighed(), FORWARD, 7).predictions[["p_no", "p_enter"]].to_numpy()
    fold = trained.folds[0]
    weights = class_weights(Weighed(), rare.take(fold.train))
    assert weights is not None
    found = trained.predictions[["p_no", "p_enter"]].to_numpy()
    np.testing.assert_allclose(found[:48], unweighed(raw[:48], weights), rtol=1e-12)
    assert raw[:, 1].mean() > 0.3
    assert found[:, 1].mean() == pytest.approx(rare.label.mean(), abs=0.015)


def test_from_the_first_hour_it_is_as_right_as_a_perfect_forecaster(
    rare: Samples, trained: TrainedHead
) -> None:
    outcomes = pd.DataFrame({"label": rare.label, "ends_at": rare.ends_at}, rare.index)
    rows = trained.predictions.join(outcomes)
    probability = rows[["p_no", "p_enter"]].to_numpy("float64")
    low, high = perfect_range(probability, rows, "1h")
    assert low <= score_head(rows, rare.classes, "1h")["calibration_error"] <= high


def test_what_is_served_takes_the_refits_weights_back_and_is_read_again(
    rare: Samples, trained: TrainedHead
) -> None:
    calibrator = trained.calibrations[-1].calibrator
    assert isinstance(calibrator, UnweighedScaling)
    assert calibrator.weights == class_weights(Weighed(), rare)
    node = json.loads(json.dumps(calibrator_node(calibrator)))
    answer = said(trained.fitted, rare)
    np.testing.assert_array_equal(
        build(node, "bundle.json").apply(answer), calibrator.apply(answer)
    )
    again = train_head(rare, Weighed(), FORWARD, 7, RECENT)
    assert json.dumps(calibrator_node(again.calibrations[-1].calibrator or calibrator)) == (
        json.dumps(calibrator_node(calibrator))
    )
    pd.testing.assert_frame_equal(again.predictions, trained.predictions)
    assert calibrator.apply(answer)[:, 1].mean() == pytest.approx(rare.label.mean(), abs=0.01)


@pytest.mark.parametrize("calibration", [RECENT, Sigmoid(least_effective_rows=20), NoCalibration()])
def test_without_weights_nothing_is_taken_back(rare: Samples, calibration: Calibration) -> None:
    plain = train_head(rare, Weighed("none"), FORWARD, 7, calibration)
    assert not isinstance(plain.calibrations[-1].calibrator, UnweighedScaling)
    if isinstance(calibration, RecentScaling):
        assert isinstance(plain.calibrations[-1].calibrator, Scaling)
        return
    weighed = train_head(rare, Weighed(), FORWARD, 7, calibration)
    assert not isinstance(weighed.calibrations[-1].calibrator, UnweighedScaling)
