from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression

from pipeline.build import TARGET, build
from pipeline.configuration.choices import choose
from pipeline.configuration.compose import compose_run, read_root
from pipeline.configuration.plan import write_plan
from pipeline.configuration.planning import plan_run
from pipeline.evaluation.metrics import score_head
from pipeline.experiments.scoring import Frames, head_rows, running_losses
from pipeline.fitting.training import labelled_samples, train_head
from pipeline.fitting.training_facts import head_facts
from pipeline.frames import key_by_market, read_frame
from pipeline.live.loading import unpack
from pipeline.live.predictor import Predictor, Serving
from pipeline.models.base import FeatureTable, Files, Report, Rows, Samples
from pipeline.models.bundle import FILE, HeadDeclaration, pack
from pipeline.models.calibration import (
    Calibration,
    Calibrator,
    Forgetting,
    Isotonic,
    NoCalibration,
    Sigmoid,
    Sigmoids,
    Staircases,
    Unchanged,
    calibrator_node,
)
from pipeline.models.nested_calibration import OutOfFoldRows, calibrated_fold
from pipeline.models.recent_calibration import RecentScaling
from pipeline.operations.retraining.candidate import _head_card, _notes
from pipeline.runner import run_stage
from pipeline.splits.combinatorial import Combinatorial
from pipeline.splits.fold import Split
from pipeline.splits.purged_kfold import PurgedKFold
from pipeline.splits.walk_forward import WalkForward
from pipeline.stages import paths
from tests.conftest import AS_OF
from tests.runs import CONF
from tests.unit.test_learned_labels import growing, samples_of
from tests.unit.test_predictor import (
    CANDLES,
    FEATURES,
    LABEL,
    SLOT,
    TREES,
    UNTIL,
    batch,
    fitted_on,
)
from tests.unit.test_predictor import bundle as verified_bundle
from tests.unit.test_training import TREES as QUICK

CLASSES = ("sell", "hold", "buy")
SIGMOID, ISOTONIC = Sigmoid(least_effective_rows=20), Isotonic(least_effective_rows=20)
RECENT = RecentScaling(half_life_days=40, every_days=5, prior_rows=2)
BOTH = pytest.mark.parametrize("calibration", [SIGMOID, ISOTONIC], ids=["sigmoid", "isotonic"])
ALL = pytest.mark.parametrize(
    "calibration", [SIGMOID, ISOTONIC, RECENT], ids=["sigmoid", "isotonic", "recent"]
)
FORWARD = WalkForward(fold_count=3, test_share=0.15)


def softmax(odds: np.ndarray) -> np.ndarray:
    raised = np.exp(odds - odds.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def judged(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What an overconfident model said (some of it twice), what came true, and weights."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=(rows, 3)).round(1)
    happened = (softmax(odds).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return softmax(2.5 * odds), happened.astype("int8"), rng.uniform(0.05, 1, rows)


class LogOdds(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model for scikit-learn whose decisions are its inputs."""

    def fit(self, decisions: np.ndarray, label: np.ndarray) -> LogOdds:
        self.classes_ = np.unique(label)
        return self

    def decision_function(self, decisions: np.ndarray) -> np.ndarray:
        return decisions

    def predict(self, decisions: np.ndarray) -> np.ndarray:
        return self.classes_[decisions.argmax(axis=1)]


@pytest.mark.filterwarnings("ignore:Since FrozenEstimator does not appear to accept")
@pytest.mark.parametrize("seed", range(3))
def test_sigmoid_is_that_of_scikit_learn(seed: int) -> None:
    probability, label, weight = judged(seed)
    decisions = np.log(probability / (1 - probability))
    model = FrozenEstimator(LogOdds().fit(decisions, label))
    oracle = CalibratedClassifierCV(model, method="sigmoid").fit(
        decisions, label, sample_weight=weight
    )
    found = SIGMOID.fit(probability, label, weight)
    assert found.slopes == pytest.approx([0.4] * 3, abs=0.15), "it was 2.5 times too sure"
    expected = oracle.predict_proba(decisions)
    np.testing.assert_allclose(found.apply(probability), expected, atol=1e-4)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_isotonic_is_that_of_scikit_learn(seed: int, rows: int) -> None:
    probability, label, weight = judged(seed, rows)
    least, total = 1 / (weight.sum() + 2), weight.sum()
    asked = np.random.default_rng(seed).dirichlet([1, 1, 1], 50)
    shares = [
        IsotonicRegression(y_min=least, y_max=(total + 1) / (total + 2), out_of_bounds="clip")
        .fit(probability[:, k].round(12), label == k, weight)
        .predict(asked[:, k])
        for k in range(3)
    ]
    expected = np.column_stack(shares)
    expected /= expected.sum(axis=1, keepdims=True)
    found = ISOTONIC.fit(probability, label, weight).apply(asked)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@BOTH
def test_an_order_is_never_turned_around(calibration: Calibration) -> None:
    probability, label, weight = judged(1)
    turned = calibration.fit(probability, (2 - label).astype("int8"), weight)
    if isinstance(turned, Staircases):
        assert all(list(shares) == sorted(shares) for shares in turned.shares)
        assert max(map(len, turned.shares)) < 30, "what falls is pooled"
    else:
        assert isinstance(turned, Sigmoids)
        assert turned.slopes[0] == turned.slopes[2] == 0
        share = np.average(label == 0, weights=weight)
        assert turned.intercepts[2] == pytest.approx(np.log(share / (1 - share)), abs=0.05)


@ALL
def test_weights_count_and_rows_of_no_information_are_survived(calibration: Calibration) -> None:
    probability, label, weight = judged(2)
    once = calibration.fit(probability, label, weight).apply(probability)
    twice = calibration.fit(np.vstack([probability] * 2), np.tile(label, 2), np.tile(weight / 2, 2))
    np.testing.assert_allclose(twice.apply(probability), once, atol=1e-7)
    flat = np.tile([0.0, 0.25, 0.75], (len(label), 1))
    found = calibration.fit(flat, label, weight).apply(flat)
    shares = [np.average(label == k, weights=weight) for k in range(3)]
    np.testing.assert_allclose(found, np.tile(shares, (len(label), 1)), atol=0.01)
    assert (found > 0).all()


# inside the folds


def made_samples(edge: float, rows: int = 3000, seed: int = 0) -> Samples:
    """Rows whose true log odds are `edge` times their three features."""
    rng = np.random.default_rng(seed)
    time = pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC", name="time").as_unit("ms")
    values = rng.normal(size=(rows, 3))
    label = (softmax(edge * values).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    frame = key_by_market(pd.DataFrame(values, time, list(CLASSES)), "SIM-BTC")
    labels = pd.DataFrame(
        {
            "label": np.minimum(label, 2).astype("int8"),
            "weight": rng.uniform(0.2, 1, rows),
            "ends_at": time + pd.Timedelta("6h"),
        },
        time,
    )
    return labelled_samples(frame, key_by_market(labels, "SIM-BTC"), CLASSES)


@dataclass(frozen=True)
class TooSure:
    """Takes the features for log odds, three times over; no label teaches it anything."""

    lookback = 1
    columns = CLASSES

    def fit(self, samples: Samples, rng: np.random.Generator) -> TooSure:
        return self

    def load(self, files: Files) -> TooSure:
        return self

    def predict_proba(self, table: FeatureTable, rows: Rows) -> np.ndarray:
        return softmax(3 * table.values[rows])

    def save(self) -> dict[str, bytes]:
        return {}

    def report(self) -> Report:
        return {}


@dataclass
class Recorder:
    """Remembers what it was fitted on; changes nothing."""

    least_effective_rows: float = 1
    forgetting: Forgetting | None = None
    fits: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def fit(self, probability: np.ndarray, label: np.ndarray, weight: np.ndarray) -> Calibrator:
        self.fits.append((probability, label, weight))
        return Unchanged()


SPLITS = {
    "walk_forward": FORWARD,
    "purged_kfold": PurgedKFold(fold_count=4, embargo_hours=6),
    "combinatorial": Combinatorial(block_count=4, tested_blocks=2, embargo_hours=6),
}
every_split = pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)


def columns_of(frame: pd.DataFrame, fold: int) -> np.ndarray:
    own = frame[frame["fold"] == fold].sort_index()
    return own[[f"p_{name}" for name in CLASSES]].to_numpy()


@every_split
@BOTH
def test_nothing_a_fold_is_judged_by_calibrates_it(split: Split, calibration: Calibration) -> None:
    rows = made_samples(1.0, rows=900)
    honest = train_head(rows, TooSure(), split, 7, calibration)
    raw = train_head(rows, TooSure(), split, 7).predictions
    np.testing.assert_array_equal(columns_of(honest.predictions, 0), columns_of(raw, 0))
    for number, fold in enumerate(honest.folds):
        lied = rows.label.copy()
        lied[fold.test] = (lied[fold.test] + 1) % 3
        again = train_head(replace(rows, label=lied), TooSure(), split, 7, calibration).predictions
        own = columns_of(honest.predictions, number)
        np.testing.assert_array_equal(columns_of(again, number), own)
        assert not number or np.abs(own - columns_of(raw, number)).max() > 0.01
        later = range(number + 1, len(honest.folds))
        changed = [(columns_of(again, k) != columns_of(honest.predictions, k)).any() for k in later]
        assert any(changed) or not later, "what came true must calibrate later folds"


@every_split
def test_who_forgets_knows_no_outcome_before_it_came(split: Split) -> None:
    rows = made_samples(1.0, rows=900)
    honest = train_head(rows, TooSure(), split, 7, RECENT)
    for moment in rows.time[[300, 520, 640, 880]]:
        lied = np.where(rows.ends_at > moment, (rows.label + 1) % 3, rows.label)
        again = train_head(replace(rows, label=lied), TooSure(), split, 7, RECENT).predictions
        mine, theirs = honest.predictions.filter(like="p_"), again.filter(like="p_")
        before = mine.index.get_level_values("time") <= moment
        pd.testing.assert_frame_equal(theirs[before], mine[before])
        changed = (theirs[~before] != mine[~before]).to_numpy().any()
        assert changed or before.mean() > 0.95, "what came true must calibrate later rows"


def test_who_forgets_follows_a_market_that_changes() -> None:
    """Shares that turn around half way: what was learnt of both halves alike fits neither."""
    rng, days = np.random.default_rng(4), 900
    shares = np.where(np.arange(days)[:, None] < 450, [0.6, 0.3, 0.1], [0.1, 0.3, 0.6])
    label = (rng.random(days)[:, None] > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)
    time = pd.date_range("2023-01-01", periods=days, freq="D", tz="UTC", unit="ms")
    index = pd.MultiIndex.from_product([["SIM"], time], names=["market", "time"])
    table = FeatureTable(("a",), np.zeros((days, 1)), index)
    ends_at = time + pd.Timedelta(days=1)
    whole = np.arange(days)
    samples = Samples(table, whole, label.astype("int8"), np.ones(days), ends_at, CLASSES)
    nearly = np.full((days, 3), 1 / 3) + np.resize([0.001, -0.001, 0.0, 0.002], (days, 1)) * [
        1,
        0,
        -1,
    ]
    same = OutOfFoldRows(whole, nearly, samples.label)
    found, learnt = calibrated_fold([], same, samples, RECENT)
    assert learnt.times == -(-days // 5) - 1
    np.testing.assert_array_equal(found[:5], nearly[:5])
    np.testing.assert_allclose(found[300:450].mean(axis=0), [0.6, 0.3, 0.1], atol=0.08)
    np.testing.assert_allclose(found[600:].mean(axis=0), [0.1, 0.3, 0.6], atol=0.08)


@ALL
def test_who_says_the_same_of_every_row_is_left_at_that(calibration: Calibration) -> None:
    class Same(TooSure):
        def predict_proba(self, table: FeatureTable, rows: Rows) -> np.ndarray:
            return np.tile([0.2, 0.5, 0.3], (len(rows), 1))

    trained = train_head(made_samples(1.0, rows=900), Same(), FORWARD, 7, calibration)
    said = trained.predictions[[f"p_{name}" for name in CLASSES]].drop_duplicates()
    assert said.to_numpy().tolist() == [[0.2, 0.5, 0.3]]
    assert trained.calibrations[-1].calibrator is None
    assert trained.calibrations[0].why_not == "its model says the same of every row"


def test_few_rows_change_little_and_scaling_is_that_of_a_library() -> None:
    said, label, _ = judged(3)
    mild = softmax(np.log(said) / 5)
    held = RECENT.model_copy(update={"prior_rows": 100}).fit(mild[:2], label[:2], np.ones(2))
    assert 0 < np.abs(held.apply(mild) - mild).max() < 0.02
    free = RECENT.model_copy(update={"prior_rows": 1e-9})
    found = free.fit(said, label, np.ones(len(label)))
    logs = np.log(said)

    def loss(figures: np.ndarray) -> float:
        odds = figures[0] * logs + np.array([*figures[1:], 0.0])
        return float((np.log(np.exp(odds).sum(axis=1)) - odds[np.arange(len(label)), label]).sum())

    best = minimize(loss, np.array([1.0, 0.0, 0.0]), method="BFGS")
    slope, first, second = best.x
    assert found.slope == pytest.approx(slope, rel=1e-4)
    told = np.array(found.intercepts) - found.intercepts[-1]
    np.testing.assert_allclose(told, [first, second, 0.0], atol=1e-4)


def test_a_fitted_model_and_its_calibration_do_not_see_their_own_test() -> None:
    rows = made_samples(1.0, rows=900)
    honest = train_head(rows, QUICK, FORWARD, 7, SIGMOID)
    lied = rows.label.copy()
    lied[honest.folds[1].test[0] :] = 1
    again = train_head(replace(rows, label=lied), QUICK, FORWARD, 7, SIGMOID)
    for number in (0, 1):
        own = columns_of(honest.predictions, number)
        np.testing.assert_array_equal(columns_of(again.predictions, number), own)
    assert again.calibrations[-1].calibrator != honest.calibrations[-1].calibrator


@every_split
def test_a_fold_is_calibrated_on_the_purged_rows_of_those_before(split: Split) -> None:
    rows, recorder = made_samples(1.0, rows=900), Recorder()
    trained = train_head(rows, TooSure(), split, 7, recorder)
    raw = softmax(3 * rows.values)
    fits = iter(recorder.fits)
    for number, fold in enumerate(trained.folds):
        before = [row for earlier in trained.folds[:number] for row in earlier.test.tolist()]
        free = [row for row in before if not touches(rows, row, fold.test)]
        learnt = trained.calibrations[number]
        if not free:
            assert learnt.calibrator is None
            continue
        assert len(free) < len(before), "the rows beside the test were known too late"
        probability, label, weight = next(fits)
        np.testing.assert_array_equal(probability, raw[free])
        np.testing.assert_array_equal(label, rows.label[free])
        times = np.bincount(free)[free]
        np.testing.assert_allclose(weight, rows.weight[free] / times, rtol=1e-12)
        assert weight.sum() == pytest.approx(rows.weight[np.unique(free)].sum()), "each row once"
        assert learnt.rows == len(set(free))
    probability, label, _ = next(fits)
    tested = np.concatenate([fold.test for fold in trained.folds])
    np.testing.assert_array_equal(probability, raw[tested])
    np.testing.assert_array_equal(label, rows.label[tested])
    assert next(fits, None) is None


def touches(rows: Samples, row: int, test: Rows) -> bool:
    """Whether a row's label interval meets a tested row's, or lies between two of one block."""
    opens, closes = rows.time[test], rows.ends_at[test]
    return bool(((rows.time[row] < closes) & (rows.ends_at[row] > opens)).any())


@ALL
def test_a_model_that_is_too_sure_is_corrected_out_of_fold(calibration: Calibration) -> None:
    rows = made_samples(1.0)
    raw, found = (scores_of(rows, used) for used in (NoCalibration(), calibration))
    assert raw["calibration_error"] > 0.1
    assert found["calibration_error"] < 0.4 * raw["calibration_error"]
    assert found["log_loss"] < raw["log_loss"] - 0.2
    assert found["brier_skill"] > 0.1 > raw["brier_skill"]


@ALL
def test_noise_stays_noise(calibration: Calibration) -> None:
    skills = [
        scores_of(made_samples(0.0, seed=seed), calibration)["brier_skill"] for seed in range(6)
    ]
    assert max(skills) < 0.01
    assert np.mean(skills) < 0.002


def scores_of(rows: Samples, calibration: Calibration) -> dict[str, float]:
    """Scores of the folds that have a fold before them."""
    predictions = train_head(rows, TooSure(), FORWARD, 7, calibration).predictions
    known = pd.DataFrame({"label": rows.label, "ends_at": rows.ends_at}, rows.index)
    return score_head(predictions[predictions["fold"] > 0].join(known), CLASSES, "1h")


def test_too_few_rows_or_a_class_that_never_happened_are_told() -> None:
    rows = made_samples(1.0, rows=400)
    trained = train_head(rows, TooSure(), FORWARD, 7, Sigmoid(least_effective_rows=50))
    told = [learnt.facts() for learnt in trained.calibrations]
    assert told[0] == {"left_out": "no fold before this one"}
    assert told[1] == {"left_out": "30.5 effective rows of the 50 that it needs"}
    assert told[2] == {"rows": 115}
    assert told[3] == {"rows": 180}
    raw = train_head(rows, TooSure(), FORWARD, 7).predictions
    for number, same in enumerate((True, True, False)):
        own, plain = columns_of(trained.predictions, number), columns_of(raw, number)
        assert (own == plain).all() == same
    fits = head_facts(rows, trained, "plugins.own.Own", 1)["fits"]
    assert [fit["calibration"] for fit in fits] == told
    plain = train_head(rows, TooSure(), FORWARD, 7)
    assert all("calibration" not in fit for fit in head_facts(rows, plain, "own", 1)["fits"])
    never = replace(rows, label=np.where(rows.label == 1, 0, rows.label).astype("int8"))
    learnt = train_head(never, TooSure(), FORWARD, 7, SIGMOID).calibrations[-1]
    assert (learnt.calibrator, learnt.why_not) == (None, "no row of hold")


def test_learned_classes_are_those_of_each_rows_own_fold() -> None:
    @dataclass(frozen=True)
    class Half(TooSure):
        def predict_proba(self, table: FeatureTable, rows: Rows) -> np.ndarray:
            odd = 0.001 * (rows % 2)[:, None]
            return np.hstack([0.5 + odd, 0.5 - odd])

    features, labels = growing()
    rows, recorder = samples_of((features, labels)), Recorder()
    trained = train_head(rows, Half(), FORWARD, 7, recorder)
    everything = pd.concat([part for _, part in trained.predictions.groupby("fold")])
    np.testing.assert_array_equal(recorder.fits[-1][1], everything["label"])
    assert len(recorder.fits) == 3
    assert len({rule.threshold for rule in trained.rules if rule}) == 4  # type: ignore[attr-defined]


# what is served


@ALL
def test_a_calibrator_comes_back_from_the_bundle_to_the_last_bit(calibration: Calibration) -> None:
    probability, label, weight = judged(3)
    found = calibration.fit(probability, label, weight)
    declared = HeadDeclaration(
        features=FEATURES,
        label=LABEL,
        model=TREES,
        classes=CLASSES,
        calibrator=calibrator_node(found),
    )
    files = pack("1h", {"direction": declared}, {"direction": fitted_on(CANDLES)})
    head = unpack(files).heads["direction"]
    assert head.calibrator == found
    assert head.calibrator.apply(probability).tobytes() == found.apply(probability).tobytes()
    assert (
        "calibrator"
        not in json.loads(verified_bundle(head.fitted).read(FILE))["heads"]["direction"]
    )


@ALL
def test_a_live_signal_is_what_the_calibrated_batch_says(calibration: Calibration) -> None:
    fitted = fitted_on(CANDLES)
    plain = batch(fitted, CANDLES)
    label = np.random.default_rng(0).integers(0, 3, len(plain)).astype("int8")
    found = calibration.fit(plain, label, np.ones(len(plain)))
    declared = HeadDeclaration(
        features=FEATURES,
        label=LABEL,
        model=TREES,
        classes=CLASSES,
        calibrator=calibrator_node(found),
    )
    bundle = verified_bundle(fitted, direction=declared)
    predictor = Predictor.load(SLOT, bundle, Serving("observe", 0.55, UNTIL), ())
    signal = predictor.predict(CANDLES)
    told = [signal.sell_probability, signal.hold_probability, signal.buy_probability]
    np.testing.assert_allclose(told, found.apply(plain)[-1], rtol=1e-12)
    assert np.abs(np.array(told) - plain[-1]).max() > 0.01


def test_a_search_scores_what_evaluation_scores(home: Path) -> None:
    words = {"recipe": "demo", "as_of": AS_OF, "calibration": "isotonic", "model": "logistic"}
    words |= {"calibration.least_effective_rows": 40, "exchange": "simulated"}
    plan = plan_run(compose_run(choose(read_root(CONF).choices, words), CONF))
    rows = made_samples(1.0, rows=900)
    labels = pd.DataFrame(
        {"label": rows.label, "weight": rows.weight, "ends_at": rows.ends_at}, rows.index
    )
    features = pd.DataFrame(rows.values, rows.index, list(CLASSES))
    found = head_rows(plan, Frames({"hourly46": features}, {"direction": labels}))
    *_, (last, _) = running_losses(plan, found)
    config, (own,) = plan.stages["train"], found.values()
    model, split, calibration = (
        build(node, "train")
        for node in (config["heads"]["direction"]["model"], config["split"], config["calibration"])
    )
    predictions = train_head(own.samples, model, split, config["seed"], calibration).predictions
    scores = score_head(predictions.join(labels[["label", "ends_at"]]), CLASSES, "1h")
    assert last == pytest.approx(scores["log_loss"], abs=1e-12)
    plain = train_head(own.samples, model, split, config["seed"]).predictions
    assert (plain["p_buy"] != predictions["p_buy"]).any()


def test_a_run_serves_and_names_its_calibration(home: Path) -> None:
    words: dict[str, Any] = {"recipe": "demo", "as_of": AS_OF, "recipe.history_days": 40}
    words |= {"model": "logistic", "calibration": "sigmoid", "calibration.least_effective_rows": 12}
    write_plan(plan_run(compose_run(choose(read_root(CONF).choices, words), CONF)))
    for stage in ("download", "validate", "features", "labels", "train"):
        run_stage(stage)
    told = json.loads((paths.BUNDLE / FILE).read_text())["heads"]["direction"]
    assert told["calibrator"][TARGET] == "pipeline.models.calibration.Sigmoids"
    fits = json.loads(paths.TRAINING.read_text())["heads"]["direction"]["fits"]
    assert [list(fit["calibration"]) for fit in fits] == [["left_out"]] * 2 + [["rows"]] * 2
    predictions = read_frame(paths.PREDICTIONS / "direction.parquet")
    assert fits[-1]["calibration"]["rows"] == len(predictions)
    card = _head_card(told, {"class_rows": [1, 2, 1]})
    assert card["calibration"] == "pipeline.models.calibration.Sigmoids"
    del told["calibrator"]
    assert _head_card(told, {"class_rows": [1, 2, 1]})["calibration"] is None
    first, second = _notes({"direction": {"fits": fits}})
    assert first == "head direction, fold 0 is not calibrated: no fold before this one"
    assert re.fullmatch(
        r"head direction, fold 1 .*: .* effective rows of the 12 that it needs", second
    )
    assert _notes({"direction": {"fits": [{"fit": "refit"}]}}) == ()
